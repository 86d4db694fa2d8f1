"""Normal form of what users type, and texts that no training sees."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import cache, lru_cache
from importlib import resources

_DROPPED = re.compile(r"['’`]")
_OTHER = re.compile(r"[\W_]+")
_HASHES = "sets/hashes.txt"


@lru_cache(maxsize=256)
def normalize_text(text: str) -> str:
    """The words of a text alone: one normal form for all ways to type them.

    NFKC, then case folding; marks, apostrophes, soft hyphens and other format characters are
    dropped, so that "don't" and "dont", "é" and "e" are one; all else that is neither letter nor
    digit (punctuation, emoji, symbols, underscores, line ends) is a space; spaces are collapsed and
    stripped. Digits stay. "  DRAW a Big, blue car!! 🚗" gives "draw a big blue car".
    """
    if text.isascii():  # most texts, and a tenth of the work
        return _OTHER.sub(" ", _DROPPED.sub("", text.lower())).strip()
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    kept = (c for c in folded if unicodedata.category(c) not in ("Mn", "Me", "Cf"))
    return _OTHER.sub(" ", _DROPPED.sub("", "".join(kept))).strip()


def text_digest(text: str) -> str:
    """16 hexadecimal digits of a text: BLAKE2b of 8 bytes on its normal form in UTF-8.

    `anymodal/toybox/sets/hashes.txt` holds one of these a line for each user's text of the
    measuring sets: `text_digest(text)`, lower case, in any order, with or without repeats.
    """
    return hashlib.blake2b(normalize_text(text).encode(), digest_size=8).hexdigest()


@cache
def reserved_digests() -> frozenset[str]:
    """Digests of the measuring sets' texts; none where their file is missing."""
    file = resources.files("anymodal.toybox").joinpath(_HASHES)
    return frozenset(file.read_text("utf-8").split()) if file.is_file() else frozenset()


def is_reserved(text: str) -> bool:
    """True for a text that a measuring set has, however it is typed."""
    digests = reserved_digests()
    return bool(digests) and text_digest(text) in digests
