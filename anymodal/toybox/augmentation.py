"""Random corruption of Toybox media, to train encoders that are robust to it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anymodal.media import IMU, Audio, Image, Media, Video

Samples = NDArray[np.floating]

PIXEL_NOISE = (2.0, 12.0)
"""Standard deviation of the noise in 8-bit pixel values, from and to."""
AUDIO_NOISE = (0.001, 0.012)
"""Standard deviation of the noise in a waveform of [-1, 1], from and to."""
LOWPASS = (0.4, 1.0)
"""Cutoff of the low-pass filter, as a share of the Nyquist frequency, from and to."""
IMU_NOISE = (0.01, 0.05)
"""Standard deviation of the noise in m/s² and rad/s, from and to."""
IMU_RATES = (40.0, 400.0)
"""Samples per second, from and to."""
MIN_CROP = 0.45
"""The shortest crop of an audio or IMU recording, as a share of its length."""


def augment(media: Media, rng: np.random.Generator) -> Media:
    """Add noise; low-pass filter audio, resample IMU recordings, and crop half of both in time.

    Raises:
        TypeError: for a class of media that the Toybox doesn't render.
    """
    if isinstance(media, Image):
        return Image(add_pixel_noise(media.pixels, _log_uniform(PIXEL_NOISE, rng), rng))
    if isinstance(media, Audio):
        return _augment_audio(media, rng)
    if isinstance(media, Video):  # one level of noise for all frames, drawn anew in each
        noisy = add_pixel_noise(media.frames, _log_uniform(PIXEL_NOISE, rng), rng)
        return Video(noisy, media.fps)
    if isinstance(media, IMU):
        return _augment_imu(media, rng)
    raise TypeError(f"only Image, Audio, Video, IMU are augmented, not {type(media).__name__}")


def _log_uniform(bounds: tuple[float, float], rng: np.random.Generator) -> float:
    """A random number between two bounds, each octave equally likely."""
    return float(np.exp(rng.uniform(*np.log(bounds))))


def add_pixel_noise(
    pixels: NDArray[np.uint8], std: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Add Gaussian noise of a standard deviation, in 8-bit values."""
    noisy = pixels + rng.normal(0, std, pixels.shape)
    return np.asarray(noisy.round().clip(0, 255).astype(np.uint8))


def _random_crop(samples: Samples, rng: np.random.Generator) -> Samples:
    """All of some samples (C, n), or with equal probability a shorter crop from their start."""
    share = 1.0 if rng.random() < 0.5 else rng.uniform(MIN_CROP, 1)
    return samples[:, : max(1, round(share * samples.shape[1]))]


def _augment_audio(audio: Audio, rng: np.random.Generator) -> Audio:
    clean = _random_crop(audio.samples, rng)  # (C, n)
    noisy = clean + rng.normal(0, _log_uniform(AUDIO_NOISE, rng), clean.shape)
    spectrum = np.fft.rfft(noisy)
    spectrum[:, round(_log_uniform(LOWPASS, rng) * spectrum.shape[1]) :] = 0
    wave = np.fft.irfft(spectrum, clean.shape[1])
    return Audio(wave.clip(-1, 1).astype(np.float32), audio.rate)


def _augment_imu(imu: IMU, rng: np.random.Generator) -> IMU:
    # Resampled before the noise comes: noise at a low rate drifts slowly, as a hand does.
    resampled = imu.resample(_log_uniform(IMU_RATES, rng))
    samples = _random_crop(resampled.samples, rng)  # (6, n)
    noisy = samples + rng.normal(0, _log_uniform(IMU_NOISE, rng), samples.shape)
    return IMU(noisy.astype(np.float32), resampled.rate)
