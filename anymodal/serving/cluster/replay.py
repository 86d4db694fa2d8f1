"""Replays: a reply that is told again by another replica goes on where the first one ended.

A request's seed fixes its reply, so that the second replica tells what the first one told. Texts
come in the same pieces. Media may come in another order, and their steps between other pieces.
"""

from __future__ import annotations

from anymodal.serving.errors import ModelFaultError
from anymodal.types import (
    Event,
    MediumProgress,
    MediumReady,
    MediumStarted,
    TextDelta,
    ToolCall,
    ToolCalled,
)


class Replay:
    """Events of one reply that have been passed on.

    Attributes:
        calls: calls of tools among them. A call's id is drawn at random, so that the replica that
            ends a reply may have another one.
    """

    def __init__(self) -> None:
        self.calls: list[ToolCall] = []
        self._pieces: list[str] = []
        self._place = 0  # among the pieces of the present telling
        self._steps: dict[int, int] = {}
        self._media: set[tuple[type[Event], int]] = set()

    def begin(self) -> None:
        """Begin with the first or another telling."""
        self._place = 0

    def is_new(self, event: Event) -> bool:
        """Return whether an event has not been passed on, and note that it is now.

        Raises:
            ModelFaultError: if the reply reads otherwise than before.
        """
        if isinstance(event, TextDelta):
            return self._is_new_piece(event.text)
        if isinstance(event, ToolCalled):
            is_new = self._is_new_piece(f"{event.call.name} {event.call.arguments}")
            self.calls += [event.call] if is_new else []
            return is_new
        if isinstance(event, MediumProgress):
            is_new = event.step > self._steps.get(event.index, 0)
            self._steps[event.index] = max(event.step, self._steps.get(event.index, 0))
            return is_new
        if isinstance(event, MediumStarted | MediumReady):
            key = (type(event), event.index)
            is_new = key not in self._media
            self._media.add(key)
            return is_new
        return True

    def _is_new_piece(self, piece: str) -> bool:
        place, self._place = self._place, self._place + 1
        if place == len(self._pieces):
            self._pieces.append(piece)
            return True
        # Where two tokens are equally likely, the rounding of another batch may decide.
        if self._pieces[place] != piece:
            raise ModelFaultError("a replica was lost, and another one wrote another reply")
        return False
