"""Results of tools as parts of messages."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Set
from enum import Enum

from anymodal.media import Limits, Media
from anymodal.media.objects import is_pillow, load_object


class ToolParts(list[str | Media]):
    """A tool's result that is parts of a message already."""


def result_parts(value: object) -> list[str | Media]:
    """A tool's result as parts of a message: texts and media as they are, all else as JSON.

    Data classes, models of pydantic, members of an `Enum`, sets, arrays, dates, decimals, paths and
    what else pydantic tells in JSON are told as such.

    Raises:
        ValueError: for a medium that can't be read, or what JSON can't hold.
        TypeError: for a medium within an object.
    """
    if isinstance(value, ToolParts):
        return list(value)
    if isinstance(value, str):
        return [value]
    if _is_medium(value):
        return [load_object(value, limits=Limits())]
    if isinstance(value, list | tuple) and any(map(_is_medium, value)):
        return [part for each in value for part in result_parts(each)]
    return [json.dumps(_plain(value), ensure_ascii=False)]


def _is_medium(value: object) -> bool:
    return is_pillow(value) or isinstance(value, Media | os.PathLike)


def _plain(value: object) -> object:
    """A value of what JSON holds."""
    if _is_medium(value) and not isinstance(value, os.PathLike):
        raise TypeError("a medium within an object; give media alone, or in a list with texts")
    if isinstance(value, Enum):
        return _plain(value.value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    elif callable(dump := getattr(value, "model_dump", None)):
        value = dump(mode="json")
    elif callable(listed := getattr(value, "tolist", None)):
        value = listed()
    if isinstance(value, Mapping):
        return {_key(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | Set):
        return [_plain(each) for each in value]
    if value is None or isinstance(value, str | int | float):
        return value
    from pydantic_core import to_jsonable_python  # dates, decimals, paths and other values

    return to_jsonable_python(value)


def _key(key: object) -> object:
    plain = _plain(key)
    return plain if plain is None or isinstance(plain, str | int | float) else str(plain)
