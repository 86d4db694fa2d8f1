"""Media that stand in rows: named, or held as bytes; packed into rows, or put into files."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath

from anymodal.data.containers import Row
from anymodal.media import Limits, Media
from anymodal.media.references import resolve

_KEYS = (
    *("{}", "{}s", "{}_name", "input_{}", "input_{}s", "output_{}", "source_{}", "original_{}"),
    *("edited_{}", "target_{}", "result_{}", "mask_{}", "chosen_{}", "rejected_{}"),
    *("rejected_{}s", "{}_0", "{}_1"),
)
"""Keys of media, by kind."""

Change = Callable[[object, str], object]
"""What a medium becomes, of its value and kind."""


def map_media(row: Row, change: Change) -> Row:
    """A row with its media changed: those under keys of kinds and in parts of messages."""
    kinds = {pattern.format(kind): kind for kind in Media.kinds for pattern in _KEYS}
    return {
        key: _changed(value, kinds[key], change) if key in kinds else _within(value, change)
        for key, value in row.items()
    }


def _changed(value: object, kind: str, change: Change) -> object:
    if isinstance(value, list):
        return [_changed(each, kind, change) for each in value]
    return value if value in (None, "") else change(value, kind)


def _within(value: object, change: Change) -> object:
    """A value in which parts of messages, and items of lists, may have media."""
    if isinstance(value, list):
        return [_within(each, change) for each in value]
    if not isinstance(value, Mapping):
        return value
    kinds = {key: kind for kind in Media.kinds for key in (kind, f"{kind}_name") if key in value}
    urls = {f"{kind}_url": kind for kind in Media.kinds if f"{kind}_url" in value}
    if urls:  # OpenAI's parts
        return {
            key: _changed_url(each, urls[key], change) if key in urls else each
            for key, each in value.items()
        }
    if "type" not in value and not any(key.endswith("_name") for key in kinds):
        return {key: _within(each, change) for key, each in value.items()}
    return {
        key: change(each, kinds[key]) if key in kinds and each else _within(each, change)
        for key, each in value.items()
    }


def _changed_url(value: object, kind: str, change: Change) -> object:
    if isinstance(value, Mapping) and value.get("url"):
        return {**value, "url": change(value["url"], kind)}
    return _changed(value, kind, change)


def bytes_of(value: object, folder: Path, limits: Limits) -> tuple[bytes, str]:
    """The content of a medium and the suffix of its name, which may be empty.

    Raises:
        OSError: if its file can't be read.
        ValueError: if it is none, is too large, or lies outside of the folder.
    """
    name = value.get("path") if isinstance(value, Mapping) else None
    suffix = PurePath(str(name or "")).suffix
    if isinstance(value, Mapping):
        extra = value.keys() - {"bytes", "path"}
        if extra:
            raise ValueError(f"a medium with the key {sorted(extra)[0]!r} can't be packed")
        value = value.get("bytes") or name
    if isinstance(value, bytes):
        return value, suffix
    if not isinstance(value, str):
        raise ValueError(f"a medium is {value!r}; name its file")
    source = resolve(value, limits, folder=folder)
    if isinstance(source, bytes):
        return source, suffix
    limits.check_bytes(source.name, source.stat().st_size)
    return source.read_bytes(), source.suffix


def data_url(data: bytes) -> str:
    """A medium as text; what it is, its content tells."""
    return f"data:application/octet-stream;base64,{b64encode(data).decode()}"
