"""Pictures and frames as towers take them: resized, rescaled and normalised by Pillow and NumPy.

transformers' own processors exist on Pillow for pictures and on torchvision alone for clips. Here a
clip's frames are prepared as pictures are, with the clips' own settings.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers.image_processing_base import ImageProcessingMixin
from transformers.image_transforms import normalize, rescale, resize
from transformers.image_utils import ChannelDimension
from transformers.video_processing_utils import VideoProcessorMixin

from anymodal.language.families.base import Checkpoint

PICTURES, CLIPS = "preprocessor_config.json", "video_preprocessor_config.json"

Settings = dict[str, Any]
"""Of a processor, as its file has them."""


def read_settings(checkpoint: Checkpoint, defaults: Mapping[str, Any], clips: bool) -> Settings:
    """A checkpoint's settings for pictures or clips, over transformers' defaults.

    Raises:
        OSError: if it has none for pictures; older checkpoints have one file for both.
    """
    name, revision = checkpoint.path_or_name, checkpoint.revision
    try:
        if clips:
            loaded = VideoProcessorMixin.get_video_processor_dict(name, revision=revision)
        else:
            loaded = ImageProcessingMixin.get_image_processor_dict(name, revision=revision)
    except OSError:
        if not clips:
            raise
        loaded = ImageProcessingMixin.get_image_processor_dict(name, revision=revision)
    given = {key: value for key, value in loaded[0].items() if value is not None}
    return {**defaults, **given}


def write_settings(settings: Mapping[str, Any], folder: str | Path, clips: bool) -> None:
    """Write settings where `read_settings` finds them."""
    text = json.dumps(dict(settings), indent=2) + "\n"
    (Path(folder) / (CLIPS if clips else PICTURES)).write_text(text, "utf-8")


def prepare_pixels(
    frames: NDArray[np.uint8], size: tuple[int, int], settings: Mapping[str, Any]
) -> Tensor:
    """Frames (T, H, W, 3) at a size (height, width), normalised as settings say: (T, 3, h, w)."""
    first = ChannelDimension.FIRST
    prepared = []
    for frame in frames:
        pixels: Any = frame.transpose(2, 0, 1)
        if settings["do_resize"] and pixels.shape[1:] != size:
            pixels = resize(
                pixels, size, settings["resample"], data_format=first, input_data_format=first
            )
        if settings["do_rescale"]:
            pixels = rescale(pixels, settings["rescale_factor"], first, input_data_format=first)
        if settings["do_normalize"]:
            mean, std = settings["image_mean"], settings["image_std"]
            pixels = normalize(pixels, mean, std, first, input_data_format=first)
        prepared.append(torch.from_numpy(np.ascontiguousarray(pixels, np.float32)))
    return torch.stack(prepared)
