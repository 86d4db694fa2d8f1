"""A pipeline of a known family: its inputs in the form that its denoiser takes them in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from anymodal.decoders.denoiser import Denoiser
from anymodal.decoders.families.base import Family
from anymodal.decoders.guidance import NegativeConditioning
from anymodal.decoders.held_pipeline import HeldPipeline
from anymodal.decoders.masks import mask_of_latents
from anymodal.decoders.records import PipelineRecords
from anymodal.decoders.references import (
    MASK,
    SOURCE,
    Reference,
    References,
    check_references,
    first_of,
)
from anymodal.decoders.strength import StartLatents
from anymodal.io.feature_cache import CacheKey
from anymodal.media import Media
from anymodal.types import Conditioning, ConditioningSpec

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

# Measures the conditioning's scale, where heads start.
_PLAIN = ("a big red ball", "the sound of rain", "a small bird flying to the left")


class EncodingPipeline(HeldPipeline):
    """A decoder whose pipeline turns captions into conditioning, and media and references into
    latents.

    Args:
        pipeline: a pipeline of the family.
        offload: as of `HeldPipeline`.
        family: the class of its adapter.
        options: what the family takes beside the pipeline.
        references: roles of references that its denoiser is shown.

    Raises:
        ValueError: the family can't do what the others ask.
    """

    source: Mapping[str, object] | None = None

    def __init__(
        self,
        pipeline: DiffusionPipeline,
        offload: str | None,
        family: type[Family],
        options: Mapping[str, Any],
        references: Sequence[str],
    ) -> None:
        super().__init__(pipeline, offload)  # before the family replaces any part
        self.family = family(self.pipeline, **options)
        self.media = self.family.media
        mechanism = self.family.reference_mechanism(references)
        self._denoiser = Denoiser(self.family, mechanism)
        self.references = () if mechanism is None else mechanism.slots
        self._records = PipelineRecords(self.pipeline, self.family)
        self._negative = NegativeConditioning(self._records)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> EncodingPipeline:
        super()._apply(fn, recurse)
        self._negative.forget()  # it stayed on the old device
        return self

    @cached_property
    def spec(self) -> ConditioningSpec:  # type: ignore[override]
        """The conditioning's shape, and its root mean square on a few plain captions.

        On the meta device, where the caption encoder has no weights, the scale is 1.
        """
        if self._on_meta_device():
            return ConditioningSpec(self.family.length, self.family.width, self.family.pooled)
        with torch.inference_mode(False), torch.no_grad():
            embeds, mask, _ = self.embed_captions(_PLAIN)
        scale = float(embeds[mask].float().square().mean().sqrt())
        return ConditioningSpec(self.family.length, self.family.width, self.family.pooled, scale)

    @property
    def takes_mask(self) -> bool:  # type: ignore[override]
        """Whether the denoiser is told which positions of a conditioning are padding."""
        return self.family.takes_mask

    @property
    def sees_references(self) -> bool:  # type: ignore[override]
        """Whether the pipeline's caption encoder looks at references, too."""
        return self.family.sees_references and bool(self.references)

    def embed_captions(
        self, captions: Sequence[str], references: References | None = None
    ) -> Conditioning:
        """The pipeline's own conditioning of captions, with its gradient.

        Args:
            captions: at least one.
            references: a list for each, which counts where the pipeline's encoder looks at them.

        Raises:
            ValueError: there is none, or one text in the place of a list, or references that the
                decoder doesn't take.
        """
        if isinstance(captions, str) or not len(captions):
            raise ValueError(f"captions={captions!r}; give a list of at least one text")
        if references is not None:
            name = type(self.pipeline).__name__
            check_references(self.references, references, len(captions), name)
        with self.lock:
            if references is not None and self.sees_references:
                return self.family.embed_captions_beside(captions, references)
            return self.family.embed_captions(captions)

    def unconditional(self, count: int) -> Conditioning:
        """Unconditional conditioning of classifier-free guidance, cached until the weights change.

        The empty caption's conditioning, or zeros where the pipeline takes those, `count` times.
        Weights changed through `.data` are not noticed.
        """
        with self.lock:
            return self._negative.unconditional(count)

    def prepare(self, media: Media) -> Tensor:
        """Turn one medium into a tensor of the family's `media_shape`, in [-1, 1].

        Raises:
            TypeError: the medium is not of the decoder's class.
        """
        if not isinstance(media, self.media):
            raise TypeError(
                f"this decoder makes {self.media.__name__}, so it cannot learn from "
                f"{type(media).__name__}"
            )
        return self.family.prepare(media)

    @torch.no_grad()
    def encode(self, batch: Tensor) -> Tensor:
        """Turn a batch of prepared media into scaled latents, the mode of their posterior."""
        with self.lock:
            return self.family.encode(batch.to(self.family.device, self.pipeline.vae.dtype))

    def _latents(self, batch: Tensor) -> Tensor:
        shape = tuple(batch.shape[1:])
        if shape == self.family.latent_shape:
            return batch
        if shape == self.family.media_shape:
            return self.encode(batch)
        raise ValueError(
            f"a batch of shape {tuple(batch.shape)} is neither prepared media (batch, "
            f"{', '.join(map(str, self.family.media_shape))}) nor latents (batch, "
            f"{', '.join(map(str, self.family.latent_shape))})"
        )

    def prepare_reference(self, reference: Reference) -> Tensor:
        """Turn a reference into a tensor, in [-1, 1]."""
        return self.family.prepare_reference(reference)

    @torch.no_grad()
    def encode_reference(self, batch: Tensor) -> Tensor:
        """Turn a batch of prepared references of one role into scaled latents."""
        with self.lock:
            return self.family.encode_reference(
                batch.to(self.family.device, self.pipeline.vae.dtype)
            )

    def _own(self, references: References | None) -> References | None:
        """The references of the decoder's own slots, without those that are a start alone."""
        roles = {slot.role for slot in self.references}
        if references is None:
            return None
        return [[each for each in item if each.role in roles] for item in references]

    def _starts(self, references: References, is_weaker: bool) -> list[StartLatents | None]:
        """Each item's start: its first source, where it has one and a mask or strength."""
        starts: list[StartLatents | None] = []
        for item in references:
            source, mask = first_of(item, SOURCE), first_of(item, MASK)
            if source is None or (mask is None and not is_weaker):
                starts.append(None)
                continue
            clean = self.encode(self.prepare(source.media)[None])[0]
            fitted = None if mask is None else mask_of_latents(self.family, mask.media)
            starts.append(StartLatents(clean, fitted))
        return starts

    def captioning(self) -> CacheKey:
        """Give the caption encoders, their settings and their tokenizers."""
        records, code = self._records, (type(self), self.family)
        return CacheKey("conditioning", tuple(records.captioners), records.captioning, code)

    def encoding(self) -> CacheKey:
        """Give the autoencoder and its settings."""
        code = (type(self), self.family)
        parts = tuple(self._records.autoencoders)
        return CacheKey("latents", parts, self._records.encoding, code)

    def reference_encoding(self, role: str) -> CacheKey:
        """Give that of the media that are made, where references have the same latents; else one
        that has all parts that encode them.
        """
        mechanism = self._denoiser.mechanism
        kinds = {slot.role: slot.media for slot in self.references}
        if mechanism is None or mechanism.own_size or kinds.get(role) is not self.media:
            key = super().reference_encoding(role)
            return key._replace(modules=(*key.modules, *self._records.reference_encoders))
        return self.encoding()

    def metadata(self) -> dict[str, object]:
        """Give what a checkpoint's manifest records of this decoder, ready for JSON."""
        source = {} if self.source is None else {"source": self.source}
        return {**self._records.metadata(), **source}
