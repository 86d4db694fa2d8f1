"""The few types that travel between parts.

Shapes: B batch, N encoder tokens, K soft tokens, D width of the part at hand, L conditioning
length, C conditioning width, P pooled conditioning width.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor

if TYPE_CHECKING:
    from anymodal.media import Media


class Features(NamedTuple):
    """What an encoder gives a projection.

    Shapes: values (B, N, D); mask (B, N), bool, True where a token is real.
    """

    values: Tensor
    mask: Tensor


class Conditioning(NamedTuple):
    """What a head, or a decoder's own caption encoder, gives a decoder.

    Shapes: embeds (B, L, C); mask (B, L), bool; pooled (B, P) where the pipeline wants one.
    """

    embeds: Tensor
    mask: Tensor
    pooled: Tensor | None = None


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
class Target:
    """A medium that an assistant's message should contain, at its place between the texts.

    Args:
        modality: name of the output modality.
        caption: what the medium shows, the source of the alignment target.
        media: the medium itself, for the denoising loss and as an input of later turns.
    """

    modality: str
    caption: str
    media: Any = None


@dataclass
class Message:
    """One turn of a conversation: a role and its parts in order.

    A part is text, a medium (something that was shown or said), or, in an assistant's message
    to be learned from, a `Target`.
    """

    role: str
    content: list[str | Media | Target] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text parts, joined."""
        return "".join(part for part in self.content if isinstance(part, str))

    @property
    def media(self) -> list[Media]:
        """The media parts, in order."""
        return [part for part in self.content if not isinstance(part, str | Target)]


@dataclass(frozen=True)
class TextDelta:
    """A piece of a reply's text, as soon as it is known."""

    text: str


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
class MediumReady:
    """The medium at `index` is finished."""

    index: int
    modality: str
    media: Media


@dataclass(frozen=True)
class Done:
    """The reply is complete; `message` holds its texts and media in order."""

    message: Message


Event = TextDelta | MediumStarted | MediumProgress | MediumReady | Done
