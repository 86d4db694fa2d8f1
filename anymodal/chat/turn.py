"""One chat turn: a conversation in, a stream of events out, a message in the end."""

from __future__ import annotations

import contextlib
import difflib
import secrets
from collections.abc import Generator, Hashable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from anymodal import media
from anymodal.chat.messages import conversation_of, several
from anymodal.chat.orders import Order, by_modality, make, make_all, ordered, reporting
from anymodal.config import ranges
from anymodal.decoders.base import NonFiniteError
from anymodal.language import generation
from anymodal.language.generation import SpanReady, TextToken
from anymodal.language.kv_cache import PrefixCache
from anymodal.language.packing import pack
from anymodal.language.sampling import Sampling
from anymodal.types import (
    Done,
    Event,
    MediumProgress,
    MediumReady,
    MediumStarted,
    Message,
    TextDelta,
)

if TYPE_CHECKING:
    from anymodal.core import ComposedModel

MOST_AT_ONCE = 1_000_000
OF_MANY = ("sampling", "batch_size")
"""Settings of `reply_many` beside those of the text."""


def reply(
    model: ComposedModel,
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
        if isinstance(seed, Sequence) and not isinstance(seed, str):
            return reply_many(model, conversation, seeds=seed, **settings)
        first = _seed(seed)
        seeds = [first + i for i in range(len(conversation))]
        return reply_many(model, conversation, seeds=seeds, **settings)
    if isinstance(seed, Sequence):
        raise ValueError(f"seed={seed!r} for one conversation; give one whole number")
    with contextlib.closing(stream(model, conversation, seed=seed, **settings)) as events:
        for event in events:
            if isinstance(event, Done):
                return event.message
    raise AssertionError("a stream ends with Done")


def _seed(given: Any) -> int:
    return secrets.randbelow(2**31) if given is None else ranges.seed(given)


def stream(
    model: ComposedModel,
    conversation: Any,
    *,
    seed: int | None = None,
    sampling: dict[str, dict[str, Any]] | None = None,
    cache: PrefixCache | None = None,
    limits: media.Limits | None = None,
    **how: Any,
) -> Generator[Event]:
    """Answer a conversation piece by piece: text as it comes, then media with progress.

    Media of one modality are made in one batch, after the text; each stands in the final message
    where its span stood. Settings and conversation are checked at once, before the first event is
    asked for. Who leaves early and closes the stream waits for the step that is being computed.

    Args:
        model: the composed model.
        conversation: see `messages.conversation_of`.
        seed: of the sampled text and of the media; None draws one.
        sampling: steps and guidance by modality, over the model's own settings.
        cache: keys and values of earlier turns, kept by a session.
        limits: what is too much of a file.
        how: further settings of the text, see `generation.Sampling`.

    Raises:
        ValueError: for a conversation or settings that don't fit.
        NonFiniteError: while it is read, if NaN or infinity came out in a medium's place.
    """
    choose, settings = check_settings(model, sampling, how, ("seed", "sampling", "cache", "limits"))
    seed, messages = _seed(seed), conversation_of(conversation, limits)
    return _streamed(model, messages, seed, choose, settings, cache)


def _streamed(
    model: ComposedModel,
    messages: list[Message],
    seed: int,
    choose: Sampling,
    settings: dict[str, dict[str, Any]],
    cache: PrefixCache | None,
) -> Generator[Event]:
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
            orders.append(ordered(model, event, len(orders), seed))
            content.append(orders[-1].index)
            yield MediumStarted(orders[-1].index, event.name)
    made: dict[tuple[int, int], media.Media] = {}
    for name, same in by_modality(orders).items():
        work = partial(make, model, name, same, settings[name])
        with contextlib.closing(reporting(work)) as steps:
            for step in steps:
                if isinstance(step, tuple):
                    yield from (MediumProgress(order.index, name, *step) for order in same)
                    continue
                for order, medium in zip(same, step, strict=True):
                    made[0, order.index] = medium
                    yield MediumReady(order.index, name, medium)
    yield Done(_message(content, made, 0))


def reply_many(
    model: ComposedModel,
    conversations: Sequence[Any],
    *,
    seeds: Sequence[int],
    sampling: dict[str, dict[str, Any]] | None = None,
    batch_size: int = 16,
    limits: media.Limits | None = None,
    **how: Any,
) -> list[Message]:
    """Answer several conversations: texts in batches, then each modality's media in batches.

    Every answer is the one that `reply` gives at that seed, but for the rounding of another batch.

    Args:
        model: the composed model.
        conversations: see `messages.conversation_of`.
        seeds: one for each conversation.
        sampling: steps and guidance by modality, over the model's own settings.
        batch_size: the most conversations to answer, and the most media to make, at once.
        limits: what is too much of a file.
        how: further settings of the text, see `generation.Sampling`.

    Raises:
        ValueError: for a conversation or settings that don't fit, or other than one seed for each.
        NonFiniteError: if NaN or infinity came out in a medium's place; it has the other messages.
    """
    choose, settings = check_settings(model, sampling, how, OF_MANY)
    seeds = [ranges.seed(seed) for seed in seeds]
    if len(seeds) != len(conversations):
        raise ValueError(
            f"{len(seeds)} seeds for {len(conversations)} conversations; give one each"
        )
    ranges.whole("batch_size", batch_size, 1, MOST_AT_ONCE)
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
        for answer, seed in zip(answers, seeds[some], strict=True):
            content, mine = _ordered(model, answer, seed)
            orders += [(len(contents), order) for order in mine]
            contents.append(content)
    made, failed = make_all(model, orders, settings, batch_size)
    replies = [
        None if row in failed else _message(content, made, row)
        for row, content in enumerate(contents)
    ]
    if failed:
        rows, error = [str(row + 1) for row in sorted(failed)], failed[min(failed)]
        raise NonFiniteError(f"in conversation {', '.join(rows)}: {error}", replies) from error
    return [reply for reply in replies if reply is not None]


def _ordered(
    model: ComposedModel, answer: Sequence[TextToken | SpanReady], seed: int
) -> tuple[list[Any], list[Order]]:
    """A reply's texts and the indices of its media in order, and what media it orders."""
    content: list[Any] = []
    orders: list[Order] = []
    for event in answer:
        if isinstance(event, TextToken):
            content.append(event.text)
        else:
            content.append(len(orders))
            orders.append(ordered(model, event, len(orders), seed))
    return content, orders


@torch.inference_mode()
def _prompts(
    model: ComposedModel, talks: Sequence[list[Message]], soft: dict[Hashable, Tensor] | None = None
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


def check_settings(
    model: ComposedModel, sampling: Any, how: Mapping[str, Any], beside: Sequence[str] = ()
) -> tuple[Sampling, dict[str, dict[str, Any]]]:
    """Give the settings of a reply's text and, by modality, of its media.

    Args:
        model: who is to reply.
        sampling: settings of media by modality, over the model's own; None for those alone.
        how: settings of the text, by name.
        beside: what else might have been meant by a name that is none of them.

    Raises:
        ValueError: a setting or a modality is unknown, or a value of the wrong type or range.
    """
    choose, given = Sampling.of(how, beside), {} if sampling is None else sampling
    if not isinstance(given, Mapping):
        raise ValueError(
            f"sampling={given!r}; it must be settings by modality, as {{'image': {{'steps': 20}}}}"
        )
    for name in given:
        if name not in model.decoders:
            known = ", ".join(model.decoders) or "text alone"
            near = difflib.get_close_matches(str(name), list(model.decoders), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"this model makes no {name!r}; it makes {known}{hint}")
    return choose, {
        name: model.modalities[name].settings(given.get(name, {}), f"sampling of {name!r}")
        for name in model.decoders
    }


def _message(
    content: Sequence[Any], made: Mapping[tuple[int, int], media.Media], row: int
) -> Message:
    """Texts and media of the reply at `row` in order, neighbouring texts as one."""
    joined: list[Any] = []
    for part in content:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        else:
            joined.append(part if isinstance(part, str) else made[row, part])
    return Message("assistant", joined)
