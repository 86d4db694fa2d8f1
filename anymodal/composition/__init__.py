"""Models from configurations and folders, and back; exports load on first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anymodal.composition.building import compose as compose
    from anymodal.composition.building import from_pretrained as from_pretrained
    from anymodal.composition.first_use import OpenOnFirstUse as OpenOnFirstUse
    from anymodal.composition.folders import SHIPPED as SHIPPED
    from anymodal.composition.folders import find as find
    from anymodal.composition.folders import is_run as is_run
    from anymodal.composition.folders import read_config as read_config
    from anymodal.composition.one_decoder import open_one_decoder as open_one_decoder
    from anymodal.composition.save import model_metadata as model_metadata
    from anymodal.composition.save import own_weights as own_weights
    from anymodal.composition.save import save_pretrained as save_pretrained
    from anymodal.composition.shape import KEYS as KEYS
    from anymodal.composition.shape import MODALITY_KEYS as MODALITY_KEYS
    from anymodal.composition.shape import check_shape as check_shape
    from anymodal.composition.sharing import push_to_hub as push_to_hub
    from anymodal.composition.starting import start_from as start_from
    from anymodal.composition.validate import validate_model as validate_model

_HOMES = {
    "KEYS": "shape",
    "MODALITY_KEYS": "shape",
    "SHIPPED": "folders",
    "OpenOnFirstUse": "first_use",
    "check_shape": "shape",
    "compose": "building",
    "find": "folders",
    "from_pretrained": "building",
    "is_run": "folders",
    "model_metadata": "save",
    "open_one_decoder": "one_decoder",
    "own_weights": "save",
    "push_to_hub": "sharing",
    "read_config": "folders",
    "save_pretrained": "save",
    "start_from": "starting",
    "validate_model": "validate",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
