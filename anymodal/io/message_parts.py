"""Parts of a message as JSON values: read from the forms in use, written in one of them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from mimetypes import guess_type
from pathlib import Path
from typing import Any

import numpy as np

from anymodal.config import suggest
from anymodal.io.message_content import Target, ToolCall, valid_text
from anymodal.media import Limits, Media, MediaError, load
from anymodal.media.arrays import read_npy, write_npy
from anymodal.media.base import data_uri
from anymodal.media.objects import SupportsArray, is_array, is_pair, load_object
from anymodal.media.references import decode_base64, resolve
from anymodal.media.source import Blob

_TEXTS = ("text", "input_text", "output_text")
_FILES = ("file", "input_file")
_SOURCES = ("source", "url", "path", "file", "data", "bytes", "array")
_RATES = ("sampling_rate", "sample_rate", "rate", "fps")
_SAYS_NOTHING = {
    *("detail", "format", "mime_type", "media_type", "filename", "cache_control", "transcript"),
}
"""Keys of a medium's part that its content tells better, or that only a service reads."""


def holds_text(part: object) -> bool:
    """Return whether a part that is not read yet is a text, or the call of a tool."""
    if isinstance(part, ToolCall):
        return True
    if isinstance(part, Mapping):
        return part.get("type") in (*_TEXTS, "tool_call") or ("type" not in part and "text" in part)
    return isinstance(part, str)


@dataclass(frozen=True)
class PartReader:
    """Reads one part of a message, whatever form it has.

    Args:
        limits: the largest media that are read.
        files: whether a text may name a file.
        folder: the only folder whose files may be named; None for any.
        deferred: decode media when their content is first looked at, where a part says of which
            kind they are.
    """

    limits: Limits = field(default_factory=Limits)
    files: bool = True
    folder: Path | None = None
    deferred: bool = False

    def read(self, part: object) -> str | Media | Target | ToolCall:
        """The text, medium, target or call that a part is.

        Raises:
            FileNotFoundError: if a file that it names isn't there.
            ValueError: if it is none of them, by its key or type.
        """
        if isinstance(part, str):
            return valid_text(part)
        if isinstance(part, Target | ToolCall):
            return part
        if isinstance(part, Mapping):
            return self._of_mapping(part)
        # A pair is an array with its rate; every other list here was meant for `chat`.
        if isinstance(part, list | tuple) and not is_pair(part):
            raise MediaError(
                f"a message holds texts, media and paths, not a {type(part).__name__}; several "
                "conversations are a list of lists, and `chat` alone takes them"
            )
        return load_object(part, limits=self.limits)

    def load(self, reference: str, kind: str | None = None, **hints: object) -> Media:
        """The medium in a data URL or a file, see `references.resolve`."""
        source = resolve(reference, self.limits, files=self.files, folder=self.folder)
        return self._load(source, kind, **hints)

    def _load(self, source: Path | bytes, kind: str | None, **hints: object) -> Media:
        if self.deferred and kind is not None:
            return Media.kinds[kind].defer(source, limits=self.limits, **hints)
        return load(source, kind=kind, limits=self.limits, **hints)

    def _of_mapping(self, part: Mapping[str, Any]) -> str | Media | Target | ToolCall:
        body = {str(key): value for key, value in part.items() if value is not None}
        name = body.pop("type", None)
        if name in _TEXTS or (name is None and "text" in body):
            return _text(body, name or "text")
        if name == "target":
            return self._target(body)
        if name == "tool_call":
            return _tool_call(body.get("tool_call"))
        if name in _FILES:
            return self._of_file(body)
        kind = body.pop("kind", None) if name is None else kind_of(name)
        if kind is not None and kind not in [*Media.kinds]:  # a list, for what can't be a key
            raise MediaError(f"no kind of medium is {kind!r}{suggest(str(kind), Media.kinds)}")
        if name is None and not {*_SOURCES} & body.keys():
            raise MediaError(f"a part has no type; it has {', '.join(body) or 'nothing'}")
        return self._medium(kind, _flattened(body, kind))

    def _of_file(self, body: dict[str, Any]) -> Media:
        """The medium in a file of OpenAI's API, whose content tells its kind."""
        inner = body.pop("file", body)
        data = inner.get("file_data") if isinstance(inner, Mapping) else None
        if not isinstance(data, str):
            raise MediaError(
                "a part of type file has its content in file_data, as a data URL or base64; other "
                "files aren't kept or fetched"
            )
        return self._medium(None, {"data": data})

    def _target(self, body: dict[str, Any]) -> Target:
        body = body.pop("target", None) if body.keys() == {"target"} else body
        names = {"modality", "caption", "media", "references", "find"}
        if not isinstance(body, Mapping) or body.keys() - names:
            raise MediaError(
                "a target holds a modality, a caption and, where it has them, media, references "
                "and find"
            )
        modality, caption, media = (body.get(key) for key in ("modality", "caption", "media"))
        if isinstance(media, Mapping) and media.get("type") == "target":
            raise MediaError("a target is no medium of a target")
        if not isinstance(modality, str) or not isinstance(caption, str):
            raise MediaError("a target's modality and caption are texts")
        medium = self._of_mapping(media) if isinstance(media, Mapping) else media
        if not isinstance(medium, Media | None):
            raise MediaError("a target's media is one medium, as a part")
        numbers = body.get("references") or []
        if not isinstance(numbers, list) or not all(type(n) is int and n >= 0 for n in numbers):
            raise MediaError(
                "a target's references are numbers of media of the conversation, from 0"
            )
        find = body.get("find")
        if not isinstance(find, bool | None):
            raise MediaError("a target's find is true or false, or left out")
        return Target(modality, caption, medium, tuple(numbers), find)

    def _medium(self, kind: str | None, body: dict[str, Any]) -> Media:
        """The medium of a kind, where it is known, from one source or from its fields."""
        keys = [key for key in _SOURCES if key in body]
        # Hugging Face's data sets have a path beside the bytes that were read from it.
        if keys[:-1] == ["path"]:  # only where the content came from
            body.pop(keys.pop(0))
        if len(keys) > 1:
            raise MediaError(f"a part has its medium twice, under {' and '.join(keys)}")
        if not keys and kind is not None:
            values = {name: self._field(value) for name, value in body.items()}
            return _of_fields(Media.kinds[kind], values, self.limits)
        key = keys[0]
        source = body.pop(key)
        if key == "array":
            source = np.asarray(source)
        # As `load_object` takes an array and its rate: a pair.
        if is_array(source) and (rate := next((r for r in _RATES if r in body), None)):
            source = (source, body.pop(rate))
        hints = _hints(kind, body)
        if isinstance(source, str):
            # Bare base64, as services send audio, is no path.
            if key in ("data", "bytes") and not source.startswith("data:"):
                data = decode_base64(source, self.limits)
                return self._load(data, kind, **hints)
            return self.load(source, kind, **hints)
        if isinstance(source, bytes | bytearray | memoryview | Path):
            source = source if isinstance(source, Path) else bytes(source)
            return self._load(source, kind, **hints)
        if kind is not None and (is_array(source) or is_pair(source)):
            return _of_array(Media.kinds[kind], source, self.limits)
        medium = load_object(source, limits=self.limits)
        if kind is not None and medium.kind != kind:
            raise MediaError(f"a part says it is {kind}, and it holds {medium!r}")
        return medium

    def _field(self, value: object) -> object:
        """A field's value; where it is a medium, such as a clip's sound, it is a part with a URL.

        No part of any form, since such parts could hold one another without end.
        """
        if not isinstance(value, Mapping):
            return value
        kind = kind_of(value.get("type"))
        inner = value.get(f"{kind}_url")
        url = inner.get("url") if isinstance(inner, Mapping) else inner
        if not isinstance(url, str):
            raise MediaError(f"a medium within another one is given as {kind}_url, by its URL")
        return self.load(url, kind)


def _tool_call(body: object) -> ToolCall:
    names = ("name", "arguments", "id")
    if not isinstance(body, Mapping) or set(body) - set(names):
        raise MediaError("a tool call holds a name, arguments and an id")
    values = [body.get(name, "") for name in names]
    if not all(isinstance(value, str) for value in values) or not values[0]:
        raise MediaError("a tool call's name, arguments and id are texts")
    return ToolCall(*map(valid_text, values))


def kind_of(name: object) -> str:
    """The kind of medium that a part's type means: `M`, `M_url` or `input_M`.

    Raises:
        ValueError: if it means none.
    """
    text = name if isinstance(name, str) else ""
    for kind in (text, text.removesuffix("_url"), text.removeprefix("input_")):
        if kind in Media.kinds:
            return kind
    types = [*_TEXTS[:1], *_FILES[:1], *Media.kinds, *(f"{kind}_url" for kind in Media.kinds)]
    raise MediaError(f"no part has the type {name!r}{suggest(str(name), types)}")


def _text(body: dict[str, Any], name: str) -> str:
    text = body.pop("text", None)
    if not isinstance(text, str):
        raise MediaError(f"a part of type {name} has the text {text!r}; give a string")
    if extra := sorted(key for key in body.keys() - _SAYS_NOTHING if body[key] not in ("", [], {})):
        raise MediaError(f"a part of type {name} has no {extra[0]!r}")
    return valid_text(text)


def _flattened(body: dict[str, Any], kind: str | None) -> dict[str, Any]:
    """A medium's part with what stands under its kind's own key one level up."""
    keys = [key for key in (f"{kind}", f"{kind}_url", f"input_{kind}") if key in body]
    if len(keys) > 1:
        raise MediaError(f"a part has its medium twice, under {' and '.join(keys)}")
    if not keys:
        return body
    inner = body.pop(keys[0])
    inner = dict(inner) if isinstance(inner, Mapping) else {"source": inner}
    if twice := sorted(inner.keys() & body.keys()):
        raise MediaError(f"a part has {twice[0]!r} twice")
    return {**body, **{key: value for key, value in inner.items() if value is not None}}


def _hints(kind: str | None, body: dict[str, Any]) -> dict[str, Any]:
    """Settings for loading; what else a part has is refused."""
    hints = Media.kinds[kind].hints if kind is not None else frozenset()
    if extra := sorted(body.keys() - hints - _SAYS_NOTHING):
        near = suggest(extra[0], [*hints, *_SOURCES[1:]])
        raise MediaError(f"a part that is {kind or 'medium'} has no {extra[0]!r}{near}")
    return {key: value for key, value in body.items() if key in hints}


def _of_fields(cls: type[Media], body: dict[str, Any], limits: Limits) -> Media:
    """A medium from the values of its class's fields; arrays as lists, or as NPY in a data URL."""
    names = [field.name for field in fields(cls)]  # type: ignore[arg-type]
    body = {key: value for key, value in body.items() if key not in _SAYS_NOTHING}
    if not body.keys() & set(names):
        raise MediaError(
            f"a part that is {cls.kind} has no {cls.kind}; give a data URL, a path, or its "
            f"{' and '.join(names)}"
        )
    values = {key: _array(value, key, limits) for key, value in body.items()}
    if body.keys() & cls.hints and len(arrays := body.keys() & set(names)) == 1:
        hints = {key: body[key] for key in body.keys() - arrays}
        return cls.load(write_npy(values[arrays.pop()]), limits=limits, **hints)
    if extra := sorted(body.keys() - set(names)):
        raise MediaError(f"{cls.kind} has no {extra[0]!r}{suggest(extra[0], names)}")
    try:
        medium = cls(**values)
    except TypeError:
        raise MediaError(
            f"{cls.kind} needs {' and '.join(names)}; given are {', '.join(body)}"
        ) from None
    return _within(medium, limits)


def _of_array(
    cls: type[Media], source: SupportsArray | tuple[object, object], limits: Limits
) -> Media:
    """The medium of a class in an array, or in an array and its rate, as it is read without a kind
    where that gives one of the class; else in the shape that the class has.
    """
    with suppress(MediaError):
        if isinstance(medium := load_object(source, limits=limits), cls):
            return medium
    values = sorted(source, key=is_array, reverse=True) if isinstance(source, tuple) else [source]
    limits.check_decoded("the given array", np.asarray(values[0]).nbytes, "an array")
    try:
        medium = cls(*values)
    except TypeError:
        names = " and ".join(field.name for field in fields(cls))  # type: ignore[arg-type]
        raise MediaError(f"{cls.kind} needs {names}") from None
    return _within(medium, limits)


def _within(medium: Media, limits: Limits) -> Media:
    """A medium that was no file, held against the limit of its duration."""
    if (seconds := getattr(medium, "duration", None)) is not None:
        limits.check_seconds("the given data", seconds)
    return medium


def _array(value: object, name: str, limits: Limits) -> Any:
    if isinstance(value, str) and value.startswith("data:"):
        data = resolve(value, limits)
        assert isinstance(data, bytes), "a data URL holds bytes"
        return read_npy(Blob(data, f"the data URL of {name}"), limits, ndim=None)
    if not isinstance(value, list | tuple):
        return value
    try:
        return np.asarray(value, np.float64)
    except (ValueError, TypeError, OverflowError):
        raise MediaError(f"{name} is no array of numbers: give lists of one length each") from None


def write_part(part: object) -> dict[str, Any]:
    """One part as JSON values: a text, a medium with its content, or a target.

    Raises:
        ValueError: if it is something else.
    """
    if isinstance(part, str):
        return {"type": "text", "text": valid_text(part)}
    if isinstance(part, Target):
        media = None if part.media is None else write_part(part.media)
        references = {"references": [*part.references]} if part.references else {}
        target: dict[str, Any] = {
            "modality": part.modality,
            "caption": part.caption,
            "media": media,
            **references,
        }
        if part.find is not None:
            target["find"] = part.find
        return {"type": "target", "target": target}
    if isinstance(part, ToolCall):
        return {"type": "tool_call", "tool_call": asdict(part)}
    if not isinstance(part, Media):
        raise MediaError(
            f"{type(part).__name__} can't be written as JSON; give a text or one of anymodal.media"
        )
    if part.inline:
        mime = guess_type(f"x{part.inline}")[0] or "application/octet-stream"
        name = f"{part.kind}_url"
        return {"type": name, name: {"url": data_uri(mime, part.encode(part.inline))}}
    values = {field.name: getattr(part, field.name) for field in fields(part)}  # type: ignore[arg-type]
    told = {name: _json(value) for name, value in values.items() if value is not None}
    return {"type": part.kind, part.kind: told}


def _json(value: object) -> Any:
    if isinstance(value, Media):  # a part of another one, as a clip's sound
        return write_part(value)
    if isinstance(value, np.ndarray):
        return data_uri("application/x-npy", write_npy(value))
    return value.item() if isinstance(value, np.generic) else value
