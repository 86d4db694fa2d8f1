"""Development sets: none of their texts is one of a measuring set's, and all have its form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anymodal.toybox.grammar.normalized import is_reserved
from anymodal.toybox.scene import OBSERVABLE, VALUES

FILES = sorted((Path(__file__).parent / "development").glob("*.jsonl"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_rows_have_the_measuring_sets_form_and_none_of_their_texts(file: Path) -> None:
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert len({row["id"] for row in rows}) == len(rows) >= 90
    for row in rows:
        for turn in row.get("turns", [row]):
            text = turn.get("user") or turn["text"]
            # Texts of one or two words are anybody's.
            assert len(text.split()) < 3 or not is_reserved(text), row["id"]
            for item in turn.get("expect", turn).get("media", []):
                for name, value in item.items():
                    if name != "modality":
                        assert name in OBSERVABLE[item["modality"]] and value in VALUES[name]
