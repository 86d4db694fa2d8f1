"""What a text tells of a scene, read from its words."""

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
    """Every word that tells a value, with its attribute."""
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
            telling = _WORD.findall(way.replace("to the ", "")) or (verb, *VERB_FORMS[verb])
            words |= {word: ("motion", motion) for word in telling if word not in ("us", "me")}
    return words


_LEXICON = _lexicon()


def parse(text: str) -> dict[str, str]:
    """The attributes that a text tells, by its words.

    Where a text gives several values of an attribute, all are in the result, joined by " and " in
    the order of `VALUES`, so that a contradiction is no answer. A text that starts with yes or no,
    or ends with "so yes" or "so no", also has "answer".
    """
    text = text.lower()
    found: dict[str, set[str]] = {}
    for word in _WORD.findall(text):
        if word in _LEXICON:
            name, value = _LEXICON[word]
            found.setdefault(name, set()).add(value)
    if _STILL.search(text):
        found.setdefault("motion", set()).add("still")
    parsed = {
        name: " and ".join(value for value in values if value in found[name])
        for name, values in VALUES.items()
        if name in found
    }
    answer = _ANSWER.search(text)
    return {"answer": answer[1] or answer[2], **parsed} if answer else parsed


def score_text(text: str, told: Mapping[str, str]) -> dict[str, bool]:
    """For each attribute whether a text tells it right: all that is told, and nothing else.

    What a text asks, as in "A bell? It is a drum, so no.", it doesn't tell.

    Args:
        text: the text to score.
        told: what it should tell; "answer" for a yes or no.

    Returns:
        True or False for each attribute told, and False for each that the text adds.
    """
    found = parse(_QUESTION.sub("", text))
    added = {name: False for name in found if name not in told and name != "answer"}
    return {name: found.get(name) == value for name, value in told.items()} | added
