"""Families whose guidance is a part of their pipeline, a guider of diffusers."""

from __future__ import annotations

import copy
from typing import Any

from diffusers.guiders import BaseGuidance, ClassifierFreeGuidance

from anymodal.decoders.calls import replaced_attribute
from anymodal.decoders.families.base import Family
from anymodal.decoders.pipeline import Pipeline
from anymodal.media import Media
from anymodal.types import Conditioning


def check_guider(pipeline: Pipeline, name: str) -> None:
    """Check that a pipeline's guider has one weight, which each call gives.

    Raises:
        ValueError: it has others.
    """
    guider = pipeline.guider
    if guider is not None and not hasattr(guider, "guidance_scale"):
        raise ValueError(
            f"this {name} is guided by {type(guider).__name__}, which has other weights "
            "than a call's one; give it a guider that has one, such as ClassifierFreeGuidance"
        )


class Guided(Family):
    """A family whose guider keeps its kind and gets each call's weight.

    It is classifier-free where there is none.
    """

    def call_kwargs(
        self, positive: Conditioning, negative: Conditioning | None, guidance: float
    ) -> dict[str, object]:
        arguments = super().call_kwargs(positive, negative, guidance)
        arguments.pop("guidance_scale")  # its guider's, in `sample`
        return arguments

    def sample(self, *conditioning: Any, guidance: float, **more: Any) -> list[Media]:
        """Call the pipeline, with a guider of this weight."""
        with replaced_attribute(self.pipeline, "guider", self._guider(guidance)):
            return super().sample(*conditioning, guidance=guidance, **more)

    def _guider(self, guidance: float) -> BaseGuidance:
        guider: Any = copy.deepcopy(self.pipeline.guider)
        if guider is None:
            guider = ClassifierFreeGuidance()
        if guidance <= 1:
            guider.disable()
        # Some count from the caption's own estimate on, so that their 0 is no guidance.
        guider.guidance_scale = guidance - getattr(guider, "use_original_formulation", False)
        return guider
