"""References as callers and transcripts name them: numbers of a conversation's media, and files."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

from anymodal.config.ranges import SettingError
from anymodal.media import Media
from anymodal.types import Message


def numbered_media(messages: Sequence[Message], spoken: Collection[type[Media]]) -> list[Media]:
    """A conversation's media in the order of their numbers; what is spoken has none."""
    media = [medium for message in messages for medium in message.media]
    return [each for each in media if type(each) not in spoken]


def resolve_numbers(
    references: Mapping[str, object], messages: Sequence[Message], spoken: Collection[type[Media]]
) -> dict[str, object]:
    """References with media in the place of their numbers, which count in a whole conversation.

    A model may be shown only its end, where the numbers would be others'.

    Args:
        references: by output, as a caller gives them.
        messages: the whole conversation.
        spoken: classes of media that have no number.

    Raises:
        SettingError: there is no medium of a number.
    """
    media = numbered_media(messages, spoken)

    def resolved(name: str, value: object) -> object:
        if isinstance(value, list | tuple):
            return [resolved(name, item) for item in value]
        return medium_at(name, value, media) if is_number(value) else value

    return {name: resolved(name, value) for name, value in references.items()}


def is_number(value: object) -> TypeGuard[int]:
    """Return whether a reference is the number of a medium."""
    return isinstance(value, int) and not isinstance(value, bool)


def medium_at(name: str, number: int, media: Sequence[Media]) -> Media:
    """The medium of a number, from 0, or from the end by -1.

    Raises:
        SettingError: there is none, in references of the output of this name.
    """
    if not -len(media) <= number < len(media):
        raise SettingError(
            "references",
            f" of {name!r}: medium {number} of {len(media)} in this conversation; they are counted "
            "from 0, or from the end by -1",
        )
    return media[number]


ReferenceValues = dict[str, list[int | dict[str, str]] | None]
"""References as JSON values: by output numbers and `{"file": …}`; None for what is in neither."""


def reference_values(references: Mapping[str, object]) -> ReferenceValues:
    """References as a transcript has them, which keeps no medium without a file."""
    values: ReferenceValues = {}
    for name, value in references.items():
        items: Sequence[Any] = value if isinstance(value, list | tuple) else [value]
        is_kept = all(is_number(item) or isinstance(item, Path) for item in items)
        values[name] = [_value_of(item) for item in items] if is_kept else None
    return values


def _value_of(item: int | Path) -> int | dict[str, str]:
    return {"file": str(item.resolve())} if isinstance(item, Path) else item


def read_reference_values(values: object) -> dict[str, object]:
    """References of a transcript's reply; None of an output where it doesn't keep them.

    Raises:
        ValueError: they are none.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"references={values!r}; they are lists by output")
    return {name: None if items is None else _read_items(items) for name, items in values.items()}


def _read_items(items: object) -> list[int | Path]:
    read: list[int | Path] = []
    for item in items if isinstance(items, list) else [items]:
        if isinstance(item, Mapping) and isinstance(item.get("file"), str):
            read.append(Path(item["file"]))
        elif is_number(item):
            read.append(item)
        else:
            raise ValueError(f'a reference is a number or {{"file": …}}, not {item!r}')
    return read
