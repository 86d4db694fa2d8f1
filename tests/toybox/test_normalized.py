"""Tests of the normal form of users' texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anymodal.toybox.grammar import normalized


@pytest.mark.parametrize(
    "text",
    [
        "  DRAW a Big, blue car!! 🚗",
        "Draw\ta big…\nblue_car.",
        "ｄｒａｗ ａ ｂｉｇ ｂｌｕｅ ｃａｒ",
        "“draw” a big – blue c\u00adar",
        "dráw a big blue car",
        "d'raw a big blue car",
    ],
)
def test_forms_of_a_text_are_one(text: str) -> None:
    assert normalized.normalize_text(text) == "draw a big blue car"
    assert normalized.text_digest(text) == normalized.text_digest("draw a big blue car")


def test_other_words_are_other_texts() -> None:
    assert normalized.text_digest("draw a red car") != normalized.text_digest("draw a blue car")
    assert len(normalized.text_digest("")) == 16


@given(st.text())
def test_the_normal_form_is_its_own(text: str) -> None:
    form = normalized.normalize_text(text)
    assert normalized.normalize_text(form) == form
    assert form == " ".join(form.split())


def test_texts_of_a_set_are_reserved(monkeypatch: pytest.MonkeyPatch) -> None:
    digests = frozenset({normalized.text_digest("a kept sentence")})
    monkeypatch.setattr(normalized, "reserved_digests", lambda: digests)
    assert normalized.is_reserved("A kept  sentence!")
    assert not normalized.is_reserved("a kept sentence more")
