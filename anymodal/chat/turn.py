"""One chat turn: a conversation in, a stream of events out, a message in the end."""

from __future__ import annotations

import contextlib
import itertools
import secrets
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

import torch
from torch import Tensor

from anymodal.chat.messages import conversation_of
from anymodal.chat.orders import Order, Report, make, next_orders, orders_of, report_steps
from anymodal.chat.references import ReferencesByModality, ReplyReferences
from anymodal.chat.reply_text import ReplyText
from anymodal.chat.settings import MediaSettingsByModality, TextSettings, check_settings
from anymodal.chat.speech import ReplySpeech, speaking
from anymodal.chat.tool_turn import answer_with_tools
from anymodal.chat.tools import Toolbox, ToolLike, ToolLimits
from anymodal.config import ranges
from anymodal.fusion.states import state_key
from anymodal.language import generation
from anymodal.language.chat_prompt import ChatPrompt
from anymodal.language.kv_cache import PrefixCache
from anymodal.language.packing import Place, pack
from anymodal.language.reply_state import Prompt, ReplyState
from anymodal.language.sampling import Sampling
from anymodal.language.template_messages import ToolDefinition
from anymodal.language.text_stream import TextToken
from anymodal.language.tool_formats import ToolFormat
from anymodal.media import Limits, Media
from anymodal.types import (
    Done,
    Event,
    MediumProgress,
    MediumReady,
    MediumStarted,
    Message,
    TextDelta,
    ToolCall,
    ToolCalled,
)

if TYPE_CHECKING:
    from anymodal.core import ComposedModel

Content = list[str | int | ToolCall]
"""A reply's pieces of text, its media by their indices, and its calls of tools, in order."""

ARGUMENTS = (
    *("seed", "sampling", "references", "limits", "cache"),
    *("tools", "tool_limits", "approve_call", "check"),
)
"""Names of arguments that are no settings of the text."""


def stream(
    model: ComposedModel,
    conversation: object,
    *,
    seed: int | None = None,
    sampling: MediaSettingsByModality | None = None,
    references: ReferencesByModality | None = None,
    limits: Limits | None = None,
    cache: PrefixCache | None = None,
    tools: Sequence[ToolLike] = (),
    tool_limits: ToolLimits | None = None,
    approve_call: Callable[[ToolCall], bool] | None = None,
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
    choice, media_settings = check_settings(model, sampling, text, ARGUMENTS)
    seed, messages = draw_seed(seed), conversation_of(conversation, limits)
    reference_choice = ReplyReferences(model, messages, references, limits, settings=media_settings)
    if not tools:
        return _stream(model, messages, seed, choice, media_settings, reference_choice, cache)
    fmt = model.language.template.require_tools()
    toolbox = Toolbox(tools, tool_limits, approve_call)
    model.prompts.build(messages, reply=True, tools=toolbox.definitions)  # before the first event

    def answer(so_far: list[Message], num_media: int) -> Generator[Event]:
        own_references = ReplyReferences(model, so_far, references, limits, settings=media_settings)
        offer = ToolOffer(fmt, toolbox.definitions, num_media)
        settings = seed, choice, media_settings, own_references, cache
        return _stream(model, so_far, *settings, offer)

    readable = [media.kind for media in model.prompts.encoders]
    return answer_with_tools(answer, messages, toolbox, readable)


class ToolOffer(NamedTuple):
    """Tools that a reply may call.

    Attributes:
        fmt: the form of calls.
        definitions: of the tools.
        num_media: that the turn has made in earlier replies, from which this one's are counted.
    """

    fmt: ToolFormat | None = None
    definitions: Sequence[ToolDefinition] = ()
    num_media: int = 0


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
    offer: ToolOffer | None = None,
) -> Generator[Event]:
    offer = offer or ToolOffer()
    soft = None if cache is None else cache.soft
    prompt = embed_prompts(model, [messages], soft, offer.definitions)[0]
    # On the CPU, so that a seed means the same on every device.
    generator = torch.Generator().manual_seed(seed)
    content: Content = []
    orders: list[Order] = []
    reply = ReplyState(model.language, model.signals, prompt, choice, generator)
    text = ReplyText(offer.fmt, tools=offer.definitions)
    next_index = itertools.count(offer.num_media)
    with speaking(model, media_settings, seed) as speech:
        for event in generation.write_reply(reply, prompt, cache):
            if isinstance(event, TextToken):
                pieces = text.push(event.text, event.logprobs)
                yield from _noted(pieces, content, speech, next_index)
                continue
            # No call reaches beyond a medium.
            yield from _noted(text.flush(), content, speech, next_index)
            index = next(next_index)
            for order in orders_of(model, event, index, seed, media_settings, references):
                orders.append(order)
                content.append(order.index)
                yield MediumStarted(order.index, event.name)
            next_index = itertools.count(orders[-1].index + 1)
        yield from _noted(text.flush(), content, speech, next_index)
        yield from speech.finish(next_index)
        media = dict(speech.media)
    num_spoken = len(media)
    # Only now: decoders work in batches, and nobody should wait for a picture amid a sentence.
    while len(media) < len(orders) + num_spoken:
        waiting = [order for order in orders if order.index not in media]
        same = next_orders(waiting, media)
        name = same[0].name
        results = yield from _make(model, name, same, media_settings[name])
        for order, medium in zip(same, results, strict=True):
            media[order.index] = medium
            yield MediumReady(order.index, name, medium)
    message = reply_message(content, media, reply)
    message.finish_reason = text.finish_reason(str(message.finish_reason))
    yield Done(message)


def _noted(
    events: Iterable[TextDelta | ToolCalled],
    content: Content,
    speech: ReplySpeech,
    next_index: Iterator[int],
) -> Iterator[Event]:
    """The events, with those of speech; what they tell goes into the content."""
    for event in events:
        if isinstance(event, ToolCalled):
            content.append(event.call)
            yield event
            continue
        for piece in speech.push(event, next_index):
            if isinstance(piece, TextDelta):
                content.append(piece.text)
            elif isinstance(piece, MediumStarted):
                content.append(piece.index)
            yield piece


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
    tools: Sequence[ToolDefinition] = (),
) -> list[Prompt]:
    """Conversations as embeddings; every encoder runs once for all media that `soft` lacks.

    Args:
        model: whose prompts they are.
        conversations: each ends with the user's message.
        soft: soft tokens by `Item.key`, kept between turns; those of no medium in these
            conversations are dropped from it.
        tools: that replies may call.
    """
    soft = {} if soft is None else soft
    builder = model.prompts
    prompts = [builder.build(messages, reply=True, tools=tools) for messages in conversations]
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
) -> Prompt:
    """A prompt with its embeddings (T, D), for a reply to be written; `soft` as of `embed`."""
    builder = model.prompts
    pointers, own = builder.pointed_media(prompt), builder.own_pointers(prompt)
    media = model.fuse([prompt], [Place(0, 0)], soft)
    return Prompt(embeds, prompt.keys(), pointers, own, prompt.positions, media)


def reply_message(content: Content, media: Mapping[int, Media], reply: ReplyState) -> Message:
    """Texts and media of a reply in order, neighbouring texts as one, and how it ended."""
    content_parts: list[str | Media | ToolCall] = []
    for part in content:
        if isinstance(part, int):
            content_parts.append(media[part])
        # A reply's text comes in pieces as small as a token.
        elif isinstance(part, str) and content_parts and isinstance(content_parts[-1], str):
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
