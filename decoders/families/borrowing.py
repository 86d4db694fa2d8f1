"""Families whose media another pipeline makes, with the networks of the one that was published."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from diffusers import DiffusionPipeline

from anymodal.decoders.families.base import Family
from anymodal.decoders.pipeline import Pipeline
from anymodal.media import Media


class Borrowing(Family):
    """A family whose published pipeline makes nothing without a reference.

    So that media can be made without one, and references have their one way (`ReferenceMechanism`),
    a pipeline of captions alone makes them.

    Attributes:
        published: the pipeline that was published.
    """

    published: Pipeline

    @abstractmethod
    def maker_of(self, pipeline: Pipeline) -> Pipeline:
        """The pipeline of captions alone, over the published one's parts."""

    def borrow(
        self,
        kind: type[DiffusionPipeline],
        pipeline: Pipeline,
        without: Sequence[str] = (),
        **settings: Any,
    ) -> Pipeline:
        """A pipeline of another class with the parts of the published one.

        Args:
            kind: its class.
            pipeline: the published one.
            without: names of parts that it doesn't take.
            settings: further arguments of its constructor.
        """
        self.published = pipeline
        parts = {name: part for name, part in pipeline.components.items() if name not in without}
        maker: Pipeline = kind(**parts, **settings)
        maker.set_progress_bar_config(disable=True)
        return maker

    def sample(self, *args: Any, **arguments: Any) -> list[Media]:
        """Call the pipeline, and then let the published one offload what that used."""
        try:
            return super().sample(*args, **arguments)
        finally:
            self.published.maybe_free_model_hooks()
