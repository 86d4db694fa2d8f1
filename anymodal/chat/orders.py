"""Orders: media that replies ask for, and the making of them."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import torch

from anymodal import __version__
from anymodal.chat.references import (
    REFERENCE_GUIDANCE,
    MadeFrom,
    PendingReference,
    ReplyReferences,
)
from anymodal.config.ranges import NUMBER
from anymodal.decoders.base import NonFiniteError
from anymodal.decoders.references import Reference
from anymodal.language.reply_state import SpanReady
from anymodal.media import Media
from anymodal.media.provenance import Provenance
from anymodal.types import Conditioning

if TYPE_CHECKING:
    from anymodal.core import ComposedModel

NEGATIVE_PROMPT = "negative_prompt"

Report = Callable[[int, int], None]
"""Called with (step, steps) after each step."""


@dataclass(frozen=True, eq=False)
class Order:
    """A medium that a reply asks for.

    Args:
        index: its place among the reply's media.
        name: the modality.
        conditioning: what to make, (1, L, C).
        seed: of the medium's generator.
        references: the media that it is made from.
        negative: what guidance leads away from; None for what the decoder has.
        neither: the third branch of guidance, which tells nothing of the conversation's media
            either; None for two branches.
        rank: its place, from 0, among those that one span asks for.
    """

    index: int
    name: str
    conditioning: Conditioning
    seed: int
    references: MadeFrom = ()
    negative: Conditioning | None = None
    neither: Conditioning | None = None
    rank: int = 0

    def with_media(self, media: Mapping[int, Media]) -> Order | None:
        """The order with those of its reply's media that it is made from; None until all are there.

        Args:
            media: of the reply, by index, as far as they are made.
        """
        references = []
        for reference in self.references:
            if isinstance(reference, PendingReference):
                if reference.place not in media:
                    return None
                reference = Reference(media[reference.place], reference.role)
            references.append(reference)
        return dataclasses.replace(self, references=tuple(references))


@torch.inference_mode()
def orders_of(
    model: ComposedModel,
    span: SpanReady,
    index: int,
    seed: int,
    settings: Mapping[str, Mapping[str, Any]],
    references: ReplyReferences,
) -> list[Order]:
    """The orders that a signal span is, of the medium at `index` of a reply and those behind it.

    Args:
        model: whose head reads the span.
        span: as it was written.
        index: of the first one among the reply's media.
        seed: of the reply.
        settings: of media by modality; `number` says how many a span asks for.
        references: chooses what they are made from.
    """
    head = model.heads[span.name]
    # A `device_map` may put a head elsewhere than the language model.
    device = next((weight.device for weight in head.parameters()), model.device)
    conditioning = head(span.hidden[None].to(device), span.embeds[None].to(device))
    # Seeded by the place in the reply, so that a medium doesn't depend on its company.
    number, made_from = settings[span.name].get(NUMBER, 1), references.of(span, index)
    away = _away(model, span.name, settings[span.name], references.media)
    return [
        Order(index + rank, span.name, conditioning, seed + index + rank, made_from, *away, rank)
        for rank in range(number)
    ]


def _away(
    model: ComposedModel, name: str, settings: Mapping[str, Any], media: Sequence[Media]
) -> tuple[Conditioning | None, Conditioning | None]:
    """Conditionings that a modality's guidance leads away from, where the model gives them.

    The first is of a request that says nothing; with guidance away from references it stands behind
    the conversation's media, and the second is of the request alone.
    """
    modality = model.modalities[name]
    request, maker = modality.null_request, modality.decoder
    if request is None or settings["guidance"] <= 1:
        return None, None
    prompt = settings.get(NEGATIVE_PROMPT)
    request = request if prompt is None else prompt
    null = model.null_conditioning(name, request)
    if settings.get(REFERENCE_GUIDANCE) is None or maker is None or not maker.takes_neither:
        return null, None
    shown = [each for each in media if type(each) in model.prompts.encoders]
    return (model.null_conditioning(name, request, shown) if shown else null), null


def next_orders(orders: Sequence[Order], media: Mapping[int, Media]) -> list[Order]:
    """The orders of one modality that can be made next, in order.

    Args:
        orders: of one reply that aren't made yet.
        media: of the reply, by index, as far as they are made.
    """
    ready = [order for each in orders if (order := each.with_media(media)) is not None]
    return [order for order in ready if order.name == ready[0].name]


@torch.inference_mode()
def make(
    model: ComposedModel,
    name: str,
    orders: Sequence[Order],
    settings: Mapping[str, Any],
    progress: Report | None = None,
) -> list[Media]:
    """Make media of one modality in one batch.

    Args:
        model: whose decoder makes them.
        name: the modality.
        orders: all of this modality, made from media that there are (`Order.with_media`).
        settings: arguments of `Decoder.sample`; `number` has been seen to by `orders_of`.
        progress: called after each denoising step.

    Raises:
        NonFiniteError: NaN or infinity came out in a medium's place.
    """
    batch = _join([order.conditioning for order in orders])
    # One for each, so that a medium doesn't depend on the others of its batch.
    generators = [torch.Generator().manual_seed(order.seed) for order in orders]
    settings = {key: value for key, value in settings.items() if key != NUMBER}
    negatives = [order.negative for order in orders if order.negative is not None]
    if negatives:  # of all orders: it is a matter of their settings, which are the same
        settings = {**settings, "negative": _join(negatives)}
        settings.pop(NEGATIVE_PROMPT, None)  # it has been read
    if thirds := [order.neither for order in orders if order.neither is not None]:
        settings = {**settings, "neither": _join(thirds)}
    decoder = model.modalities[name].decoder
    assert decoder is not None, "only what has a decoder has signals"
    roles = {each.role for order in orders for each in order.references}
    if decoder.slots(settings, roles):
        settings = {**settings, "references": [order.references for order in orders]}
    new = decoder.synthesized(batch, settings)
    if decoder.takes_ranks:
        settings = {**settings, "ranks": [order.rank for order in orders]}
    try:
        media = decoder.sample(batch, generator=generators, progress=progress, **settings)
    except NonFiniteError as error:
        _note_provenance(model, orders, error.partial, new)
        raise NonFiniteError(f"the decoder of {name!r}: {error}", error.partial) from error
    _note_provenance(model, orders, media, new)
    return media


def _join(parts: Sequence[Conditioning]) -> Conditioning:
    """The conditioning of several items."""
    pooled = [part.pooled for part in parts if part.pooled is not None]
    return Conditioning(
        torch.cat([part.embeds for part in parts]),
        torch.cat([part.mask for part in parts]),
        torch.cat(pooled) if pooled else None,
    )


def _note_provenance(
    model: ComposedModel,
    orders: Sequence[Order],
    media: Sequence[Media | None],
    new: Sequence[bool],
) -> None:
    if not model.provenance:
        return
    for order, medium, is_new in zip(orders, media, new, strict=True):
        if medium is not None and is_new:
            # The seed of the reply, by which it can be made again.
            seed = order.seed - order.index
            medium.provenance = Provenance(
                model.name, seed, f"AnyModal {__version__}", model.signer
            )


class _AbandonedError(BaseException):
    """Nobody waits for a result any more; nothing but the end of the work may catch it."""


def report_steps(work: Callable[[Report], None]) -> Generator[tuple[int, int]]:
    """Run `work(report)` in a thread, and yield the (step, steps) that it reports.

    A reader who leaves early, as on Ctrl-C, ends the work at its next step and waits for that, so
    that nothing of this turn is under way in the next.
    """
    queue: SimpleQueue[tuple[int, int] | None] = SimpleQueue()
    stop = threading.Event()
    errors: list[BaseException] = []

    def report(step: int, steps: int) -> None:
        if stop.is_set():
            raise _AbandonedError
        queue.put((step, steps))

    def run() -> None:
        try:
            work(report)
        except BaseException as error:  # handed to the reader, who raises it
            errors.append(error)
        finally:
            # Whatever happened, the reader must not wait for another step.
            queue.put(None)

    thread = threading.Thread(target=run, daemon=True, name="medium")
    try:
        thread.start()
        while (step := queue.get()) is not None:
            yield step
    finally:
        stop.set()
        thread.join()
    if errors:
        raise errors[0]
