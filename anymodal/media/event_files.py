"""Media in TensorBoard's event files."""

from __future__ import annotations

from typing import Any

from anymodal.media.audio import Audio
from anymodal.media.base import Media
from anymodal.media.pictures import pictures

FRAMES = 8
"""The most frames of one media item."""


def write_medium(writer: Any, tag: str, medium: Media, step: int) -> None:
    """Write a media item that TensorBoard shows or plays; others are left out.

    Args:
        writer: a `SummaryWriter` of torch.
        tag: what to call it.
        medium: the item; of a clip evenly spaced frames.
        step: of the run.
    """
    if (pixels := pictures(medium, FRAMES)) is not None:
        writer.add_images(tag, pixels, step, dataformats="NHWC")
    if isinstance(medium, Audio):
        writer.add_audio(tag, medium.samples.mean(0), step, sample_rate=medium.rate)
