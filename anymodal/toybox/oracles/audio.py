"""Reading thing, size and tempo off a sound, by measurement.

T frames of 10 ms, F frequency bins, P log-frequency bands. Thing: the nearest of reference sounds
rendered by `play`. Size: the nearer of that thing's two references in spectrum alone. Tempo: the
period at which the loudness repeats.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from anymodal.toybox.renderers.audio import play
from anymodal.toybox.scene import SIZES, TEMPOS, THINGS, Scene

Array = NDArray[np.float64]

RATE = 16000
HOP = 160
LOWEST, HIGHEST, PER_OCTAVE = 60.0, 4800.0, 10
SILENCE = 1e-4
SHORTEST = 0.9
RENDERS = 3  # Reference sounds of each thing, size and tempo.


class _Reading(NamedTuple):
    """Spectrum (P,), shape of the events over time (S,), and texture (Q,) of a sound."""

    spectrum: Array
    shape: Array
    texture: Array


def hear(samples: NDArray[np.floating], rate: int) -> dict[str, str]:
    """The thing, size and tempo of a mono sound (n,) at `rate` Hz, of about 1 to 5 seconds.

    A silent sound tells nothing: each value is then the empty string.

    Raises:
        ValueError: if the samples are not mono, not finite, or too short to hold a repetition.
    """
    wave = np.asarray(samples, dtype=np.float64)
    if wave.ndim != 1:
        raise ValueError(f"samples have shape {wave.shape}; give one channel, of shape (n,)")
    if len(wave) < SHORTEST * rate:
        raise ValueError(f"{len(wave) / rate:.2f} s is too short; give at least {SHORTEST} s")
    if not np.isfinite(wave).all():
        raise ValueError("samples hold NaN or infinity; give finite ones")
    if float(np.sqrt(np.mean(wave**2))) < SILENCE:
        return {"thing": "", "size": "", "tempo": ""}
    if rate != RATE:
        common = math.gcd(rate, RATE)
        wave = resample_poly(wave, RATE // common, rate // common)
    reading, envelope = _read(wave)
    thing = min(THINGS, key=lambda t: min(_distance(reading, t, size) for size in SIZES))
    spectra = {size: _references()[thing, size].spectrum for size in SIZES}
    size = min(SIZES, key=lambda s: _apart(reading.spectrum, spectra[s]).min())
    return {"thing": thing, "size": size, "tempo": _tempo(envelope)}


def _distance(reading: _Reading, thing: str, size: str) -> float:
    """How far a sound is from the nearest references of a thing in a size."""
    reference = _references()[thing, size]
    parts = (_apart(part, other) for part, other in zip(reading, reference, strict=True))
    return float(np.sum(list(parts), axis=0).min())


def _apart(part: Array, references: Array) -> Array:
    """Squared distances of one part (S,) from its references (R, S)."""
    return np.asarray(((references - part) ** 2).sum(-1))


@cache
def _references() -> dict[tuple[str, str], _Reading]:
    """The readings of rendered sounds, stacked, by thing and size."""
    rng = np.random.default_rng(0)
    references = {}
    for thing in THINGS:
        for size in SIZES:
            scenes = [Scene(thing, "red", size, "still", tempo) for tempo in TEMPOS] * RENDERS
            readings = [_read(play(scene, rng).astype(np.float64))[0] for scene in scenes]
            references[thing, size] = _Reading(*map(np.array, zip(*readings, strict=True)))
    return references


def _read(wave: Array) -> tuple[_Reading, Array]:
    """What tells things and sizes apart in a wave at `RATE`, and its loudness envelope (T,)."""
    fine = _powers(wave, 1024)  # (T, F)
    bands = _denoised(fine @ _bands(1024))  # (T, P)
    envelope = np.sqrt(_denoised(_powers(wave, 400) @ _bands(400)).sum(-1))  # (T,)
    loud = bands.sum(-1)
    weights = loud / (loud.sum() + 1e-12)
    spectrum = (weights @ (bands / (loud[:, None] + 1e-12))) ** 0.3
    spectrum /= np.linalg.norm(spectrum) + 1e-12
    return _Reading(spectrum, _shape(envelope), _texture(fine, bands, weights)), envelope


def _powers(wave: Array, window: int) -> Array:
    """Short-time power spectra (T, F), frames centred every `HOP` samples."""
    padded = np.pad(wave, window // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::HOP]  # (T, window)
    return np.asarray(np.abs(np.fft.rfft(frames * np.hanning(window))) ** 2)


@cache
def _bands(window: int) -> Array:
    """Triangular filters (F, P), equally spaced in log frequency, at least one bin wide."""
    count = round(PER_OCTAVE * math.log2(HIGHEST / LOWEST)) + 1
    centres = LOWEST * 2 ** (np.arange(count) / PER_OCTAVE)
    bins = np.fft.rfftfreq(window, 1 / RATE)
    widths = np.maximum(centres * (2 ** (1 / PER_OCTAVE) - 1), RATE / window)
    return np.asarray(np.maximum(0, 1 - np.abs(bins[:, None] - centres) / widths))


def _denoised(bands: Array) -> Array:
    """Band powers (T, P) above the quiet tenth of the frames."""
    return np.maximum(bands - 2 * np.quantile(bands, 0.1, axis=0), 0)


def _autocorrelation(envelope: Array) -> Array:
    """Unbiased autocorrelation (T,) of an envelope, 1 at lag 0."""
    centred = envelope - envelope.mean()
    n = len(centred)
    power = np.abs(np.fft.rfft(centred, 2 * n)) ** 2
    raw = np.fft.irfft(power)[:n] / np.arange(n, 0, -1)
    return np.asarray(raw / (raw[0] + 1e-12))


def _tempo(envelope: Array) -> str:
    """The tempo whose period repeats the envelope, and whose fractions do not."""
    repeats = _autocorrelation(envelope)
    usable = int(0.8 * len(repeats))

    def contrast(shortest: int, longest: int, fractions: tuple[float, ...]) -> float:
        lags = np.arange(shortest, min(longest, usable))
        best = lags[repeats[lags].argmax()]
        between = [repeats[int(best * fraction)] for fraction in fractions]
        return float(repeats[best] - np.mean(between))

    # Three fast periods are about as long as one slow one: look at its thirds too.
    slow = contrast(54, 82, (1 / 3, 1 / 2, 2 / 3))
    return "fast" if contrast(19, 34, (1 / 2,)) > slow else "slow"


def _shape(envelope: Array) -> Array:
    """How an event rises, holds and falls, free of phase and loudness."""
    level = envelope / (envelope.max() + 1e-12)
    repeats = _autocorrelation(envelope)[[2, 4, 6, 8, 10, 12]]
    rise = np.diff(level)
    lean = (rise**3).sum() / ((np.abs(rise) ** 3).sum() + 1e-12)
    return np.append(0.25 * repeats, 0.25 * lean)


def _texture(fine: Array, bands: Array, weights: Array) -> Array:
    """Tone or noise, and how far the pitch moves: loudness-weighted over frames."""
    low = fine[:, : int(HIGHEST * 1024 / RATE)] + 1e-12
    share = low / low.sum(-1, keepdims=True)
    entropy = weights @ -(share * np.log(share)).sum(-1) / math.log(low.shape[-1])
    place = bands @ np.arange(bands.shape[1]) / (bands.sum(-1) + 1e-12) / PER_OCTAVE
    mean = weights @ place
    spread = math.sqrt(weights @ (place - mean) ** 2)
    return np.array([entropy, 0.5 * spread])
