"""References: media that a decoder looks at while it makes another."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from torch import Tensor

from anymodal.config import shorten
from anymodal.media import Image, Media

SOURCE, FIRST, LAST, TIMBRE, MASK = "source", "first", "last", "timbre", "mask"
"""Roles: what is to be changed; the frame that a clip begins with, and that it ends with; what
music is to sound like; which part of the source is made anew, in white."""

Span = tuple[float, float | None]
"""Where a part of a medium begins and ends, in seconds; None for the medium's end."""


class ReferenceSizeError(ValueError):
    """Media are asked for in another size than their references can be shown in."""


@dataclass(frozen=True)
class ReferenceSlot:
    """A decoder's place for references of one role.

    Args:
        role: their part in the result, such as `source`.
        media: their class.
        most: the most of them for one item.
        needed: whether nothing is made without one.
        asked: whether a caller's own media fill it alone, and not what a conversation has shown.
        named: whether only what a caller gives under its role fills it.
    """

    role: str
    media: type[Media]
    most: int = 1
    needed: bool = False
    asked: bool = False
    named: bool = False


MASK_SLOT = ReferenceSlot(MASK, Image, named=True)
"""The place of a mask, of a decoder that makes a part of a source anew."""


@dataclass(frozen=True, eq=False)
class Reference:
    """A media item that a decoder looks at.

    Args:
        media: the item.
        role: its part in the result; one of the decoder's slots.
        span: of a source, the part that is made anew; None for all of it, or where the decoder
            remakes parts, for what the source is too short for.

    Raises:
        ValueError: the span is none.
    """

    media: Media
    role: str = SOURCE
    span: Span | None = None

    def __post_init__(self) -> None:
        if self.span is not None:
            object.__setattr__(self, "span", check_span(self.span))


class EncodedReference(NamedTuple):
    """A reference's latents, without a batch axis, in the denoiser's scale."""

    role: str
    latents: Tensor


References = Sequence[Sequence[Reference]]
"""The references of a batch: a list for each item, empty for one without."""

EncodedReferences = Sequence[Sequence[EncodedReference]]
"""Likewise."""


def check_span(span: object) -> Span:
    """Give a span.

    Raises:
        ValueError: it is no pair of seconds, of which the first is the earlier.
    """
    pair: list[Any] = list(span) if isinstance(span, list | tuple) else []
    numbers = pair[:1] if pair[1:] == [None] else pair
    good = all(type(n) in (int, float) and math.isfinite(n) for n in numbers)
    if len(pair) != 2 or not good or not 0 <= numbers[0] < [*numbers, math.inf][1]:
        raise ValueError(
            f"span={span!r}; give where the part begins and ends, in seconds, as [2.0, 4.5], or "
            "[2.0, null] for the rest"
        )
    return float(pair[0]), None if pair[1] is None else float(pair[1])


def check_references(
    slots: Sequence[ReferenceSlot], references: References, count: int, owner: str
) -> None:
    """Check references against the slots of a decoder.

    Args:
        slots: those of the decoder.
        references: of a batch.
        count: items of the batch.
        owner: the decoder's name in errors.

    Raises:
        ValueError: other than one list of `Reference` for each item, a role or a class of media
            that the decoder doesn't take, more than it takes, or one that it needs is missing.
    """
    lists = list(references) if isinstance(references, Sequence) else [references]
    if not all(isinstance(item, Sequence) for item in lists) or not all(
        isinstance(each, Reference) for item in lists for each in item
    ):
        raise ValueError(
            f"references={shorten(references)}; give a list for each item, of "
            "Reference(media, role), empty for one without"
        )
    if len(references) != count:
        raise ValueError(f"references of {len(references)} items for {count}; give a list for each")
    by_role = {slot.role: slot for slot in slots}
    takes = ", ".join(f"{slot.role!r} ({slot.media.kind}, {slot.most})" for slot in slots)
    for item in references:
        for reference in item:
            slot = by_role.get(reference.role)
            if slot is None or not isinstance(reference.media, slot.media):
                name = type(reference.media).__name__
                raise ValueError(
                    f"{owner} takes no {name} as reference {reference.role!r}; it takes "
                    f"{takes or 'no references'}"
                )
        numbers = Counter(reference.role for reference in item)
        for slot in slots:
            if numbers[slot.role] > slot.most:
                raise ValueError(
                    f"{numbers[slot.role]} references {slot.role!r} for one item; {owner} takes "
                    f"at most {slot.most}"
                )
            if slot.needed and not numbers[slot.role]:
                raise ValueError(
                    f"{owner} makes nothing without a reference {slot.role!r}; give one "
                    f"({slot.media.kind})"
                )


def roles_of(references: References | None) -> set[str]:
    """The roles of a batch's references, which need not be checked yet."""
    items = references if isinstance(references, Sequence) else ()
    lists = [item for item in items if isinstance(item, Sequence)]
    return {each.role for item in lists for each in item if isinstance(each, Reference)}


def check_spans(references: References, takes_span: bool, owner: str) -> None:
    """Check that a batch's references have spans where these count.

    Args:
        references: a list for each item.
        takes_span: whether a part of a source in time can be made anew.
        owner: the decoder's name in errors.

    Raises:
        ValueError: one has a span that would have no effect.
    """
    for each in (each for item in references for each in item):
        if each.span is not None and not (takes_span and each.role == SOURCE):
            raise ValueError(
                f"span={each.span} of a reference {each.role!r}, and {owner} makes no part of one "
                "anew; leave the span out"
            )


def first_of(references: Sequence[Reference], role: str) -> Reference | None:
    """An item's first reference of a role, if there is one."""
    return next((each for each in references if each.role == role), None)


def with_span(references: References, span: Sequence[float | None] | None) -> References:
    """References whose sources have a span, where they have none of their own."""
    if span is None:
        return references
    checked = check_span(span)
    return [
        [
            replace(each, span=checked) if each.role == SOURCE and each.span is None else each
            for each in item
        ]
        for item in references
    ]


def choose_slots(
    slots: Mapping[str, ReferenceSlot], roles: Sequence[str]
) -> tuple[ReferenceSlot, ...]:
    """The slots of roles, each once.

    Raises:
        ValueError: a role that there is no slot of.
    """
    if unknown := [role for role in roles if role not in slots]:
        raise ValueError(
            f"references={list(roles)}, and this pipeline takes {', '.join(slots) or 'none'}; "
            f"leave out {unknown[0]!r}"
        )
    return tuple(slots[role] for role in dict.fromkeys(roles))


def assign_roles(
    slots: Sequence[ReferenceSlot], classes: Sequence[type[Media]], asked: bool = False
) -> list[tuple[int, str]]:
    """Places and roles of media, each in the first slot of its class that has room.

    Where there are more than a slot takes, the last ones stay; others are left out.

    Args:
        slots: of a decoder.
        classes: of the media.
        asked: whether a caller names these media.
    """
    slots = [slot for slot in slots if not slot.named and (asked or not slot.asked)]
    roles: list[tuple[int, str]] = []
    numbers: Counter[str] = Counter()
    for place in reversed(range(len(classes))):
        for slot in slots:
            if issubclass(classes[place], slot.media) and numbers[slot.role] < slot.most:
                numbers[slot.role] += 1
                roles.append((place, slot.role))
                break
    return roles[::-1]


def last_source_first(roles: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    """Places and roles with the last source before the others, as that which media start from."""
    sources = [pair for pair in roles if pair[1] == SOURCE]
    return [*sources[-1:], *(pair for pair in roles if pair not in sources[-1:])]


def fill_slots(slots: Sequence[ReferenceSlot], media: Sequence[Media]) -> list[Reference]:
    """References of media that a caller names, as `assign_roles` chooses."""
    roles = assign_roles(slots, [type(each) for each in media], asked=True)
    return [Reference(media[place], role) for place, role in roles]
