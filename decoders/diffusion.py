"""A decoder over any diffusers pipeline of a known family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from anymodal.decoders.denoiser import item_means
from anymodal.decoders.encoding_pipeline import EncodingPipeline
from anymodal.decoders.families.table import find_family
from anymodal.decoders.masks import check_masks
from anymodal.decoders.noise import prediction_type
from anymodal.decoders.references import (
    SOURCE,
    EncodedReferences,
    References,
    check_references,
    check_spans,
    roles_of,
    with_span,
)
from anymodal.decoders.sampler import SamplingRequest, sample_media
from anymodal.io.sources import source_of
from anymodal.media import Media
from anymodal.types import Conditioning

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline


class DiffusionDecoder(EncodingPipeline):
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

        name = type(pipeline).__name__
        family = find_family(name)
        check_arguments(family, options, name, provided=["pipeline"])
        family.check([name for name, part in pipeline.components.items() if part is not None])
        if scheduler is not None:
            pipeline.scheduler = pipeline_settings.replace_scheduler(pipeline, scheduler)
        pipeline_settings.enable_vae_slicing_tiling(
            pipeline, slicing=vae_slicing, tiling=vae_tiling
        )
        super().__init__(pipeline, offload, family, options, references)
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

    @property
    def min_steps(self) -> int:  # type: ignore[override]
        """The fewest denoising steps that the pipeline takes."""
        return self.family.min_steps

    @property
    def prediction(self) -> str:
        """The denoiser's target: epsilon, v_prediction, sample or flow_prediction."""
        return prediction_type(self.pipeline.scheduler)

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
        conditioning = self.family.check_conditioning(conditioning)
        clean = self._latents(batch)
        if len(clean) != len(conditioning.embeds):
            raise ValueError(
                f"{len(clean)} media cannot be paired with the conditioning of "
                f"{len(conditioning.embeds)}; pass as many of both"
            )
        with self.lock:
            errors, learned = self._denoiser.errors(clean, conditioning, generator, references)
        return item_means(errors, learned, self.family.error_parts)

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
        references = self._check_references(references, count, settings)
        with self.lock:
            shown = self._own(references)
            positive, away = self._at_denoiser(conditioning), None
            if guidance > 1 and negative is not None:
                away = self._at_denoiser(negative)
            elif guidance > 1:
                away = self._negative.of(negative_prompt, count, shown)
            if neither is not None:
                neither = self._at_denoiser(neither)
            request = SamplingRequest(
                positive,
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

    def _check_references(
        self, references: References | None, count: int, settings: Mapping[str, Any]
    ) -> References | None:
        """Checked references of `count` items, with the settings' span where they have none."""
        name, strength = type(self.pipeline).__name__, settings["strength"]
        if references is not None:
            check_references(self.slots(settings, roles_of(references)), references, count, name)
            check_masks(references, settings, name)
            check_spans(references, self.family.takes_span, name)
            return with_span(references, settings["span"])
        if strength is not None:
            raise ValueError(
                f"strength={strength}, and no references; give each item one {SOURCE!r} to start "
                "from, or leave strength out"
            )
        return None

    def _at_denoiser(self, conditioning: Conditioning) -> Conditioning:
        """A checked conditioning on the denoiser's device, in the caption encoder's dtype."""
        conditioning = self.family.check_conditioning(conditioning)
        check_finite(conditioning)
        return conditioning.cast(self.pipeline.text_encoder.dtype, self.family.device)

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
