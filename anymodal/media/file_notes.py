"""Notes written into whole files, format by format, without touching what they show or play."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator

from anymodal.media.mp4_notes import write_mp4_note
from anymodal.media.note import FileNote

_COMMENT_BLOCK = 4  # FLAC's number of its block of comments


def _png(data: bytes, note: FileNote) -> bytes:
    """Source: PNG, third edition, sections 11.3.3.2 and 11.3.3.4; XMP part 3, 1.1.5."""
    at = 8 + 12 + int.from_bytes(data[8:12], "big")  # behind the header, which must be first
    xmp = _png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + note.xmp)
    text = _png_chunk(b"iTXt", b"Comment\0\0\0\0\0" + note.text.encode())
    return data[:at] + xmp + text + data[at:]


def _png_chunk(name: bytes, body: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(name + body))
    return struct.pack(">I", len(body)) + name + body + checksum


def _jpeg(data: bytes, note: FileNote) -> bytes:
    """Source: XMP part 3, 1.1.3: a segment APP1, behind JFIF's APP0."""
    at = 2
    if data[2:4] == b"\xff\xe0":
        at += 2 + int.from_bytes(data[4:6], "big")
    body = b"http://ns.adobe.com/xap/1.0/\0" + note.xmp
    if len(body) + 2 > 0xFFFF:
        return data
    return data[:at] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[at:]


def _webp(data: bytes, note: FileNote) -> bytes:
    """Source: the WebP container specification: XMP stands in an extended file."""
    chunks = dict(_riff_chunks(data))
    if b"VP8L" not in chunks or b"VP8X" in chunks:  # what this package writes has the first
        return data
    bits = int.from_bytes(chunks[b"VP8L"][1:5], "little")
    width, height, alpha = bits & 0x3FFF, bits >> 14 & 0x3FFF, bits >> 28 & 1
    sizes = width.to_bytes(3, "little") + height.to_bytes(3, "little")  # less one, both
    extended = bytes([0x04 | alpha << 4, 0, 0, 0]) + sizes
    return _riff(b"WEBP", [(b"VP8X", extended), *_riff_chunks(data), (b"XMP ", note.xmp)])


def _wav(data: bytes, note: FileNote) -> bytes:
    """Source: RIFF's list of information, and XMP part 3, 1.2.8, behind the sound."""
    texts = [(b"ICMT", note.text), (b"ISFT", note.software)]
    information = b"INFO" + b"".join(_chunk(name, text.encode() + b"\0") for name, text in texts)
    return _riff(b"WAVE", [*_riff_chunks(data), (b"LIST", information), (b"_PMX", note.xmp)])


def _riff_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4], data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def _riff(form: bytes, chunks: list[tuple[bytes, bytes]]) -> bytes:
    body = form + b"".join(_chunk(*chunk) for chunk in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def _flac(data: bytes, note: FileNote) -> bytes:
    """Source: RFC 9639, sections 8.1 and 8.6: one block of comments, behind the first block."""
    at, blocks = 4, list[tuple[int, bytes]]()
    is_last = False
    while not is_last:
        is_last = bool(data[at] & 0x80)
        size = int.from_bytes(data[at + 1 : at + 4], "big")
        blocks.append((data[at] & 0x7F, data[at + 4 : at + 4 + size]))
        at += 4 + size
    empty = struct.pack("<II", 0, 0)
    comments = next((body for kind, body in blocks if kind == _COMMENT_BLOCK), empty)
    blocks = [block for block in blocks if block[0] != _COMMENT_BLOCK]
    blocks.insert(1, (_COMMENT_BLOCK, _with_comment(comments, f"COMMENT={note.text}")))
    heads = [
        bytes([kind | (0x80 if place == len(blocks) - 1 else 0)]) + len(body).to_bytes(3, "big")
        for place, (kind, body) in enumerate(blocks)
    ]
    written = b"".join(head + body for head, (_, body) in zip(heads, blocks, strict=True))
    return data[:4] + written + data[at:]


def _with_comment(comments: bytes, text: str) -> bytes:
    at = 4 + int.from_bytes(comments[:4], "little")  # behind the encoder's name
    count = int.from_bytes(comments[at : at + 4], "little")
    line = text.encode()
    return b"".join(
        (comments[:at], struct.pack("<I", count + 1), comments[at + 4 :],
         struct.pack("<I", len(line)), line)
    )  # fmt: skip


def _gif(data: bytes, note: FileNote) -> bytes:
    """Source: GIF89a, section 24: a comment, before the trailer."""
    text = note.text.encode()
    blocks = (text[at : at + 255] for at in range(0, len(text), 255))
    comment = b"\x21\xfe" + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"
    return data[:-1] + comment + data[-1:] if data.endswith(b";") else data


def _ply(data: bytes, note: FileNote) -> bytes:
    """A comment of the header, behind the line with the format."""
    head, newline, rest = data.partition(b"\nformat ")
    line, end, body = rest.partition(b"\n")
    if not newline or not end:
        return data
    text = " ".join(note.text.split()).encode("ascii", "replace")
    return head + newline + line + end + b"comment " + text + b"\n" + body


NOTE_WRITERS: dict[str, Callable[[bytes, FileNote], bytes]] = {
    ".png": _png, ".jpg": _jpeg, ".jpeg": _jpeg, ".webp": _webp, ".gif": _gif, ".wav": _wav,
    ".flac": _flac, ".mp4": write_mp4_note, ".ply": _ply,
}  # fmt: skip
"""By suffix; CSV and NPY have no place for a note that every reader skips."""
