"""One chat turn: a conversation in, a stream of events out, a message in the end."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Generator, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

import torch
from torch import Tensor

from anymodal.chat.messages import conversation_of
from anymodal.chat.orders import Order, Report, make, next_orders, orders_of, report_steps
from anymodal.chat.references import ReferencesByModality, ReplyReferences
from anymodal.chat.settings import MediaSettingsByModality, TextSettings, check_settings
from anymodal.config import ranges
from anymodal.fusion.states import state_key
from anymodal.language import generation
from anymodal.language.generation import ReplyState
from anymodal.language.kv_cache import PrefixCache
from anymodal.language.packing import Place, pack
from anymodal.language.prompt import ChatPrompt
from anymodal.language.sampling import Sampling
from anymodal.language.text_stream import TextToken
from anymodal.media import Limits, Media
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

Content = list[str | int]
"""A reply's pieces of text, and its media by their indices, in order."""


def stream(
    model: ComposedModel,
    conversation: object,
    *,
    seed: int | None = None,
    sampling: MediaSettingsByModality | None = None,
    references: ReferencesByModality | None = None,
    limits: Limits | None = None,
    cache: PrefixCache | None = None,
    **text: Unpack[TextSettings],
) -> Generator[Event]:
    """Answer a conversation piece by piece: text as it comes, then media with progress.

    Media of one modality are made in one batch, after the text; each stands in the final message
    where its span stood. Settings and conversation are checked at once, before the first event is
    asked for. Who leaves early and closes the stream waits for the step that is being computed.
    The arguments are those of `AnyModal.stream`.

    Raises:
        ValueError: for a conversation or settings that don't fit.
        NonFiniteError: while it is read, if NaN or infinity came out in a medium's place.
    """
    names = ("seed", "sampling", "references", "limits", "cache")
    choice, media_settings = check_settings(model, sampling, text, names)
    seed, messages = draw_seed(seed), conversation_of(conversation, limits)
    reference_choice = ReplyReferences(model, messages, references, limits, settings=media_settings)
    return _stream(model, messages, seed, choice, media_settings, reference_choice, cache)


def draw_seed(seed: object) -> int:
    """The seed, checked; one that is drawn where it is None."""
    return secrets.randbelow(2**31) if seed is None else ranges.check_seed(seed)


def _stream(
    model: ComposedModel,
    messages: list[Message],
    seed: int,
    choice: Sampling,
    media_settings: Mapping[str, Mapping[str, Any]],
    references: ReplyReferences,
    cache: PrefixCache | None,
) -> Generator[Event]:
    prompt = embed_prompts(model, [messages], None if cache is None else cache.soft)[0]
    # On the CPU, so that a seed means the same on every device.
    generator = torch.Generator().manual_seed(seed)
    content: Content = []
    orders: list[Order] = []
    reply = ReplyState(model.language, model.signals, prompt, choice, generator)
    for event in generation.write_reply(reply, prompt, cache):
        if isinstance(event, TextToken):
            content.append(event.text)
            yield TextDelta(event.text, event.logprobs)
        else:
            index = len(orders)
            for order in orders_of(model, event, index, seed, media_settings, references):
                orders.append(order)
                content.append(order.index)
                yield MediumStarted(order.index, event.name)
    media: dict[int, Media] = {}
    # Only now: decoders work in batches, and nobody should wait for a picture amid a sentence.
    while len(media) < len(orders):
        waiting = [order for order in orders if order.index not in media]
        same = next_orders(waiting, media)
        name = same[0].name
        results = yield from _make(model, name, same, media_settings[name])
        for order, medium in zip(same, results, strict=True):
            media[order.index] = medium
            yield MediumReady(order.index, name, medium)
    yield Done(reply_message(content, media, reply))


def _make(
    model: ComposedModel, name: str, orders: Sequence[Order], settings: Mapping[str, Any]
) -> Generator[MediumProgress, None, list[Media]]:
    """Make the media of one modality, with an event for each of them after every step."""
    results: list[Media] = []

    def work(report: Report) -> None:
        results.extend(make(model, name, orders, settings, report))

    with contextlib.closing(report_steps(work)) as steps:
        for step in steps:
            yield from (MediumProgress(order.index, name, *step) for order in orders)
    return results


@torch.inference_mode()
def embed_prompts(
    model: ComposedModel,
    conversations: Sequence[list[Message]],
    soft: dict[Hashable, Tensor] | None = None,
) -> list[generation.Prompt]:
    """Conversations as embeddings; every encoder runs once for all media that `soft` lacks.

    Args:
        model: whose prompts they are.
        conversations: each ends with the user's message.
        soft: soft tokens by `Item.key`, kept between turns; those of no medium in these
            conversations are dropped from it.
    """
    soft = {} if soft is None else soft
    prompts = [model.prompts.build(messages, reply=True) for messages in conversations]
    packed = pack([prompt.ids for prompt in prompts], [prompt.labels for prompt in prompts])
    embeds = model.embed(prompts, packed.ids.to(model.device), packed.places, soft)
    embedded = [
        embedded_prompt(model, prompt, embeds[row, start : start + len(prompt.ids)], soft)
        for prompt, (row, start) in zip(prompts, packed.places, strict=True)
    ]
    # Media that left the conversation would only take memory.
    items = [item for prompt in prompts for item in prompt.media]
    in_use = {key for item in items for key in (item.key, state_key(item))}
    for key in soft.keys() - in_use:
        del soft[key]
    return embedded


def embedded_prompt(
    model: ComposedModel, prompt: ChatPrompt, embeds: Tensor, soft: dict[Hashable, Tensor]
) -> generation.Prompt:
    """A prompt with its embeddings (T, D), for a reply to be written; `soft` as of `embed`."""
    builder = model.prompts
    pointers, own = builder.pointed_media(prompt), builder.own_pointers(prompt)
    media = model.fuse([prompt], [Place(0, 0)], soft)
    return generation.Prompt(embeds, prompt.keys(), pointers, own, prompt.positions, media)


def reply_message(content: Content, media: Mapping[int, Media], reply: ReplyState) -> Message:
    """Texts and media of a reply in order, neighbouring texts as one, and how it ended."""
    content_parts: list[str | Media] = []
    for part in content:
        if isinstance(part, int):
            content_parts.append(media[part])
        # A reply's text comes in pieces as small as a token.
        elif content_parts and isinstance(content_parts[-1], str):
            content_parts[-1] += part
        else:
            content_parts.append(part)
    return Message(
        "assistant",
        content_parts,
        finish_reason=reply.finish_reason,
        usage=reply.usage,
        choices=reply.probabilities,
    )
