"""Text of somebody else's, made safe to print."""

from __future__ import annotations

import unicodedata

_JOINERS = "\u200c\u200d"
"""Joiners of Persian, Indic scripts and emoji; they show nothing of their own."""


def printable(text: str, limit: int | None = 120, keep: str = "") -> str:
    r"""Escape what a terminal would obey, as `\x1b`, so that text can stand in a message.

    Control characters, marks of writing direction, surrogates and line breaks are escaped; letters
    of any script, spaces of any width and joiners stay.

    Args:
        text: any text, such as a file's name, a licence or a model's reply.
        limit: the most characters; a longer text is cut and ends in `...`. None cuts nothing.
        keep: characters that stay although they would be escaped, as line breaks of a reply.
    """
    if not text.isprintable():
        text = "".join(
            c if _is_safe(c, keep) else c.encode("unicode_escape").decode("ascii") for c in text
        )
    return text if limit is None or len(text) <= limit else f"{text[: limit - 3]}..."


def _is_safe(character: str, keep: str) -> bool:
    # str.isprintable() counts every space but the ASCII one as not printable.
    space = unicodedata.category(character) == "Zs"
    return character.isprintable() or space or character in _JOINERS or character in keep
