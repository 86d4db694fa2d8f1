"""Schemas: the forms that rows have in published data sets."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from anymodal.data.containers import Row

_WITH_POINT = re.compile(r"[0-9]+\.0+")


@dataclass(frozen=True)
class Reading:
    """Settings of reading rows.

    Args:
        make: media are asked for, not read.
        ask: what is said beside a medium that has a caption or a label, or before a caption where
            `make`; None for what the schema says. `{labels}` stands for the names of all classes.
        labels: names of classes: in order, or by what stands in the rows.
    """

    make: bool = False
    ask: str | None = None
    labels: Sequence[str] | Mapping[str, str] = field(default_factory=tuple)

    def question(self, default: str, *, is_label: bool = False) -> str:
        """The text beside a medium, or before a caption where `make`.

        Args:
            default: what the schema says.
            is_label: whether the reply is the name of a class, so that the default tells them all.
        """
        names = ", ".join(self.class_names)
        if self.ask is not None:
            return self.ask.replace("{labels}", names)
        if self.make:
            return ""
        return f"{default} Answer with one of: {names}." if names and is_label else default

    @property
    def class_names(self) -> list[str]:
        """The names of all classes, in order."""
        return [*(self.labels.values() if isinstance(self.labels, Mapping) else self.labels)]


class Schema(NamedTuple):
    """A form of rows.

    Args:
        name: for people.
        matches: whether a row has it, by its keys.
        convert: a row as one with `messages`, or with a `caption` and one medium, under the keys
            that `entries.EntryReader` reads; keys that it doesn't know stay, to be refused there.
        ask: what is said with the medium of a caption, where the settings say nothing.
    """

    name: str
    matches: Callable[[Row], bool]
    convert: Callable[[Row, Reading], Row]
    ask: str = "Describe this briefly."


def take(entry: Row, *keys: str) -> tuple[Row, dict[str, object]]:
    """A row without some keys, and their values; those that aren't there are None."""
    values = {key: entry.get(key) for key in keys}
    return {key: value for key, value in entry.items() if key not in values}, values


def text_of(value: object, name: str) -> str:
    """A value as text, where it is a text or a number.

    Raises:
        ValueError: if it is neither, or no finite number.
    """
    is_text = isinstance(value, str | int | float) and not isinstance(value, bool)
    # NaN is what tables have where nothing was.
    if not is_text or (isinstance(value, float) and not math.isfinite(value)):
        hint = ", or list a column of CSV in texts, which keeps cells that look like this as texts"
        hint = hint if isinstance(value, list | dict) else ", if an empty one"
        raise ValueError(f"{name} is {value!r}; give a text{hint}")
    return str(value)


def without_point(value: object) -> object:
    """A value as a whole number where it is one with a point, as pandas writes a column that lacks
    some; texts without blanks around them.
    """
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str):
        value = value.strip()
        return value.partition(".")[0] if _WITH_POINT.fullmatch(value) else value
    return value
