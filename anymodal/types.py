"""The few types that travel between parts.

Shapes: B batch, N encoder tokens, K soft tokens, D width of the part at hand, L conditioning
length, C conditioning width, P pooled conditioning width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from anymodal.config import suggest
from anymodal.io.message_content import ROLES, open_message, parts_of, valid_text
from anymodal.io.message_content import Target as Target
from anymodal.io.message_content import ToolCall as ToolCall
from anymodal.io.message_parts import PartReader, write_part
from anymodal.media import Limits, Media


class Features(NamedTuple):
    """An encoder's output, a projection's input.

    Shapes: values (B, N, D); mask (B, N), bool, True where a token is real.
    """

    values: Tensor
    mask: Tensor


class TokenLayout(NamedTuple):
    """Order of an encoder's tokens: class tokens, registers, then one for each place of a grid.

    Args:
        class_tokens: the first tokens, each of the whole medium.
        registers: the tokens behind them, which stand for no place (Darcet et al. 2024,
            arXiv:2309.16588).
        grid: places along each axis, the last one fastest: (rows, columns) of an image, (frames,
            rows, columns) of a clip. () for tokens that follow one another, as a sound's, in any
            number.
        line_ends: whether tokens stand in lines, in any number, with a token of zeros at the end
            of each. A layer of an encoder never gives such a token.
    """

    class_tokens: int = 0
    registers: int = 0
    grid: tuple[int, ...] = ()
    line_ends: bool = False

    @property
    def before(self) -> int:
        """Number of tokens that stand before those with places."""
        return self.class_tokens + self.registers


@dataclass(frozen=True)
class SoftRun:
    """Positions of a media item that follow one another in a prompt.

    Args:
        count: number of positions.
        offsets: positions along each axis of the language model's, counted from the run's first
            (axes, count); () for one after another. An axis is one of M-RoPE's (Wang et al. 2024,
            arXiv:2409.12191, section 2.1); a model without it has a single one.
        advance: from the run's first position to the next text's; None for `count`.
        filled: whether soft tokens stand there; False for a mark that has its own embedding, as of
            media that the language model reads by cross-attention.
    """

    count: int
    offsets: tuple[tuple[int, ...], ...] = ()
    advance: int | None = None
    filled: bool = True


MediaPositions = tuple[str | SoftRun, ...]
"""How a media item stands in a prompt: texts that mark it, and runs of positions, in order."""


class Conditioning(NamedTuple):
    """A decoder's input, from a head or its own caption encoder.

    Shapes: embeds (B, L, C); mask (B, L), bool; pooled (B, P) where the pipeline wants one.
    """

    embeds: Tensor
    mask: Tensor
    pooled: Tensor | None = None

    def repeat(self, count: int) -> Conditioning:
        """The conditioning of one item, `count` times; no memory is taken for it."""
        embeds, mask, pooled = self
        pooled = None if pooled is None else pooled.expand(count, -1)
        return Conditioning(embeds.expand(count, -1, -1), mask.expand(count, -1), pooled)

    def select(self, rows: slice | list[int]) -> Conditioning:
        """The conditioning of some items."""
        embeds, mask, pooled = self
        return Conditioning(embeds[rows], mask[rows], None if pooled is None else pooled[rows])

    def cast(self, dtype: torch.dtype, device: torch.device | str | None = None) -> Conditioning:
        """The same in a precision and on a device; the mask stays of truth values."""
        embeds, mask, pooled = self
        pooled = None if pooled is None else pooled.to(device, dtype)
        return Conditioning(embeds.to(device, dtype), mask.to(device), pooled)


@dataclass(frozen=True)
class ConditioningSpec:
    """The conditioning shape that a decoder reads off its pipeline.

    `length` tokens of width `width`; `pooled` is None where the pipeline takes none; `scale` is
    the root mean square of the conditioning on real captions, where heads should start.
    """

    length: int
    width: int
    pooled: int | None = None
    scale: float = 1.0


@dataclass(frozen=True)
class TokenUsage:
    """Tokens of a request: those of the prompt, how many of them were cached, and the reply's."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0

    def __add__(self, other: TokenUsage) -> TokenUsage:
        return TokenUsage(
            self.prompt + other.prompt,
            self.cached + other.cached,
            self.completion + other.completion,
        )


class ChoiceScore(NamedTuple):
    """One of the texts that a reply could be.

    Attributes:
        text: itself.
        probability: among the choices, which have 1 together.
        logprob: the model's own log-likelihood of it as a whole reply, its end included.
    """

    text: str
    probability: float
    logprob: float


class Claim(NamedTuple):
    """A claim that was asked about.

    Attributes:
        text: what is claimed.
        question: what was asked.
        probability: of yes; 0 or 1 where the model only answered.
        right: whether it was found to be right.
    """

    text: str
    question: str
    probability: float
    right: bool


@dataclass(frozen=True)
class ReplyCheck:
    """What was found and changed in a reply that was checked against media.

    Args:
        draft: the text of the reply as it was first written.
        claims: of the draft, in order.
        removed: sentences of the draft that the reply lacks.
        added: sentences of the reply that the draft lacks.
        skipped: why nothing was checked; empty where something was.
        draft_seconds: that the draft took.
        check_seconds: that claims and questions took.
        correction_seconds: that the correction took.
        usage: tokens of the questions and of the correction, over all requests.
    """

    draft: str
    claims: tuple[Claim, ...] = ()
    removed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    skipped: str = ""
    draft_seconds: float = 0.0
    check_seconds: float = 0.0
    correction_seconds: float = 0.0
    usage: TokenUsage = TokenUsage()

    @property
    def wrong(self) -> list[Claim]:
        """The claims that weren't found to be right."""
        return [claim for claim in self.claims if not claim.right]

    def __str__(self) -> str:
        """What was found, in a line."""
        if self.skipped:
            return f"not checked: {self.skipped}"
        seconds = self.check_seconds + self.correction_seconds
        text = f"checked {len(self.claims)} claims in {seconds:.1f} s"
        if not self.wrong:
            return f"{text}, all right"
        changes = {
            "wrong": [claim.text for claim in self.wrong],
            "taken out": [*self.removed],
            "put in": [*self.added],
        }
        parts = [f"{name}: {' '.join(each)}" for name, each in changes.items() if each]
        return f"{text}; {'; '.join(parts)}"


@dataclass(init=False)
class Message:
    """One turn of a conversation: a role and its parts in order.

    A part is text, a medium (something that was shown or said), in an assistant's message to be
    learned from a `Target`, and in one that calls tools a `ToolCall`. What else `chat` takes
    (paths, pictures of Pillow, arrays, …, see `messages.conversation_of`) may stand here until it
    is read there.

    Args:
        role: system, user, assistant or tool.
        content: the parts, or one alone: a string is one part. Lone surrogates become U+FFFD.
        supervised: whether an assistant's message is to be learned from.
        finish_reason: why a model's reply ended: `stop`, `length` where the limit cut it off, or
            `tool_calls`; None for a message that no model has just written. It doesn't count in
            comparisons.
        usage: tokens of the reply and of its prompt, likewise; of a reply that was checked, those
            of the draft, the questions and the correction together.
        choices: of a reply among given texts, their probabilities in the order given, likewise.
        steps: of a reply that called tools, the messages before it: its calls, and their results.
            A conversation that goes on has them between the question and the reply; likewise.
        check: of a reply that was checked against media, what was found and changed; likewise.

    Raises:
        ValueError: for another role, or no content at all.
    """

    role: str
    content: list[str | Media | Target | ToolCall]
    supervised: bool = field(default=True, repr=False)
    finish_reason: str | None = field(default=None, compare=False, repr=False)
    usage: TokenUsage | None = field(default=None, compare=False, repr=False)
    choices: tuple[ChoiceScore, ...] = field(default=(), compare=False, repr=False)
    steps: tuple[Message, ...] = field(default=(), compare=False, repr=False)
    check: ReplyCheck | None = field(default=None, compare=False, repr=False)

    def __init__(
        self,
        role: str,
        content: object = (),
        *,
        supervised: bool = True,
        finish_reason: str | None = None,
        usage: TokenUsage | None = None,
        choices: tuple[ChoiceScore, ...] = (),
        steps: tuple[Message, ...] = (),
        check: ReplyCheck | None = None,
    ) -> None:
        if role not in ROLES:
            raise ValueError(f"there is no role {role!r}{suggest(str(role), ROLES)}")
        if content is None:
            raise ValueError("a message's content is None; give a text, a medium or a list of them")
        self.role, self.supervised = role, supervised
        self.finish_reason, self.usage, self.choices = finish_reason, usage, choices
        self.steps, self.check = steps, check
        parts = parts_of(content)
        self.content = [valid_text(part) if isinstance(part, str) else part for part in parts]

    @property
    def text(self) -> str:
        """The text parts, joined."""
        return "".join(part for part in self.content if isinstance(part, str))

    @property
    def media(self) -> list[Media]:
        """The media parts, in order."""
        return [part for part in self.content if isinstance(part, Media)]

    def to_dict(self) -> dict[str, Any]:
        """The message as JSON values, media within, in the form of OpenAI's API where it has one.

        Nothing is lost: `from_dict` gives an equal message.

        Raises:
            ValueError: if a part is none of a text, a medium and a target.
        """
        written = {"role": self.role, "content": [write_part(part) for part in self.content]}
        return written if self.supervised else {**written, "loss": False}

    @classmethod
    def from_dict(
        cls, given: Mapping[str, Any], *, files: bool = True, limits: Limits | None = None
    ) -> Self:
        """The message of a dictionary that `to_dict` or somebody else wrote.

        Args:
            given: see `messages.conversation_of` for what is read.
            files: whether it may name files of this machine; False for a stranger's.
            limits: the most that a medium may hold; `Limits()` where None.

        Raises:
            FileNotFoundError: if a file that it names isn't there.
            ValueError: for anything that isn't read, by its key, or a medium that can't be.
        """
        role, parts = open_message(given)
        reader = PartReader(limits or Limits(), files)
        supervised = bool(given.get("loss", True))
        return cls(role, [reader.read(part) for part in parts], supervised=supervised)


class TokenLogprob(NamedTuple):
    """The log-probability of a token that was chosen.

    Attributes:
        token: its id.
        logprob: by the model's own scores, before temperature and nucleus.
        top: the likeliest tokens at its place, the likeliest first, each as (id, log-probability).
    """

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class TextDelta:
    """A piece of a reply's text, as soon as it is known; its tokens, if they are asked for."""

    text: str
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True)
class MediumStarted:
    """A reply has asked for a medium; `index` counts the media of this reply from 0."""

    index: int
    modality: str


@dataclass(frozen=True)
class MediumProgress:
    """`step` of `steps` denoising steps are done for the medium at `index`."""

    index: int
    modality: str
    step: int
    steps: int


@dataclass(frozen=True)
class MediumDelta:
    """A piece of the medium at `index`, as soon as it is made, such as a sentence of speech."""

    index: int
    modality: str
    media: Media


@dataclass(frozen=True)
class MediumReady:
    """The medium at `index` is finished."""

    index: int
    modality: str
    media: Media


@dataclass(frozen=True)
class ToolCalled:
    """A reply has called a tool."""

    call: ToolCall


@dataclass(frozen=True)
class ToolFinished:
    """A call of a tool came to its end.

    Args:
        call: the one.
        content: its result, in texts and media; what went wrong, in words, where it has an error.
        error: why it was refused or failed; empty where it didn't.
        seconds: that it took.
    """

    call: ToolCall
    content: tuple[str | Media, ...]
    error: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class ClaimChecked:
    """A claim of a draft was asked about; it is the `number`th of `count`, from 1."""

    claim: Claim
    number: int
    count: int


@dataclass(frozen=True)
class Done:
    """The reply is complete; `message` holds its texts and media in order."""

    message: Message


Event = (
    TextDelta
    | ToolCalled
    | ToolFinished
    | ClaimChecked
    | MediumStarted
    | MediumProgress
    | MediumDelta
    | MediumReady
    | Done
)
