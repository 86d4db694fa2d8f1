"""Models from configurations and folders, and back."""

from anymodal.composition.compose import SHIPPED, compose, find, from_pretrained, start_from
from anymodal.composition.first_use import OpenOnFirstUse
from anymodal.composition.save import model_metadata, own_weights, save_pretrained
from anymodal.composition.validate import (
    KEYS,
    MODALITY_KEYS,
    check_shape,
    read_config,
    validate_model,
)

__all__ = [
    "KEYS",
    "MODALITY_KEYS",
    "SHIPPED",
    "OpenOnFirstUse",
    "check_shape",
    "compose",
    "find",
    "from_pretrained",
    "model_metadata",
    "own_weights",
    "read_config",
    "save_pretrained",
    "start_from",
    "validate_model",
]
