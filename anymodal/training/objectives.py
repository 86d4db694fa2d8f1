"""What the parts of a model learn before they are composed: each a model for `Run`.

Every objective has `collate(samples) -> batch`, `forward(batch) -> named losses` and
`save_pretrained(folder)`, and trains the part it is given.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anymodal.data.captioned import Captioned
from anymodal.decoders import Decoder
from anymodal.decoders.autoencoders import normalise_latents
from anymodal.encoders import ImageBind, ImageBindEncoder
from anymodal.encoders.clip_text import tokenize
from anymodal.keep import Kept
from anymodal.language import LanguageModel
from anymodal.packing import Packed, pack
from anymodal.types import Message


class CaptionedDiffusion(nn.Module):
    """Text-to-medium diffusion: the caption encoder and the denoiser learn together.

    Classifier-free guidance needs captions dropped at times (Ho and Salimans 2022, algorithm 1).

    Args:
        decoder: what to train; its autoencoder stays as it is.
        dropout: share of captions replaced by the empty one.
    """

    def __init__(self, decoder: Decoder, dropout: float = 0.1) -> None:
        super().__init__()
        self.decoder, self.dropout = decoder, dropout
        self.kept = Kept()

    def collate(self, samples: list[Captioned]) -> list[Captioned]:
        return samples

    def forward(self, batch: list[Captioned]) -> dict[str, Tensor]:
        latents = self._latents([sample.media for sample in batch])
        drop = torch.rand(len(batch)) < self.dropout
        captions = ["" if d else s.caption for d, s in zip(drop, batch, strict=True)]
        conditioning = self.decoder.embed_captions(captions)
        return {"denoise": self.decoder.loss(latents, conditioning)}

    @torch.no_grad()
    def _latents(self, media: list[Any]) -> Tensor:
        def encode(places: list[int]) -> list[Tensor]:
            batch = torch.stack([self.decoder.prepare(media[place]) for place in places])
            return list(self.decoder.encode(batch.to(device)).float())

        device = next(self.decoder.parameters()).device
        kept = self.kept.get([item.digest() for item in media], encode)
        return torch.stack([latent.to(device) for latent in kept])

    def save_pretrained(self, folder: Path) -> None:
        self.decoder.save_pretrained(folder)


class LanguageModeling(nn.Module):
    """Causal language modelling of whole conversations: every token is a target.

    Args:
        language: what to train.
        max_length: tokens; longer conversations are cut.
    """

    def __init__(self, language: LanguageModel, max_length: int = 512) -> None:
        super().__init__()
        self.language, self.max_length = language, max_length

    def collate(self, samples: list[list[Message]]) -> Packed:
        rows = []
        for messages in samples:
            turns = [(m.role, [str(part) for part in m.content]) for m in messages]
            segments = self.language.render_chat(turns, add_generation_prompt=False)
            rows.append([i for segment in segments for i in segment.ids][: self.max_length])
        return pack(rows, rows)

    def forward(self, batch: Packed) -> dict[str, Tensor]:
        embeds = self.language.embed(batch.ids)
        hidden = self.language(embeds, positions=batch.positions.to(embeds.device))
        return {"text": self.language.loss(hidden, batch.labels.to(embeds.device))}

    def save_pretrained(self, folder: Path) -> None:
        self.language.save_pretrained(folder)


class Autoencoding(nn.Module):
    """An autoencoder learns to give media back; its latents then get unit variance.

    Args:
        losses: named losses of a batch, with `prepare(media)` and the `autoencoder` it trains.
        crop: length of a random stretch of the last axis; None to take all of it.
    """

    def __init__(self, losses: nn.Module, crop: int | None = None) -> None:
        super().__init__()
        self.losses, self.crop = losses, crop
        self.seen: Tensor | None = None

    def collate(self, samples: list[Captioned]) -> Tensor:
        return torch.stack([self.losses.prepare(sample.media) for sample in samples])

    def forward(self, batch: Tensor) -> dict[str, Tensor]:
        if self.crop is not None:
            start = int(torch.randint(batch.shape[-1] - self.crop + 1, ()))
            batch = batch[..., start : start + self.crop]
        self.seen = batch
        named: dict[str, Tensor] = self.losses(batch)
        return named

    def save_pretrained(self, folder: Path) -> None:
        autoencoder = self.losses.autoencoder.eval()
        if self.seen is not None:
            normalise_latents(autoencoder, self.seen)
        autoencoder.save_pretrained(folder)


class Binding(nn.Module):
    """Encoders learn to embed a medium where its caption is embedded.

    Source: ImageBind (Girdhar et al. 2023), section 3.2, with the text as the anchor.

    Args:
        model: the encoders, which share an embedding; the text trunk is one of them.
        tokenizer: of the text trunk.
        modalities: which encoders to bind.
        scale: the logits' scale, one over the temperature.
    """

    def __init__(
        self, model: ImageBind, tokenizer: Any, modalities: list[str], scale: float = 15.0
    ) -> None:
        super().__init__()
        self.model, self.tokenizer, self.scale = model, tokenizer, scale
        self.views = [ImageBindEncoder(model, name) for name in modalities]
        self.loss_names = tuple(modalities)

    def collate(self, samples: list[dict[str, Captioned]]) -> dict[str, tuple[Tensor, list[str]]]:
        batch = {}
        for view in self.views:
            items = [sample[view.modality] for sample in samples if view.modality in sample]
            media = torch.stack([view.prepare(item.media) for item in items])
            batch[view.modality] = (media, [item.caption for item in items])
        return batch

    def forward(self, batch: dict[str, tuple[Tensor, list[str]]]) -> dict[str, Tensor]:
        losses = {}
        for name, (media, captions) in batch.items():
            ids = tokenize(self.tokenizer, captions, self.model.trunks["text"].context)
            embeds = self.model({name: media, "text": ids.to(media.device)})
            same = torch.tensor([[a == b for b in captions] for a in captions], device=media.device)
            units = (F.normalize(embeds[key], dim=-1) for key in (name, "text"))
            losses[name] = contrastive(*units, same, self.scale)
        return losses

    def save_pretrained(self, folder: Path) -> None:
        self.model.save_pretrained(folder)


def contrastive(first: Tensor, second: Tensor, same: Tensor, scale: float) -> Tensor:
    """Symmetric InfoNCE in which several items may match.

    Source: ImageBind (Girdhar et al. 2023), equation 1; targets spread over equal captions as in
    supervised contrastive learning (Khosla et al. 2020, equation 2).

    Shapes: first and second (B, E), L2-normalised; same (B, B), bool, True where items match.
    """
    logits = scale * first @ second.T  # (B, B)
    wanted = same.float() / same.float().sum(1, keepdim=True)
    return (F.cross_entropy(logits, wanted) + F.cross_entropy(logits.T, wanted)) / 2
