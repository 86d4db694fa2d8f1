"""A linear head over an encoder's features, and its folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from anymodal.encoders import Encoder
from anymodal.io import checkpoint
from anymodal.io.checkpoint import WEIGHTS, CheckpointError
from anymodal.io.folder_check import MAX_PARSED, read_text_file
from anymodal.media import Media

HEAD, CLASSES = "head.safetensors", "classes.json"
_ENCODERS = "encoders."


class Classifier(nn.Module):
    """A linear map from the mean of an encoder's features to logits of classes.

    Its folder has the encoder's weights by the names that a composed model has for them, so that
    `weights: [FOLDER]` in a model's configuration starts from them, and the head beside them.

    Args:
        modality: what models call the encoder.
        encoder: gives the features.
        labels: of the classes, in order.

    Raises:
        ValueError: for fewer than two labels, or one that comes twice.
    """

    def __init__(self, modality: str, encoder: Encoder, labels: Sequence[str]) -> None:
        super().__init__()
        labels = [str(label) for label in labels]
        if len(set(labels)) < max(2, len(labels)):
            raise ValueError(f"labels={labels!r}; give two or more, each once")
        self.modality, self.labels = modality, labels
        self.encoders = nn.ModuleDict({modality: encoder})
        self.head = nn.Linear(encoder.width, len(labels))

    @property
    def encoder(self) -> Encoder:
        """The encoder."""
        encoder = self.encoders[self.modality]
        assert isinstance(encoder, Encoder)
        return encoder

    def forward(self, batch: Tensor) -> Tensor:
        """Logits (B, C) of a stacked batch of prepared media."""
        values, mask = self.encoder(batch)  # (B, N, D), (B, N)
        weights = mask.to(values.dtype)[..., None]  # (B, N, 1)
        mean = (values * weights).sum(1) / weights.sum(1).clamp(min=1)  # (B, D)
        logits: Tensor = self.head(mean)
        return logits

    @torch.inference_mode()
    def probabilities(self, media: Sequence[Media], batch_size: int = 64) -> Tensor:
        """Probabilities (N, C) of the classes of media, in evaluation mode, on the CPU."""
        self.eval()
        pieces = [torch.zeros(0, len(self.labels))]
        for start in range(0, len(media), batch_size):
            prepared = [self.encoder.prepare(each) for each in media[start : start + batch_size]]
            logits = self(self.encoder.to_weights(torch.stack(prepared)))
            pieces.append(logits.float().softmax(1).cpu())
        return torch.cat(pieces)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the encoder's weights, the head and the labels."""
        folder, state = Path(folder), self.state_dict()
        encoder = {name: value for name, value in state.items() if name.startswith(_ENCODERS)}
        checkpoint.save_weights(encoder, folder / WEIGHTS)
        checkpoint.save_weights(self.head.state_dict(), folder / HEAD)
        checkpoint.write_manifest(folder, {f"encoder.{self.modality}": self.encoder.metadata()})
        text = json.dumps({"modality": self.modality, "labels": self.labels}, ensure_ascii=False)
        with checkpoint.replacing(folder / CLASSES) as temporary:
            temporary.write_text(text + "\n", "utf-8")

    @classmethod
    def from_pretrained(cls, folder: str | Path, encoder: Encoder) -> Self:
        """Open what `save_pretrained` wrote.

        Args:
            folder: of a finished run.
            encoder: of the class that was trained; it is given its weights.

        Raises:
            CheckpointError: if a file is missing or damaged, or the weights are another encoder's.
        """
        folder = Path(folder)
        try:
            content = json.loads(read_text_file(folder / CLASSES, MAX_PARSED))
            classifier = cls(str(content["modality"]), encoder, content["labels"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{folder / CLASSES} names no classes: {error}") from error
        tensors = checkpoint.load_weights(folder / WEIGHTS)
        head = checkpoint.load_weights(folder / HEAD)
        tensors |= {f"head.{name}": value for name, value in head.items()}
        checkpoint.compare_shapes(tensors, classifier.state_dict(), str(folder / WEIGHTS))
        classifier.load_state_dict(tensors)
        return classifier.eval()
