"""Losses that train the small autoencoders from scratch, and the scale of their latents.

Each loss gives named terms, already weighted, so that their sum is what to minimise. `autoencoder`
is the part that is trained.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, AutoencoderOobleck
from torch import Tensor, nn

from anymodal.decoders.families.base import center_crop_square
from anymodal.media import Audio, Image, Media

NOISE = 0.1
"""Noise on a sound's latents while training, in their own deviations: it keeps neighbours alike.

A learned deviation with its divergence from the normal, as pictures have it, drowned a small
autoencoder of sound in noise before its latents had learned to carry anything.
"""

FLOOR = 0.1
"""Magnitude below which a spectrum counts as silent: no gradient is spent on a noise floor."""


class AutoencoderLoss(nn.Module, ABC):
    """The training loss of an autoencoder, in named terms.

    Attributes:
        terms: their names.
        autoencoder: the part that is trained.
    """

    terms: ClassVar[tuple[str, ...]]
    autoencoder: Any

    @abstractmethod
    def prepare(self, media: Media) -> Tensor:
        """Turn one media item into the tensor that `forward` takes a batch of."""

    @abstractmethod
    def forward(self, batch: Tensor) -> dict[str, Tensor]:
        """Give the terms of a batch, each weighted already."""


class PictureAutoencoderLoss(AutoencoderLoss):
    """Errors of pixels and of their differences, with a slight pull to the normal.

    Colour is learned by squared errors: the absolute error alone is content with the median, which
    for fills of many colours is grey. A small autoencoder first finds what is light and dark, and
    stays grey for a thousand steps unless colour alone counts more.

    Args:
        autoencoder: of pictures, (B, 3, H, W) in [-1, 1].
        square: weight of the squared error, beside the absolute one.
        chroma: weight of the squared error of colour alone, without its mean over the channels.
        edge: weight of the differences between neighbours, which keep outlines sharp.
        kl: weight of the divergence from the standard normal, per latent value.
    """

    terms = ("l1", "l2", "chroma", "edge", "kl")

    def __init__(
        self,
        autoencoder: AutoencoderKL,
        *,
        square: float = 5.0,
        chroma: float = 20.0,
        edge: float = 0.5,
        kl: float = 1e-4,
    ) -> None:
        super().__init__()
        self.autoencoder = autoencoder
        self.square, self.chroma, self.edge, self.kl = square, chroma, edge, kl

    def prepare(self, media: Media) -> Tensor:
        """Turn one picture into a tensor of the autoencoder's size."""
        assert isinstance(media, Image), "an autoencoder of pictures is given pictures"
        return center_crop_square(media.pixels, self.autoencoder.config.sample_size)

    def forward(self, batch: Tensor) -> dict[str, Tensor]:
        """The terms l1, l2, chroma, edge and kl for a batch (B, 3, H, W)."""
        posterior = self.autoencoder.encode(batch).latent_dist
        error = self.autoencoder.decode(posterior.sample()).sample.float() - batch
        across, down = error.diff(dim=-1).abs().mean(), error.diff(dim=-2).abs().mean()
        return {
            "l1": error.abs().mean(),
            "l2": self.square * error.square().mean(),
            "chroma": self.chroma * (error - error.mean(1, keepdim=True)).square().mean(),
            "edge": self.edge * (across + down),
            # The divergence comes summed over an item's latent values.
            "kl": self.kl * posterior.kl().float().mean() / posterior.mean[0].numel(),
        }


class WaveformAutoencoderLoss(AutoencoderLoss):
    """Multi-resolution spectra and squared error.

    The spectral term is Yamamoto et al. 2020 (https://arxiv.org/abs/1910.11480, equations 4-7):
    spectral convergence plus the log magnitude's absolute error, meaned over the windows.

    Args:
        autoencoder: of waveforms, (B, channels, n) in [-1, 1].
        windows: lengths of the spectra's windows, in samples; hops are a quarter.
        square: weight of the waveform's squared error, which teaches the phase of low tones first.
    """

    terms = ("stft", "l2")

    def __init__(
        self,
        autoencoder: AutoencoderOobleck,
        *,
        windows: Sequence[int] = (2048, 1024, 512, 256, 128),
        square: float = 20.0,
    ) -> None:
        super().__init__()
        self.autoencoder = autoencoder
        self.windows, self.square = tuple(windows), square

    def prepare(self, media: Media) -> Tensor:
        """Turn one sound into a mono tensor (1, n) at the autoencoder's rate."""
        assert isinstance(media, Audio), "an autoencoder of sounds is given sounds"
        rate = self.autoencoder.config.sampling_rate
        return torch.from_numpy(media.mono().resample(rate).samples)

    def forward(self, batch: Tensor) -> dict[str, Tensor]:
        """The terms stft and l2 for a batch (B, channels, n)."""
        output = _decode_noisy(self.autoencoder, batch)
        stft = [spectral_error(output, batch, window) for window in self.windows]
        return {
            "stft": torch.stack(stft).mean(),
            "l2": self.square * F.mse_loss(output, batch),
        }


def _decode_noisy(autoencoder: AutoencoderOobleck, batch: Tensor) -> Tensor:
    """The sounds decoded from a batch's latents, with noise on them."""
    latents = autoencoder.encode(batch).latent_dist.mode().float()
    # Per channel: a channel's offset, the same for all media, says nothing of them.
    deviation = latents.std(dim=(0, 2), keepdim=True).detach()  # (1, C, 1)
    noise = NOISE * deviation * torch.randn_like(latents)
    output: Tensor = autoencoder.decode(latents + noise).sample
    return output.float()


def spectral_error(output: Tensor, target: Tensor, window: int) -> Tensor:
    """Spectral convergence plus log-magnitude error of waveforms (B, channels, n)."""
    shape = torch.hann_window(window, device=output.device)
    spectra = []
    for signal in (output, target):
        flat = signal.flatten(0, 1).float()  # (B, channels, n) -> (B * channels, n)
        bins = torch.stft(flat, window, window // 4, window=shape, return_complex=True)
        spectra.append((bins.real**2 + bins.imag**2 + FLOOR**2).sqrt())
    of_output, of_target = spectra
    # Over the whole batch: an item that is nearly silent would outweigh all others.
    convergence: Tensor = torch.linalg.vector_norm(
        of_output - of_target
    ) / torch.linalg.vector_norm(of_target)
    return convergence + F.l1_loss(of_output.log(), of_target.log())


@torch.no_grad()
def normalise_latents(autoencoder: AutoencoderKL | AutoencoderOobleck, batch: Tensor) -> float:
    """Give latents unit variance, as diffusion wants them, and return what their deviation was.

    An `AutoencoderKL` gets the scaling factor that its pipelines apply. An `AutoencoderOobleck`
    has none, so the scale moves into the last layer of its encoder and the first of its decoder.

    Args:
        autoencoder: the trained autoencoder, changed in place.
        batch: representative media, the more the better.

    Raises:
        ValueError: the latents do not vary, or not finitely.
    """
    deviation = float(autoencoder.encode(batch).latent_dist.mode().float().std())
    if not 0 < deviation < float("inf"):
        raise ValueError(
            f"the latents' standard deviation is {deviation}; pass several different media to an "
            "autoencoder whose weights are finite"
        )
    if isinstance(autoencoder, AutoencoderKL):
        autoencoder.register_to_config(scaling_factor=1 / deviation)
        return deviation
    last, first = autoencoder.encoder.conv2, autoencoder.decoder.conv1
    means = slice(0, autoencoder.config.decoder_input_channels)
    last.weight_g[means] /= deviation
    last.bias[means] /= deviation
    # Behind the means come the deviations before softplus, which is close to exp where small.
    last.bias[means.stop :] -= torch.tensor(deviation).log()
    first.weight_g *= deviation
    return deviation
