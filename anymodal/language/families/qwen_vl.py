"""Qwen2-VL, Qwen2.5-VL and Qwen3-VL: any resolution, M-RoPE, DeepStack.

Sources: Wang et al. 2024 (Qwen2-VL, arXiv:2409.12191), section 2; Bai et al. 2025 (Qwen2.5-VL,
arXiv:2502.13923), section 2.1; Bai et al. 2025 (Qwen3-VL, arXiv:2511.21631). transformers'
`models/qwen2_vl`, `qwen2_5_vl` and `qwen3_vl` for grids, positions and the clips' timestamps.

Shapes: (t, h, w) a grid of patches; merged 2 × 2, a place each for a soft token.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from anymodal.io.protocols import TextTokenizer
from anymodal.language.families.base import (
    Checkpoint,
    ImageTextFamily,
    MediaReader,
    PassInputs,
)
from anymodal.language.families.grids import Grid, fit_size, grid_run
from anymodal.language.families.pixels import (
    Settings,
    prepare_pixels,
    read_settings,
    write_settings,
)
from anymodal.media import Image, Media, Video
from anymodal.types import MediaPositions

_COMMON: Settings = {
    "do_resize": True,
    "resample": 3,  # bicubic
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "temporal_patch_size": 2,
    "merge_size": 2,
    "min_frames": 4,
    "max_frames": 768,
    "fps": 2.0,
}
_QWEN_2: Settings = {
    **_COMMON,
    "patch_size": 14,
    "image_mean": OPENAI_CLIP_MEAN,
    "image_std": OPENAI_CLIP_STD,
}
PICTURE_DEFAULTS = {**_QWEN_2, "size": {"shortest_edge": 56 * 56, "longest_edge": 28 * 28 * 1280}}
CLIP_DEFAULTS = {**_QWEN_2, "size": {"shortest_edge": 128 * 28 * 28, "longest_edge": 28 * 28 * 768}}
CLIP_3_DEFAULTS: Settings = {
    **_COMMON,
    "patch_size": 16,
    "image_mean": [0.5] * 3,
    "image_std": [0.5] * 3,
    "size": {"shortest_edge": 128 * 32 * 32, "longest_edge": 32 * 32 * 768},
}


class GridReader(MediaReader):
    """Reads pictures or clips as patches of any grid.

    Args:
        model: the language model.
        settings: of pictures or clips.
    """

    clips: bool

    def __init__(self, model: PreTrainedModel, settings: Settings) -> None:
        super().__init__(model)
        self.settings = settings
        self.patch, self.pair = settings["patch_size"], settings["temporal_patch_size"]
        self.merge = settings["merge_size"]
        self.factor = self.patch * self.merge
        # In old checkpoints' words, or in new ones'.
        size = {**(settings.get("size") or {}), **settings}
        self.least = size.get("min_pixels") or size["shortest_edge"]
        self.most = size.get("max_pixels") or size["longest_edge"]

    @property
    def modules(self) -> Sequence[nn.Module]:
        return (self.model.model.visual,)

    def metadata(self) -> Mapping[str, object]:
        return self.settings

    def save_pretrained(self, folder: str | Path) -> None:
        write_settings(self.settings, folder, self.clips)

    @abstractmethod
    def frames(self, media: Any) -> NDArray[np.uint8]:
        """The frames (T, H, W, 3) that are read."""

    def frame_size(self, count: int, height: int, width: int) -> tuple[int, int]:
        """Height and width to which frames are resized."""
        return fit_size((height, width), self.factor, self.least, self.most)

    def grid(self, media: Media) -> Grid:
        """Patches of an item."""
        count, height, width, _ = self.frames(media).shape
        rows, columns = self.frame_size(count, height, width)
        return Grid(-(-count // self.pair), rows // self.patch, columns // self.patch)

    def prepare(self, media: Media) -> Tensor:
        frames = self.frames(media)
        count, height, width, _ = frames.shape
        pixels = prepare_pixels(frames, self.frame_size(count, height, width), self.settings)
        missing = -count % self.pair  # the last frame stands for those
        return torch.cat([pixels, pixels[-1:].expand(missing, -1, -1, -1)])  # (T, 3, h, w)

    def read(self, batch: Sequence[Tensor]) -> Sequence[Tensor]:
        patches = torch.cat([self.patches(each) for each in batch])
        frames = [len(each) // self.pair for each in batch]
        sides = [[side // self.patch for side in each.shape[2:]] for each in batch]
        grids = [[count, *each] for count, each in zip(frames, sides, strict=True)]
        output = self.features(patches, torch.tensor(grids, device=patches.device))
        tokens: Sequence[Tensor] = output.pooler_output
        deep = getattr(output, "deepstack_features", None) or ()  # of each layer, by item
        return [torch.cat(each, -1) for each in zip(tokens, *deep, strict=True)]

    def patches(self, pixels: Tensor) -> Tensor:
        """Patches (t · h · w, 3 · pair · patch · patch) of frames, those of a token together."""
        count, channels, height, width = pixels.shape
        merge, patch = self.merge, self.patch
        rows, columns = height // self.factor, width // self.factor
        shape = (count // self.pair, self.pair, channels, rows, merge, patch, columns, merge, patch)
        parts = pixels.reshape(shape).permute(0, 3, 6, 4, 7, 2, 1, 5, 8)
        return parts.reshape(-1, channels * self.pair * patch * patch)

    @abstractmethod
    def features(self, patches: Tensor, grids: Tensor) -> Any:
        """The tower's output."""


class PictureReader(GridReader):
    """Reads pictures."""

    media, placeholder, clips = Image, "<|image_pad|>", False

    def frames(self, media: Any) -> NDArray[np.uint8]:
        pixels: NDArray[np.uint8] = media.pixels
        return pixels[None]

    def positions(self, media: Media) -> MediaPositions:
        return ("<|vision_start|>", grid_run(self.grid(media), self.merge), "<|vision_end|>")

    def features(self, patches: Tensor, grids: Tensor) -> Any:
        return self.model.model.get_image_features(patches, grids, return_dict=True)


class ClipReader(GridReader):
    """Reads clips, of which it sees about `fps` frames a second."""

    media, placeholder, clips = Video, "<|video_pad|>", True

    def chosen(self, media: Any) -> NDArray[np.int64]:
        """The numbers of the frames that are read.

        Source: `sample_frames` of transformers' video processor of Qwen2-VL.
        """
        total = len(media.frames)
        most = min(self.settings["max_frames"], total) // self.pair * self.pair
        count = total / media.fps * self.settings["fps"]
        count = min(max(count, self.settings["min_frames"]), most)
        count = int(count) // self.pair * self.pair
        if not count:
            return np.arange(total)
        chosen: NDArray[np.int64] = np.floor(np.arange(count) * (total / count)).astype(np.int64)
        return chosen

    def frames(self, media: Any) -> NDArray[np.uint8]:
        frames: NDArray[np.uint8] = media.frames[self.chosen(media)]
        return frames

    def positions(self, media: Any) -> MediaPositions:
        grid = self.grid(media)
        seconds = self.pair * len(media.frames) / (len(self.chosen(media)) * media.fps)
        speed = getattr(self.model.config.vision_config, "tokens_per_second", None)
        interval = 1.0 if speed is None else speed * seconds
        return ("<|vision_start|>", grid_run(grid, self.merge, interval), "<|vision_end|>")

    def features(self, patches: Tensor, grids: Tensor) -> Any:
        return self.model.model.get_video_features(patches, grids, return_dict=True)


class TimedClipReader(ClipReader):
    """Reads clips whose frames have their times written before them."""

    def chosen(self, media: Any) -> NDArray[np.int64]:
        """The numbers of the frames that are read.

        Source: `sample_frames` of transformers' video processor of Qwen3-VL.
        """
        total = len(media.frames)
        count = int(total / media.fps * self.settings["fps"])
        count = min(max(count, self.settings["min_frames"]), self.settings["max_frames"], total)
        chosen: NDArray[np.int64] = np.linspace(0, total - 1, count).round().astype(np.int64)
        return chosen

    def frame_size(self, count: int, height: int, width: int) -> tuple[int, int]:
        if min(height, width) < self.factor:
            scale = max(self.factor / height, self.factor / width)
            height, width = int(height * scale), int(width * scale)
        even = round(count / self.pair) * self.pair
        return fit_size((height, width), self.factor, self.least, self.most, count, even)

    def positions(self, media: Any) -> MediaPositions:
        frames = self.chosen(media)
        missing = -len(frames) % self.pair
        times = np.concatenate([frames, frames[-1:].repeat(missing)]) / media.fps
        grid = self.grid(media)._replace(frames=1)
        run = grid_run(grid, self.merge)
        # A patch's time is the middle of its first and its last frame's.
        middles = (times[:: self.pair] + times[self.pair - 1 :: self.pair]) / 2
        frames_of = (
            part
            for time in middles
            for part in (f"<{time:.1f} seconds><|vision_start|>", run, "<|vision_end|>")
        )
        # Marked once more as a whole: the template marks a clip, and the processor each frame.
        return ("<|vision_start|>", *frames_of, "<|vision_end|>")


class QwenVL(ImageTextFamily):
    """Qwen2-VL and Qwen2.5-VL."""

    num_axes = 3
    clip_defaults = CLIP_DEFAULTS
    clip_reader: type[ClipReader] = ClipReader

    def readers(
        self, model: PreTrainedModel, tokenizer: TextTokenizer, checkpoint: Checkpoint
    ) -> list[MediaReader]:
        clips = read_settings(checkpoint, self.clip_defaults, clips=True)
        pictures = read_settings(checkpoint, PICTURE_DEFAULTS, clips=False)
        return [PictureReader(model, pictures), self.clip_reader(model, clips)]


class Qwen3VL(QwenVL):
    """Qwen3-VL, whose first layers get features of the tower's earlier ones too."""

    clip_defaults = CLIP_3_DEFAULTS
    clip_reader = TimedClipReader

    def num_deep(self, config: Any) -> int:
        return len(config.vision_config.deepstack_visual_indexes)

    def deep_inputs(self, inputs: PassInputs, deep: Tensor) -> dict[str, Any]:
        return deep_stack(deep)


def deep_stack(deep: Tensor) -> dict[str, Any]:
    """The arguments of Qwen3's text models for features (B, T, L, D), 0 where there are none."""
    layers = deep.flatten(0, 1).unbind(1)  # L of (B · T, D)
    everywhere = torch.ones(deep.shape[:2], dtype=torch.bool, device=deep.device)
    return {"visual_pos_masks": everywhere, "deepstack_visual_embeds": [*layers]}
