"""A decoder over any diffusers pipeline of a known family."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from anymodal.config import check_arguments
from anymodal.decoders.base import Generators, Progress, check_finite
from anymodal.decoders.call_settings import (
    call_arguments,
    check_call,
    check_reference_guidance,
)
from anymodal.decoders.denoiser import Denoiser, item_means
from anymodal.decoders.families.table import find_family
from anymodal.decoders.guidance import NegativeConditioning
from anymodal.decoders.held_pipeline import HeldPipeline
from anymodal.decoders.masks import check_masks, mask_of_latents
from anymodal.decoders.noise import prediction_type
from anymodal.decoders.records import PipelineRecords
from anymodal.decoders.references import (
    MASK,
    SOURCE,
    EncodedReferences,
    Reference,
    References,
    check_references,
    first_of,
    roles_of,
    with_span,
)
from anymodal.decoders.sampler import SamplingRequest, sample_media
from anymodal.decoders.strength import StartLatents
from anymodal.io.feature_cache import CacheKey
from anymodal.io.sources import source_of
from anymodal.media import Media
from anymodal.types import Conditioning, ConditioningSpec

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

# Measures the conditioning's scale, where heads start.
_PLAIN = ("a big red ball", "the sound of rain", "a small bird flying to the left")


class DiffusionDecoder(HeldPipeline):
    """Makes media with a diffusers pipeline, conditioned where its captions would be.

    The denoising loss follows the pipeline's own scheduler, and sampling is the pipeline's own
    `__call__`, so a pipeline behaves here as it does alone.

    Args:
        pipeline: a pipeline of one of the `FAMILIES`.
        scheduler: another diffusers scheduler for it, such as one of few steps: a class's name, or
            a mapping with it as `name` and settings beside it. It starts from the old settings.
        vae_slicing: whether the autoencoder takes a batch item by item, for memory.
        vae_tiling: whether the autoencoder takes large media tile by tile, for memory.
        references: roles of references that the denoiser is shown beside its noise, such as
            `source`. One that was trained without is widened, and learns to look at them.
        offload: how weights wait in the CPU's memory while an accelerator computes: `model`,
            `group` or `leaf`, from fast to spare. Moving the decoder leaves them where they are.
        options: what the family takes beside it, such as Latte's `fps`.

    Raises:
        ValueError: the pipeline's class is of no known family, takes no such option, or can't do
            what the others ask.
    """

    source: Mapping[str, object] | None = None

    def __init__(
        self,
        pipeline: DiffusionPipeline,
        *,
        scheduler: str | Mapping[str, object] | None = None,
        vae_slicing: bool = False,
        vae_tiling: bool = False,
        references: Sequence[str] = (),
        offload: str | None = None,
        **options: Any,
    ) -> None:
        # Here, since diffusers takes a second that a reply in words can do without.
        from anymodal.decoders import offload as pipeline_settings

        super().__init__(pipeline, offload)
        name = type(pipeline).__name__
        family = find_family(name)
        check_arguments(family, options, name, provided=["pipeline"])
        family.check([name for name, part in pipeline.components.items() if part is not None])
        if scheduler is not None:
            self.pipeline.scheduler = pipeline_settings.replace_scheduler(self.pipeline, scheduler)
        pipeline_settings.enable_vae_slicing_tiling(
            pipeline, slicing=vae_slicing, tiling=vae_tiling
        )
        self.family = family(pipeline, **options)
        self.media = self.family.media
        mechanism = self.family.reference_mechanism(references)
        self._denoiser = Denoiser(self.family, mechanism)
        self.references = () if mechanism is None else mechanism.slots
        self._records = PipelineRecords(self.pipeline, self.family)
        self._negative = NegativeConditioning(self._records)
        if offload is not None and not self._on_meta_device():
            pipeline_settings.offload(pipeline, offload)

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        *,
        dtype: str | torch.dtype = torch.float32,
        revision: str | None = None,
        weights: bool = True,
        **options: Any,
    ) -> DiffusionDecoder:
        """Open a pipeline's folder; no code that comes with it is ever run.

        Args:
            folder: the folder, or the name of a hub repository.
            dtype: the weights' precision.
            revision: the hub revision to pin.
            weights: without them, the networks are on the meta device and no weight is read.
            options: of the decoder, as in the constructor, and of its family.

        Raises:
            ValueError: the pipeline's class is of no known family, or there is no such dtype, or
                weights hold more than tensors.
            FileNotFoundError: a file is missing, and how to get it.
        """
        from anymodal.decoders.pretrained import open_pipeline, torch_dtype

        name = str(folder)
        pipeline = open_pipeline(name, torch_dtype(dtype), revision, weights=weights)
        decoder = cls(pipeline, **options).eval()
        decoder.source = source_of(name, revision)
        return decoder

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> DiffusionDecoder:
        super()._apply(fn, recurse)
        self._negative.forget()  # it stayed on the old device
        return self

    @property
    def min_steps(self) -> int:  # type: ignore[override]
        """The fewest denoising steps that the pipeline takes."""
        return self.family.min_steps

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
    def prediction(self) -> str:
        """The denoiser's target: epsilon, v_prediction, sample or flow_prediction."""
        return prediction_type(self.pipeline.scheduler)

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

    @property
    def sees_references(self) -> bool:  # type: ignore[override]
        """Whether the pipeline's caption encoder looks at references, too."""
        return self.family.sees_references and bool(self.references)

    @property
    def takes_mask(self) -> bool:  # type: ignore[override]
        """Whether the denoiser is told which positions of a conditioning are padding."""
        return self.family.takes_mask

    @property
    def inpaints(self) -> bool:  # type: ignore[override]
        """Whether a part of a source, which a mask tells, can be made anew."""
        return self.family.inpaints

    @property
    def takes_neither(self) -> bool:  # type: ignore[override]
        """Whether guidance away from references may be between conditionings alone."""
        mechanism = self._denoiser.mechanism if self.references else None
        beside = mechanism is not None and mechanism.three_branches
        return self.family.third_branch and not beside

    @property
    def takes_negative(self) -> bool:  # type: ignore[override]
        """Whether guidance may lead away from another conditioning than the empty caption's."""
        return self.family.takes_negative_prompt

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

    def losses(
        self,
        batch: Tensor,
        conditioning: Conditioning,
        generator: torch.Generator | None = None,
        references: EncodedReferences | None = None,
    ) -> Tensor:
        """The mean squared error of the denoiser at random noise levels, of each item (B,).

        Args:
            batch: prepared media or latents, told apart by their shapes.
            conditioning: one item for each of the batch.
            generator: of noise and noise levels.
            references: a list for each item; None where no item has any. They carry no loss.

        Raises:
            ValueError: shapes that do not fit the decoder or one another.
        """
        errors, learned = self._errors(batch, conditioning, generator, references)
        return item_means(errors, learned, self.family.error_parts)

    def _errors(
        self,
        batch: Tensor,
        conditioning: Conditioning,
        generator: torch.Generator | None,
        references: EncodedReferences | None,
    ) -> tuple[Tensor, Tensor | None]:
        """Squared errors (B, …) of the denoiser, and where they count, as `Denoiser.errors`."""
        conditioning = self.family.check_conditioning(conditioning)
        clean = self._latents(batch)
        if len(clean) != len(conditioning.embeds):
            raise ValueError(
                f"{len(clean)} media cannot be paired with the conditioning of "
                f"{len(conditioning.embeds)}; pass as many of both"
            )
        with self.lock:
            return self._denoiser.errors(clean, conditioning, generator, references)

    def sample(
        self,
        conditioning: Conditioning,
        *,
        steps: int,
        guidance: float,
        generator: Generators = None,
        progress: Progress | None = None,
        references: References | None = None,
        negative_prompt: str | None = None,
        height: int | None = None,
        width: int | None = None,
        frames: int | None = None,
        seconds: float | None = None,
        strength: float | None = None,
        reference_guidance: float | None = None,
        negative: Conditioning | None = None,
        neither: Conditioning | None = None,
        span: Sequence[float | None] | None = None,
    ) -> list[Media]:
        """Make one medium for each item of a conditioning, in one batch.

        Args:
            conditioning: of `spec`'s shape.
            steps: of denoising.
            guidance: weight of classifier-free guidance (Ho & Salimans 2022, arXiv:2207.12598)
                away from the empty caption; 1 means none and takes half the time.
            generator: one, or one for each item, which makes items independent of the batch.
            progress: called with (step, steps) after each step.
            references: a list for each item, seen in every branch of guidance; None for none. With
                a `mask`, an item's first source is made anew where it is white, and stays where it
                is black, as far as the autoencoder keeps it.
            negative_prompt: a caption that guidance leads away from instead of the empty one.
            height: of the media in pixels; None for the decoder's own, as of what follows. Each
                only where the pipeline's `__call__` takes it.
            width: likewise.
            frames: of a clip.
            seconds: of a sound.
            strength: how much of an item's reference `source` is made anew, above 0 and up to 1:
                the noise that it starts with, and the share of the steps that follow (Meng et al.
                2021, arXiv:2108.01073). Items without a source start from noise alone.
            reference_guidance: weight of guidance away from media without references, beside that
                away from the negative caption (Brooks et al. 2023, arXiv:2211.09800, equation 3);
                None for two branches. It takes another half of the time.
            negative: a conditioning for each item that guidance leads away from, in the place of
                a caption's.
            neither: with `reference_guidance`, a conditioning for each item that tells of the
                references as little as of what is asked; `negative` then tells of them alone. None
                where there are no references to lead away from.
            span: seconds from and to which sources without a span of their own are made anew, the
                second one None for the rest; where the pipeline remakes parts.

        Raises:
            ValueError: a conditioning of another shape, settings out of their range, or another
                number of generators than of items.
            NonFiniteError: NaN or infinity came out in a medium's place.
        """
        name = type(self.pipeline).__name__
        more = {"height": height, "width": width, "frames": frames, "seconds": seconds}
        settings = self.check_settings(
            {
                "steps": steps,
                "guidance": guidance,
                "negative_prompt": negative_prompt,
                **more,
                "strength": strength,
                "reference_guidance": reference_guidance,
                "span": span,
            },
            name,
        )
        count = len(conditioning.embeds)
        if isinstance(generator, list) and len(generator) != count:
            raise ValueError(f"{len(generator)} generators for {count} items; give one each")
        if not count:
            return []
        if references is not None:
            slots = self.slots(settings, roles_of(references))
            check_references(slots, references, count, name)
            check_masks(references, settings, name)
            references = with_span(references, span)
        elif strength is not None:
            raise ValueError(
                f"strength={strength}, and no references; give each item one {SOURCE!r} to start "
                "from, or leave strength out"
            )
        with self.lock:
            shown = self._own(references)
            positive = self.family.check_conditioning(conditioning)
            check_finite(positive)
            away = None
            if guidance > 1 and negative is not None:
                negative = self.family.check_conditioning(negative)
                check_finite(negative)
                away = negative.cast(self.pipeline.text_encoder.dtype, self.family.device)
            elif guidance > 1:
                away = self._negative.of(negative_prompt, count, shown)
            if neither is not None:
                neither = self.family.check_conditioning(neither)
                check_finite(neither)
                neither = neither.cast(self.pipeline.text_encoder.dtype, self.family.device)
            request = SamplingRequest(
                positive.cast(self.pipeline.text_encoder.dtype, self.family.device),
                away,
                settings,
                call_arguments(self.pipeline, more),
                generator,
                None if shown is None else self.encode_references(shown),
                self._starts(references or [()] * count, strength is not None),
                neither,
            )
            report = progress or (lambda step, steps: None)
            return sample_media(self._denoiser, request, report)

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

    def check_settings(self, settings: object, place: str = "") -> dict[str, Any]:
        """Check settings of `sample`, also against the signature of the pipeline's `__call__`.

        Raises:
            ValueError: one is unknown, of the wrong type or out of its range, or one that this
                pipeline doesn't take.
        """
        values = super().check_settings(settings, place)
        check_call(self.family, values, place)
        mechanism = self._denoiser.mechanism if self.references else None
        check_reference_guidance(mechanism, values, place, self.takes_neither)
        return values

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
