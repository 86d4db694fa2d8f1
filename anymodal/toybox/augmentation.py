"""Toybox media as poorer instruments take them, to train encoders that bear it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anymodal.media import IMU, Audio, Image, Media, Video

GRAIN = (2.0, 12.0)
"""Standard deviation of the noise in a picture's 8-bit values, from and to."""
HISS = (0.001, 0.012)
"""Standard deviation of the noise in a waveform of [-1, 1], from and to."""
DULL = (0.4, 1.0)
"""Where sound ends, in shares of the highest frequency that its rate can hold, from and to."""
SHAKE = (0.01, 0.05)
"""Standard deviation of the noise in m/s² and rad/s, from and to."""
RATES = (40.0, 400.0)
"""Readings per second, from and to."""
SHORTEST = 0.45
"""The shortest piece kept of a sound or a movement, as a share of it."""


def worsen(media: Media, rng: np.random.Generator) -> Media:
    """A medium with more noise; sounds are dull too, movements at other rates, both often short.

    Raises:
        TypeError: for a class of media that the Toybox doesn't render.
    """
    if type(media) not in _WORSE:
        names = ", ".join(kind.__name__ for kind in _WORSE)
        raise TypeError(f"only {names} are worsened, not {type(media).__name__}")
    return _WORSE[type(media)](media, rng)


def _between(bounds: tuple[float, float], rng: np.random.Generator) -> float:
    """A number between two, as likely in each octave."""
    return float(np.exp(rng.uniform(*np.log(bounds))))


def grainy(pixels: NDArray[np.uint8], spread: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Pixels with noise of this standard deviation."""
    noisy = pixels + rng.normal(0, spread, pixels.shape)
    return np.asarray(noisy.round().clip(0, 255).astype(np.uint8))


def _cut(samples: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """The whole of some samples (C, n), or as often a shorter piece from their start."""
    share = 1.0 if rng.random() < 0.5 else rng.uniform(SHORTEST, 1)
    return samples[:, : max(1, round(share * samples.shape[1]))]


def _dull(audio: Audio, rng: np.random.Generator) -> Audio:
    wave = _cut(audio.samples, rng)  # (C, n)
    wave = wave + rng.normal(0, _between(HISS, rng), wave.shape)
    spectrum = np.fft.rfft(wave)
    spectrum[:, round(_between(DULL, rng) * spectrum.shape[1]) :] = 0
    wave = np.fft.irfft(spectrum, wave.shape[1])
    return Audio(wave.clip(-1, 1).astype(np.float32), audio.rate)


def _shaken(imu: IMU, rng: np.random.Generator) -> IMU:
    # The rate comes first, for noise at a low rate moves slowly, as a hand does.
    moved = imu.resample(_between(RATES, rng))
    samples = _cut(moved.samples, rng)  # (6, n)
    noisy = samples + rng.normal(0, _between(SHAKE, rng), samples.shape)
    return IMU(noisy.astype(np.float32), moved.rate)


_WORSE: dict[type[Media], Callable[[Any, np.random.Generator], Media]] = {
    Image: lambda image, rng: Image(grainy(image.pixels, _between(GRAIN, rng), rng)),
    Audio: _dull,
    Video: lambda film, rng: Video(grainy(film.frames, _between(GRAIN, rng), rng), film.fps),
    IMU: _shaken,
}
