"""What a Toybox scene sounds like: repeated events, each thing with a timbre of its own.

Frequencies in Hz, times in seconds, waveforms in [-1, 1]. A voice renders one event from its
frequency and the time until the next one, so a small thing is its voice at twice the frequency.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from anymodal.toybox.scene import Scene

Wave = NDArray[np.float64]
Voice = Callable[[float, float, int, np.random.Generator], Wave]

EVENTS_PER_SECOND = {"slow": 1.5, "fast": 4.0}
OCTAVES = {"big": 1.0, "small": 2.0}
HELD = 0.62  # The share of the time between two events that a held sound lasts.


def play(
    scene: Scene, rng: np.random.Generator, rate: int = 16000, seconds: float = 2.0
) -> NDArray[np.float32]:
    """The sound of a scene, shape (round(seconds * rate),), at `rate` Hz.

    Pitch varies by 3 %, tempo by 4 %, and the first event, every event's level and the noise
    floor vary too.

    Raises:
        ValueError: if `rate` is too low for the highest partials, or `seconds` is not positive.
    """
    if rate < 8000:
        raise ValueError(f"rate={rate} is below 8000 Hz, too low for these sounds; use 16000")
    if seconds <= 0:
        raise ValueError(f"seconds={seconds} must be positive, for example 2.0")
    voice, frequency = VOICES[scene.thing]
    frequency *= OCTAVES[scene.size] * rng.uniform(0.97, 1.03)
    period = 1 / (EVENTS_PER_SECOND[scene.tempo] * rng.uniform(0.96, 1.04))
    total = round(seconds * rate)
    out = np.zeros(total)
    onset = rng.uniform(0.01, 0.15)
    while onset < seconds:
        event = voice(frequency * rng.uniform(0.995, 1.005), period, rate, rng)
        event *= rng.uniform(0.8, 1.0) / np.abs(event).max()
        start = int(onset * rate)
        event = event[: total - start]
        out[start : start + len(event)] += event
        onset += period * rng.uniform(0.98, 1.02)
    # Held sounds get less peak than short ones, so that all are about equally loud.
    out *= rng.uniform(0.65, 0.95) / (float(np.abs(out).max() + 1.5 * out.std()) + 1e-9)
    out += rng.uniform(0.0005, 0.003) * rng.standard_normal(total)
    tail = min(total, rate // 100)
    out[total - tail :] *= np.linspace(1, 0, tail)
    return np.clip(out, -1, 1).astype(np.float32)


@cache
def _table(weights: tuple[float, ...]) -> Wave:
    """One period of a wave with these harmonics, 4096 samples."""
    turns = np.arange(4096) / 4096
    harmonics = np.arange(1, len(weights) + 1)[:, None] * turns  # (H, 1) * (4096,) -> (H, 4096)
    return np.asarray(np.array(weights) @ np.sin(2 * np.pi * harmonics))


def _tone(frequency: Wave, rate: int, weights: tuple[float, ...]) -> Wave:
    """A wave of gliding frequency (n,) with harmonics of these weights."""
    turns = np.cumsum(frequency) / rate
    return np.asarray(_table(weights)[(turns * 4096).astype(np.int64) & 4095])


def _span(duration: float, rate: int) -> Wave:
    """Times from 0 to 1 over a duration."""
    return np.linspace(0, 1, max(round(duration * rate), 2))


def _edges(wave: Wave, rate: int, attack: float, release: float) -> Wave:
    """A wave with smooth ends."""
    for seconds, part in ((attack, wave), (release, wave[::-1])):
        n = min(round(seconds * rate), len(wave))
        part[:n] *= 0.5 - 0.5 * np.cos(np.pi * np.arange(n) / n)
    return wave


def _ring(modes: tuple[tuple[float, float, float], ...], length: float, rate: int) -> Wave:
    """Struck modes of (frequency, decay time to 1/e, level): a sum of two-pole resonators."""
    impulse = np.zeros(round(length * rate))
    impulse[0] = 1
    out = np.zeros_like(impulse)
    for frequency, decay, level in modes:
        angle, radius = 2 * np.pi * frequency / rate, np.exp(-1 / (decay * rate))
        numerator = [0, radius * np.sin(angle)]
        out += level * lfilter(numerator, [1, -2 * radius * np.cos(angle), radius**2], impulse)
    return _edges(out, rate, 0.002, 0.01)


def _band(frequency: float, n: int, rate: int, rng: np.random.Generator) -> Wave:
    """Noise (n,) around a frequency, about an octave wide."""
    angle, radius = 2 * np.pi * frequency / rate, np.exp(-1.4 * frequency / rate)
    noise = rng.standard_normal(n)
    for _ in range(2):
        noise = lfilter([1, 0, -1], [1, -2 * radius * np.cos(angle), radius**2], noise)
    return np.asarray(noise)


def _ball(f: float, period: float, rate: int, rng: np.random.Generator) -> Wave:
    """A hollow knock and two ever weaker bounces."""
    knock = _ring(((f, 0.018, 1.0), (2.3 * f, 0.01, 0.4)), 0.08, rate)
    out = np.zeros(round(0.2 * rate))
    for after, level in ((0.0, 1.0), (0.065, 0.45), (0.11, 0.2)):
        start = round(after * rate)
        out[start : start + len(knock)] += level * knock
    return out


def _bell(f: float, period: float, rate: int, rng: np.random.Generator) -> Wave:
    """A struck bar: inharmonic partials, the higher the shorter."""
    return _ring(((f, 0.16, 1.0), (2.41 * f, 0.12, 0.8), (3.9 * f, 0.07, 0.5)), 0.45, rate)


def _bird(f: float, period: float, rate: int, rng: np.random.Generator) -> Wave:
    """A pure chirp, rising over half an octave."""
    glide = f * 1.55 ** _span(0.11, rate)
    return _edges(_tone(glide, rate, (1.0,)), rate, 0.02, 0.03)


def _bee(f: float, period: float, rate: int, rng: np.random.Generator) -> Wave:
    """A trembling saw-tooth."""
    span = _span(HELD * period, rate)
    tremble = 1 + 0.02 * np.sin(2 * np.pi * 28 * HELD * period * span)
    weights = tuple(1 / k for k in range(1, 11))
    return _edges(_tone(f * tremble, rate, weights), rate, 0.03, 0.04)


def _clock(f: float, period: float, rate: int, rng: np.random.Generator) -> Wave:
    """A short dry tick."""
    return _ring(((f, 0.014, 1.0), (1.36 * f, 0.01, 0.7)), 0.08, rate)


def _drum(f: float, period: float, rate: int, rng: np.random.Generator) -> Wave:
    """A thump: membrane modes under a short burst of noise."""
    thump = _ring(((f, 0.07, 1.0), (1.59 * f, 0.04, 0.6), (2.3 * f, 0.025, 0.4)), 0.24, rate)
    n = round(0.05 * rate)
    thump[:n] += 0.25 * _edges(_unit(_band(7 * f, n, rate, rng)), rate, 0.002, 0.045)
    return thump


def _duck(f: float, period: float, rate: int, rng: np.random.Generator) -> Wave:
    """A nasal quack: falling pitch under one strong formant."""
    weights = tuple(float(np.exp(-(((k - 5) / 1.6) ** 2))) + 0.1 for k in range(1, 11))
    glide = f * (1.08 - 0.2 * _span(0.14, rate))
    return _edges(_tone(glide, rate, weights), rate, 0.01, 0.06)


def _flute(f: float, period: float, rate: int, rng: np.random.Generator) -> Wave:
    """A soft tone with vibrato."""
    span = _span(HELD * period, rate)
    vibrato = 1 + 0.012 * np.sin(2 * np.pi * 6 * HELD * period * span)
    return _edges(_tone(f * vibrato, rate, (1.0, 0.3, 0.08)), rate, 0.05, 0.06)


def _heart(f: float, period: float, rate: int, rng: np.random.Generator) -> Wave:
    """Two soft low beats, the second weaker."""
    n = round(0.1 * rate)
    out = np.zeros(n + round(0.11 * rate))
    for after, level in ((0.0, 1.0), (0.11, 0.65)):
        start = round(after * rate)
        beat = _tone(np.full(n, f), rate, (1.0, 0.4))
        out[start : start + n] += level * _edges(beat, rate, 0.02, 0.07)
    return out


def _rain(f: float, period: float, rate: int, rng: np.random.Generator) -> Wave:
    """A gust of noise around one frequency."""
    n = round(HELD * period * rate)
    return _edges(_band(f, n, rate, rng), rate, 0.04, 0.06)


def _siren(f: float, period: float, rate: int, rng: np.random.Generator) -> Wave:
    """A sweep up and down again, with odd harmonics."""
    glide = f * 1.9 ** np.sin(np.pi * _span(HELD * period, rate))
    return _edges(_tone(glide, rate, (1.0, 0.0, 0.35)), rate, 0.02, 0.03)


def _car(f: float, period: float, rate: int, rng: np.random.Generator) -> Wave:
    """Engine pulses: a dense low series of harmonics, revving up a little."""
    weights = tuple(float(np.exp(-abs(k - 5) / 2.5)) * (-1) ** (k // 3) for k in range(1, 21))
    glide = f * (1 + 0.12 * _span(HELD * period, rate))
    return _edges(_tone(glide, rate, weights), rate, 0.03, 0.05)


def _unit(wave: Wave) -> Wave:
    """A wave with peak 1."""
    return wave / max(float(np.abs(wave).max()), 1e-9)


VOICES: dict[str, tuple[Voice, float]] = {
    "ball": (_ball, 330.0),
    "bell": (_bell, 440.0),
    "bird": (_bird, 1100.0),
    "bee": (_bee, 210.0),
    "clock": (_clock, 1200.0),
    "drum": (_drum, 110.0),
    "duck": (_duck, 190.0),
    "flute": (_flute, 520.0),
    "heart": (_heart, 75.0),
    "rain": (_rain, 1300.0),
    "siren": (_siren, 440.0),
    "car": (_car, 48.0),
}
"""Each thing's voice and its frequency when big."""
