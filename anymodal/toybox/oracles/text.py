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
from anymodal.toybox.grammar.phrases.synonyms import (
    ADVERB_SYNONYMS,
    BESIDE_WORDS,
    COLOR_SYNONYMS,
    DIRECTION_WORDS,
    NOUN_SYNONYMS,
    PEOPLE_GO,
    PITCH_SYNONYMS,
    SIZE_SYNONYMS,
    TEMPO_SYNONYMS,
)
from anymodal.toybox.scene import COLORS, THINGS, VALUES

_WORD = re.compile(r"[a-z]+")
_STILL = re.compile(
    r"\b(still|at rest|stop|motionless|no movement|not? mov(?:e|es|ed|ing|ement)"
    r"|nothing that moves)\b"
)
_SPOKEN = (
    (re.compile(r"\bfrom (?:left|right) to (?=left|right)"), ""),
    (re.compile(r"\bslow(?: it| that)? down\b"), "slow"),
    (re.compile(r"\b(?:speed(?: it| that)? up|hurry up)\b"), "fast"),
    (re.compile(r"\b(?:in a hurry|at (?:high|top|full|lightning) speed)\b"), "fast"),
    (re.compile(r"\b(?:at low speed|at a snail's pace)"), "slow"),
    (re.compile(r"\bstill (?:picture|of)\b"), ""),
    (re.compile(r"\bright (?:now|away)\b|\b(?:all|that's|is that) right\b"), ""),
    (re.compile(r"\b(?:at me|(?:to|toward|towards) (?:us|me|the camera))\b"), "toward"),
    (re.compile(r"\btowards? the (?=left|right)"), ""),
)
"""Phrases whose words mean something else alone, and what they mean."""
_WHICH = r"(first|second|third|fourth|picture|sound|video|movement|both|neither|none)"
_VERDICT = re.compile(rf"\bso (?:the )?{_WHICH}\b")
_LABEL = re.compile(rf"\b{_WHICH}\b")
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
    return _synonyms() | words


def _synonyms() -> dict[str, tuple[str, str]]:
    """Attribute and value of the words that only people use."""
    words: dict[str, tuple[str, str]] = {}
    tables = (
        ("color", COLOR_SYNONYMS),
        ("size", SIZE_SYNONYMS),
        ("size", PITCH_SYNONYMS),
        ("tempo", TEMPO_SYNONYMS),
        ("tempo", ADVERB_SYNONYMS),
        ("thing", NOUN_SYNONYMS),
    )
    for name, table in tables:
        for value, options in table.items():
            for word in (word for option in options for word in _WORD.findall(option)):
                if word not in BESIDE_WORDS:
                    words[word] = name, value
    for motion, ways in PEOPLE_GO.items():
        for verb, going, way in ways:
            # Words such as "fly" go with many directions.
            naming = [word for word in _WORD.findall(way) if word in DIRECTION_WORDS]
            alone = (verb, going) if not way or motion in ("shake", "bounce") else ()
            words |= dict.fromkeys((*naming, *alone), ("motion", motion))
    return words


VALUE_WORDS = _lexicon()
"""Attribute and value of every word that names one."""


def read_text(text: str) -> dict[str, str]:
    """Read the attributes that a text states.

    Where a text names several values of an attribute, all are in the result, joined by " and " in
    the order of `VALUES`, so that a contradiction is no answer. A text that starts with yes or no,
    or ends with "so yes" or "so no", also has "answer".
    """
    text = text.lower()
    for pattern, meaning in _SPOKEN:
        text = pattern.sub(meaning, text)
    values: dict[str, set[str]] = {}
    for word in _WORD.findall(text):
        if word in VALUE_WORDS:
            name, value = VALUE_WORDS[word]
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
        expected: attributes with their values; "answer" for a yes or no, "which" for the one of
            several that the text names last by "so", or else first.

    Returns:
        True or False for each expected attribute, and False for each that the text adds.
    """
    statement = _QUESTION.sub("", text)
    attributes = read_text(statement)
    if "which" in expected:
        label = _VERDICT.search(statement.lower()) or _LABEL.search(statement.lower())
        attributes |= {"which": label[1]} if label else {}
    extra = {name: False for name in attributes if name not in expected and name != "answer"}
    return {name: attributes.get(name) == value for name, value in expected.items()} | extra
