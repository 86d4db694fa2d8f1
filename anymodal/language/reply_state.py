"""One reply in the making: its prompt, what to feed next, and what has happened."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from anymodal.language.choices import TokenScores, pick_choice, tokenize_choices
from anymodal.language.fused_media import FusedMedia
from anymodal.language.model import LanguageModel
from anymodal.language.pointers import OwnPointers, PendingMedium, PointedMedium
from anymodal.language.positions import offset_after
from anymodal.language.sampling import Sampling
from anymodal.language.signal_tokens import Signals
from anymodal.language.stop_strings import StopStrings
from anymodal.language.text_stream import TextStream, TextToken
from anymodal.language.token_queue import TokenQueue
from anymodal.media import Media
from anymodal.types import ChoiceScore, TokenLogprob, TokenUsage


class Prompt(NamedTuple):
    """A prompt as embeddings (T, D) and, per position, a key that tells equal ones.

    A key is a token id, or for a soft token something like (digest of the medium, slot). `pointers`
    are the media that the reply may name, by the ids that name them, and `own` tells how it names
    those that it makes. `positions` are places and positions (1 + A, T) where media have some of
    their own. `media` are those that modules around the model's blocks read.
    """

    embeds: Tensor
    keys: list[Hashable]
    pointers: Mapping[int, PointedMedium] = MappingProxyType({})
    own: OwnPointers = OwnPointers()
    positions: Tensor | None = None
    media: FusedMedia | None = None

    def after(self, start: int) -> tuple[Tensor, list[Hashable], Tensor | None]:
        """Embeddings, keys and positions from a place on."""
        positions = None if self.positions is None else self.positions[:, start:]
        return self.embeds[start:], self.keys[start:], positions


@dataclass(frozen=True, eq=False)
class SpanReady:
    """A span of S signals: its last hidden states (S, D) and its input embeddings (S, D).

    `references` are the media that it is to be made from, as the reply names them.
    """

    name: str
    hidden: Tensor
    embeds: Tensor
    references: tuple[Media | PendingMedium, ...] = ()


class ReplyState:
    """One reply in the making: what to feed next, and what has happened.

    Args:
        language: writes it.
        signals: the spans that it may contain.
        prompt: what it answers.
        sampling: how tokens are chosen.
        generator: the source of randomness, on the CPU; torch's own where None.
        forced: the reply consists of the spans of these names and nothing else.

    Attributes:
        finish_reason: None while it goes on, then `stop` or `length`.
        tokens: how many tokens were chosen so far, those of spans included.
        num_cached: how many positions of the prompt a cache held already.
        offset: from the places of the reply's tokens to their positions.
        choices: the texts that it may be; none where it may be any.
        scores: of the choices, once `score_replies` has them.
        probabilities: of the choices, in the end.

    Raises:
        ValueError: if the prompt is empty or longer than the model can read.
    """

    def __init__(
        self,
        language: LanguageModel,
        signals: Signals,
        prompt: Prompt,
        sampling: Sampling,
        generator: torch.Generator | None,
        forced: Sequence[str] = (),
    ) -> None:
        self.language, self.signals = language, signals
        self.sampling, self.generator = sampling, generator
        room = _room(language, prompt)
        self.num_left = min(sampling.max_new_tokens, room)
        self.offset = offset_after(prompt.positions)
        self.choices = tokenize_choices(language, sampling.choices or ())
        self.scores: list[TokenScores] = []
        self.probabilities: tuple[ChoiceScore, ...] = ()
        if (longest := max((len(each.ids) - 1 for each in self.choices), default=0)) > room:
            raise ValueError(
                f"a choice of {longest} tokens, where the language model has {room} positions left "
                "after the conversation; shorten it, or drop earlier turns"
            )
        self.is_forced, self.forced_names = bool(forced), list(forced)
        self.finish_reason: str | None = None
        self.tokens, self.num_cached, self.num_prompt = 0, 0, len(prompt.keys)
        self.spans = 0
        self.pointers, self.own = dict(prompt.pointers), prompt.own
        self.pointed: list[int] = []  # ids that the next span is made from
        self.text_ids: list[int] = []
        self.text = TextStream(language)
        self.stops = StopStrings(sampling.stop)
        self._ids, self._logprobs = TokenQueue[int](), TokenQueue[TokenLogprob]()
        self.span_name: str | None = None
        self.events: list[TextToken | SpanReady] = []

    @property
    def usage(self) -> TokenUsage:
        """The tokens of the prompt and of the reply so far."""
        return TokenUsage(self.num_prompt, self.num_cached, self.tokens)

    def step(self, hidden: Tensor, embeds: Tensor, logits: Tensor) -> list[int]:
        """Take what was fed, (T, D) twice, and the scores (V,) after it; return what to feed next.

        Nothing to feed means that the reply has ended.
        """
        if self.choices:
            return self._choose_text()
        if self.span_name is not None:
            self._end_span(self.span_name, hidden, embeds)
        ids = self._choose(logits) if self.num_left > 0 else []
        if not ids:
            self._flush()
            self.finish_reason = self.finish_reason or ("stop" if self.stops.hit else "length")
        return ids

    def drain(self) -> list[TextToken | SpanReady]:
        """Events since the last call."""
        events, self.events = self.events, []
        return events

    def _choose(self, logits: Tensor) -> list[int]:
        if self.is_forced:
            return self._next_forced()
        logits = self._constrain(logits)
        token = self.sampling.pick(logits, self.text_ids, self.generator)
        if token in self.language.stops:
            self.finish_reason = "stop"
            return []
        if token in self.signals.starts:
            return self._begin_span(self.signals.starts[token])
        if token in self.pointers:
            return self._point(token)
        self.text_ids.append(token)
        self.tokens += 1
        self.num_left -= 1
        self._write(self.text.push(token, self.sampling.logprobs_of(logits, token)))
        if self.stops.hit:
            self.finish_reason = "stop"
            return []
        return [token] if self.num_left else []

    def _choose_text(self) -> list[int]:
        """Let the reply be one of the choices, as a whole."""
        choice, self.probabilities = pick_choice(
            self.choices, self.scores, self.sampling, self.generator
        )
        self.tokens = len(choice.ids) - 1
        self.events.append(TextToken(choice.text, choice.ids[:-1]))
        self.finish_reason = "stop"
        return []

    def _next_forced(self) -> list[int]:
        if not self.forced_names:
            self.finish_reason = "stop"
            return []
        if self._length(self.forced_names[0]) > self.num_left:
            return []  # a span is written whole or not at all
        return self._begin_span(self.forced_names.pop(0))

    def _begin_span(self, name: str) -> list[int]:
        self._flush()
        ids = self.signals.span(name)
        if name in self.own.kinds:
            ids = [*ids, self.signals.pointer(self.own.first + self.spans)]
        self.tokens += len(ids)
        self.span_name = name
        self.num_left -= len(ids)
        return ids

    def _end_span(self, name: str, hidden: Tensor, embeds: Tensor) -> None:
        """Tell of a span that went through the model; from now on its medium can be named."""
        count = self.signals.counts[name]
        references = tuple(self.pointers[token].media for token in self.pointed)
        inputs = embeds[:count, : self.language.width]  # without what deep layers are told
        self.events.append(SpanReady(name, hidden[:count], inputs, references))
        if kind := self.own.kinds.get(name):
            pointer = self.signals.pointer(self.own.first + self.spans)
            self.pointers[pointer] = PointedMedium(
                PendingMedium(self.spans, kind.media), kind.outputs
            )
        self.span_name, self.pointed = None, []
        self.spans += 1

    def _length(self, name: str) -> int:
        """Tokens of a span, with the pointer behind it where there is one."""
        return self.signals.counts[name] + (name in self.own.kinds)

    def _constrain(self, logits: Tensor) -> Tensor:
        """Scores of what may come next; behind a pointer that is a span from what it names."""
        names = self._open_spans()
        for token in self.pointed:
            names = [name for name in names if name in self.pointers[token].outputs]
        pointers = []
        if self.pointers:
            longer = [name for name in names if self._length(name) < self.num_left]
            pointers = [
                token
                for token, medium in self.pointers.items()
                if token not in self.pointed and not set(longer).isdisjoint(medium.outputs)
            ]
        if self.pointed:
            return self.signals.restrict(logits, names, pointers)
        return self.signals.constrain(logits, names, pointers)

    def _point(self, token: int) -> list[int]:
        self._flush()
        self.pointed.append(token)
        self.tokens += 1
        self.num_left -= 1
        return [token]

    def _open_spans(self) -> list[str]:
        if self.sampling.max_spans is not None and self.spans >= self.sampling.max_spans:
            return []
        names = self.sampling.modalities
        return [
            name
            for name in self.signals.counts
            if self._length(name) <= self.num_left and (names is None or name in names)
        ]

    def _flush(self) -> None:
        self._write(self.text.flush())
        self._release(self.stops.flush())  # no stop string reaches beyond a span

    def _write(self, piece: TextToken | None) -> None:
        """Take a piece of text, as far as no stop string begins in it."""
        if piece is not None:
            self._ids.push(len(piece.text), piece.ids)
            self._logprobs.push(len(piece.text), piece.logprobs)
            self._release(self.stops.push(piece.text))

    def _release(self, text: str) -> None:
        if text:
            self._ids.release(len(text))
            self._logprobs.release(len(text))
            self.events.append(TextToken(text, self._ids.pop(), self._logprobs.pop()))


def _room(language: LanguageModel, prompt: Prompt) -> int:
    """Number of positions that the model has left after a prompt."""
    length = len(prompt.keys)
    widths = language.width, language.input_width
    if length == 0 or len(prompt.embeds) != length or prompt.embeds.shape[1] not in widths:
        raise ValueError(
            f"a prompt needs embeddings of shape (positions, {language.width}) and as many keys, "
            f"at least one; got {tuple(prompt.embeds.shape)} and {length} keys"
        )
    limit = language.max_positions
    if limit is not None and length >= limit:
        raise ValueError(
            f"the conversation takes {length} positions and the language model reads {limit}; "
            "drop earlier turns or give fewer media"
        )
    return limit - length if limit is not None else 1 << 30
