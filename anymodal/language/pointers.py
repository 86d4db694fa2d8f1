"""Media that a reply may name by pointers, for others to be made from."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from anymodal.media import Media


class PendingMedium(NamedTuple):
    """A medium of the reply that is being written: the number of its span there, and its class."""

    span: int
    media: type[Media]


class PointedMedium(NamedTuple):
    """A medium that a reply may name, and the outputs that may be made from it."""

    media: Media | PendingMedium
    outputs: tuple[str, ...]


class OutputKind(NamedTuple):
    """The class of an output's media, and the outputs that may be made from these."""

    media: type[Media]
    outputs: tuple[str, ...]


class OwnPointers(NamedTuple):
    """Pointers of the media that a reply makes itself; each stands behind its span.

    Attributes:
        first: number of the reply's first medium among the conversation's.
        kinds: by output, those that others may be made from.
    """

    first: int = 0
    kinds: Mapping[str, OutputKind] = MappingProxyType({})
