"""The few types that travel between parts.

Shapes: B batch, N encoder tokens, K soft tokens, D width of the part at hand, L conditioning
length, C conditioning width, P pooled conditioning width.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from torch import Tensor

if TYPE_CHECKING:
    from anymodal.media import Limits, Media

ROLES = ("system", "user", "assistant")
"""Who says a message."""


def valid_text(text: str) -> str:
    """The text as Unicode that can be encoded: surrogate pairs joined, lone ones as U+FFFD.

    Undecodable bytes of a terminal or a file name come as lone surrogates, JSON can spell them, and
    neither a tokenizer nor a UTF-8 file takes them.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def parts_of(content: Any) -> list[Any]:
    """The parts that a content is: those of a list, or it alone; an array with its rate is one."""
    if isinstance(content, tuple):
        from anymodal.media.objects import is_pair

        return [content] if is_pair(content) else list(content)
    several = isinstance(content, list) or (
        isinstance(content, Iterator) and not hasattr(content, "read")  # a file is one
    )
    return list(content) if several else [content]


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

    def __post_init__(self) -> None:
        object.__setattr__(self, "caption", valid_text(self.caption))


@dataclass(init=False)
class Message:
    """One turn of a conversation: a role and its parts in order.

    A part is text, a medium (something that was shown or said), or, in an assistant's message
    to be learned from, a `Target`. What else `chat` takes (paths, pictures of Pillow, arrays, …,
    see `messages.conversation_of`) may stand here until it is read there.

    Args:
        role: system, user or assistant.
        content: the parts, or one alone: a string is one part. Lone surrogates become U+FFFD.

    Raises:
        ValueError: for another role, or no content at all.
    """

    role: str
    content: list[str | Media | Target]

    def __init__(self, role: str, content: Any = ()) -> None:
        if role not in ROLES:
            from anymodal.config import suggest

            raise ValueError(f"there is no role {role!r}{suggest(str(role), ROLES)}")
        if content is None:
            raise ValueError("a message's content is None; give a text, a medium or a list of them")
        self.role = role
        parts = parts_of(content)
        self.content = [valid_text(part) if isinstance(part, str) else part for part in parts]

    @property
    def text(self) -> str:
        """The text parts, joined."""
        return "".join(part for part in self.content if isinstance(part, str))

    @property
    def media(self) -> list[Media]:
        """The media parts, in order."""
        return [part for part in self.content if not isinstance(part, str | Target)]

    def to_dict(self) -> dict[str, Any]:
        """The message as JSON values, media within, in the form of OpenAI's API where it has one.

        Nothing is lost: `from_dict` gives an equal message.

        Raises:
            ValueError: if a part is none of a text, a medium and a target.
        """
        from anymodal.messages import write_message

        return write_message(self)

    @classmethod
    def from_dict(
        cls, given: Mapping[str, Any], *, files: bool = True, limits: Limits | None = None
    ) -> Self:
        """The message of a dictionary that `to_dict` or somebody else wrote.

        Args:
            given: see `messages.conversation_of` for what is read.
            files: whether it may name files of this machine; False for a stranger's.
            limits: what is too much of a medium; `Limits()` where None.

        Raises:
            FileNotFoundError: if a file that it names isn't there.
            ValueError: for anything that isn't read, by its key, or a medium that can't be.
        """
        from anymodal.messages import read_message

        role, content = read_message(given, files=files, limits=limits)
        return cls(role, content)


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
