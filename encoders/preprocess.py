"""Media to tensors, as published for ImageBind; pure functions of one item on the CPU."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PILImage
from torch import Tensor
from torch.nn import functional as F

PIXEL_MEAN = (0.48145466, 0.4578275, 0.40821073)
PIXEL_STD = (0.26862954, 0.26130258, 0.27577711)
STANDARD_GRAVITY = 9.80665  # m/s²
FRAME_SECONDS, SHIFT_SECONDS = 0.025, 0.010


def square(picture: PILImage.Image, size: int, place: float = 0.5) -> PILImage.Image:
    """The shorter side resized to `size`, bicubic, and a square cut from the longer one.

    Pillow resizes straight from the box that the cut comes from, so that a very long picture
    costs no more than a square one.

    Args:
        place: where to cut, from 0 (left or top) over 0.5 (centre) to 1 (right or bottom).
    """
    short, long = sorted(picture.size)
    if long == size == short:
        return picture
    resized = int(size * long / short)
    start = round((resized - size) * place) * long / resized
    end = min(start + size * long / resized, long)  # Pillow refuses a box beyond the picture
    wide = picture.width == long
    box = (start, 0, end, short) if wide else (0, start, short, end)
    return picture.resize((size, size), PILImage.Resampling.BICUBIC, box=box)


def image_pixels(pixels: NDArray[np.uint8], size: int, place: float = 0.5) -> Tensor:
    """One normalised square (3, size, size) of an image (H, W, 3)."""
    crop = np.array(square(PILImage.fromarray(pixels), size, place), dtype=np.float32)
    normal = (torch.from_numpy(crop) / 255 - torch.tensor(PIXEL_MEAN)) / torch.tensor(PIXEL_STD)
    return normal.permute(2, 0, 1).contiguous()  # (3, size, size)


def clip_starts(total: float, length: float, clips: int) -> list[float]:
    """Starts of `clips` clips that are spread evenly from a medium's start to its end.

    Clip i begins at i (total - length) / (clips - 1); all at 0 where the medium is too short.
    """
    return [i * max(total - length, 0.0) / max(clips - 1, 1) for i in range(clips)]


def frame_indices(
    total: int,
    fps: float,
    frames: int,
    clips: int,
    clip_seconds: float,
    frame_seconds: float | None = None,
) -> NDArray[np.int64]:
    """Indices (clips, frames) of the frames of a video that the clips hold.

    A clip of `clip_seconds` holds evenly spread frames, its first and last included. With
    `frame_seconds` a clip's frames are so far apart, and the clips follow each other from the
    video's start: one that ends early holds its last frame, and in a longer one the clips are
    spread evenly up to its end.
    """
    if frame_seconds is not None:
        times = np.arange(clips * frames) * frame_seconds
        if total / fps > clips * frames * frame_seconds:
            starts = clip_starts(total / fps, frames * frame_seconds, clips)
            times = np.add.outer(starts, np.arange(frames) * frame_seconds)
        places = (times * fps).round().clip(0, total - 1)
        return places.astype(np.int64).reshape(clips, frames)
    rows = []
    for start in clip_starts(total / fps, clip_seconds, clips):
        first = min(math.ceil(start * fps), total - 1)
        last = min(math.floor((start + clip_seconds) * fps), total - 1)
        rows.append(np.linspace(first, max(first, last), frames))
    return np.stack(rows).astype(np.int64)


def video_clips(
    video: NDArray[np.uint8],
    fps: float,
    *,
    size: int,
    frames: int,
    clips: int,
    clip_seconds: float,
    crops: int,
    frame_seconds: float | None = None,
) -> Tensor:
    """Clips of a video (T, H, W, 3), each cut at `crops` places along its longer side.

    Returns:
        (clips * crops, 3, frames, size, size), a clip's cuts next to each other.
    """
    places = [0.5] if crops == 1 else [i / (crops - 1) for i in range(crops)]
    cuts = [
        torch.stack([image_pixels(video[index], size, place) for index in clip], dim=1)
        for clip in frame_indices(len(video), fps, frames, clips, clip_seconds, frame_seconds)
        for place in places
    ]  # (3, frames, size, size) each
    return torch.stack(cuts)


def audio_mels(
    samples: NDArray[np.float32],
    *,
    rate: int,
    mel_bins: int,
    mel_frames: int,
    clips: int,
    clip_seconds: float,
    mean: float,
    std: float,
    repeat: bool = False,
) -> Tensor:
    """Normalised Kaldi filter banks (clips, 1, mel_bins, mel_frames) of samples (n,) at `rate`.

    Less than one clip's worth of sound gives equal clips. They are filled up with zeros, or by
    the sound over again if `repeat`.

    Raises:
        ValueError: if there are no samples.
    """
    if len(samples) == 0:
        raise ValueError("a sound without samples cannot be encoded; give at least one sample")
    wave = torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32))
    length = round(clip_seconds * rate)
    if repeat and len(wave) < length:
        wave = wave.repeat(math.ceil(length / len(wave)))[:length]
    starts = [round(start) for start in clip_starts(len(wave), length, clips)]
    mels = [_fbank(wave[start : start + length], rate, mel_bins) for start in starts]
    padded = [F.pad(mel.T[:, :mel_frames], (0, max(mel_frames - len(mel), 0))) for mel in mels]
    return (torch.stack(padded).unsqueeze(1) - mean) / std  # (clips, 1, mel_bins, mel_frames)


def _fbank(wave: Tensor, rate: int, mel_bins: int) -> Tensor:
    """Log-mel filter banks (frames, mel_bins) of one clip with its mean taken off."""
    # torchaudio is slow to import and only sound needs it.
    from torchaudio.compliance import kaldi

    wave = wave - wave.mean()
    shortest = math.ceil(FRAME_SECONDS * rate)
    wave = F.pad(wave, (0, max(shortest - len(wave), 0)))
    mel: Tensor = kaldi.fbank(
        wave.unsqueeze(0),
        htk_compat=True,
        sample_frequency=float(rate),
        use_energy=False,
        window_type="hanning",
        num_mel_bins=mel_bins,
        dither=0.0,  # the same sound must give the same features
        frame_length=1000 * FRAME_SECONDS,
        frame_shift=1000 * SHIFT_SECONDS,
    )
    return mel


def imu_windows(readings: NDArray[np.float32], *, samples: int, clips: int) -> Tensor:
    """Windows (clips, 6, samples) of readings (6, n) at the trunk's rate.

    The published model's normalisation is unknown. Here accelerations in m/s² are divided by
    standard gravity and rotations in rad/s are left alone, so that both are near one; nothing is
    subtracted, for the direction of gravity tells how the sensor is held. A recording shorter
    than a window is filled up with its last reading: held still, not falling as with zeros.

    Raises:
        ValueError: if there are no readings.
    """
    count = readings.shape[1]
    if count == 0:
        raise ValueError("a movement without readings cannot be encoded; give at least one")
    units = np.array([STANDARD_GRAVITY] * 3 + [1.0] * 3, dtype=np.float32)[:, None]
    scaled = np.pad(readings / units, ((0, 0), (0, max(samples - count, 0))), mode="edge")
    starts = [round(start) for start in clip_starts(count, samples, clips)]
    windows = np.stack([scaled[:, start : start + samples] for start in starts])
    return torch.from_numpy(windows.astype(np.float32))


def map_square(
    values: NDArray[np.floating] | NDArray[np.uint8], *, size: int, mean: float, std: float
) -> Tensor:
    """One normalised square (1, size, size) of a map (H, W), such as disparity or heat.

    8-bit maps are scaled to [0, 1] first.
    """
    scale = 255.0 if values.dtype == np.uint8 else 1.0
    picture = PILImage.fromarray(values.astype(np.float32) / np.float32(scale))
    crop = np.array(square(picture, size), dtype=np.float32)
    return ((torch.from_numpy(crop) - mean) / std).unsqueeze(0)
