"""Light tokenizers: what makes tokens of a medium for a transformer that all modalities share.

OneLLM's encoder (Han et al. 2024, arXiv:2312.03700, section 3.1). Those that come with AnyModal
are in `universal/kinds.py`; another is a subclass of `Tokenizer`, in anyone's file.
"""

from __future__ import annotations

import inspect
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from anymodal.media import Media

Patches = Callable[[Tensor], Tensor]
"""The trunk's own convolution over pictures: (B, 3, S, S) to (B, D, S / patch, S / patch)."""


class TrunkSizes(NamedTuple):
    """Sizes of the transformer behind a tokenizer."""

    width: int
    size: int  # pixels of a side of its pictures


class Tokenizer(nn.Module, ABC):
    """Media of one class to tokens.

    Shapes: B media, P pieces of each (frames, clips), N tokens of a piece, D the trunk's width.

    Attributes:
        kind: what a configuration calls it.
        media: the class of media it reads.
        positions: (N + 1, D), the class token's first; None for the trunk's own.
        average: whether the pieces' tokens are averaged; else they stand in order.
        settings: its arguments and kind, as JSON values.
    """

    kind: ClassVar[str]
    media: ClassVar[type[Media]]
    kinds: ClassVar[dict[str, type[Tokenizer]]] = {}

    positions: nn.Parameter | None
    average: bool = False
    settings: dict[str, object]

    def __init__(self) -> None:
        super().__init__()
        self.register_parameter("positions", None)

    @property
    def seconds_read(self) -> float | None:
        """Seconds from its start that are read of a recording; None where all of it is."""
        return None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "kind" in cls.__dict__:
            Tokenizer.kinds[cls.kind] = cls

    @abstractmethod
    def prepare(self, media: Any) -> Tensor:
        """A medium's pieces (P, …), on the CPU."""

    @abstractmethod
    def forward(self, batch: Tensor, patches: Patches) -> Tensor:
        """Tokens (B * P, N, D) of pieces (B * P, …)."""


def build_tokenizer(
    name: str, settings: Mapping[str, object] | None, trunk: TrunkSizes
) -> Tokenizer:
    """The tokenizer of a modality, with weights drawn by a rule.

    They are the same wherever it is built, so that a model whose stages haven't come to a modality
    yet opens as it was saved.

    Args:
        name: the modality's.
        settings: arguments of its kind, with the `kind` itself where the modality's name is none.
        trunk: what stands behind it.

    Raises:
        ValueError: if there is no such kind or argument, or one is out of range.
    """
    arguments = dict(settings or {})
    kind = arguments.pop("kind", name)
    if not isinstance(kind, str) or kind not in Tokenizer.kinds:
        raise ValueError(
            f"modality {name!r} asks for the tokenizer {kind!r}; choose kind: one of "
            f"{', '.join(Tokenizer.kinds)}, or subclass Tokenizer"
        )
    signature = inspect.signature(Tokenizer.kinds[kind])
    try:
        call = signature.bind(trunk, **arguments)
    except TypeError as error:
        takes = ", ".join(list(signature.parameters)[1:]) or "no arguments"
        raise ValueError(f"the tokenizer of {name!r}: {error}; it takes {takes}") from None
    call.apply_defaults()
    tokenizer = Tokenizer.kinds[kind](**call.arguments)
    tokenizer.settings = {"kind": kind, **dict(list(call.arguments.items())[1:])}
    # Not hash(), which differs from process to process.
    init_weights(tokenizer, zlib.crc32(name.encode()))
    return tokenizer


@torch.no_grad()
def init_weights(tokenizer: Tokenizer, seed: int) -> None:
    """Fill a tokenizer's weights: normal, at the scale of what a weight sums up; biases with 0."""
    generator = torch.Generator().manual_seed(seed)
    for name, weight in tokenizer.named_parameters():
        if weight.is_meta:
            continue  # it gets its values from a file
        if name.endswith("bias"):
            weight.zero_()
        elif weight.ndim > 1:  # what scales, as a norm's, stays at its start
            std = 0.02 if name == "positions" else weight[0].numel() ** -0.5
            weight.normal_(0, std, generator=generator)


def check_positive(**sizes: float) -> None:
    """Refuse a size that isn't positive.

    Raises:
        ValueError: naming it.
    """
    for name, value in sizes.items():
        if not value > 0:
            raise ValueError(f"{name}={value}; give more than 0")


def count_places(name: str, length: int, kernel: int, stride: int) -> int:
    """The number of positions of a kernel along a length.

    Raises:
        ValueError: if it is longer, or a number isn't positive.
    """
    check_positive(kernel=kernel, stride=stride)
    if length < kernel:
        raise ValueError(f"{name}={length} is less than kernel={kernel}; change one of them")
    return (length - kernel) // stride + 1
