"""Scales of latents."""

from __future__ import annotations

import torch
from torch import Tensor

from anymodal.decoders.pipeline import Autoencoder


def latent_channels(vae: Autoencoder) -> int:
    """Channels of an autoencoder's latents; a denoiser may read further ones, of references."""
    config = vae.config
    return int(config.get("latent_channels") or config.z_dim)


def standardize_latents(vae: Autoencoder, latents: Tensor) -> Tensor:
    """Latents (B, C, T, h, w) by the mean and the deviation of each channel, as Wan's are.

    Source: `latents_mean` and `latents_std` of the autoencoder's configuration.
    """
    mean, std = (
        torch.tensor(vae.config[name]).view(1, -1, 1, 1, 1).to(latents)
        for name in ("latents_mean", "latents_std")
    )
    return torch.as_tensor((latents - mean) / std)
