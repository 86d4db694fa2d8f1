"""Scenes as audio: repeated sound events, each thing with a timbre of its own.

Frequencies in Hz, times in seconds, waveforms in [-1, 1]. A voice synthesizes one event from its
frequency and the time until the next one; a small thing is its voice an octave higher.
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
SUSTAIN = 0.62
"""Duration of a sustained event, as a share of the time between two events."""


def render_audio(
    scene: Scene, rng: np.random.Generator, rate: int = 16000, seconds: float = 2.0
) -> NDArray[np.float32]:
    """Render a scene as mono audio of shape (round(seconds * rate),), at `rate` Hz.

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
    # Sustained events get less peak than short ones, so that all are about equally loud.
    out *= rng.uniform(0.65, 0.95) / (float(np.abs(out).max() + 1.5 * out.std()) + 1e-9)
    out += rng.uniform(0.0005, 0.003) * rng.standard_normal(total)
    tail = min(total, rate // 100)  # a fade of 10 ms, since an event that is cut off would click
    out[total - tail :] *= np.linspace(1, 0, tail)
    return np.clip(out, -1, 1).astype(np.float32)


@cache
def _wavetable(weights: tuple[float, ...]) -> Wave:
    """One period of a wave with these harmonics, 4096 samples."""
    turns = np.arange(4096) / 4096
    harmonics = np.arange(1, len(weights) + 1)[:, None] * turns  # (H, 1) * (4096,) -> (H, 4096)
    return np.asarray(np.array(weights) @ np.sin(2 * np.pi * harmonics))


def _tone(frequency: Wave, rate: int, weights: tuple[float, ...]) -> Wave:
    """A wave of gliding frequency (n,) with harmonics of these weights."""
    turns = np.cumsum(frequency) / rate
    return np.asarray(_wavetable(weights)[(turns * 4096).astype(np.int64) & 4095])


def _ramp(duration: float, rate: int) -> Wave:
    """A ramp from 0 to 1 over a duration."""
    return np.linspace(0, 1, max(round(duration * rate), 2))


def _fade(wave: Wave, rate: int, attack: float, release: float) -> Wave:
    """The wave with raised-cosine fades at both ends, in place."""
    for seconds, part in ((attack, wave), (release, wave[::-1])):
        n = min(round(seconds * rate), len(wave))
        part[:n] *= 0.5 - 0.5 * np.cos(np.pi * np.arange(n) / n)
    return wave


def _modal(modes: tuple[tuple[float, float, float], ...], length: float, rate: int) -> Wave:
    """Modal synthesis: a sum of two-pole resonators (frequency, decay time to 1/e, level)."""
    impulse = np.zeros(round(length * rate))
    impulse[0] = 1
    out = np.zeros_like(impulse)
    for frequency, decay, level in modes:
        angle, radius = 2 * np.pi * frequency / rate, np.exp(-1 / (decay * rate))
        numerator = [0, radius * np.sin(angle)]
        out += level * lfilter(numerator, [1, -2 * radius * np.cos(angle), radius**2], impulse)
    return _fade(out, rate, 0.002, 0.01)


def _bandpass_noise(frequency: float, n: int, rate: int, rng: np.random.Generator) -> Wave:
    """Noise (n,) around a frequency, about an octave wide."""
    angle, radius = 2 * np.pi * frequency / rate, np.exp(-1.4 * frequency / rate)
    noise = rng.standard_normal(n)
    for _ in range(2):  # one pass of the resonator leaves too much beside its band
        noise = lfilter([1, 0, -1], [1, -2 * radius * np.cos(angle), radius**2], noise)
    return np.asarray(noise)


def _ball(f: float, period: float, rate: int, rng: np.random.Generator) -> Wave:
    """A hollow knock and two ever weaker bounces."""
    knock = _modal(((f, 0.018, 1.0), (2.3 * f, 0.01, 0.4)), 0.08, rate)
    out = np.zeros(round(0.2 * rate))
    for after, level in ((0.0, 1.0), (0.065, 0.45), (0.11, 0.2)):
        start = round(after * rate)
        out[start : start + len(knock)] += level * knock
    return out


def _bell(f: float, period: float, rate: int, rng: np.random.Generator) -> Wave:
    """A struck bar: inharmonic partials, the higher the shorter."""
    return _modal(((f, 0.16, 1.0), (2.41 * f, 0.12, 0.8), (3.9 * f, 0.07, 0.5)), 0.45, rate)


def _bird(f: float, period: float, rate: int, rng: np.random.Generator) -> Wave:
    """A pure chirp, rising over half an octave."""
    glide = f * 1.55 ** _ramp(0.11, rate)
    return _fade(_tone(glide, rate, (1.0,)), rate, 0.02, 0.03)


def _bee(f: float, period: float, rate: int, rng: np.random.Generator) -> Wave:
    """A trembling saw-tooth."""
    ramp = _ramp(SUSTAIN * period, rate)
    tremble = 1 + 0.02 * np.sin(2 * np.pi * 28 * SUSTAIN * period * ramp)
    weights = tuple(1 / k for k in range(1, 11))
    return _fade(_tone(f * tremble, rate, weights), rate, 0.03, 0.04)


def _clock(f: float, period: float, rate: int, rng: np.random.Generator) -> Wave:
    """A short dry tick."""
    return _modal(((f, 0.014, 1.0), (1.36 * f, 0.01, 0.7)), 0.08, rate)


def _drum(f: float, period: float, rate: int, rng: np.random.Generator) -> Wave:
    """A thump: membrane modes under a short burst of noise."""
    thump = _modal(((f, 0.07, 1.0), (1.59 * f, 0.04, 0.6), (2.3 * f, 0.025, 0.4)), 0.24, rate)
    n = round(0.05 * rate)
    noise = _bandpass_noise(7 * f, n, rate, rng)
    noise = noise / max(float(np.abs(noise).max()), 1e-9)
    thump[:n] += 0.25 * _fade(noise, rate, 0.002, 0.045)
    return thump


def _duck(f: float, period: float, rate: int, rng: np.random.Generator) -> Wave:
    """A nasal quack: falling pitch under one strong formant."""
    weights = tuple(float(np.exp(-(((k - 5) / 1.6) ** 2))) + 0.1 for k in range(1, 11))
    glide = f * (1.08 - 0.2 * _ramp(0.14, rate))
    return _fade(_tone(glide, rate, weights), rate, 0.01, 0.06)


def _flute(f: float, period: float, rate: int, rng: np.random.Generator) -> Wave:
    """A soft tone with vibrato."""
    ramp = _ramp(SUSTAIN * period, rate)
    vibrato = 1 + 0.012 * np.sin(2 * np.pi * 6 * SUSTAIN * period * ramp)
    return _fade(_tone(f * vibrato, rate, (1.0, 0.3, 0.08)), rate, 0.05, 0.06)


def _heart(f: float, period: float, rate: int, rng: np.random.Generator) -> Wave:
    """Two soft low beats, the second weaker."""
    n = round(0.1 * rate)
    out = np.zeros(n + round(0.11 * rate))
    for after, level in ((0.0, 1.0), (0.11, 0.65)):
        start = round(after * rate)
        beat = _tone(np.full(n, f), rate, (1.0, 0.4))
        out[start : start + n] += level * _fade(beat, rate, 0.02, 0.07)
    return out


def _rain(f: float, period: float, rate: int, rng: np.random.Generator) -> Wave:
    """A gust of noise around one frequency."""
    n = round(SUSTAIN * period * rate)
    return _fade(_bandpass_noise(f, n, rate, rng), rate, 0.04, 0.06)


def _siren(f: float, period: float, rate: int, rng: np.random.Generator) -> Wave:
    """A sweep up and down again, with odd harmonics."""
    glide = f * 1.9 ** np.sin(np.pi * _ramp(SUSTAIN * period, rate))
    return _fade(_tone(glide, rate, (1.0, 0.0, 0.35)), rate, 0.02, 0.03)


def _car(f: float, period: float, rate: int, rng: np.random.Generator) -> Wave:
    """Engine pulses: a dense low series of harmonics, revving up a little."""
    weights = tuple(float(np.exp(-abs(k - 5) / 2.5)) * (-1) ** (k // 3) for k in range(1, 21))
    glide = f * (1 + 0.12 * _ramp(SUSTAIN * period, rate))
    return _fade(_tone(glide, rate, weights), rate, 0.03, 0.05)


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
