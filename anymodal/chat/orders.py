"""Media that replies ask for: what to make, and the making of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import torch

from anymodal import media
from anymodal.decoders.base import NonFiniteError
from anymodal.language.generation import SpanReady
from anymodal.types import Conditioning

if TYPE_CHECKING:
    from anymodal.core import ComposedModel


@dataclass(frozen=True, eq=False)
class Order:
    """A medium that a reply has asked for: its place among the reply's media, and what to make."""

    index: int
    name: str
    conditioning: Conditioning
    seed: int


@torch.inference_mode()
def ordered(model: ComposedModel, span: SpanReady, index: int, seed: int) -> Order:
    """What a reply's span asks for, as the medium at `index` of the reply."""
    head = model.heads[span.name]
    where = next((weight.device for weight in head.parameters()), model.device)
    conditioning = head(span.hidden[None].to(where), span.embeds[None].to(where))
    # Seeded by the place in the reply, so that a medium doesn't depend on its company.
    return Order(index, span.name, conditioning, seed + index)


def by_modality(orders: Sequence[Order]) -> dict[str, list[Order]]:
    """The orders of each modality, in order."""
    found: dict[str, list[Order]] = {}
    for order in orders:
        found.setdefault(order.name, []).append(order)
    return found


@torch.inference_mode()
def make(
    model: ComposedModel,
    name: str,
    orders: Sequence[Order],
    settings: dict[str, Any],
    progress: Callable[[int, int], None] | None = None,
) -> list[media.Media]:
    """Make media of one modality in one batch.

    Raises:
        NonFiniteError: NaN or infinity came out in a medium's place.
    """
    wanted = [order.conditioning for order in orders]
    pooled = [each.pooled for each in wanted if each.pooled is not None]
    batch = Conditioning(
        torch.cat([each.embeds for each in wanted]),
        torch.cat([each.mask for each in wanted]),
        torch.cat(pooled) if pooled else None,
    )
    generators = [torch.Generator().manual_seed(order.seed) for order in orders]
    decoder = model.modalities[name].decoder
    assert decoder is not None, "only what has a decoder has signals"
    try:
        return decoder.sample(batch, generator=generators, progress=progress, **settings)
    except NonFiniteError as error:
        raise NonFiniteError(f"the decoder of {name!r}: {error}", error.made) from error


def make_all(
    model: ComposedModel,
    orders: Sequence[tuple[int, Order]],
    settings: Mapping[str, dict[str, Any]],
    batch_size: int,
) -> tuple[dict[tuple[int, int], media.Media], dict[int, NonFiniteError]]:
    """Make the media of several replies, at most `batch_size` at once.

    Args:
        model: whose decoders make them.
        orders: each with the place of its reply.
        settings: by modality.
        batch_size: the most media in a batch.

    Returns:
        The media by the places of reply and medium, and what went wrong by the place of the reply.
    """
    made: dict[tuple[int, int], media.Media] = {}
    failed: dict[int, NonFiniteError] = {}
    for name in model.decoders:
        wanted = [(row, order) for row, order in orders if order.name == name]
        for start in range(0, len(wanted), batch_size):
            batch, error = wanted[start : start + batch_size], None
            try:
                results: list[Any] = make(model, name, [o for _, o in batch], settings[name])
            except NonFiniteError as found:  # of some; the others' replies are not lost
                results, error = found.made, found
            for (row, order), medium in zip(batch, results, strict=True):
                if medium is None and error is not None:
                    failed.setdefault(row, error)
                made[row, order.index] = medium
    return made, failed


class _Abandoned(BaseException):
    """Nobody waits for a result any more; nothing but the end of the work may catch it."""


def reporting(work: Callable[[Callable[[int, int], None]], Any]) -> Generator[Any]:
    """Run `work(tell)` in a thread; yield the (step, steps) it tells, then its result.

    A reader who leaves early, as on Ctrl-C, ends the work at its next step and waits for that, so
    that nothing of this turn is under way in the next.
    """
    queue: SimpleQueue[Any] = SimpleQueue()
    abandoned = threading.Event()

    def tell(step: int, steps: int) -> None:
        if abandoned.is_set():
            raise _Abandoned
        queue.put((step, steps))

    def run() -> None:
        try:
            queue.put(work(tell))
        except BaseException as error:  # handed to the reader, who raises it
            queue.put(error)

    thread = threading.Thread(target=run, daemon=True, name="medium")
    try:
        thread.start()
        while isinstance(item := queue.get(), tuple):
            yield item
    finally:
        abandoned.set()
        thread.join()
    if isinstance(item, BaseException):
        raise item
    yield item
