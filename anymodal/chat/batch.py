"""Several conversations at once: texts in batches, then each modality's media in batches."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Unpack

import torch

from anymodal.chat.messages import conversation_of
from anymodal.chat.orders import Order, make, orders_of
from anymodal.chat.references import ReferencesByModality, ReplyReferences
from anymodal.chat.settings import (
    MediaSettingsByModality,
    TextSettings,
    check_settings,
    has_own_choices,
)
from anymodal.chat.speech import SpeechOrder, SpeechOrders, join_speech, speak
from anymodal.chat.turn import Content, draw_seed, embed_prompts, reply_message
from anymodal.config import ranges
from anymodal.decoders.base import NonFiniteError
from anymodal.language.generation import write_reply_batch
from anymodal.language.reply_state import ReplyState, SpanReady
from anymodal.language.sampling import Sampling
from anymodal.language.text_stream import TextToken
from anymodal.media import Limits, Media
from anymodal.types import MediumStarted, Message

if TYPE_CHECKING:
    from anymodal.core import ComposedModel

MAX_BATCH_SIZE = 1_000_000
BATCH_SETTINGS = ("sampling", "references", "batch_size")
"""Settings of `reply_many` that aren't `TextSettings`, and that a configuration may have."""


@dataclass
class _Draft:
    """A reply whose media aren't made yet."""

    reply: ReplyState
    content: Content = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    media: dict[int, Media] = field(default_factory=dict)
    speech: list[SpeechOrder] = field(default_factory=list)
    error: ValueError | None = None

    def take(self, items: Iterable[str | MediumStarted | SpeechOrder | int]) -> None:
        """Take text, and what it says about speech."""
        for item in items:
            if isinstance(item, str):
                self.content.append(item)
            elif isinstance(item, MediumStarted):
                self.content.append(item.index)
            elif isinstance(item, SpeechOrder):
                self.speech.append(item)

    def ready_orders(self) -> list[Order]:
        """Orders of media that aren't made yet and can be now; none where one failed."""
        if self.error is not None:
            return []
        waiting = (order for order in self.orders if order.index not in self.media)
        return [order for each in waiting if (order := each.with_media(self.media)) is not None]


def reply_many(
    model: ComposedModel,
    conversations: Sequence[object],
    *,
    seeds: Sequence[int],
    sampling: MediaSettingsByModality | None = None,
    references: ReferencesByModality | None = None,
    limits: Limits | None = None,
    batch_size: int = 16,
    **text: Unpack[TextSettings],
) -> list[Message]:
    """Answer several conversations.

    Every reply is the one that the conversation alone gets at that seed, but for the rounding of
    another batch.

    Args:
        model: the composed model.
        conversations: see `messages.conversation_of`.
        seeds: one for each conversation.
        sampling: settings of media by modality, over the model's own.
        references: the media that media are made from, in each conversation.
        limits: the most that a file may hold, such as `max_seconds`.
        batch_size: the most conversations to answer, and the most media to make, at once.
        text: settings of the text.

    Raises:
        ValueError: for a conversation or settings that don't fit, or other than one seed for each.
        NonFiniteError: if NaN or infinity came out in a medium's place, or a reply can't be spoken;
            it has the other messages.
    """
    choices = text.get("choices")
    if has_own_choices(choices):
        text["choices"] = None  # of all
    sampler, media_settings = check_settings(model, sampling, text, BATCH_SETTINGS)
    samplers = _samplers(sampler, choices, len(conversations))
    seeds = [ranges.check_seed(seed) for seed in seeds]
    if len(seeds) != len(conversations):
        raise ValueError(
            f"{len(seeds)} seeds for {len(conversations)} conversations; give one each"
        )
    ranges.check_integer("batch_size", batch_size, 1, MAX_BATCH_SIZE)
    read = list(_read(conversations, limits))
    made_from = [
        ReplyReferences(model, messages, references, limits, settings=media_settings)
        for messages in read
    ]
    drafts: list[_Draft] = []
    # In batches, so that memory stays bounded however many conversations there are.
    for start in range(0, len(read), batch_size):
        some = slice(start, start + batch_size)
        prompts = embed_prompts(model, read[some])
        states = [
            ReplyState(
                model.language, model.signals, prompt, each, torch.Generator().manual_seed(seed)
            )
            for prompt, seed, each in zip(prompts, seeds[some], samplers[some], strict=True)
        ]
        answers = write_reply_batch(states, prompts)
        each = zip(states, answers, seeds[some], made_from[some], strict=True)
        drafts += [_draft(model, *one, media_settings) for one in each]
    for draft in drafts:
        _speak(model, draft, media_settings)
    # After all texts, so that media of one modality share batches across replies.
    while ready := [(draft, order) for draft in drafts for order in draft.ready_orders()]:
        for name in model.decoders:
            same = [(draft, order) for draft, order in ready if order.name == name]
            _make_media(model, name, same, media_settings[name], batch_size)
    return _messages(drafts)


def _samplers(sampler: Sampling, choices: object, count: int) -> list[Sampling]:
    """Settings by which the tokens of each of several replies are chosen.

    Args:
        sampler: of all.
        choices: a list of texts, or None, for each; anything else changes nothing.
        count: of replies.

    Raises:
        ValueError: for other than one list for each.
    """
    if not has_own_choices(choices):
        return [sampler] * count
    if len(choices) != count:
        raise ValueError(
            f"{len(choices)} lists of choices for {count} conversations; give one each"
        )
    return [dataclasses.replace(sampler, choices=each) for each in choices]


def batch_seeds(seed: int | Sequence[int] | None, count: int) -> Sequence[int]:
    """A seed for each of several conversations: those given, or `seed`, `seed + 1`, …."""
    if isinstance(seed, Sequence) and not isinstance(seed, str):
        return seed
    first = draw_seed(seed)
    return range(first, first + count)


def _read(conversations: Sequence[object], limits: Limits | None) -> Iterator[list[Message]]:
    for index, conversation in enumerate(conversations):
        try:
            yield conversation_of(conversation, limits)
        except ValueError as error:
            if len(conversations) == 1:
                raise
            raise ValueError(f"in conversation {index + 1}: {error}") from error


def _draft(
    model: ComposedModel,
    reply: ReplyState,
    answer: Sequence[TextToken | SpanReady],
    seed: int,
    references: ReplyReferences,
    settings: Mapping[str, Mapping[str, Any]],
) -> _Draft:
    draft, next_index = _Draft(reply), itertools.count()
    speech = SpeechOrders(model, settings, seed)
    for event in answer:
        if isinstance(event, TextToken):
            draft.take(speech.push(event.text, next_index))
        else:
            orders = orders_of(model, event, next(next_index), seed, settings, references)
            # The index holds the medium's place among the texts until it is made.
            draft.content.extend(order.index for order in orders)
            draft.orders.extend(orders)
            next_index = itertools.count(orders[-1].index + 1)
    draft.take(speech.flush(next_index))
    return draft


def _speak(model: ComposedModel, draft: _Draft, settings: Mapping[str, Mapping[str, Any]]) -> None:
    """Speak a reply, sentence by sentence."""
    pieces: dict[tuple[int, str], list[Media]] = {}
    for order in draft.speech:
        try:
            medium = speak(model, order, settings[order.name])
        except ValueError as error:  # of this reply alone
            draft.error = draft.error or error
            return
        pieces.setdefault((order.index, order.name), []).append(medium)
    for (index, name), media in pieces.items():
        draft.media[index] = join_speech(model, name, media, draft.speech[0].reply_seed)


def _make_media(
    model: ComposedModel,
    name: str,
    orders: Sequence[tuple[_Draft, Order]],
    settings: Mapping[str, Any],
    batch_size: int,
) -> None:
    """Make media of one modality, each for its draft, at most `batch_size` at once."""
    for start in range(0, len(orders), batch_size):
        batch, error = orders[start : start + batch_size], None
        media: Sequence[Media | None]
        try:
            media = make(model, name, [order for _, order in batch], settings)
        except NonFiniteError as raised:  # of some; the others' replies are not lost
            media, error = raised.partial, raised
        for (draft, order), medium in zip(batch, media, strict=True):
            if medium is not None:
                draft.media[order.index] = medium
            else:
                draft.error = draft.error or error


def _messages(drafts: Sequence[_Draft]) -> list[Message]:
    rows_of_errors = [row for row, draft in enumerate(drafts) if draft.error is not None]
    messages = [
        None if draft.error is not None else reply_message(draft.content, draft.media, draft.reply)
        for draft in drafts
    ]
    if rows_of_errors:
        error = drafts[rows_of_errors[0]].error
        # Counted from 1, as people count conversations.
        rows = ", ".join(str(row + 1) for row in rows_of_errors)
        raise NonFiniteError(f"in conversation {rows}: {error}", messages) from error
    return [message for message in messages if message is not None]
