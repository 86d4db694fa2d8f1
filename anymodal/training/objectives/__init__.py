"""Objectives: what a run trains, and how its losses are computed."""

from anymodal.training.objectives.autoencoding import Autoencoding
from anymodal.training.objectives.base import Objective
from anymodal.training.objectives.binding import Binding
from anymodal.training.objectives.classification import Classification
from anymodal.training.objectives.classifier import Classifier
from anymodal.training.objectives.dialogue import Dialogue
from anymodal.training.objectives.diffusion import CaptionedDiffusion
from anymodal.training.objectives.language_modeling import LanguageModeling
from anymodal.training.objectives.preference import Preference

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
