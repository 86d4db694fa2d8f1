"""Losses: what a stage minimises, each a mean over things that are counted ahead."""

from anymodal.training.losses.align import Align
from anymodal.training.losses.alignment import alignment_errors, alignment_loss
from anymodal.training.losses.balance import Balance
from anymodal.training.losses.base import (
    CAPTION_CONDITIONING,
    CHOICES,
    FEATURES,
    LATENTS,
    LOG_PROBS,
    MEDIA_ERRORS,
    PAIR_MARGINS,
    REFERENCE_LOG_PROBS,
    ItemLosses,
    Loss,
    LossSettings,
    WeightedLoss,
    build_losses,
    needs_of,
)
from anymodal.training.losses.classes import BalancedZeroOne, CrossEntropy, ZeroOne
from anymodal.training.losses.contrast import Contrast, contrastive
from anymodal.training.losses.decide import Decide
from anymodal.training.losses.denoise import Denoise
from anymodal.training.losses.preferences import (
    DPO,
    DiffusionDPO,
    diffusion_dpo_loss,
    ipo_loss,
    sigmoid_loss,
)
from anymodal.training.losses.reconstruction import Reconstruction
from anymodal.training.losses.text import Text

__all__ = [
    "CAPTION_CONDITIONING",
    "CHOICES",
    "DPO",
    "FEATURES",
    "LATENTS",
    "LOG_PROBS",
    "MEDIA_ERRORS",
    "PAIR_MARGINS",
    "REFERENCE_LOG_PROBS",
    "Align",
    "Balance",
    "BalancedZeroOne",
    "Contrast",
    "CrossEntropy",
    "Decide",
    "Denoise",
    "DiffusionDPO",
    "ItemLosses",
    "Loss",
    "LossSettings",
    "Reconstruction",
    "Text",
    "WeightedLoss",
    "ZeroOne",
    "alignment_errors",
    "alignment_loss",
    "build_losses",
    "contrastive",
    "diffusion_dpo_loss",
    "ipo_loss",
    "needs_of",
    "sigmoid_loss",
]
