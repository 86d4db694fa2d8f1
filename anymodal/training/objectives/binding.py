"""Encoders bound to captions, or to one another."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from anymodal.data.captioned import Captioned
from anymodal.encoders import Encoder, ImageBind, ImageBindEncoder
from anymodal.encoders.base import like_weights
from anymodal.encoders.imagebind.clip_tokens import tokenize
from anymodal.io.checkpoint import WEIGHTS, save_weights
from anymodal.training.losses import Contrast
from anymodal.training.losses.contrast import BoundBatch, BoundMedia
from anymodal.training.objectives.base import Objective

SceneMedia = Mapping[str, Captioned]
"""Something in several media, by modality."""


class Binding(Objective[SceneMedia | Sequence[SceneMedia], BoundBatch]):
    """Encoders learn to embed a media item where an anchor embeds what belongs to it.

    The anchor is the item's own caption, read by the text trunk, or another media item of the same
    scene, read by an encoder that the stage leaves frozen. Each modality's contrast is a loss of
    the modality's name.

    Source: ImageBind (Girdhar et al. 2023), section 3.2, where the anchor is the picture.

    Args:
        model: an ImageBind, or encoders by modality with the anchor's among them.
        modalities: which encoders to bind.
        anchor: the modality to bind them to, or "text" for the captions.
        tokenizer: of the text trunk, where that is the anchor.

    Raises:
        ValueError: if there is no encoder for a modality or the anchor, or no tokenizer for text.
    """

    def __init__(
        self,
        model: ImageBind | Mapping[str, Encoder],
        modalities: list[str],
        anchor: str = "text",
        tokenizer: PreTrainedTokenizerBase | None = None,
    ) -> None:
        names = [*modalities] if anchor == "text" else [*modalities, anchor]
        views: Mapping[str, Encoder]
        if isinstance(model, ImageBind):
            views = {name: ImageBindEncoder(model, name) for name in names}
        else:
            views = model
        if absent := [name for name in names if name not in views]:
            raise ValueError(f"no encoder for {', '.join(absent)}; there are {', '.join(views)}")
        if anchor == "text" and (tokenizer is None or not isinstance(model, ImageBind)):
            raise ValueError(
                "captions as the anchor need an ImageBind with a text trunk and its tokenizer; "
                "give them, or anchor= the name of another modality"
            )
        super().__init__(
            model if isinstance(model, ImageBind) else nn.ModuleDict(model),
            dict.fromkeys(modalities, Contrast),
        )
        self.views = dict(views)  # a plain mapping: their weights count once, as the model's
        self.anchor, self.tokenizer = anchor, tokenizer

    def collate(self, samples: Sequence[SceneMedia | Sequence[SceneMedia]]) -> BoundBatch:
        """By modality: media, what they are bound to, and marks (B, T) of their T texts.

        A sample is something in several media, or a list of such that are hard to tell apart. The
        texts of a media item are its caption and its details; an empty one has the mark -1.
        """
        batch = {}
        groups = ([sample] if isinstance(sample, Mapping) else sample for sample in samples)
        scenes = [scene for group in groups for scene in group]
        for name in self.known_losses:
            modalities = {name} if self.anchor == "text" else {name, self.anchor}
            complete = [scene for scene in scenes if modalities <= scene.keys()]
            if not complete:
                continue
            texts = [self._texts(sample[name]) for sample in complete]
            marks = torch.tensor([[_mark(text) if text else -1 for text in row] for row in texts])
            batch[name] = BoundMedia(
                self._prepare(name, complete), self._anchors(complete, texts), marks
            )
        return batch

    def _texts(self, sample: Captioned) -> tuple[str, ...]:
        """Texts that tell a media item from others: details too, where texts are the anchor."""
        return (sample.caption, *(sample.details if self.anchor == "text" else ()))

    def _prepare(self, name: str, samples: Sequence[SceneMedia]) -> Tensor:
        return torch.stack([self.views[name].prepare(sample[name].media) for sample in samples])

    def _anchors(self, samples: Sequence[SceneMedia], texts: Sequence[tuple[str, ...]]) -> Tensor:
        """Media (B, ...), or the ids (B, T, context) of texts."""
        if self.anchor != "text":
            return self._prepare(self.anchor, samples)
        assert isinstance(self.model, ImageBind), "checked in the constructor"
        flat = [text for row in texts for text in row]
        ids = tokenize(self.tokenizer, flat, self.model.config["trunks"]["text"]["context"])
        return ids.view(len(texts), -1, ids.shape[1])  # (B, T, context)

    def states(self, batch: BoundBatch) -> dict[str, BoundMedia]:
        """Embeddings (B, E) of each modality's media and (B, T, E) of their anchors, with marks.

        Those of a modality that a batch lacks are there, and empty: other processes may have some.
        """
        return {name: self._embed(name, batch) for name in self.losses}

    def _embed(self, name: str, batch: BoundBatch) -> BoundMedia:
        if name not in batch:
            none = torch.zeros(0, 0, device=self.device)
            return BoundMedia(none, none, torch.zeros(0, 0, dtype=torch.long))
        media, anchors, marks = batch[name]
        media = like_weights(media, self.model)
        pair = self.views[name].embed(media), self._embed_anchors(like_weights(anchors, self.model))
        first, second = (F.normalize(embeds.float(), dim=-1) for embeds in pair)
        return BoundMedia(first, second, marks)

    def _embed_anchors(self, anchors: Tensor) -> Tensor:
        """Embeddings (B, T, E), or (B, 1, E) of media."""
        if self.anchor != "text":
            media_embeds: Tensor = self.views[self.anchor].embed(anchors)
            return media_embeds[:, None]  # (B, 1, E)
        # Equal captions go through the text trunk once.
        rows, places = torch.unique(anchors.flatten(0, 1), dim=0, return_inverse=True)
        embeds: Tensor = self.model({"text": rows})["text"][places]
        return embeds.view(*anchors.shape[:2], -1)  # (B, T, E)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the ImageBind, or the weights of the encoders that learned."""
        if isinstance(self.model, ImageBind):
            self.model.save_pretrained(folder)
            return
        trained = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        save_weights(trained, Path(folder) / WEIGHTS)


def _mark(caption: str) -> int:
    """63 bits of a caption's hash, the same in every process."""
    # Not hash(), which Python salts anew in every process; 63 bits leave -1 of an int64 free.
    return int.from_bytes(hashlib.sha256(caption.encode()).digest()[:8]) >> 1
