"""Oracle for audio: nearest rendered reference, and the period of the loudness.

The thing is that of the nearest reference in spectrum, event shape and texture, the size the nearer
of that thing's two in spectrum alone, the tempo the period at which the loudness repeats.

Shapes: T frames of 10 ms, F frequency bins, P log-frequency bands.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from anymodal.toybox.renderers.audio import render_audio
from anymodal.toybox.scene import SIZES, TEMPOS, THINGS, Scene

Array = NDArray[np.float64]

RATE = 16000
"""Samples per second that features are computed at."""
HOP = 160
LOWEST, HIGHEST, PER_OCTAVE = 60.0, 4800.0, 10
SILENCE = 1e-4
"""Root mean square below which audio is silent."""
MIN_SECONDS = 0.9
RENDERS = 3
"""References of each thing, size and tempo."""


class _Features(NamedTuple):
    """Spectrum (P,), event shape over time (S,), and texture (Q,) of an audio."""

    spectrum: Array
    shape: Array
    texture: Array


def read_audio(samples: NDArray[np.floating], rate: int) -> dict[str, str]:
    """Read thing, size and tempo off mono audio (n,) at `rate` Hz, of about 1 to 5 seconds.

    Each value is the empty string where the audio is silent.

    Raises:
        ValueError: if the samples are not mono, not finite, or too short to hold a repetition.
    """
    wave = np.asarray(samples, dtype=np.float64)
    if wave.ndim != 1:
        raise ValueError(f"samples have shape {wave.shape}; give one channel, of shape (n,)")
    if len(wave) < MIN_SECONDS * rate:
        raise ValueError(f"{len(wave) / rate:.2f} s is too short; give at least {MIN_SECONDS} s")
    if not np.isfinite(wave).all():
        raise ValueError("samples hold NaN or infinity; give finite ones")
    if float(np.sqrt(np.mean(wave**2))) < SILENCE:
        return {"thing": "", "size": "", "tempo": ""}
    if rate != RATE:
        common = math.gcd(rate, RATE)
        wave = resample_poly(wave, RATE // common, rate // common)
    features, envelope = _extract(wave)
    thing = min(THINGS, key=lambda t: min(_distance(features, t, size) for size in SIZES))
    spectra = {size: _references()[thing, size].spectrum for size in SIZES}
    # Pitch alone separates the sizes; event shape and texture are much alike in both.
    size = min(SIZES, key=lambda s: _squared_distances(features.spectrum, spectra[s]).min())
    return {"thing": thing, "size": size, "tempo": _tempo(envelope)}


def _distance(features: _Features, thing: str, size: str) -> float:
    """Squared distance to the nearest reference of a thing in a size."""
    reference = _references()[thing, size]
    parts = (
        _squared_distances(part, other) for part, other in zip(features, reference, strict=True)
    )
    return float(np.sum(list(parts), axis=0).min())


def _squared_distances(part: Array, references: Array) -> Array:
    """Squared distances of one feature (S,) from its references (R, S)."""
    return np.asarray(((references - part) ** 2).sum(-1))


@cache
def _references() -> dict[tuple[str, str], _Features]:
    """Stacked features of rendered audio, by thing and size."""
    rng = np.random.default_rng(0)  # fixed, so that the oracle is the same in every process
    references = {}
    for thing in THINGS:
        for size in SIZES:
            scenes = [Scene(thing, "red", size, "still", tempo) for tempo in TEMPOS] * RENDERS
            rows = [_extract(render_audio(scene, rng).astype(np.float64))[0] for scene in scenes]
            references[thing, size] = _Features(*map(np.array, zip(*rows, strict=True)))
    return references


def _extract(wave: Array) -> tuple[_Features, Array]:
    """Features of a wave at `RATE`, and its loudness envelope (T,)."""
    # Long windows resolve pitch, short ones the events in time.
    fine = _powers(wave, 1024)  # (T, F)
    bands = _denoise(fine @ _bands(1024))  # (T, P)
    envelope = np.sqrt(_denoise(_powers(wave, 400) @ _bands(400)).sum(-1))  # (T,)
    loud = bands.sum(-1)
    weights = loud / (loud.sum() + 1e-12)
    # The power compresses levels about as hearing does, or the loudest partial decided alone.
    spectrum = (weights @ (bands / (loud[:, None] + 1e-12))) ** 0.3
    spectrum /= np.linalg.norm(spectrum) + 1e-12
    return _Features(spectrum, _shape(envelope), _texture(fine, bands, weights)), envelope


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


def _denoise(bands: Array) -> Array:
    """Band powers (T, P) above the noise floor: the quiet tenth of the frames."""
    return np.maximum(bands - 2 * np.quantile(bands, 0.1, axis=0), 0)


def _autocorrelation(envelope: Array) -> Array:
    """Unbiased autocorrelation (T,) of an envelope, 1 at lag 0."""
    deviations = envelope - envelope.mean()
    n = len(deviations)
    power = np.abs(np.fft.rfft(deviations, 2 * n)) ** 2
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

    # Three fast periods are about as long as one slow one: its thirds must not repeat either.
    slow = contrast(54, 82, (1 / 3, 1 / 2, 2 / 3))
    return "fast" if contrast(19, 34, (1 / 2,)) > slow else "slow"


def _shape(envelope: Array) -> Array:
    """Attack, sustain and decay of the events, whatever their phase and loudness."""
    level = envelope / (envelope.max() + 1e-12)
    repeats = _autocorrelation(envelope)[[2, 4, 6, 8, 10, 12]]
    rise = np.diff(level)
    lean = (rise**3).sum() / ((np.abs(rise) ** 3).sum() + 1e-12)
    return np.append(0.25 * repeats, 0.25 * lean)


def _texture(fine: Array, bands: Array, weights: Array) -> Array:
    """Spectral entropy (tone or noise) and spread of the pitch, loudness-weighted over frames."""
    low = fine[:, : int(HIGHEST * 1024 / RATE)] + 1e-12
    share = low / low.sum(-1, keepdims=True)
    entropy = weights @ -(share * np.log(share)).sum(-1) / math.log(low.shape[-1])
    octaves = bands @ np.arange(bands.shape[1]) / (bands.sum(-1) + 1e-12) / PER_OCTAVE  # (T,)
    deviation = math.sqrt(weights @ (octaves - weights @ octaves) ** 2)
    return np.array([entropy, 0.5 * deviation])
