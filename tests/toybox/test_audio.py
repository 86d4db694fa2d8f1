"""Toybox sounds keep their promises, and the oracle that reads them is right about them."""

import itertools
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import butter, istft, resample_poly, sosfiltfilt, stft

from anymodal.toybox.oracles.audio import read_audio
from anymodal.toybox.renderers.audio import EVENTS_PER_SECOND, render_audio
from anymodal.toybox.scene import SIZES, TEMPOS, THINGS, Scene

ATTRIBUTES = ("thing", "size", "tempo")
OBSERVABLE = list(itertools.product(THINGS, SIZES, TEMPOS))
CHANCE = {"thing": 1 / 12, "size": 1 / 2, "tempo": 1 / 2}


def scene(thing, size, tempo):
    return Scene(thing, "red", size, "still", tempo)


def hits(change=lambda wave, rng: wave, rate=16000, seconds=2.0, times=1, seed=1):
    """Share of right readings by attribute, over every thing, size and tempo."""
    rng = np.random.default_rng(seed)
    right = dict.fromkeys(ATTRIBUTES, 0)
    for told in OBSERVABLE * times:
        heard = read_audio(change(render_audio(scene(*told), rng, rate, seconds), rng), rate)
        for name, value in zip(ATTRIBUTES, told, strict=True):
            right[name] += heard[name] == value
    return {name: count / (times * len(OBSERVABLE)) for name, count in right.items()}


@cache
def fresh_readings():
    """(told, heard) of fresh sounds."""
    rng = np.random.default_rng(7)
    return [(told, read_audio(render_audio(scene(*told), rng), 16000)) for told in OBSERVABLE * 3]


def noisy(wave, rng):
    return wave + 0.1 * wave.std() * rng.standard_normal(len(wave))


def band_limited(wave, rng):
    return sosfiltfilt(butter(8, 5000, fs=16000, output="sos"), wave)


def phase_lost(wave, rng):
    """Griffin and Lim's reconstruction from short-time magnitudes, few iterations."""
    magnitude = np.abs(stft(wave, nperseg=512, noverlap=256)[2])
    spectrum = magnitude * np.exp(2j * np.pi * rng.random(magnitude.shape))
    for _ in range(4):
        guess = istft(spectrum, nperseg=512, noverlap=256)[1][: len(wave)]
        phase = np.angle(stft(guess, nperseg=512, noverlap=256)[2])
        spectrum = magnitude * np.exp(1j * phase)
    return istft(spectrum, nperseg=512, noverlap=256)[1][: len(wave)]


def median_frequency(wave):
    power = np.abs(np.fft.rfft(wave)) ** 2
    return np.searchsorted(power.cumsum(), power.sum() / 2) * 16000 / len(wave)


@pytest.mark.parametrize("told", OBSERVABLE)
def test_sounds_are_clean_waves_with_little_above_4_khz(told):
    wave = render_audio(scene(*told), np.random.default_rng(0))
    assert wave.shape == (32000,) and wave.dtype == np.float32
    assert 0.2 < np.abs(wave).max() <= 1 and wave.std() > 0.02
    power = np.abs(np.fft.rfft(wave)) ** 2
    assert power[8000:].sum() < 0.15 * power.sum()


@pytest.mark.parametrize("thing", THINGS)
def test_small_is_an_octave_above_big(thing):
    pitches = {
        size: np.median(
            [
                median_frequency(
                    render_audio(scene(thing, size, "slow"), np.random.default_rng(seed))
                )
                for seed in range(7)
            ]
        )
        for size in SIZES
    }
    assert pitches["small"] / pitches["big"] == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize("thing", THINGS)
def test_tempo_is_events_per_second(thing):
    for tempo, expected in EVENTS_PER_SECOND.items():
        wave = render_audio(scene(thing, "small", tempo), np.random.default_rng(3), seconds=4.0)
        frames = np.sqrt((wave.reshape(-1, 160) ** 2).mean(-1))  # (n,) -> (n / 160, 160)
        smooth = np.convolve(frames, np.ones(3) / 3, "same")
        starts = np.flatnonzero(np.diff((smooth > 0.2 * smooth.max()).astype(int), prepend=0) == 1)
        onsets = [-100]
        for start in starts:
            # A bounce or a second beat within 160 ms belongs to the event before it.
            if start - onsets[-1] > 16:
                onsets.append(start)
        events = len(onsets) - 1
        assert abs(events / 4 - expected) <= 0.3


def test_a_seed_makes_one_sound_and_another_seed_another():
    first, again, other = (
        render_audio(scene("bell", "big", "slow"), np.random.default_rng(seed))
        for seed in (4, 4, 5)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_play_refuses_what_it_cannot_render():
    with pytest.raises(ValueError, match="8000"):
        render_audio(scene("bell", "big", "slow"), np.random.default_rng(0), rate=4000)
    with pytest.raises(ValueError, match="positive"):
        render_audio(scene("bell", "big", "slow"), np.random.default_rng(0), seconds=0)


def test_oracle_reads_fresh_sounds():
    for place, name in enumerate(ATTRIBUTES):
        right = np.mean([told[place] == heard[name] for told, heard in fresh_readings()])
        assert right >= 0.99, name


def test_oracle_is_at_chance_on_scrambled_labels():
    readings = fresh_readings()
    order = np.random.default_rng(2).permutation(len(readings))
    for place, name in enumerate(ATTRIBUTES):
        right = [
            readings[i][0][place] == heard[name]
            for i, (_, heard) in zip(order, readings, strict=True)
        ]
        assert np.mean(right) == pytest.approx(CHANCE[name], abs=0.12), name


@pytest.mark.parametrize("change", [noisy, band_limited, phase_lost])
def test_oracle_survives_wear(change):
    assert min(hits(change).values()) >= 0.97


@pytest.mark.parametrize("rate", [8000, 44100])
def test_oracle_reads_any_rate(rate):
    assert min(hits(rate=rate).values()) >= 0.97


@pytest.mark.parametrize("seconds", [1.2, 4.0])
def test_oracle_reads_other_lengths(seconds):
    assert min(hits(seconds=seconds).values()) >= 0.95


def test_oracle_does_not_mind_loudness_or_a_round_trip_of_the_rate():
    def change(wave, rng):
        return 0.02 * resample_poly(resample_poly(wave, 3, 2), 2, 3)

    assert min(hits(change).values()) >= 0.97


def test_silence_tells_nothing():
    assert read_audio(np.zeros(32000), 16000) == {"thing": "", "size": "", "tempo": ""}


def test_oracle_refuses_what_is_no_sound():
    with pytest.raises(ValueError, match="one channel"):
        read_audio(np.zeros((2, 16000)), 16000)
    with pytest.raises(ValueError, match="too short"):
        read_audio(np.zeros(1000), 16000)
    with pytest.raises(ValueError, match="NaN"):
        read_audio(np.full(16000, np.nan), 16000)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    level=st.floats(-8, 4),
    samples=st.integers(14400, 80000),
    rate=st.sampled_from([8000, 16000]),
)
def test_oracle_always_answers(seed, level, samples, rate):
    noise = np.random.default_rng(seed).standard_normal(samples) * 10**level
    heard = read_audio(noise, rate)
    known = {"thing": THINGS, "size": SIZES, "tempo": TEMPOS}
    assert all(heard[name] == "" or heard[name] in known[name] for name in ATTRIBUTES)
