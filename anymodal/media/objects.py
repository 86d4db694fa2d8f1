"""Media that other libraries hold: pictures of Pillow, arrays with their rate, bytes, files."""

from __future__ import annotations

import numbers
import os
import sys
from typing import TYPE_CHECKING, BinaryIO, Protocol, TypeGuard, cast

import numpy as np
from numpy.typing import NDArray

from anymodal.media.audio import Audio
from anymodal.media.base import Media
from anymodal.media.image import Image
from anymodal.media.imu import AXES
from anymodal.media.limits import Limits, MediaError
from anymodal.media.video import Video

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage


class SupportsArray(Protocol):
    """An object that NumPy reads as an array."""

    def __array__(self) -> NDArray[np.generic]:
        """The array."""


Numbers = NDArray[np.number]

LOWEST_SOUND = 1000
"""Hz: what has fewer samples a second is no sound that one hears."""
_FULL_SCALE = {"int16": 2**15, "int32": 2**31}


def load_object(value: object, *, limits: Limits | None = None) -> Media:
    """The medium in an object of another library.

    - a path, bytes or a binary file: what its content tells
    - a picture of Pillow: its current frame, turned upright, transparency on white
    - an array (H, W, 3), uint8: a picture
    - an array and its rate, `(samples, rate)` or `(rate, samples)`: a sound, (n,), (n, channels)
      or (channels, n), of which the longer axis is time, as floats or 16- or 32-bit whole numbers;
      or a clip, (T, H, W, 3), uint8, with its frames per second

    What NumPy reads without a copy, such as a tensor on the CPU, counts as an array.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for anything else, what may be meant in several ways, or what is over a limit.
    """
    limits = limits or Limits()
    if isinstance(value, Media):
        return value
    if isinstance(value, os.PathLike | bytes | bytearray | memoryview):
        return Media.load(value, limits=limits)
    if is_pillow(value):
        return Image.from_pillow(value, limits=limits)
    if is_pair(value):
        array, rate = value if is_array(value[0]) else reversed(value)
        return _with_rate(_numbers(array), float(cast(float, rate)), limits)
    if is_array(value):
        return _without_rate(_numbers(value), limits)
    if callable(getattr(value, "read", None)):
        return Media.load(cast(BinaryIO, value), limits=limits)
    raise MediaError(
        "a message holds texts, media, paths, bytes, pictures of Pillow and arrays (with their "
        f"rate), not {type(value).__name__}"
    )


def is_pair(value: object) -> TypeGuard[tuple[object, object]]:
    """Return True for an array and its rate, in either order."""
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and sum(map(is_array, value)) == 1
        and any(isinstance(part, numbers.Real) for part in value)
    )


def is_array(value: object) -> TypeGuard[SupportsArray]:
    """Return True for what NumPy reads as an array; its own scalars are numbers."""
    return hasattr(value, "__array__") and not isinstance(value, np.generic | Media)


def is_pillow(value: object) -> TypeGuard[PilImage]:
    """Return True for a picture of Pillow."""
    pillow = sys.modules.get("PIL.Image")  # without it there is no picture of it
    return pillow is not None and isinstance(value, pillow.Image)


def _numbers(value: object) -> Numbers:
    try:
        array = np.asarray(value)
    except Exception:
        raise MediaError(
            f"this {type(value).__name__} can't be read as an array; give x.detach().cpu().float()"
            ".numpy()"
        ) from None
    if array.dtype.kind not in "fiu":
        raise MediaError(f"an array of {array.dtype} is no medium; give numbers")
    return array


def _shape(array: Numbers) -> str:
    return f"an array of the shape {array.shape} and type {array.dtype}"


def _without_rate(array: Numbers, limits: Limits) -> Image:
    if array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8:
        limits.check_pixels("the given array", array.shape[1], array.shape[0])
        return Image(array.astype(np.uint8, copy=False))
    if array.ndim == 1 or (array.ndim == 2 and array.dtype.kind == "f"):
        advice = (
            "a sound is a pair (samples, rate); for something else, give its class, as Depth(x)"
        )
    elif array.ndim == 4:
        advice = "a clip is a pair (frames, fps), with frames (T, H, W, 3), uint8"
    else:
        advice = (
            "a picture is (H, W, 3), uint8, RGB from 0 to 255: move the channels last, and scale "
            "floats by (255 * x).round().astype(np.uint8)"
        )
    raise MediaError(f"{_shape(array)} may mean several things; {advice}")


def _with_rate(array: Numbers, rate: float, limits: Limits) -> Media:
    name = "the given array"
    if array.ndim == 4:
        limits.check_pixels(name, array.shape[2], array.shape[1])
        limits.check_frames(name, len(array))
        limits.check_decoded(name, array.nbytes, _shape(array))
        return Video(cast("NDArray[np.uint8]", array), rate)  # which it checks
    if array.ndim not in (1, 2) or 0 in array.shape:
        raise MediaError(
            f"{_shape(array)} with a rate is neither a sound, (n,) or (n, channels), nor a clip, "
            "(T, H, W, 3)"
        )
    samples = np.atleast_2d(array)  # (n,) -> (1, n)
    # Either axis may be time in libraries; sound has far more samples than channels.
    if array.ndim == 2 and len(samples) > samples.shape[1]:
        samples = samples.T  # (n, C) -> (C, n)
    if len(samples) == len(AXES) or not rate >= LOWEST_SOUND:
        raise MediaError(
            f"{_shape(array)} at {rate:g} Hz may be a sound or something else; give its class, "
            "such as Audio(samples, rate) or IMU(samples, rate)"
        )
    limits.check_seconds(name, samples.shape[1] / rate)
    limits.check_decoded(name, 4 * samples.size, _shape(array))
    if samples.dtype.kind != "f":
        if samples.dtype.name not in _FULL_SCALE:
            raise MediaError(
                f"{_shape(array)} as a sound: give floats in [-1, 1], or whole numbers of 16 or "
                "32 bits"
            )
        samples = (samples / _FULL_SCALE[samples.dtype.name]).astype(np.float32)
    return Audio(samples, rate)  # type: ignore[arg-type]  # rounded there
