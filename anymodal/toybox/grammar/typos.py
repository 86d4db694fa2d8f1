"""How people type: slips of the fingers and short forms, by an edit model.

Source: Damerau 1964, whose four kinds of errors (a letter left out, put in, replaced, two letters
swapped) are four in five of all misspellings; replaced letters are neighbours on the keyboard.
"""

from __future__ import annotations

import re
from functools import cache

from anymodal.toybox.grammar.phrases.short_forms import SHORT_FORMS
from anymodal.toybox.grammar.words import Draw
from anymodal.toybox.oracles.text import VALUE_WORDS

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_WORD = re.compile(r"[a-z]{4,}")
_SHORT = re.compile(
    "|".join(rf"\b{re.escape(words)}\b" for words in sorted(SHORT_FORMS, key=len)[::-1])
)


def _neighbours() -> dict[str, str]:
    """The letters beside each letter on the keyboard."""
    near: dict[str, str] = {}
    for y, row in enumerate(_ROWS):
        for x, letter in enumerate(row):
            cells = ((y, x - 1), (y, x + 1), (y - 1, x), (y - 1, x + 1), (y + 1, x - 1), (y + 1, x))
            near[letter] = "".join(
                _ROWS[b][a] for b, a in cells if 0 <= b < 3 and 0 <= a < len(_ROWS[b])
            )
    return near


_NEAR = _neighbours()


def _one_edit(word: str) -> set[str]:
    """All that one slip makes of a word."""
    edits = set()
    for place, letter in enumerate(word):
        before, after = word[:place], word[place + 1 :]
        edits |= {before + after, before + letter + letter + after}
        edits |= {before + near + after for near in _NEAR.get(letter, "")}
        edits |= {before + near + letter + after for near in _NEAR.get(letter, "")}
        edits.add(before + after[:1] + letter + after[1:])
    return edits - {word}


@cache
def _values_near() -> dict[str, frozenset[tuple[str, str]]]:
    """The values that every text at one edit from their words could be meant for."""
    near: dict[str, set[tuple[str, str]]] = {}
    for word, value in VALUE_WORDS.items():
        edits = {word}
        for place in range(len(word) + 1):
            before, after = word[:place], word[place:]
            edits |= {before + letter + after for letter in _LETTERS}
            if after:
                edits |= {before + letter + after[1:] for letter in _LETTERS}
                edits |= {before + after[1:], before + after[1:2] + after[:1] + after[2:]}
        for edit in edits:
            near.setdefault(edit, set()).add(value)
    return {edit: frozenset(values) for edit, values in near.items()}


@cache
def slips(word: str) -> tuple[str, ...]:
    """Slips of a word: never a word for a value, nor near to one of another value."""
    own = VALUE_WORDS.get(word)
    near, fits = _values_near(), {own} if own is not None else set()
    # The first letter is rarely wrong, and a reader needs it.
    edits = (edit for edit in sorted(_one_edit(word)) if edit[:1] == word[:1] and len(edit) > 2)
    return tuple(e for e in edits if e not in VALUE_WORDS and near.get(e, frozenset()) <= fits)


def mistype(draw: Draw, text: str) -> str:
    """A text with a slip in one of its words of four letters or more, if there is any."""
    words = list(_WORD.finditer(text))
    if not words:
        return text
    match = draw.choice(words)
    options = slips(match[0]) or (match[0],)
    return text[: match.start()] + draw.choice(options) + text[match.end() :]


def shorten_words(draw: Draw, text: str) -> str:
    """A text with some of its words in the short forms of chats."""
    return _SHORT.sub(
        lambda match: draw.choice(SHORT_FORMS[match[0]]) if draw.chance(0.6) else match[0], text
    )


def type_text(draw: Draw, text: str) -> str:
    """A text as it may be typed: slips in one of eight, short forms in one of seven."""
    if draw.chance(0.15):
        text = shorten_words(draw, text)
    if draw.chance(0.12):
        text = mistype(draw, text)
        if draw.chance(0.2):
            text = mistype(draw, text)
    return text
