"""Regions of ms-swift's rows: `<ref-object>` and `<bbox>` in texts become what they stand for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from anymodal.data.entry_keys import is_empty

OBJECTS = "objects"
"""The key of a row's regions: `ref`, their names, and `bbox`, points or boxes."""
_MARK = re.compile(r"<ref-object>|<bbox>")
_UNITS = {"norm1": 1.0, "norm1000": 1000.0}
SCALE = 1000
"""Coordinates are written as whole numbers from 0 to this, from the left and from the top."""

SizeOf = Callable[[int], tuple[int, int]]
"""Width and height of the medium of a place among those that are shown."""


def fill_regions(turns: list[dict[str, Any]], objects: object, size_of: SizeOf) -> None:
    """Write a row's regions into the texts of its turns, each mark's in its place.

    Args:
        turns: with `content`.
        objects: the row's regions.
        size_of: for regions in pixels.

    Raises:
        ValueError: if marks and regions differ in number, or a region isn't one.
    """
    if is_empty(objects):
        return
    if not isinstance(objects, Mapping):
        raise ValueError(f"objects are {objects!r}, not an object with ref and bbox")
    place_keys = [key for key in objects if key.endswith("_id")]
    if extra := sorted(objects.keys() - {"ref", "bbox", "bbox_type", *place_keys}):
        raise ValueError(f"objects with the key {extra[0]!r}, which is not read")
    names, boxes = _list(objects, "ref"), _list(objects, "bbox")
    places = objects.get(place_keys[0]) if place_keys else None
    unit = objects.get("bbox_type") or "real"
    texts = (_box(box, unit, size_of, _place(places, n)) for n, box in enumerate(boxes))
    refs = iter([str(name) for name in names])
    counts = {"<ref-object>": 0, "<bbox>": 0}

    def fill(match: re.Match[str]) -> str:
        counts[match[0]] += 1
        return next(refs if match[0] == "<ref-object>" else texts, "")

    for turn in turns:
        turn["content"] = _filled(turn["content"], fill)
    for mark, regions in (("<ref-object>", names), ("<bbox>", boxes)):
        if counts[mark] != len(regions):
            raise ValueError(
                f"{counts[mark]} {mark} in the turns and {len(regions)} in objects; give each one"
            )


def _filled(content: object, fill: Callable[[re.Match[str]], str]) -> object:
    if isinstance(content, str):
        return _MARK.sub(fill, content)
    if isinstance(content, list):
        return [_filled(part, fill) for part in content]
    if isinstance(content, Mapping) and isinstance(content.get("text"), str):
        return {**content, "text": _MARK.sub(fill, content["text"])}
    return content


def _list(objects: Mapping[str, Any], key: str) -> list[Any]:
    value = objects.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"{key} of objects is {value!r}, not a list")
    return value


def _place(places: object, number: int) -> int:
    place = places[number] if isinstance(places, list) and number < len(places) else 0
    return place if isinstance(place, int) else 0


def _box(box: object, unit: object, size_of: SizeOf, place: int) -> str:
    if not isinstance(box, list) or len(box) not in (2, 4):
        raise ValueError(f"a bbox is {box!r}, not a point of two numbers or a box of four")
    numbers = [value for value in box if isinstance(value, int | float) and value == value]
    if len(numbers) < len(box) or any(isinstance(value, bool) for value in box):
        raise ValueError(f"a bbox is {box!r}; its coordinates are numbers")
    if unit == "real":
        scales = [float(side) for side in size_of(place)]
    elif unit in _UNITS:
        scales = [_UNITS[str(unit)]] * 2
    else:
        raise ValueError(f"bbox_type is {unit!r}; known are real, {', '.join(_UNITS)}")
    shares = [value / scales[number % 2] for number, value in enumerate(box)]
    if any(not -0.005 <= share <= 1.005 for share in shares):
        raise ValueError(f"the bbox {box!r} leads out of the medium; is bbox_type {unit!r} right?")
    places = [min(SCALE, max(0, round(SCALE * share))) for share in shares]
    return f"[{', '.join(map(str, places))}]"
