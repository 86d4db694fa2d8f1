"""Oracle for texts: attributes by a lexicon of the grammar's words."""

from __future__ import annotations

import re
from collections.abc import Mapping

from anymodal.toybox.grammar.phrases.attributes import (
    GO,
    MORE_PITCH,
    MORE_SIZE,
    MORE_TEMPO,
    PITCH_WORDS,
    SIZE_WORDS,
    STRENGTH_WORDS,
    TEMPO_ADVERBS,
    TEMPO_WORDS,
    VERB_FORMS,
    Words,
)
from anymodal.toybox.scene import COLORS, THINGS, VALUES

_WORD = re.compile(r"[a-z]+")
_STILL = re.compile(
    r"\b(still|at rest|stop|no movement|not? mov(?:e|es|ed|ing|ement)|nothing that moves)\b"
)
_QUESTION = re.compile(r"[^.!?]*\?")
_ANSWER = re.compile(r"^\W*(yes|no)\b(?! movement)|\bso (yes|no)\W*$")


def _lexicon() -> dict[str, tuple[str, str]]:
    """Attribute and value of every word that names one."""
    words = {color: ("color", color) for color in COLORS}
    for thing in THINGS:
        words[thing] = words[f"{thing}s"] = ("thing", thing)
    tables: tuple[tuple[str, tuple[dict[str, Words], ...]], ...] = (
        ("size", (SIZE_WORDS, PITCH_WORDS, STRENGTH_WORDS, MORE_SIZE, MORE_PITCH)),
        ("tempo", (TEMPO_WORDS, TEMPO_ADVERBS, MORE_TEMPO)),
    )
    for name, group in tables:
        for table in group:
            words |= {word: (name, value) for value, options in table.items() for word in options}
    for motion, ways in GO.items():
        for verb, way in ways:
            # The direction decides where there is one, as "left" in "moves to the left".
            naming = _WORD.findall(way.replace("to the ", "")) or (verb, *VERB_FORMS[verb])
            words |= {word: ("motion", motion) for word in naming if word not in ("us", "me")}
    return words


_LEXICON = _lexicon()


def read_text(text: str) -> dict[str, str]:
    """Read the attributes that a text states.

    Where a text names several values of an attribute, all are in the result, joined by " and " in
    the order of `VALUES`, so that a contradiction is no answer. A text that starts with yes or no,
    or ends with "so yes" or "so no", also has "answer".
    """
    text = text.lower()
    values: dict[str, set[str]] = {}
    for word in _WORD.findall(text):
        if word in _LEXICON:
            name, value = _LEXICON[word]
            values.setdefault(name, set()).add(value)
    if _STILL.search(text):
        values.setdefault("motion", set()).add("still")
    attributes = {
        name: " and ".join(value for value in options if value in values[name])
        for name, options in VALUES.items()
        if name in values
    }
    answer = _ANSWER.search(text)
    return {"answer": answer[1] or answer[2], **attributes} if answer else attributes


def score_text(text: str, expected: Mapping[str, str]) -> dict[str, bool]:
    """Score a text: it must state all expected attributes, and no other.

    Args:
        text: the text to score; questions in it, as in "A bell? It is a drum, so no.", state
            nothing.
        expected: attributes with their values; "answer" for a yes or no.

    Returns:
        True or False for each expected attribute, and False for each that the text adds.
    """
    attributes = read_text(_QUESTION.sub("", text))
    extra = {name: False for name in attributes if name not in expected and name != "answer"}
    return {name: attributes.get(name) == value for name, value in expected.items()} | extra
