"""Pictures cut into tiles of one size: InternVL, SmolVLM and Idefics 3, LLaVA-OneVision.

transformers' own processors on Pillow cut them; how many tiles that makes is told by a picture's
size. Shapes: N tiles (N, 3, H, W), K soft tokens of each.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.image_processing_backends import PilBackend

from anymodal.language.families.base import MediaReader
from anymodal.language.families.pixels import write_settings
from anymodal.media import Image


class TileReader(MediaReader):
    """Reads pictures as tiles.

    Args:
        model: the language model.
        processor: cuts and normalises pictures.
    """

    media = Image

    def __init__(self, model: PreTrainedModel, processor: PilBackend) -> None:
        super().__init__(model)
        self.processor = processor

    @property
    def modules(self) -> Sequence[nn.Module]:
        return tower_modules(self.model)

    def metadata(self) -> Mapping[str, object]:
        settings: dict[str, object] = self.processor.to_dict()
        return settings

    def save_pretrained(self, folder: str | Path) -> None:
        write_settings(self.metadata(), folder, clips=False)

    def processed(self, media: Any) -> dict[str, Any]:
        """The processor's inputs of one picture, as NumPy arrays."""
        pixels = np.ascontiguousarray(media.pixels.transpose(2, 0, 1))
        inputs = self.processor(pixels, input_data_format="channels_first", return_tensors="np")
        return dict(inputs)

    def prepare(self, media: Any) -> Tensor:
        tiles = np.asarray(self.processed(media)["pixel_values"], np.float32)
        return torch.from_numpy(tiles).reshape(-1, *tiles.shape[-3:])

    def read(self, batch: Sequence[Tensor]) -> Sequence[Tensor]:
        tokens = self.features(torch.cat([*batch]))  # (all tiles, K, D)
        return [each.flatten(0, 1) for each in tokens.split([len(tiles) for tiles in batch])]

    @abstractmethod
    def features(self, tiles: Tensor) -> Tensor:
        """Soft tokens (N, K, D) of tiles."""


def tower_modules(model: PreTrainedModel) -> tuple[nn.Module, ...]:
    """The parts of a model that read pictures."""
    parts = (getattr(model.model, name, None) for name in _TOWERS)
    return tuple(part for part in parts if part is not None)


_TOWERS = ("vision_tower", "vision_model", "multi_modal_projector", "connector")
"""What transformers calls the parts of a model that read pictures."""
