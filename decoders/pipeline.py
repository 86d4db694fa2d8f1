"""Protocols of diffusers' pipelines and their parts, as far as decoders use them.

diffusers names no common type for them, and gives pipelines attributes of their own; those that
only one family reads go through `__getattr__`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from anymodal.io.protocols import TextTokenizer


class Settings(Protocol):
    """The configuration of a part: settings by name, or by attribute."""

    def get(self, name: str, default: object = None, /) -> Any:
        """A setting, or the default where there is none."""

    def items(self) -> Any:
        """Names and settings."""

    def __getitem__(self, name: str, /) -> Any: ...
    def __getattr__(self, name: str, /) -> Any: ...


class Scheduler(Protocol):
    """A noise schedule: a `SchedulerMixin` with a configuration."""

    config: Settings
    timesteps: Tensor
    step: Callable[..., object]

    def __len__(self) -> int: ...
    def __getattr__(self, name: str, /) -> Any: ...


DENOISERS = ("transformer", "transformer_2", "unet")
"""Names of a pipeline's parts that denoise, as they are built of blocks."""


class Network(Protocol):
    """A denoiser, a caption encoder or a vocoder: a module with a configuration."""

    config: Settings
    dtype: torch.dtype

    def __call__(self, *args: object, **kwargs: object) -> Any: ...
    def __getattr__(self, name: str, /) -> Any: ...


class Autoencoder(Protocol):
    """An autoencoder of pictures, clips or sounds."""

    config: Settings
    dtype: torch.dtype
    decoder: nn.Module
    decode: Callable[..., Any]

    def encode(self, batch: Tensor, /) -> Any:
        """An output with the posterior of a batch's latents."""

    def to(self, dtype: torch.dtype, /) -> Any:
        """Turn its weights into another precision, in place."""

    def __getattr__(self, name: str, /) -> Any: ...


class Pipeline(Protocol):
    """A `DiffusionPipeline`: its parts by name, and a call that makes media."""

    config: Settings
    scheduler: Scheduler
    vae: Autoencoder
    text_encoder: Network
    tokenizer: TextTokenizer

    @property
    def components(self) -> Mapping[str, object]:
        """Its parts by name; None for one that it does without."""

    def __call__(self, **kwargs: object) -> tuple[np.ndarray, ...]: ...
    def __getattr__(self, name: str, /) -> Any: ...
