"""One request for media of a pipeline: its batch, or its items one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from anymodal.decoders.base import Generators, Progress
from anymodal.decoders.branches import guide_in_three_branches, replace_conditioning
from anymodal.decoders.calls import make_each_alone
from anymodal.decoders.denoiser import Denoiser
from anymodal.decoders.mechanism import BranchWeights
from anymodal.decoders.references import EncodedReferences
from anymodal.decoders.strength import NoisedStart, StartLatents
from anymodal.media import Media
from anymodal.types import Conditioning


@dataclass(frozen=True)
class SamplingRequest:
    """What is asked of a pipeline, for each item of a batch.

    Args:
        positive, negative: conditioning of the media, and of what guidance leads away from.
        settings: checked settings of `Decoder.sample`.
        arguments: of the pipeline's `__call__`, over the family's own.
        generator: of noise.
        references: those that the denoiser is shown.
        starts: what to start from; None for noise alone.
        neither: conditioning of the third branch of guidance, where the references are known to
            conditioning alone; None for another, or none.
    """

    positive: Conditioning
    negative: Conditioning | None
    settings: Mapping[str, Any]
    arguments: Mapping[str, Any]
    generator: Generators
    references: EncodedReferences | None
    starts: Sequence[StartLatents | None]
    neither: Conditioning | None = None

    @property
    def weights(self) -> BranchWeights | None:
        """Weights of guidance in three branches, where it is asked for."""
        away = self.settings.get("reference_guidance")
        return None if away is None else BranchWeights(self.settings["guidance"], away)

    def select(self, rows: slice) -> SamplingRequest:
        """That of some items."""
        own = self.generator
        return SamplingRequest(
            self.positive.select(rows),
            None if self.negative is None else self.negative.select(rows),
            self.settings,
            self.arguments,
            own[rows] if isinstance(own, list) else own,
            None if self.references is None else self.references[rows],
            self.starts[rows],
            None if self.neither is None else self.neither.select(rows),
        )


def sample_media(denoiser: Denoiser, request: SamplingRequest, progress: Progress) -> list[Media]:
    """Media of a request, in one batch where its items go together.

    Raises:
        NonFiniteError: NaN or infinity came out in a medium's place.
    """
    count = len(request.positive.embeds)
    kinds = {each if each is None else each.mask is None for each in request.starts}
    starts_alike = len(kinds) == 1
    if denoiser.goes_together(request.references) and starts_alike:
        return _make_batch(denoiser, request, progress)

    def make_one(index: int, report: Progress) -> list[Media]:
        return _make_batch(denoiser, request.select(slice(index, index + 1)), report)

    return make_each_alone(count, make_one, progress)


def _make_batch(denoiser: Denoiser, request: SamplingRequest, progress: Progress) -> list[Media]:
    settings = request.settings
    start = _start_of([each for each in request.starts if each is not None], settings)
    count = len(request.positive.embeds)
    apart = request.neither is not None
    with (
        denoiser.beside(request.references, count, None if apart else request.weights),
        _guided_by_conditioning(denoiser, request) if apart else nullcontext(),
    ):
        return denoiser.family.sample(
            request.positive,
            request.negative,
            steps=settings["steps"],
            guidance=settings["guidance"],
            generator=request.generator,
            progress=progress,
            arguments=request.arguments,
            start=start,
            keep=denoiser.keep(request.references),
        )


def _start_of(starts: Sequence[StartLatents], settings: Mapping[str, Any]) -> NoisedStart | None:
    """The start of a batch: of all of its items, or of none."""
    if not starts:
        return None
    masks = [each.mask for each in starts if each.mask is not None]
    return NoisedStart(
        torch.stack([each.latents for each in starts]),
        settings.get("strength") or 1,
        torch.stack(masks) if masks else None,
    )


def _guided_by_conditioning(
    denoiser: Denoiser, request: SamplingRequest
) -> AbstractContextManager[None]:
    """Guidance in three branches, of which the third has a conditioning of its own."""
    negative, neither, weights = request.negative, request.neither, request.weights
    assert negative is not None and neither is not None and weights is not None, "checked before"
    return guide_in_three_branches(
        denoiser.family.network,
        weights,
        replaced=lambda inputs: replace_conditioning(inputs, negative, neither),
    )
