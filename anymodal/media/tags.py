"""Tags before and behind sound: where the sound itself begins and ends."""

from __future__ import annotations

_ZEROS = 4096  # how much padding is looked through behind a tag


def audio_start(data: bytes) -> int:
    """The start of the content behind ID3v2 tags, of which there may be several; 0 without one.

    A tag's size has 7 bits in each of four bytes (ID3v2.4, section 3.1); some programs fill up
    with zeros behind it.
    """
    at = 0
    while data[at : at + 3] == b"ID3" and len(data) >= at + 10:
        size = 0
        for byte in data[at + 6 : at + 10]:
            size = size << 7 | byte & 0x7F
        at += 10 + size + (10 if data[at + 5] & 0x10 else 0)  # the flag of a footer
        padding = data[at : at + _ZEROS]
        at += len(padding) - len(padding.lstrip(b"\0"))
    return min(at, len(data))


def audio_end(data: bytes) -> int:
    """The end of the content before APEv2 and ID3v1 tags."""
    end = len(data)
    if data[end - 128 : end - 125] == b"TAG":
        end -= 128
    footer = data[end - 32 : end]
    if footer.startswith(b"APETAGEX"):
        size = int.from_bytes(footer[12:16], "little")
        header = 32 if footer[23] & 0x80 else 0  # the flag of a header
        end = max(0, end - size - header)
    return end
