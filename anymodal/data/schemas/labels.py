"""Rows of a medium and its class."""

from __future__ import annotations

from collections.abc import Mapping

from anymodal.data.containers import Row
from anymodal.data.schemas.base import Reading, Schema, take, without_point

_KEYS = ("label", "class")


def _of_label(entry: Row, reading: Reading) -> Row:
    key = next(key for key in _KEYS if key in entry)
    rest, values = take(entry, key)
    return {**rest, "caption": class_name(values[key], reading)}


def class_name(label: object, reading: Reading) -> str:
    """The name of a class: by the settings' `labels`, or as it stands.

    Raises:
        ValueError: if it isn't one of them, or a number without a name.
    """
    names = reading.labels
    as_told, label = str(label).strip(), without_point(label)
    if not isinstance(label, str | int) or isinstance(label, bool) or label == "":
        raise ValueError(f"the label is {label!r}; give a name, or a number and its name in labels")
    pairs = names.items() if isinstance(names, Mapping) else zip(names, names, strict=True)
    by_text = {str(key): name for key, name in pairs}  # YAML has keys that are numbers
    for text in (as_told, str(label)):  # a name may have a point, as a version does
        if text in by_text:
            return by_text[text]
    if isinstance(names, Mapping):
        raise ValueError(f"the label {label!r} is none of labels: {', '.join(by_text)}")
    is_number = str(label).isdecimal()
    if names and is_number and int(label) < len(names):
        return names[int(label)]
    if names or is_number:
        known = ", ".join(names) or "labels: none, so give them their names, in order"
        raise ValueError(f"the label {label!r} is none of {known}")
    return str(label)


def _matches(row: Row) -> bool:
    return any(key in row for key in _KEYS) and "caption" not in row


LABEL = Schema("class labels", _matches, _of_label, "What is this?")
