"""The contract of a decoder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from anymodal.config import ranges
from anymodal.decoders.references import (
    MASK,
    MASK_SLOT,
    SOURCE,
    EncodedReference,
    EncodedReferences,
    Reference,
    References,
    ReferenceSlot,
    check_references,
)
from anymodal.distributed.locks import CopiedLock
from anymodal.io.feature_cache import CacheKey
from anymodal.io.recorded import Recorded
from anymodal.types import Conditioning, ConditioningSpec

if TYPE_CHECKING:
    from anymodal.media import Media

Generators = torch.Generator | list[torch.Generator] | None
"""One generator for a batch, or one for each item, which makes items independent of the batch."""

Progress = Callable[[int, int], None]
"""Called with (step, steps) after each denoising step; step counts from 1."""


class NonFiniteError(ValueError):
    """NaN or infinity came out in the place of a media item.

    Attributes:
        partial: the results that are finite, in order; None in the place of the others.
    """

    def __init__(self, message: str, partial: Sequence[object] = ()) -> None:
        super().__init__(message)
        self.partial: list[Any] = list(partial)  # media of a batch, or messages of several


class Decoder(Recorded, nn.Module, ABC):
    """Makes media from conditioning, and says how far conditioning is from making a medium.

    Several threads may ask one decoder at once; one that keeps something while it computes holds
    its `lock` meanwhile.

    Attributes:
        spec: the conditioning's shape.
        media: the class of media that come out.
        min_steps: the fewest denoising steps that `sample` takes.
        references: places for media that it looks at, such as the picture to change; none here.
        synthesizes: whether its media are new. Those that were there before keep their own notes.
        sees_references: whether its caption encoder looks at them, too.
        takes_mask: whether masked positions of a conditioning change nothing, so that one may be
            shorter than `spec` says.
        takes_negative: whether `sample` takes `negative`, a conditioning for each item that
            guidance leads away from.
        takes_neither: whether `sample` takes `neither`, for guidance away from references that the
            conditioning alone tells of.
        takes_ranks: whether `sample` takes `ranks`, for each item its place, from 0, among those
            that one conditioning asks for, where seeds don't tell them apart.
        inpaints: whether a part of a source, which a mask tells, can be made anew.
        can_wait: whether it may stay on disk until something is asked of it (`DeferredDecoder`).
        lock: for whatever only one thread may do at a time.
    """

    spec: ConditioningSpec
    media: type[Media]
    min_steps: int = 1
    references: tuple[ReferenceSlot, ...] = ()
    synthesizes: bool = True
    sees_references: bool = False
    takes_mask: bool = False
    takes_negative: bool = False
    takes_neither: bool = False
    takes_ranks: bool = False
    inpaints: bool = False
    can_wait: bool = True

    def __init__(self) -> None:
        super().__init__()
        self.lock = CopiedLock()

    @classmethod
    def source_on_disk(cls, **arguments: Any) -> dict[str, Any] | None:
        """The source, as `source_of` tells it, of what `from_pretrained` would read; None if not
        all of its files are on this machine, or nobody knows which they are.
        """
        return None

    @abstractmethod
    def prepare(self, media: Media) -> Tensor:
        """Turn one medium into the tensor that `encode` takes a batch of (on the CPU)."""

    @abstractmethod
    def encode(self, batch: Tensor) -> Tensor:
        """Turn a batch of prepared media into what is denoised, without a gradient."""

    @abstractmethod
    def embed_captions(
        self, captions: Sequence[str], references: References | None = None
    ) -> Conditioning:
        """The conditioning of captions by the decoder's own caption encoder.

        Differentiable: wrap it in `torch.no_grad()` where no gradient is wanted.

        Args:
            captions: at least one.
            references: a list for each, which counts where the decoder `sees_references`.
        """

    @abstractmethod
    def losses(
        self,
        batch: Tensor,
        conditioning: Conditioning,
        generator: torch.Generator | None = None,
        references: EncodedReferences | None = None,
    ) -> Tensor:
        """The denoising loss (B,) of each of some prepared or encoded media under a conditioning.

        A generator of equal state gives equal noise and noise levels to media of equal shapes.

        Args:
            batch: prepared media or latents.
            conditioning: one item for each of the batch.
            generator: of noise and noise levels.
            references: a list for each item; None where no item has any. A decoder that has no
                slots for them need not have this argument.
        """

    def loss(
        self,
        batch: Tensor,
        conditioning: Conditioning,
        generator: torch.Generator | None = None,
        references: EncodedReferences | None = None,
    ) -> Tensor:
        """The mean of `losses`, which takes the same."""
        more = {} if references is None else {"references": references}
        return self.losses(batch, conditioning, generator, **more).mean()

    @abstractmethod
    def sample(
        self,
        conditioning: Conditioning,
        *,
        steps: int,
        guidance: float,
        generator: Generators = None,
        progress: Progress | None = None,
        references: References | None = None,
    ) -> list[Media]:
        """Make one medium for each item of a conditioning, and of its references.

        Raises:
            ValueError: references that it doesn't take.
            NonFiniteError: NaN or infinity came out in a medium's place.
        """

    def synthesized(self, conditioning: Conditioning, settings: Mapping[str, Any]) -> list[bool]:
        """Whether the medium of each item is new, under settings of `sample`."""
        return [self.synthesizes] * len(conditioning.embeds)

    def of_captions(self, conditioning: Conditioning) -> Conditioning:
        """What of a conditioning captions have too, as `embed_captions` gives it: all of it."""
        return conditioning

    def choice_logits(self, conditioning: Conditioning) -> Tensor:
        """Logits (B, 2) of making a medium, and of finding one.

        Raises:
            ValueError: a decoder that doesn't choose.
        """
        raise ValueError(
            f"{type(self).__name__} doesn't choose between making and finding, as ChoosingDecoder "
            "does; leave the loss decide out"
        )

    def slots(
        self, settings: Mapping[str, Any], named: Collection[str] = ()
    ) -> tuple[ReferenceSlot, ...]:
        """Places for references of a call: with `strength` or a mask, also for its start.

        Args:
            settings: of `sample`.
            named: roles that a caller gives references for.
        """
        slots, is_masked = self.references, MASK in named and self.inpaints
        started = is_masked or settings.get("strength") is not None
        if started and SOURCE not in [slot.role for slot in slots]:
            slots = (ReferenceSlot(SOURCE, self.media), *slots)
        return (*slots, MASK_SLOT) if is_masked else slots

    def prepare_reference(self, reference: Reference) -> Tensor:
        """Turn a reference into the tensor that `encode_reference` takes a batch of, on the CPU."""
        return self.prepare(reference.media)

    def encode_reference(self, batch: Tensor) -> Tensor:
        """Turn a batch of prepared references of one role into latents, without a gradient."""
        return self.encode(batch)

    def encode_references(self, references: References) -> EncodedReferences:
        """The latents of a batch's references.

        Raises:
            ValueError: one that the decoder doesn't take.
        """
        check_references(self.references, references, len(references), type(self).__name__)
        return [
            [
                EncodedReference(
                    each.role, self.encode_reference(self.prepare_reference(each)[None])[0]
                )
                for each in item
            ]
            for item in references
        ]

    def check_settings(self, settings: object, place: str = "") -> dict[str, Any]:
        """Check settings of `sample`; `place` names the decoder in the error.

        Raises:
            ValueError: one is unknown, of the wrong type or out of its range.
        """
        return ranges.check_sampling(settings, self.sample, self.min_steps, place)

    @abstractmethod
    def save_pretrained(self, folder: str | Path) -> None:
        """Write what `from_pretrained` of the same class reads."""

    def captioning(self) -> CacheKey:
        """The cache key of `embed_captions`: the whole decoder, where no subclass knows better."""
        return CacheKey("conditioning", (self,), self.metadata)

    def encoding(self) -> CacheKey:
        """The cache key of `prepare` and `encode`, likewise."""
        return CacheKey("latents", (self,), self.metadata)

    def reference_encoding(self, role: str) -> CacheKey:
        """The cache key of `prepare_reference` and `encode_reference` of a role's references."""
        return self.encoding()._replace(result=f"references {role}")

    @abstractmethod
    def metadata(self) -> dict[str, object]:
        """The decoder's entry in a checkpoint's manifest, as JSON values."""


def check_finite(conditioning: Conditioning) -> None:
    """Check conditioning before media are made by it.

    Raises:
        NonFiniteError: it holds NaN or infinity.
    """
    embeds, _, pooled = conditioning
    # Asked in this way, since a plan's tensors, which have no values, call everything False.
    if any(bool((~each.isfinite()).any()) for each in (embeds, pooled) if each is not None):
        raise NonFiniteError(
            "the conditioning holds NaN or infinity, so nothing can be made by it; the head or "
            f"the language model that it comes from gave it, in {embeds.dtype}: open them in "
            "float32, or check their weights",
            [None] * len(embeds),
        )
