"""Audio: rooms, echoes, and music or voices behind."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve, lfilter

from anymodal.media import Audio, Media
from anymodal.toybox.render import render_scene
from anymodal.toybox.scene import Scene

Wave = NDArray[np.float64]

DECAYS = (0.08, 0.6)
"""Seconds in which a room's sound falls by 60 dB, from and to."""
BEHIND = (8.0, 26.0)
"""Decibels by which the sound is louder than what is behind it, from and to."""


def play_in_room(scene: Scene, rng: np.random.Generator) -> Media:
    """Play a scene's sound in a room, with music, voices or noise behind it."""
    clean = render_scene(scene, "audio", rng)
    assert isinstance(clean, Audio)
    wave, rate = clean.samples[0].astype(float), clean.rate
    if rng.random() < 0.6:
        wave = reverberate(wave, rate, rng)
    if rng.random() < 0.25:
        wave = echo(wave, rate, rng)
    if rng.random() < 0.5:
        sound = (music, voice, hiss)[int(rng.integers(3))](len(wave), rate, rng)
        wave = mix(wave, sound, rng.uniform(*BEHIND))
    level = np.exp(rng.uniform(np.log(0.15), np.log(0.98)))
    wave = wave * level / max(float(np.abs(wave).max()), 1e-6)
    return Audio(wave.astype(np.float32)[None], rate)


def reverberate(wave: Wave, rate: int, rng: np.random.Generator) -> Wave:
    """A wave with the sound of a room: noise that decays, after the direct sound."""
    decay = np.exp(rng.uniform(*np.log(DECAYS)))
    count = round(decay * rate)
    tail = rng.standard_normal(count) * 10 ** (-3 * np.arange(count) / count)
    tail[: round(rng.uniform(0.002, 0.02) * rate)] = 0  # until the first wall answers
    tail *= rng.uniform(0.1, 0.7) / max(float(np.sqrt((tail**2).sum())), 1e-6)
    tail[0] = 1
    return np.asarray(fftconvolve(wave, tail)[: len(wave)])


def echo(wave: Wave, rate: int, rng: np.random.Generator) -> Wave:
    """A wave with one to three weaker repetitions."""
    out, after = wave.copy(), 0
    for _ in range(int(rng.integers(1, 4))):
        after += round(rng.uniform(0.06, 0.2) * rate)
        if after < len(wave):
            out[after:] += 10 ** (-rng.uniform(8, 18) / 20) * wave[: len(wave) - after]
    return out


def mix(wave: Wave, other: Wave, decibels: float) -> Wave:
    """A wave and another that is weaker by so many decibels."""
    own, theirs = (float(np.sqrt((each**2).mean())) for each in (wave, other))
    return wave + other * own / max(theirs, 1e-6) * 10 ** (-decibels / 20)


def music(count: int, rate: int, rng: np.random.Generator) -> Wave:
    """Chords of a few notes each, struck softly."""
    out, start = np.zeros(count), 0
    while start < count:
        length = min(round(rng.uniform(0.25, 0.8) * rate), count - start)
        root = 110 * 2 ** (rng.integers(0, 24) / 12)
        times = np.arange(length) / rate
        for step in rng.choice(((0, 4, 7), (0, 3, 7), (0, 5, 9))):
            pitch = root * 2 ** (step / 12)
            note = sum(np.sin(2 * np.pi * k * pitch * times) / k**2 for k in (1, 2, 3))
            out[start : start + length] += note * np.exp(-2 * times)
        start += length
    return out


def voice(count: int, rate: int, rng: np.random.Generator) -> Wave:
    """Syllables: pulses of a gliding pitch through two formants, four or so a second."""
    pitch = rng.uniform(90, 240) * (1 + 0.15 * np.cumsum(rng.standard_normal(count)) / count**0.5)
    turns = np.cumsum(pitch) / rate
    pulses = np.diff(np.floor(turns), prepend=0.0) + 0.05 * rng.standard_normal(count)
    out, start = np.zeros(count), 0
    while start < count:
        length = min(round(rng.uniform(0.12, 0.32) * rate), count - start)
        syllable = pulses[start : start + length] * np.sin(np.pi * np.arange(length) / length)
        for formant in (rng.uniform(300, 900), rng.uniform(900, 2500)):
            angle, radius = 2 * np.pi * formant / rate, 0.97
            poles = [1, -2 * radius * np.cos(angle), radius**2]
            out[start : start + length] += lfilter([1, 0, -1], poles, syllable)
        start += length + round(rng.uniform(0.0, 0.15) * rate)
    return out


def hiss(count: int, rate: int, rng: np.random.Generator) -> Wave:
    """Noise that is stronger at low frequencies, as of a street or a fan."""
    return np.asarray(lfilter([1], [1, -rng.uniform(0.5, 0.98)], rng.standard_normal(count)))
