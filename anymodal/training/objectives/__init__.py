"""Objectives: what a run trains, and how its losses are computed."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anymodal.training.objectives.autoencoding import Autoencoding as Autoencoding
    from anymodal.training.objectives.base import Objective as Objective
    from anymodal.training.objectives.binding import Binding as Binding
    from anymodal.training.objectives.classification import Classification as Classification
    from anymodal.training.objectives.classifier import Classifier as Classifier
    from anymodal.training.objectives.dialogue import Dialogue as Dialogue
    from anymodal.training.objectives.diffusion import CaptionedDiffusion as CaptionedDiffusion
    from anymodal.training.objectives.language_modeling import LanguageModeling as LanguageModeling
    from anymodal.training.objectives.preference import Preference as Preference

# Imported when first used: a plan of a model needs none of what each of them stands on.
_MODULES = {
    "Autoencoding": "autoencoding",
    "Binding": "binding",
    "CaptionedDiffusion": "diffusion",
    "Classification": "classification",
    "Classifier": "classifier",
    "Dialogue": "dialogue",
    "LanguageModeling": "language_modeling",
    "Objective": "base",
    "Preference": "preference",
}
__all__ = [
    "Autoencoding",
    "Binding",
    "CaptionedDiffusion",
    "Classification",
    "Classifier",
    "Dialogue",
    "LanguageModeling",
    "Objective",
    "Preference",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
