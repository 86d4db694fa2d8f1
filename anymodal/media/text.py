"""Text in bytes: in which encoding, line by line, and what it is when it is no table."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator

MAX_LINE = 100_000
"""Characters of the longest line that is read whole; no row of readings comes near."""
_MARKS = (  # UTF-32 first: its mark begins as the one of UTF-16 does
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_PIECE = 1 << 20
_LOOKS = (
    (r"\{\\rtf", "RTF"),
    (r"[\[{]\s*[\[{\"\]}\d-]", "JSON"),
    (r"(?i)<!doctype html|<html\b|<head\b|<body\b", "HTML"),
    (r"(?i)<\?xml|<svg\b|<!--|<[a-z][\w:.-]*[\s/>]", "XML"),
)


def is_text(head: bytes) -> bool:
    """Return True if the first bytes of a file read as text, in UTF-8, UTF-16, UTF-32 or cp1252."""
    encoding = _describe(head)
    if encoding is not None:
        return _is_printable(_decode_head(head, encoding))
    if _is_printable(_decode_head(head, "utf-8")):
        return True
    # every byte is something in cp1252, so a table there shows by being ASCII for the most part
    beyond = sum(byte >= 0x80 for byte in head)
    return beyond <= len(head) // 4 and _is_printable(_decode_head(head, "cp1252"))


def is_marked_text(head: bytes) -> bool:
    """Return True for text after the byte order mark of UTF-16 or UTF-32; MPEG may have one too."""
    return head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) and is_text(head)


def encoding_of(data: bytes) -> str:
    """The encoding of a text: its mark's, UTF-16 by its zeros, UTF-8 if all is, else cp1252."""
    if (encoding := _describe(data[:4096])) is not None:
        return encoding
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(data), _PIECE):
            decoder.decode(data[start : start + _PIECE], start + _PIECE >= len(data))
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def lines(data: bytes) -> Iterator[tuple[int, str]]:
    """Each line with its number, from 1; of one longer than `MAX_LINE`, that much and a bit."""
    text = io.TextIOWrapper(
        io.BytesIO(data), encoding=encoding_of(data), errors="replace", newline=""
    )
    number = 0
    while line := text.readline(MAX_LINE + 1):
        number += 1
        yield number, line
        while len(line) > MAX_LINE and not line.endswith(("\n", "\r")):
            line = text.readline(MAX_LINE + 1)


def describe_text(data: bytes) -> str:
    """The kind of a text, for a message: `JSON`, `HTML`, `XML`, `RTF` or `text`."""
    head = data[:4096].decode(encoding_of(data[:4096]), "ignore").lstrip("\ufeff \t\r\n")
    return next((f"{name} text" for look, name in _LOOKS if re.match(look, head)), "text")


def _describe(head: bytes) -> str | None:
    """The encoding that a byte order mark, or a zero in every other byte, tells of."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    half = len(head) // 2
    if half >= 2:
        zeros = head[0::2].count(0), head[1::2].count(0)
        if zeros[0] == 0 and zeros[1] >= 0.7 * half:
            return "utf-16-le"
        if zeros[1] == 0 and zeros[0] >= 0.7 * half:
            return "utf-16-be"
    return None


def _decode_head(head: bytes, encoding: str) -> str | None:
    try:
        return codecs.getincrementaldecoder(encoding)().decode(head)  # its last one may be cut
    except UnicodeDecodeError:
        return None


def _is_printable(text: str | None) -> bool:
    return text is not None and all(
        c.isprintable() or c in "\t\r\n\ufeff\xa0\u2007\u202f" for c in text
    )
