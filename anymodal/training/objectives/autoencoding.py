"""Autoencoders of media."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from anymodal.data.captioned import Captioned
from anymodal.decoders.autoencoders import AutoencoderLoss, normalise_latents
from anymodal.encoders.base import like_weights
from anymodal.training.losses import Reconstruction
from anymodal.training.objectives.base import Objective


class Autoencoding(Objective[Captioned, Tensor]):
    """An autoencoder learns to give media back; its latents then get unit variance.

    Args:
        model: the reconstruction of media by the autoencoder that it trains, in named terms.
        crop: length of a random stretch of the last axis; None to take all of it.
    """

    model: AutoencoderLoss

    def __init__(self, model: AutoencoderLoss, crop: int | None = None) -> None:
        super().__init__(model, dict.fromkeys(model.terms, Reconstruction))
        self.crop = crop
        self.last_batch: Tensor | None = None

    def collate(self, samples: Sequence[Captioned]) -> Tensor:
        return torch.stack([self.model.prepare(sample.media) for sample in samples])

    def states(self, batch: Tensor) -> dict[str, Tensor]:
        if self.crop is not None:
            start = int(torch.randint(batch.shape[-1] - self.crop + 1, ()))
            batch = batch[..., start : start + self.crop]
        batch = like_weights(batch, self.model)
        if torch.is_grad_enabled():  # a held-out batch leaves the latents' scale alone
            self.last_batch = batch
        terms: dict[str, Tensor] = self.model(batch)
        return terms

    def save_pretrained(self, folder: str | Path) -> None:
        """Scale the latents by the last batch that was seen, and write the autoencoder.

        Raises:
            ValueError: if there was none.
        """
        autoencoder = self.model.autoencoder.eval()
        if self.last_batch is None:
            raise ValueError("no batch has been seen to scale the latents by; train one more step")
        normalise_latents(autoencoder, self.last_batch)
        autoencoder.save_pretrained(folder)
