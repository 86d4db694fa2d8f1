"""The frozen measuring sets: unchanged, read whole, and known to training by digests alone."""

from __future__ import annotations

import ast
import hashlib
from collections import Counter

import pytest

from anymodal.toybox.frozen_sets import PLAIN, SETS, load_set, set_texts
from anymodal.toybox.grammar.normalized import is_reserved, normalize_text
from anymodal.toybox.scene import OBSERVABLE, VALUES
from tests.support.paths import ROOT
from tests.support.set_digests import FILE, LEAST_WORDS, set_digests

SHA256 = {
    "conversation": "6768ba3bfd30639b3311fe21ff8804bd1c394304ed9ec179ade1b9254f5977c3",
    "forms": "f7615879063d5266186ac45eb658bc0cf04ec9c6bd7c6ed7e27384623e7b9271",
    "people": "0dd53eda5db441c5e1ade5917d148d701a7946edf0ee2b4b0ebfa00543a345ee",
    "questions": "80b0510d1bdfdeff88285f8a2d6f152710371cadcf60251c7bfbe841d974b936",
    "several": "45edbf3911182d2a3125a3fa0ea5bfea2e82baa5cd223266d20f52463f15e58f",
    "unknown": "f509f0b56d363d66d055569be718d4919d09dcdbdcd88efd0ed5183a178db677",
}
"""The files as they were frozen. A change here is a change of what is measured."""

READERS = {"toybox.tasks.frozen", "toybox.kind_report"}
"""The modules that may read the sets, to measure."""


def test_the_sets_are_as_they_were_frozen() -> None:
    folder = FILE.parent
    digests = {
        file.stem: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.glob("*.jsonl")
    }
    assert digests == SHA256


def test_the_digests_are_those_of_the_sets() -> None:
    assert FILE.read_text("utf-8") == set_digests()
    for text in set_texts():
        assert is_reserved(text) is (len(normalize_text(text).split()) >= LEAST_WORDS), text
    assert not is_reserved("a sentence that no set has")


def test_every_row_is_read() -> None:
    counts = {name: len(load_set(name)) for name in SETS}
    assert counts == {
        "people": 445, "several": 95, "forms": 40 * 8, "conversation": 96, "unknown": 135,
        "questions": 91,
    }  # fmt: skip
    variants = Counter(row["turns"][0]["kind"] for row in load_set("forms"))
    assert set(variants.values()) == {40} and PLAIN in variants and len(variants) == 8
    assert len(set_texts()) == 445 + 95 + 320 + 537 + 135 + 91
    ids = [row["id"] for name in SETS for row in load_set(name)]
    assert len(ids) == len(set(ids))
    with pytest.raises(ValueError, match="no set 'poems'"):
        load_set("poems")


def test_expectations_are_of_the_toybox() -> None:
    for name in SETS:
        for row in load_set(name):
            for turn in row["turns"]:
                assert turn["expected"], row["id"]
                for item in (*turn["attach"], *turn["expected"].get("media", ())):
                    modality = item["modality"]
                    for attribute, value in item.items():
                        if attribute != "modality":
                            assert attribute in OBSERVABLE[modality], row["id"]
                            assert value in VALUES[attribute], row["id"]


def test_nothing_but_what_measures_reads_the_sets() -> None:
    for file in (ROOT / "anymodal").rglob("*.py"):
        module = ".".join(file.relative_to(ROOT / "anymodal").with_suffix("").parts)
        text = file.read_text("utf-8")
        for node in ast.walk(ast.parse(text)) if "frozen_sets" in text else ():
            if isinstance(node, ast.ImportFrom) and "frozen_sets" in (node.module or ""):
                assert module in READERS, file
