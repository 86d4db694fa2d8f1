"""Callbacks of a run: averaging, checking, logging, saving and stopping."""

from anymodal.training.callbacks.gradient_check import GradientCheck
from anymodal.training.callbacks.mean_losses import MeanLosses
from anymodal.training.callbacks.moving_average import MovingAverage
from anymodal.training.callbacks.saving import SaveEvery
from anymodal.training.callbacks.stopping import StopAndSave
from anymodal.training.callbacks.throughput import Throughput

__all__ = [
    "GradientCheck",
    "MeanLosses",
    "MovingAverage",
    "SaveEvery",
    "StopAndSave",
    "Throughput",
]
