"""Slips of the fingers and short forms of people who type, by an edit model.

Source: Damerau 1964, whose four kinds of errors (a letter left out, put in, replaced, two letters
swapped) are four in five of all misspellings; replaced letters are neighbours on the keyboard.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise

from anymodal.toybox.grammar.phrases.short_forms import SHORT_FORMS
from anymodal.toybox.grammar.phrases.unknown import SUBSTANCES, UNKNOWN_THINGS
from anymodal.toybox.grammar.words import Draw
from anymodal.toybox.oracles.text import VALUE_WORDS

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_VOWELS = "aeiou"
_WORD = re.compile(r"(?<![A-Za-z'])[a-z]{3,}(?![A-Za-z'])")
_KEPT = frozenset(("not", "nor", "but", "for", "are", "one", "two", "six", "ten"))
"""Words that a slip would make into others."""
_OTHERS = ("bag", "beer", "bad", "rod", "hear", "bid", "dock", "can", "bean", "been", "her", "drew")
_REAL = frozenset((*UNKNOWN_THINGS, *SUBSTANCES, *_OTHERS))
"""Words that mean something else."""
_COUNTS = (1, 1, 1, 1, 2, 2, 2, 3, 3, 4)
"""Slips of a text that has some."""
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
        if letter in _VOWELS and place:  # written as it sounds
            edits |= {before + vowel + after for vowel in _VOWELS}
    vowels = [place for place, letter in enumerate(word) if letter in _VOWELS]
    for left, right in pairwise(vowels):
        edits.add(
            word[:left] + word[right] + word[left + 1 : right] + word[left] + word[right + 1 :]
        )
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
    # The first letter is rarely wrong but for a swap, and a reader needs it.
    swapped = word[1::-1] + word[2:]
    edits = (
        edit
        for edit in sorted(_one_edit(word))
        if (edit[:1] == word[:1] or edit == swapped) and len(edit) > 2 and edit not in _REAL
    )
    return tuple(e for e in edits if e not in VALUE_WORDS and near.get(e, frozenset()) <= fits)


def mistype(draw: Draw, text: str, count: int = 1) -> str:
    """A text with slips in some of its words of three letters or more, as far as there are any."""
    words = [match for match in _WORD.finditer(text) if match[0] not in _KEPT]
    chosen = draw.shuffled(words)[:count]
    for match in sorted(chosen, key=lambda match: -match.start()):
        options = slips(match[0]) or (match[0],)
        # Fingers get out of step more often than chance would have it.
        swaps = [option for option in options if sorted(option) == sorted(match[0])]
        slip = draw.choice(swaps if swaps and draw.chance(0.4) else options)
        text = text[: match.start()] + slip + text[match.end() :]
    return text


def shorten_words(draw: Draw, text: str) -> str:
    """A text with some of its words in the short forms of chats."""
    return _SHORT.sub(
        lambda match: draw.choice(SHORT_FORMS[match[0]]) if draw.chance(0.6) else match[0], text
    )


def type_text(draw: Draw, text: str) -> str:
    """A text as it may be typed: slips in one of five, short forms in one of six."""
    if draw.chance(0.16):
        text = shorten_words(draw, text)
    if draw.chance(0.2):
        text = mistype(draw, text, draw.choice(_COUNTS))
    return text
