"""Spectrograms in mel bands, as vocoders of the kind of HiFi-GAN are trained on."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers.audio_utils import mel_filter_bank


def log_mel(waves: Tensor, *, rate: int, size: int, hop: int, bands: int) -> Tensor:
    """The natural logarithm of magnitudes in mel bands of Slaney's kind, up to half the rate.

    Source: Kong et al. 2020 (HiFi-GAN, https://arxiv.org/abs/2010.05646), whose floor it has.

    Shapes: waves (B, n), n a multiple of `hop`; result (B, n / hop, bands).

    Args:
        waves: full scale is ±1.
        rate: of the waves, in Hz.
        size: of Hann's window, in samples.
        hop: from one window to the next.
        bands: how many.
    """
    spectra = torch.stft(
        waves.float(),
        size,
        hop,
        window=torch.hann_window(size, device=waves.device),
        pad_mode="reflect",
        return_complex=True,
    ).abs()  # (B, frequencies, rows + 1)
    filters = mel_filter_bank(spectra.shape[1], bands, 0, rate / 2, rate, "slaney", "slaney")
    # Centred windows give one row more than there are hops.
    rows = spectra[..., : waves.shape[1] // hop]
    mel = torch.from_numpy(filters).to(spectra).T @ rows
    return mel.clamp(min=1e-5).log().transpose(1, 2)
