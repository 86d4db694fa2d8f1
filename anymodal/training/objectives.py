"""What the parts of a model learn before they are composed: each a model for `Run`.

Every objective has `collate(samples) -> batch`, `forward(batch) -> named losses` and
`save_pretrained(folder)`, and trains the part it is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anymodal.checkpoint import WEIGHTS, save_weights
from anymodal.data.captioned import Captioned
from anymodal.decoders import Decoder
from anymodal.decoders.autoencoders import normalise_latents
from anymodal.encoders import Encoder, ImageBind, ImageBindEncoder
from anymodal.encoders.clip_text import tokenize
from anymodal.keep import Kept
from anymodal.language import IGNORED, LanguageModel
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

    def keep(self, batch: list[Captioned]) -> None:
        """Compute the latents of a batch, for `kept`."""
        self._latents([sample.media for sample in batch])

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
            return [self.decoder.encode(batch.to(device)).float()]

        device = next(self.decoder.parameters()).device
        keys = [item.digest() for item in media]
        return self.kept.get(self.decoder.encoding(), keys, encode, device)[0]

    def save_pretrained(self, folder: Path) -> None:
        self.decoder.save_pretrained(folder)


class LanguageModeling(nn.Module):
    """Causal language modelling of the assistant's words in whole conversations.

    What users say is read and not learned: it can't be foretold, and a small model that is made to
    try learns much later to answer from what it read.

    Args:
        language: what to train.
        max_length: tokens; longer conversations are cut.
    """

    def __init__(self, language: LanguageModel, max_length: int = 512) -> None:
        super().__init__()
        self.language, self.max_length = language, max_length

    def collate(self, samples: list[list[Message]]) -> Packed:
        rows: list[list[int]] = []
        labels: list[list[int]] = []
        for messages in samples:
            turns = [(m.role, [str(part) for part in m.content]) for m in messages]
            segments = self.language.render_chat(turns, add_generation_prompt=False)
            ids = [i for segment in segments for i in segment.ids]
            wanted = [
                i if segment.supervised else IGNORED for segment in segments for i in segment.ids
            ]
            rows.append(ids[: self.max_length])
            labels.append(wanted[: self.max_length])
        return pack(rows, labels)

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

    losses: Any

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
        self.seen = batch = batch.to(next(self.parameters()).device)
        named: dict[str, Tensor] = self.losses(batch)
        return named

    def save_pretrained(self, folder: Path) -> None:
        autoencoder = self.losses.autoencoder.eval()
        if self.seen is None:
            raise ValueError("no batch has been seen to scale the latents by; train one more step")
        normalise_latents(autoencoder, self.seen)
        autoencoder.save_pretrained(folder)


class Binding(nn.Module):
    """Encoders learn to embed a medium where an anchor embeds what belongs to it.

    The anchor is the medium's own caption, read by the text trunk, or another medium of the same
    scene, read by an encoder that the stage leaves frozen.

    Source: ImageBind (Girdhar et al. 2023), section 3.2, where the anchor is the picture.

    Args:
        model: an ImageBind, or encoders by modality with the anchor's among them.
        modalities: which encoders to bind.
        anchor: the modality to bind them to, or "text" for the captions.
        tokenizer: of the text trunk, where that is the anchor.
        scale: the logits' scale, one over the temperature.

    Raises:
        ValueError: if there is no encoder for a modality or the anchor, or no tokenizer for text.
    """

    def __init__(
        self,
        model: ImageBind | Mapping[str, Encoder],
        modalities: list[str],
        anchor: str = "text",
        tokenizer: Any = None,
        scale: float = 15.0,
    ) -> None:
        super().__init__()
        names = [*modalities] if anchor == "text" else [*modalities, anchor]
        views: Mapping[str, Encoder]
        if isinstance(model, ImageBind):
            views = {name: ImageBindEncoder(model, name) for name in names}
        else:
            views = model
        if missing := [name for name in names if name not in views]:
            raise ValueError(f"no encoder for {', '.join(missing)}; there are {', '.join(views)}")
        if anchor == "text" and (tokenizer is None or not isinstance(model, ImageBind)):
            raise ValueError(
                "captions as the anchor need an ImageBind with a text trunk and its tokenizer; "
                "give them, or anchor= the name of another modality"
            )
        self.model = model if isinstance(model, ImageBind) else nn.ModuleDict(model)
        self.views = dict(views)  # a plain mapping: their weights count once, as the model's
        self.anchor, self.tokenizer, self.scale = anchor, tokenizer, scale
        self.loss_names = tuple(modalities)

    def collate(
        self, samples: Sequence[Mapping[str, Captioned] | Sequence[Mapping[str, Captioned]]]
    ) -> dict[str, tuple[Tensor, Tensor, Tensor]]:
        """By modality: media, what they are bound to, and which of them are the same (B, B).

        A sample is something in several media, or a list of such that are hard to tell apart.
        """
        batch = {}
        nested = ([sample] if isinstance(sample, Mapping) else sample for sample in samples)
        scenes = [scene for group in nested for scene in group]
        for name in self.loss_names:
            needed = {name} if self.anchor == "text" else {name, self.anchor}
            whole = [scene for scene in scenes if needed <= scene.keys()]
            if not whole:
                continue
            captions = [sample[name].caption for sample in whole]
            same = torch.tensor([[a == b for b in captions] for a in captions])
            batch[name] = (self._prepared(name, whole), self._anchors(whole, captions), same)
        return batch

    def _prepared(self, name: str, samples: Sequence[Mapping[str, Captioned]]) -> Tensor:
        return torch.stack([self.views[name].prepare(sample[name].media) for sample in samples])

    def _anchors(
        self, samples: Sequence[Mapping[str, Captioned]], captions: Sequence[str]
    ) -> Tensor:
        if self.anchor != "text":
            return self._prepared(self.anchor, samples)
        assert isinstance(self.model, ImageBind), "checked in the constructor"
        return tokenize(self.tokenizer, captions, self.model.config["trunks"]["text"]["context"])

    def forward(self, batch: Mapping[str, tuple[Tensor, Tensor, Tensor]]) -> dict[str, Tensor]:
        losses = {}
        for name, (media, anchors, same) in batch.items():
            pair = self.views[name].embed(media), self._embed_anchors(anchors)
            first, second = (F.normalize(embeds, dim=-1) for embeds in pair)
            losses[name] = contrastive(first, second, same, self.scale)
        return losses

    def _embed_anchors(self, anchors: Tensor) -> Tensor:
        if self.anchor != "text":
            return self.views[self.anchor].embed(anchors)
        embeds: Tensor = self.model({"text": anchors})["text"]
        return embeds

    def save_pretrained(self, folder: Path) -> None:
        """Write the ImageBind, or the weights of the encoders that learned."""
        if isinstance(self.model, ImageBind):
            self.model.save_pretrained(folder)
            return
        trained = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        save_weights(trained, Path(folder) / WEIGHTS)


def contrastive(first: Tensor, second: Tensor, same: Tensor, scale: float) -> Tensor:
    """Symmetric InfoNCE in which several items may match.

    Source: ImageBind (Girdhar et al. 2023), equation 1; targets spread over equal captions as in
    supervised contrastive learning (Khosla et al. 2020, equation 2).

    Shapes: first and second (B, E), L2-normalised; same (B, B), bool, True where items match.
    """
    logits = scale * first @ second.T  # (B, B)
    wanted = same.float() / same.float().sum(1, keepdim=True)
    return (F.cross_entropy(logits, wanted) + F.cross_entropy(logits.T, wanted)) / 2
