"""What the parts of a model learn before they are composed: each a model for `Run`.

Every objective has `collate(samples) -> batch`, `forward(batch) -> named losses` and
`save_pretrained(folder)`, and trains the part it is given.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anymodal.data.captioned import Captioned
from anymodal.decoders import Decoder
from anymodal.decoders.autoencoders import normalise_latents
from anymodal.distributed import collectives
from anymodal.distributed.collectives import WeightedLoss
from anymodal.encoders import Encoder, ImageBind, ImageBindEncoder
from anymodal.encoders.imagebind.clip_tokens import tokenize
from anymodal.io.checkpoint import WEIGHTS, save_weights
from anymodal.io.feature_cache import FeatureCache
from anymodal.language.model import IGNORED, LanguageModel, supervised
from anymodal.language.packing import Packed, pack
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
        self.feature_cache = FeatureCache()

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
        return self.feature_cache.get_or_compute(self.decoder.encoding(), keys, encode, device)[0]

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

    packed = True

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
        return pack(rows, labels, self.packed and self.language.packs)

    def forward(self, batch: Packed) -> dict[str, Tensor]:
        embeds = self.language.embed(batch.ids)
        hidden = self.language(embeds, positions=batch.positions.to(embeds.device))
        loss = self.language.loss(hidden, batch.labels.to(embeds.device))
        return collectives.reduce_losses([WeightedLoss("text", loss, supervised(batch.labels))])

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
        """By modality: media, what they are bound to, and numbers (B, T) for their T texts.

        A sample is something in several media, or a list of such that are hard to tell apart. The
        texts of a medium are its caption and its details; an empty one has the number -1.
        """
        batch = {}
        nested = ([sample] if isinstance(sample, Mapping) else sample for sample in samples)
        scenes = [scene for group in nested for scene in group]
        for name in self.loss_names:
            needed = {name} if self.anchor == "text" else {name, self.anchor}
            whole = [scene for scene in scenes if needed <= scene.keys()]
            if not whole:
                continue
            texts = [self._texts(sample[name]) for sample in whole]
            marks = torch.tensor([[_mark(text) if text else -1 for text in row] for row in texts])
            batch[name] = (self._prepared(name, whole), self._anchors(whole, texts), marks)
        return batch

    def _texts(self, sample: Captioned) -> tuple[str, ...]:
        """What tells a medium from others: details too, where texts are the anchor."""
        return (sample.caption, *(sample.details if self.anchor == "text" else ()))

    def _prepared(self, name: str, samples: Sequence[Mapping[str, Captioned]]) -> Tensor:
        return torch.stack([self.views[name].prepare(sample[name].media) for sample in samples])

    def _anchors(
        self, samples: Sequence[Mapping[str, Captioned]], texts: Sequence[tuple[str, ...]]
    ) -> Tensor:
        """Media (B, ...), or the ids (B, T, context) of texts."""
        if self.anchor != "text":
            return self._prepared(self.anchor, samples)
        assert isinstance(self.model, ImageBind), "checked in the constructor"
        flat = [text for row in texts for text in row]
        ids = tokenize(self.tokenizer, flat, self.model.config["trunks"]["text"]["context"])
        return ids.view(len(texts), -1, ids.shape[1])  # (B, T, context)

    def forward(self, batch: Mapping[str, tuple[Tensor, Tensor, Tensor]]) -> dict[str, Tensor]:
        losses = {}
        for name in self.loss_names:
            # Every item is told from those of all processes, as in one with the whole batch.
            media, anchors, marks = (
                collectives.all_gather_with_grad(rows.flatten(1))
                for rows in self._embedded(name, batch)
            )
            if len(marks):
                anchors = anchors.unflatten(1, (marks.shape[1], -1))  # (B, T, E)
                loss = _told_apart(media, anchors, marks, self.scale)
                # Only own rows have a gradient, and gradients are averaged: P times what they give.
                losses[name] = (
                    collectives.world_size() * loss - (collectives.world_size() - 1) * loss.detach()
                )
        return losses

    def _embedded(
        self, name: str, batch: Mapping[str, tuple[Tensor, Tensor, Tensor]]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Embeddings (B, E) of one modality's media and (B, T, E) of their anchors, and marks."""
        if name not in batch:
            none = torch.zeros(0, 0, device=next(self.parameters()).device)
            return none, none, none.long()
        media, anchors, marks = batch[name]
        pair = self.views[name].embed(media), self._embed_anchors(anchors)
        first, second = (F.normalize(embeds.float(), dim=-1) for embeds in pair)
        return first, second, marks

    def _embed_anchors(self, anchors: Tensor) -> Tensor:
        """Embeddings (B, T, E), or (B, 1, E) of media."""
        if self.anchor != "text":
            seen: Tensor = self.views[self.anchor].embed(anchors)
            return seen[:, None]  # (B, 1, E)
        rows, places = torch.unique(anchors.flatten(0, 1), dim=0, return_inverse=True)
        embeds: Tensor = self.model({"text": rows})["text"][places]
        return embeds.view(*anchors.shape[:2], -1)  # (B, T, E)

    def save_pretrained(self, folder: Path) -> None:
        """Write the ImageBind, or the weights of the encoders that learned."""
        if isinstance(self.model, ImageBind):
            self.model.save_pretrained(folder)
            return
        trained = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        save_weights(trained, Path(folder) / WEIGHTS)


def _mark(caption: str) -> int:
    """63 bits of a caption's hash, the same in every process."""
    return int.from_bytes(hashlib.sha256(caption.encode()).digest()[:8]) >> 1


def _told_apart(media: Tensor, anchors: Tensor, marks: Tensor, scale: float) -> Tensor:
    """The mean over texts of how well media (B, E) are told apart by each of theirs (B, T, E)."""
    losses = []
    for embeds, numbers in zip(anchors.unbind(1), marks.unbind(1), strict=True):
        told = numbers >= 0
        if told.any():
            same = numbers[told][:, None] == numbers[told]
            losses.append(contrastive(media[told], embeds[told], same, scale))
    return torch.stack(losses).mean()


def contrastive(first: Tensor, second: Tensor, same: Tensor, scale: float) -> Tensor:
    """Symmetric InfoNCE in which several items may match.

    Source: ImageBind (Girdhar et al. 2023), equation 1; targets spread over equal captions as in
    supervised contrastive learning (Khosla et al. 2020, equation 2).

    Shapes: first and second (B, E), L2-normalised; same (B, B), bool, True where items match.
    """
    logits = scale * first @ second.T  # (B, B)
    wanted = same.float() / same.float().sum(1, keepdim=True)
    return (F.cross_entropy(logits, wanted) + F.cross_entropy(logits.T, wanted)) / 2
