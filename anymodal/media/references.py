"""Media named by a text: data URLs, `file://` URLs and paths; never anything remote."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes, urlsplit
from urllib.request import url2pathname

from anymodal.config.printable import printable
from anymodal.media.limits import Limits, MediaError

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:(?=//)|data:", re.IGNORECASE)
_BLANK = str.maketrans("", "", " \t\r\n")


def resolve(
    text: str, limits: Limits, *, files: bool = True, folder: Path | None = None
) -> Path | bytes:
    """The content that a text names: bytes inside a data URL, or a file of this machine.

    Args:
        text: `data:image/png;base64,…`, `file:///…`, or a path.
        limits: of the size of data inside, checked before they are decoded.
        files: whether it may be a file.
        folder: where relative paths start, and which no path may leave; None for any file.

    Raises:
        ValueError: for a remote URL, broken data, a file where none may be named, or one outside.
    """
    match = _SCHEME.match(text)
    scheme = match[0].lower() if match else ""
    if scheme == "data:":
        return _data(text, limits)
    if scheme not in ("", "file:"):
        raise MediaError(
            f"{printable(text)} is a remote URL, and these are off; download it and give the file, "
            "or its content as a data URL"
        )
    if not files:
        raise MediaError(f"{printable(text)} names a file, which these messages may not")
    path = Path(text) if not scheme else _local(text)
    if folder is None:
        return path
    # Resolved, so that neither .. nor a link leads out of the folder.
    inside = _resolve(folder / path)
    if not inside.is_relative_to(_resolve(folder)):
        raise MediaError(
            f"{printable(text)} lies outside {folder}; name files inside it, or another folder"
        )
    return inside


def decode_base64(text: str, limits: Limits) -> bytes:
    """The bytes that base64 spells, whatever its line breaks.

    Raises:
        ValueError: if it is no base64, or more than `limits.max_bytes`.
    """
    limits.check_bytes("the given data", -(-len(text) * 3 // 4))
    try:
        return b64decode(text.translate(_BLANK).encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise MediaError(
            f"the given data is no base64 (it begins with {printable(text[:20])!r}, "
            f"{len(text):,} characters): it is cut short, or encoded in another way"
        ) from None


def _data(text: str, limits: Limits) -> bytes:
    """The bytes of a data URL (RFC 2397)."""
    header, comma, body = text[len("data:") :].partition(",")
    if not comma:
        raise MediaError(f"{printable(text)} is a data URL without data: it has no comma")
    if header.lower().replace(" ", "").endswith(";base64"):
        return decode_base64(unquote(body) if "%" in body else body, limits)
    limits.check_bytes("the given data", len(body))
    return unquote_to_bytes(body)


def _local(url: str) -> Path:
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise MediaError(
            f"{printable(url)} lies on the machine {parts.netloc!r}; a file of this one is "
            "file:///, with three slashes"
        )
    return Path(url2pathname(parts.path))


def _resolve(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, ValueError, RuntimeError):
        raise MediaError(f"{printable(str(path))} is no valid path") from None
