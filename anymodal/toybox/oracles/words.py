"""Oracle for free texts: whether words occur in a reply, and whether it says that it doesn't know.

The words are English and of no model's own: replies in any phrasing are read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from anymodal.toybox.scene import VALUES

WHOLE = frozenset({"yes", "no", "1", "red", "bee", "car"})
"""Words that begin too many others, as "no" does "not", and count alone."""

_ENDINGS = r"(?:s|es|y|ly|r|er|st|est|d|ed|n|ing|ish|ward|wards|beats?|drops?)?"

_SUBJECT = r"\b(?:i|we|nano)(?:'ve|'m|'d)?\b(?: \w+){0,2}?"
_NOT = (
    r"(?:do(?:es)?|can|could|am|is|have|did|was|will|would)(?: ?n't| not| ?nt| never)"
    r"|cannot|ca ?n't|cant|never|am unable|have no"
)
_UNKNOWN = [
    # "I don't know any cat", "that I can not draw", "it is not something I can do".
    rf"{_SUBJECT} (?:{_NOT})\b",
    r"\bi(?:'m| am) (?:\w+ )?(?:not|unable|afraid|only)\b",
    r"\b(?:i|nano) (?:only|just) (?:know|can|make|draw|play|do|understand|have)",
    r"\bmy world (?:has|knows|is) only\b",
    r"\b(?:i|nano) (?:know|can|make|draw|play|do|understand|have)\w*(?: \w+)? only\b",
    r"\b(?:all|only thing|only things) (?:that )?(?:i|nano) (?:know|can)",
    r"\bnot (?:something|anything|a thing|one|among|part|possible|known|able|sure|in my|for me)\b",
    r"\b(?:isn't|aren't|not) (?:\w+ ){0,3}(?:i know|i can|my world)\b",
    r"\b(?:unable|unknown|impossible|no idea|no clue|unsure|unfamiliar)\b",
    r"\b(?:beyond|outside|out of) (?:\w+ )?(?:me|my|what i|nano)\b",
    r"\b(?:there is|there's) no\b.*\b(?:in my world|for me)\b",
    r"\b(?:don't|do not|can't|cannot|can not) (?:know|do|draw|make|play|film|tell|help)\b",
    r"\bsorry\b(?!.*\b(?:here|to hear|again|change|instead|wait)\b)",
    r"\bunfortunately\b",
]
_REFUSAL = re.compile("|".join(_UNKNOWN))


def has_word(text: str, word: str) -> bool:
    """Whether a word occurs in a text, whatever its case and its common endings.

    Words of `WHOLE` count without an ending, two words as a phrase.
    """
    pattern = re.escape(word.lower())
    if word.lower() not in WHOLE and " " not in word:
        pattern += rf"{re.escape(word[-1].lower())}?{_ENDINGS}"  # "big" is in "bigger"
    return re.search(rf"\b{pattern}\b", _plain(text)) is not None


def has_words(text: str, every: Sequence[str] = (), some: Sequence[str] = ()) -> bool:
    """Whether every word of one list occurs in a text, and one of another list that has any.

    A text that lists values, as "I know ball, bell, bird and bee" or "small and big", answers
    nothing.
    """
    if _lists_values(text):
        return False
    return all(has_word(text, word) for word in every) and (
        not some or any(has_word(text, word) for word in some)
    )


def _lists_values(text: str) -> bool:
    """Whether a text names more than three values of an attribute, or both of two as one."""
    plain = _plain(text)
    for values in VALUES.values():
        pair = rf"\b({'|'.join(values)}) (?:and|or) ({'|'.join(values)})\b"
        if len(values) == 2 and re.search(pair, plain):
            return True
        if sum(has_word(plain, value) for value in values) > 3:
            return True
    return False


def says_unknown(text: str) -> bool:
    """Whether a reply says that it doesn't know, can't, or knows only other things."""
    return _REFUSAL.search(_plain(text)) is not None


def _plain(text: str) -> str:
    """Lower case, straight apostrophes, single spaces."""
    return " ".join(text.lower().replace("’", "'").split())
