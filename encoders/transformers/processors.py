"""Processors of transformers, also where theirs wants a torchvision that isn't there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from anymodal.media import Audio, Media, Video

_FILES = {True: "video_preprocessor_config.json", False: "preprocessor_config.json"}
_TAKEN = (
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


def open_processor(path_or_name: str, media: type[Media], revision: str | None) -> Any:
    """The processor of a model for a class of media.

    Some processors of transformers exist for torchvision alone. Without it their settings go to
    transformers' Pillow backend, a frame at a time: the same steps, with resizing by Pillow.

    Raises:
        OSError: if there is none.
    """
    # transformers takes seconds to import.
    from transformers import AutoFeatureExtractor, AutoImageProcessor, AutoVideoProcessor
    from transformers.utils import is_torchvision_available

    known = {"revision": revision, "trust_remote_code": False}
    if media is Audio:
        return AutoFeatureExtractor.from_pretrained(path_or_name, **known)
    moving = media is Video
    if is_torchvision_available():
        auto = AutoVideoProcessor if moving else AutoImageProcessor
        return auto.from_pretrained(path_or_name, **known)
    if not moving:
        try:
            return AutoImageProcessor.from_pretrained(path_or_name, **known)
        except (ImportError, ValueError):  # its class is there for torchvision only
            pass
    return PillowProcessor(_settings(path_or_name, moving, revision), moving)


def _settings(path_or_name: str, moving: bool, revision: str | None) -> dict[str, Any]:
    from transformers.image_processing_base import ImageProcessingMixin
    from transformers.video_processing_utils import VideoProcessorMixin

    if moving:
        found = VideoProcessorMixin.get_video_processor_dict(path_or_name, revision=revision)
    else:
        found = ImageProcessingMixin.get_image_processor_dict(path_or_name, revision=revision)
    settings: dict[str, Any] = found[0]
    return settings


def steps(processor: Any) -> dict[str, Any]:
    """What a processor does, whichever of transformers' backends does it.

    A model that is saved where torchvision is must open where it isn't.
    """
    settings: dict[str, Any] = processor.to_dict()
    if not any(name.startswith("do_re") for name in settings):
        return settings  # of sounds, for which there is one backend
    known = {name: settings.get(name) for name in (*_TAKEN, "patch_size", "max_num_patches")}
    known.pop("do_convert_rgb")  # media are RGB
    for switch, names in _SWITCHED.items():
        if not known[switch]:
            known |= dict.fromkeys((switch, *names))
    return known


class PillowProcessor:
    """The steps that a processor's settings name, by transformers' Pillow backend.

    Args:
        settings: what a processor's file holds.
        moving: whether it takes clips; each frame is then prepared as a picture.
    """

    def __init__(self, settings: Mapping[str, Any], moving: bool) -> None:
        from transformers import CLIPImageProcessorPil

        self.settings, self.moving = dict(settings), moving
        from transformers.image_utils import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

        # What the processors that need torchvision take where their file says nothing.
        taken = {"resample": 2, "image_mean": IMAGENET_DEFAULT_MEAN,
                 "image_std": IMAGENET_DEFAULT_STD}  # fmt: skip
        taken |= {key: settings[key] for key in _TAKEN if settings.get(key) is not None}
        taken.setdefault("do_center_crop", "crop_size" in taken)
        self.do_center_crop = taken["do_center_crop"]
        self.pictures = CLIPImageProcessorPil(**taken)

    def __call__(
        self, images: Any = None, videos: Sequence[Any] = (), **settings: Any
    ) -> dict[str, Any]:
        """Pixels of one picture (1, 3, H, W), or of one clip (1, T, 3, H, W)."""
        settings.pop("do_sample_frames", None)  # the frames are chosen before
        if not self.moving:
            return dict(self.pictures(images, **settings))
        from PIL import Image as PILImage

        (frames,) = videos
        pixels = self.pictures([PILImage.fromarray(frame) for frame in frames], **settings)
        return {"pixel_values_videos": torch.as_tensor(pixels["pixel_values"])[None]}

    def to_dict(self) -> dict[str, Any]:
        """The settings, with what the backend takes where the file says nothing."""
        settings: dict[str, Any] = self.pictures.to_dict()
        return settings

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the settings as they were read."""
        text = json.dumps(self.settings, indent=2) + "\n"
        (Path(folder) / _FILES[self.moving]).write_text(text, "utf-8")
