"""A note for a file, in the forms that formats have."""

from __future__ import annotations

from typing import NamedTuple


class FileNote(NamedTuple):
    """A note: a sentence, the software's name, and both as an XMP packet."""

    text: str
    software: str
    xmp: bytes
