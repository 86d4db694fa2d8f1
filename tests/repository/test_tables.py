"""The README's tables claim what the suites of contracts test, no more and no less."""

from __future__ import annotations

import pytest

from anymodal.decoders.families.table import FAMILIES as ADAPTERS
from anymodal.encoders.transformers.text import TEXT_TOWERS
from anymodal.encoders.universal.tokenizers import Tokenizer
from tests.support import family_table, huggingface_models, pipelines, universal_models


def test_the_readme_has_the_registries_tables() -> None:
    text = family_table.README.read_text("utf-8")
    assert family_table.written(text) == text, "run python -m tests.support.family_table"


@pytest.mark.parametrize("name", family_table.TABLES)
def test_a_row_too_many_or_too_few_is_seen(name: str) -> None:
    text = family_table.README.read_text("utf-8")
    begin = family_table.BEGIN.format(name)
    head, rule, first, *_ = text.split(begin)[1].splitlines(keepends=True)
    for wrong in (head + rule, head + rule + first + first):
        changed = text.replace(begin + head + rule + first, begin + wrong)
        assert changed != text and family_table.written(changed) == text


def test_what_there_is_is_tested() -> None:
    assert ADAPTERS.keys() == {known.pipeline for known in pipelines.FAMILIES.values()}
    own = {k for k, v in Tokenizer.kinds.items() if v.__module__.startswith("anymodal.")}
    assert own == universal_models.TOLD.keys()
    tested = huggingface_models.FAMILIES.keys() | huggingface_models.ASSEMBLED.keys()
    assert tested >= huggingface_models.EMBEDDINGS.keys() >= TEXT_TOWERS.keys()
