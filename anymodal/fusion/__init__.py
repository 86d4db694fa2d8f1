"""Fusion: modules around a language model's blocks that let media in beside its rows."""

from anymodal.fusion.base import Fusion
from anymodal.fusion.cross import LightCrossAttention
from anymodal.fusion.cross_layers import CrossLayers
from anymodal.fusion.experts import ModalityExperts
from anymodal.fusion.experts_with_cross import ExpertsWithCrossAttention
from anymodal.fusion.gated import GatedCrossAttention
from anymodal.fusion.mixture import SparseUpcycling
from anymodal.fusion.prefix import AdapterPrefix, MediaAdapterPrefix

__all__ = [
    "AdapterPrefix",
    "CrossLayers",
    "ExpertsWithCrossAttention",
    "Fusion",
    "GatedCrossAttention",
    "LightCrossAttention",
    "MediaAdapterPrefix",
    "ModalityExperts",
    "SparseUpcycling",
]
