"""References: media that a decoder looks at while it makes another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from anymodal.config import shorten
from anymodal.media import Media

SOURCE, FIRST, LAST = "source", "first", "last"
"""Roles: what is to be changed; the frame that a clip begins with, and that it ends with."""


@dataclass(frozen=True)
class ReferenceSlot:
    """A decoder's place for references of one role.

    Args:
        role: their part in the result, such as `source`.
        media: their class.
        most: the most of them for one item.
        needed: whether nothing is made without one.
    """

    role: str
    media: type[Media]
    most: int = 1
    needed: bool = False


@dataclass(frozen=True, eq=False)
class Reference:
    """A media item that a decoder looks at.

    Args:
        media: the item.
        role: its part in the result; one of the decoder's slots.
    """

    media: Media
    role: str = SOURCE


class EncodedReference(NamedTuple):
    """A reference's latents, without a batch axis, in the denoiser's scale."""

    role: str
    latents: Tensor


References = Sequence[Sequence[Reference]]
"""The references of a batch: a list for each item, empty for one without."""

EncodedReferences = Sequence[Sequence[EncodedReference]]
"""Likewise."""


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
    slots: Sequence[ReferenceSlot], classes: Sequence[type[Media]]
) -> list[tuple[int, str]]:
    """Places and roles of media, each in the first slot of its class that has room.

    Where there are more than a slot takes, the last ones stay; others are left out.
    """
    roles: list[tuple[int, str]] = []
    numbers: Counter[str] = Counter()
    for place in reversed(range(len(classes))):
        for slot in slots:
            if issubclass(classes[place], slot.media) and numbers[slot.role] < slot.most:
                numbers[slot.role] += 1
                roles.append((place, slot.role))
                break
    return roles[::-1]


def fill_slots(slots: Sequence[ReferenceSlot], media: Sequence[Media]) -> list[Reference]:
    """References of media, as `assign_roles` chooses."""
    roles = assign_roles(slots, [type(each) for each in media])
    return [Reference(media[place], role) for place, role in roles]
