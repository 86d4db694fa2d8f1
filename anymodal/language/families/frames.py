"""Clips as evenly spread frames of one size, as LLaVA-OneVision and InternVL read them.

Their processors for clips are torchvision's alone, so frames are prepared as pictures are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from anymodal.language.families.base import MediaReader
from anymodal.language.families.pixels import Settings, prepare_pixels, write_settings
from anymodal.language.families.tiles import tower_modules
from anymodal.media import Video

NO_CLIPS = (
    "transformers' own processor for this language model takes pictures alone; give some of the "
    "clip's frames as pictures, or a modality with an encoder of clips"
)
"""Why a family reads no clips, and what to do."""

FRAME_DEFAULTS: Settings = {
    "do_resize": True,
    "resample": 3,  # bicubic
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": OPENAI_CLIP_MEAN,
    "image_std": OPENAI_CLIP_STD,
    "size": {"height": 384, "width": 384},
}


class FrameReader(MediaReader):
    """Reads clips as at most so many frames, each resized to one size whatever its shape.

    Args:
        model: the language model.
        settings: of clips.
        most: frames where the settings tell no `num_frames`.
    """

    media = Video

    def __init__(self, model: PreTrainedModel, settings: Settings, most: int) -> None:
        super().__init__(model)
        self.settings = settings
        self.most = int(settings.get("num_frames") or most)

    @property
    def modules(self) -> Sequence[nn.Module]:
        return tower_modules(self.model)

    def metadata(self) -> Mapping[str, object]:
        return {**self.settings, "num_frames": self.most}

    def save_pretrained(self, folder: str | Path) -> None:
        write_settings(self.metadata(), folder, clips=True)

    def chosen(self, media: Any) -> NDArray[np.int64]:
        """The numbers of the frames that are read, each from the middle of its part of the clip.

        Source: `sample_frames` of transformers' video processor of InternVL.
        """
        total = len(media.frames)
        count = min(self.most, total)
        step = total / count
        chosen: NDArray[np.int64] = (step / 2 + step * np.arange(count)).astype(np.int64)
        return chosen

    def prepare(self, media: Any) -> Tensor:
        size = self.settings["size"]
        frames: NDArray[np.uint8] = media.frames[self.chosen(media)]
        return prepare_pixels(frames, (size["height"], size["width"]), self.settings)
