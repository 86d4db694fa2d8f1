"""Media between replicas: an object store has them, and what crosses processes are references."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from anymodal.media import Media

PutMedium = Callable[[Media], Any]
"""Puts a medium into the store; gives a reference to it."""
GetMedium = Callable[[Any], Awaitable[Media]]
"""Gets a medium by its reference.

Raises:
    ReplicaLostError: if it was lost with who put it there.
"""


@dataclass(frozen=True)
class StoredMedium:
    """Stands for a medium of a reply, at its place among the media.

    Args:
        index: its place.
        reference: by which the store gives it.
    """

    index: int
    reference: Any
