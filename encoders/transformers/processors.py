"""Processors of transformers, also without the torchvision that some of them need."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from anymodal.io.protocols import MediaProcessor
from anymodal.media import Audio, Media, Video

if TYPE_CHECKING:
    from PIL import Image as PILImage

_FILES = {True: "video_preprocessor_config.json", False: "preprocessor_config.json"}
_COMMON = (
    "do_resize", "size", "resample", "do_center_crop", "crop_size", "do_rescale", "rescale_factor",
    "do_normalize", "image_mean", "image_std", "do_convert_rgb",
)  # fmt: skip
"""Settings that all picture processors of transformers understand alike."""


_SWITCHED = {
    "do_resize": ("size", "resample"),
    "do_center_crop": ("crop_size",),
    "do_rescale": ("rescale_factor",),
    "do_normalize": ("image_mean", "image_std"),
}
"""Steps, and the settings that mean nothing without them."""


def open_processor(path_or_name: str, media: type[Media], revision: str | None) -> MediaProcessor:
    """The processor of a model for a class of media.

    Some processors of transformers exist for torchvision alone. Without it their settings go to
    transformers' Pillow backend, a frame at a time: the same steps, with resizing by Pillow.

    Raises:
        OSError: if there is none.
    """
    # transformers takes seconds to import.
    from transformers import AutoFeatureExtractor, AutoImageProcessor, AutoVideoProcessor
    from transformers.utils import is_torchvision_available

    moving = media is Video
    if not is_torchvision_available() and media is not Audio:
        return _open_without_torchvision(path_or_name, moving, revision)
    auto = AutoVideoProcessor if moving else AutoImageProcessor
    auto = AutoFeatureExtractor if media is Audio else auto
    processor: MediaProcessor = auto.from_pretrained(
        path_or_name, revision=revision, trust_remote_code=False
    )
    return processor


def _open_without_torchvision(
    path_or_name: str, moving: bool, revision: str | None
) -> MediaProcessor:
    from transformers import AutoImageProcessor

    if not moving:
        with contextlib.suppress(ImportError, ValueError):  # of a class for torchvision alone
            processor: MediaProcessor = AutoImageProcessor.from_pretrained(
                path_or_name, revision=revision, trust_remote_code=False
            )
            return processor
    return cast(MediaProcessor, PillowProcessor(_settings(path_or_name, moving, revision), moving))


def _settings(path_or_name: str, moving: bool, revision: str | None) -> dict[str, object]:
    from transformers.image_processing_base import ImageProcessingMixin
    from transformers.video_processing_utils import VideoProcessorMixin

    if moving:
        loaded = VideoProcessorMixin.get_video_processor_dict(path_or_name, revision=revision)
    else:
        loaded = ImageProcessingMixin.get_image_processor_dict(path_or_name, revision=revision)
    settings: dict[str, object] = loaded[0]
    return settings


def processing_steps(processor: MediaProcessor) -> dict[str, object]:
    """The settings that decide what a processor computes, in any of transformers' backends.

    A model that is saved where torchvision is must open where it isn't.
    """
    settings = processor.to_dict()
    if not any(name.startswith("do_re") for name in settings):
        return settings  # of sounds, for which there is one backend
    steps = {name: settings.get(name) for name in (*_COMMON, "patch_size", "max_num_patches")}
    steps.pop("do_convert_rgb")  # media are RGB
    for switch, names in _SWITCHED.items():
        if not steps[switch]:
            steps |= dict.fromkeys((switch, *names))
    return steps


class PillowProcessor:
    """The steps that a processor's settings name, by transformers' Pillow backend.

    Args:
        settings: what a processor's file holds.
        moving: whether it takes clips; each frame is then prepared as a picture.
    """

    def __init__(self, settings: Mapping[str, object], moving: bool) -> None:
        from transformers import CLIPImageProcessorPil

        self.settings, self.moving = dict(settings), moving
        from transformers.image_utils import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

        # Defaults of the processors that need torchvision, where their file says nothing.
        arguments = {"resample": 2, "image_mean": IMAGENET_DEFAULT_MEAN,
                     "image_std": IMAGENET_DEFAULT_STD}  # fmt: skip
        arguments |= {key: settings[key] for key in _COMMON if settings.get(key) is not None}
        arguments.setdefault("do_center_crop", "crop_size" in arguments)
        self.do_center_crop = arguments["do_center_crop"]
        self.pictures = CLIPImageProcessorPil(**arguments)

    def __call__(
        self,
        images: PILImage.Image | None = None,
        videos: Sequence[np.ndarray] = (),
        **settings: object,
    ) -> dict[str, torch.Tensor]:
        """Pixels of one picture (1, 3, H, W), or of one clip (1, T, 3, H, W)."""
        settings.pop("do_sample_frames", None)  # the frames are chosen before
        if not self.moving:
            return dict(self.pictures(images, **settings))
        from PIL import Image as PILImage

        (frames,) = videos
        pixels = self.pictures([PILImage.fromarray(frame) for frame in frames], **settings)
        return {"pixel_values_videos": torch.as_tensor(pixels["pixel_values"])[None]}

    def to_dict(self) -> dict[str, object]:
        """The settings, with the backend's defaults where the file says nothing."""
        settings: dict[str, object] = self.pictures.to_dict()
        return settings

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the settings as they were read."""
        text = json.dumps(self.settings, indent=2) + "\n"
        (Path(folder) / _FILES[self.moving]).write_text(text, "utf-8")
