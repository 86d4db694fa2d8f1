"""Projections: an encoder's features become a fixed number of soft tokens of the language model."""

from anymodal.projection.base import Projection
from anymodal.projection.grid import GridProjection
from anymodal.projection.linear import LinearProjection, MLPProjection, PooledProjection
from anymodal.projection.perceiver import PerceiverProjection
from anymodal.projection.qformer import InstructQFormerProjection, QFormerProjection
from anymodal.projection.universal import UniversalProjection
from anymodal.projection.words import Words

__all__ = [
    "GridProjection",
    "InstructQFormerProjection",
    "LinearProjection",
    "MLPProjection",
    "PerceiverProjection",
    "PooledProjection",
    "Projection",
    "QFormerProjection",
    "UniversalProjection",
    "Words",
]
