"""One chat turn: a conversation in, a stream of events out, a message in the end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from anymodal import generation, media
from anymodal.cache import PrefixCache
from anymodal.generation import SpanReady, TextToken
from anymodal.packing import pack
from anymodal.sampling import Sampling
from anymodal.types import (
    Conditioning,
    Done,
    Event,
    MediumProgress,
    MediumReady,
    MediumStarted,
    Message,
    TextDelta,
)

if TYPE_CHECKING:
    from anymodal.model import AnyModal

MAX_MEDIA = 32
"""The most media in a conversation."""


def conversation_of(given: Any, limits: media.Limits | None = None) -> list[Message]:
    """What a user may pass as a conversation, as messages.

    A text, a medium or a path alone; a list of them (one user message, in order); or a list of
    messages. A string is text: write a file as a `Path`.

    Raises:
        ValueError: for anything else, an empty conversation, or one that the user didn't end.
    """
    parts = given if isinstance(given, list | tuple) else [given]
    if parts and all(isinstance(part, Message) for part in parts):
        messages = [Message(m.role, [_part(part, limits) for part in m.content]) for m in parts]
    else:
        messages = [Message("user", [_part(part, limits) for part in parts])]
    if not messages or not messages[-1].content:
        raise ValueError("the conversation is empty; give a text, media, or messages")
    if messages[-1].role == "assistant":
        raise ValueError("the last message is the assistant's own; add one of the user's")
    count = sum(len(message.media) for message in messages)
    if count > MAX_MEDIA:
        raise ValueError(f"{count} media in one conversation; the limit is {MAX_MEDIA}")
    return messages


def _part(part: Any, limits: media.Limits | None) -> Any:
    if isinstance(part, Path):
        return media.load(part, limits=limits)
    if isinstance(part, str | media.Media):
        return part
    raise ValueError(
        f"a message holds texts, media and paths, not {type(part).__name__}; several conversations "
        "are a list of lists, and `chat` alone takes them"
    )


def several(given: Any) -> bool:
    """Whether what a user passed is a list of conversations, each a list, and not one of them."""
    lists = (list, tuple)
    return isinstance(given, lists) and bool(given) and all(isinstance(c, lists) for c in given)


def reply(
    model: AnyModal,
    conversation: Any,
    *,
    seed: int | Sequence[int] | None = None,
    **settings: Any,
) -> Message | list[Message]:
    """Answer a conversation, or a list of them in batches.

    One is what `stream` yields, collected. Of several, the one at index i is seeded with
    `seed + i`, or with a seed of its own where `seed` is a list; see `reply_many`.
    """
    if several(conversation):
        if settings.pop("cache", None) is not None:
            raise ValueError("a cache keeps one conversation; leave it out, or chat one at a time")
        first = _drawn() if seed is None else seed
        seeds = [first + i for i in range(len(conversation))] if isinstance(first, int) else first
        return reply_many(model, conversation, seeds=seeds, **settings)
    if not isinstance(seed, int | None):
        raise ValueError(f"seed={seed!r} for one conversation; give one whole number")
    for event in stream(model, conversation, seed=seed, **settings):
        if isinstance(event, Done):
            return event.message
    raise AssertionError("a stream ends with Done")


def _drawn() -> int:
    return int(torch.seed() % 2**31)


@dataclass(frozen=True, eq=False)
class Order:
    """A medium that a reply has asked for: its place among the reply's media, and what to make."""

    index: int
    name: str
    conditioning: Conditioning
    seed: int


def stream(
    model: AnyModal,
    conversation: Any,
    *,
    seed: int | None = None,
    sampling: dict[str, dict[str, Any]] | None = None,
    cache: PrefixCache | None = None,
    limits: media.Limits | None = None,
    **how: Any,
) -> Iterator[Event]:
    """Answer a conversation piece by piece: text as it comes, then media with progress.

    Media of one modality are made in one batch, after the text; each stands in the final message
    where its span stood.

    Args:
        model: the composed model.
        conversation: see `conversation_of`.
        seed: of the sampled text and of the media; None draws one.
        sampling: steps and guidance by modality, over the model's own settings.
        cache: keys and values of earlier turns, kept by a session.
        limits: what is too much of a file.
        how: further settings of the text, see `generation.Sampling`.

    Raises:
        ValueError: for a conversation or settings that don't fit.
    """
    choose, settings = Sampling(**how), _sampling(model, sampling or {})
    seed, messages = _drawn() if seed is None else seed, conversation_of(conversation, limits)
    prompt = _prompts(model, [messages], None if cache is None else cache.soft)[0]
    generator = torch.Generator().manual_seed(seed)
    content: list[Any] = []
    orders: list[Order] = []
    for event in generation.generate(
        model.language, model.signals, prompt, choose, generator=generator, cache=cache
    ):
        if isinstance(event, TextToken):
            content.append(event.text)
            yield TextDelta(event.text)
        else:
            orders.append(_order(model, event, len(orders), seed))
            content.append(orders[-1].index)
            yield MediumStarted(orders[-1].index, event.name)
    made: dict[int, media.Media] = {}
    for name, same in _by_name(orders).items():
        for step in _reporting(lambda tell: _make(model, name, same, settings[name], tell)):  # noqa: B023 (used at once)
            if isinstance(step, tuple):
                yield from (MediumProgress(order.index, name, *step) for order in same)
                continue
            for order, medium in zip(same, step, strict=True):
                made[order.index] = medium
                yield MediumReady(order.index, name, medium)
    yield Done(_message(content, made))


def reply_many(
    model: AnyModal,
    conversations: Sequence[Any],
    *,
    seeds: Sequence[int],
    sampling: dict[str, dict[str, Any]] | None = None,
    batch_size: int = 16,
    heard: list[list[TextToken | SpanReady]] | None = None,
    limits: media.Limits | None = None,
    **how: Any,
) -> list[Message]:
    """Answer several conversations: texts in batches, then each modality's media in batches.

    Every answer is the one that `reply` gives at that seed, but for the rounding of another batch.

    Args:
        model: the composed model.
        conversations: see `conversation_of`.
        seeds: one for each conversation.
        sampling: steps and guidance by modality, over the model's own settings.
        batch_size: the most conversations to answer, and the most media to make, at once.
        heard: gets the events of every reply's text, for who wants to count them.
        limits: what is too much of a file.
        how: further settings of the text, see `generation.Sampling`.

    Raises:
        ValueError: for a conversation or settings that don't fit, or other than one seed for each.
    """
    choose, settings = Sampling(**how), _sampling(model, sampling or {})
    if len(seeds) != len(conversations):
        raise ValueError(
            f"{len(seeds)} seeds for {len(conversations)} conversations; give one each"
        )
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size}; it must be at least 1")
    talks = list(_each(conversations, limits))
    contents: list[list[Any]] = []
    orders: list[tuple[int, Order]] = []
    for start in range(0, len(talks), batch_size):
        some = slice(start, start + batch_size)
        answers = generation.generate_batch(
            model.language,
            model.signals,
            _prompts(model, talks[some]),
            choose,
            generators=[torch.Generator().manual_seed(seed) for seed in seeds[some]],
        )
        if heard is not None:
            heard.extend(answers)
        for answer, seed in zip(answers, seeds[some], strict=True):
            content, mine = _ordered(model, answer, seed)
            orders += [(len(contents), order) for order in mine]
            contents.append(content)
    made: list[dict[int, media.Media]] = [{} for _ in contents]
    for name in model.decoders:
        wanted = [(row, order) for row, order in orders if order.name == name]
        for start in range(0, len(wanted), batch_size):
            batch = wanted[start : start + batch_size]
            results = _make(model, name, [order for _, order in batch], settings[name])
            for (row, order), medium in zip(batch, results, strict=True):
                made[row][order.index] = medium
    return [_message(content, found) for content, found in zip(contents, made, strict=True)]


def _ordered(
    model: AnyModal, answer: Sequence[TextToken | SpanReady], seed: int
) -> tuple[list[Any], list[Order]]:
    """A reply's texts and the indices of its media in order, and what media it orders."""
    content: list[Any] = []
    orders: list[Order] = []
    for event in answer:
        if isinstance(event, TextToken):
            content.append(event.text)
        else:
            content.append(len(orders))
            orders.append(_order(model, event, len(orders), seed))
    return content, orders


@torch.inference_mode()
def _prompts(
    model: AnyModal, talks: Sequence[list[Message]], soft: dict[Hashable, Tensor] | None = None
) -> list[generation.Prompt]:
    """Conversations as embeddings; every encoder runs once for all media not in `soft`."""
    soft = {} if soft is None else soft
    laid = [model.layout.prompt(messages, reply=True) for messages in talks]
    packed = pack([prompt.ids for prompt in laid], [prompt.labels for prompt in laid])
    embeds = model.embed(laid, packed.ids.to(model.device), packed.places, soft)
    shown = {item.key for prompt in laid for item in prompt.items}
    for key in soft.keys() - shown:
        del soft[key]
    return [
        generation.Prompt(
            embeds[row, start : start + len(prompt.ids)], prompt.keys(model.layout.slots)
        )
        for prompt, (row, start) in zip(laid, packed.places, strict=True)
    ]


def _each(conversations: Sequence[Any], limits: media.Limits | None) -> Iterator[list[Message]]:
    for index, conversation in enumerate(conversations):
        try:
            yield conversation_of(conversation, limits)
        except ValueError as error:
            if len(conversations) == 1:
                raise
            raise ValueError(f"in conversation {index + 1}: {error}") from error


def _sampling(model: AnyModal, given: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    for name in given:
        if name not in model.decoders:
            known = ", ".join(model.decoders) or "text alone"
            raise ValueError(f"this model makes no {name!r}; it makes {known}")
    return {
        name: {**model.modalities[name].sampling, **given.get(name, {})} for name in model.decoders
    }


@torch.inference_mode()
def _order(model: AnyModal, span: SpanReady, index: int, seed: int) -> Order:
    conditioning = model.heads[span.name](span.hidden[None], span.embeds[None])
    # Seeded by the place in the reply, so that a medium doesn't depend on its company.
    return Order(index, span.name, conditioning, seed + index)


def _by_name(orders: Sequence[Order]) -> dict[str, list[Order]]:
    found: dict[str, list[Order]] = {}
    for order in orders:
        found.setdefault(order.name, []).append(order)
    return found


@torch.inference_mode()
def _make(
    model: AnyModal,
    name: str,
    orders: Sequence[Order],
    settings: dict[str, Any],
    progress: Callable[[int, int], None] | None = None,
) -> list[media.Media]:
    """Make media of one modality in one batch."""
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
    return decoder.sample(batch, generator=generators, progress=progress, **settings)


class _Abandoned(Exception):
    """Nobody waits for a result any more."""


def _reporting(work: Callable[[Callable[[int, int], None]], Any]) -> Iterator[Any]:
    """Run `work(tell)` in a thread; yield the (step, steps) it tells, then its result.

    A reader who leaves early, as on Ctrl-C, ends the work at its next step.
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

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while isinstance(item := queue.get(), tuple):
            yield item
    finally:
        abandoned.set()
    thread.join()
    if isinstance(item, BaseException):
        raise item
    yield item


def _message(content: Sequence[Any], made: dict[int, media.Media]) -> Message:
    """Texts and media in order, neighbouring texts as one."""
    joined: list[Any] = []
    for part in content:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        else:
            joined.append(part if isinstance(part, str) else made[part])
    return Message("assistant", joined)
