"""Projections: an encoder's features become a fixed number of soft tokens of the language model."""

from anymodal.projection.abstractor import AbstractorProjection
from anymodal.projection.any_resolution import AnyResProjection
from anymodal.projection.base import Projection
from anymodal.projection.gated import GatedMLPProjection
from anymodal.projection.grid import GridProjection
from anymodal.projection.ldp import LDPProjection, LDPv2Projection
from anymodal.projection.linear import LinearProjection, MLPProjection, PooledProjection
from anymodal.projection.neighbours import HReducerProjection, PixelShuffleProjection
from anymodal.projection.perceiver import PerceiverProjection
from anymodal.projection.placed import PlacedProjection
from anymodal.projection.qformer import InstructQFormerProjection, QFormerProjection
from anymodal.projection.resampler import ResamplerProjection
from anymodal.projection.universal import UniversalProjection
from anymodal.projection.words import Words

__all__ = [
    "AbstractorProjection",
    "AnyResProjection",
    "GatedMLPProjection",
    "GridProjection",
    "HReducerProjection",
    "InstructQFormerProjection",
    "LDPProjection",
    "LDPv2Projection",
    "LinearProjection",
    "MLPProjection",
    "PerceiverProjection",
    "PixelShuffleProjection",
    "PlacedProjection",
    "PooledProjection",
    "Projection",
    "QFormerProjection",
    "ResamplerProjection",
    "UniversalProjection",
    "Words",
]
