"""The documents' tables claim what the suites of contracts test, no more and no less."""

from __future__ import annotations

import re

import pytest

from anymodal.decoders.families.table import FAMILIES as ADAPTERS
from anymodal.encoders.transformers.text import TEXT_TOWERS
from anymodal.encoders.universal.tokenizers import Tokenizer
from tests.support import family_table, huggingface_models, pipelines, universal_models
from tests.support.paths import ROOT

DIRECTIVE = re.compile(r"^```\{family-table\} (\w+)$", re.MULTILINE)


def test_every_table_has_its_page() -> None:
    texts = [path.read_text("utf-8") for path in (ROOT / "docs").rglob("*.md")]
    shown = [name for text in texts for name in DIRECTIVE.findall(text)]
    assert sorted(shown) == sorted(family_table.TABLES)


@pytest.mark.parametrize("name", family_table.TABLES)
def test_a_table_has_a_row_for_each_family(name: str) -> None:
    head, rule, *rows = family_table.table(name).splitlines()
    cells = {line.count(" | ") for line in (head, *rows)}
    assert cells == {rule.count(" | ")} and len(rows) == len({*rows}) > 1


def test_what_there_is_is_tested() -> None:
    assert ADAPTERS.keys() == {family.pipeline for family in pipelines.FAMILIES.values()}
    own = {k for k, v in Tokenizer.kinds.items() if v.__module__.startswith("anymodal.")}
    assert own == universal_models.DESCRIPTIONS.keys()
    tested = huggingface_models.FAMILIES.keys() | huggingface_models.FROM_PARTS.keys()
    assert tested >= huggingface_models.EMBEDDINGS.keys() >= TEXT_TOWERS.keys()
