"""Media as values: built, compared, resampled, shown."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest

from anymodal.media import (
    IMU,
    Audio,
    Depth,
    Image,
    Limits,
    Normal,
    PointCloud,
    Thermal,
    Video,
)
from tests.support.media_files import (
    COLORS,
    FRAMES,
    MOVES,
    PIXELS,
    POINTS,
    SAMPLES,
)

# Building


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Image(PIXELS / 255), "float64, expected uint8.*round"),
        (lambda: Image(PIXELS[..., 0]), r"shape \(13, 17\), expected \(H, W, 3\)"),
        (lambda: Image(PIXELS[:0]), "no axis empty"),
        (lambda: Audio(np.zeros((1, 0), np.float32), 8000), "no axis empty"),
        (lambda: Audio(np.zeros(8, np.int16), 8000), "32768"),
        (lambda: Audio(np.zeros((800, 2), np.float32), 8000), r"pass samples\.T"),
        (lambda: Audio(np.array([0, np.nan], np.float32), 8000), r"nan at index \(0, 1\)"),
        (lambda: Audio(SAMPLES, 0), "rate=0 is out of range"),
        (lambda: Audio(SAMPLES, math.nan), "rate=nan"),
        (lambda: Video(FRAMES[:0], 8), "no axis empty"),
        (lambda: Video(FRAMES, -1), "fps=-1"),
        (lambda: Video(FRAMES, math.inf), "fps=inf"),
        (lambda: IMU(MOVES.T, 100), r"expected \(6, n\).*samples\.T"),
        (lambda: IMU(MOVES, "fast"), "rate='fast'"),
        (lambda: Depth(np.full((2, 2), np.inf)), "inf at index"),
        (lambda: Thermal(np.zeros((2, 2))), "float64, expected uint8"),
        (lambda: Normal(np.full((2, 2, 3), 127.0)), "reach 127, and a normal's at most 1"),
        (lambda: PointCloud(POINTS.T), r"expected \(n, 3\)"),
        (lambda: PointCloud(POINTS[:0]), "no axis empty"),
        (lambda: PointCloud(POINTS, COLORS / 255), "float64, expected uint8"),
        (lambda: PointCloud(POINTS, COLORS[:7]), "7 colors for 40 points"),
        (lambda: Limits(max_points=-1), "max_points=-1"),
        (lambda: Limits(max_pixels=0), "max_pixels=0"),
        (lambda: Limits(max_seconds=math.nan), "max_seconds=nan"),
    ],
)
def test_constructors_refuse(build: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


def test_a_frozen_medium_is_hashed_once() -> None:
    medium = Image(PIXELS.copy())
    digest = medium.digest()
    assert medium.freeze() is medium and medium.digest() == digest
    with pytest.raises(ValueError, match="read-only"):
        medium.pixels[0] = 0
    medium.pixels.setflags(write=True)  # who insists gets the truth
    medium.pixels[0] = 255 - medium.pixels[0]
    assert medium.digest() == Image(medium.pixels.copy()).digest() != digest
    heard = Audio(SAMPLES.copy(), 8000).freeze()
    heard.rate = 8001
    assert heard.digest() == Audio(SAMPLES, 8001).digest()
    assert copy.deepcopy(Image(PIXELS.copy()).freeze()).digest() == digest


def test_equality_digest_and_repr() -> None:
    assert Audio(SAMPLES, 8000) == Audio(SAMPLES.astype(np.float64), 8000)
    assert Audio(SAMPLES, 8000) != Audio(SAMPLES, 8001)
    assert Audio(SAMPLES, 8000).digest() != Audio(SAMPLES, 8001).digest()
    assert Image(PIXELS) != Thermal(PIXELS[..., 0])
    assert Image(PIXELS).digest() != Image(PIXELS.reshape(17, 13, 3)).digest()
    assert repr(Image(PIXELS)) == "Image(17×13)"
    assert repr(Audio(SAMPLES, 8000)) == "Audio(0.50 s, 1 ch, 8000 Hz)"
    assert repr(Video(FRAMES, 8)) == "Video(24×16, 8 frames, 8 fps)"
    assert repr(IMU(MOVES, 100)) == "IMU(0.50 s, 100 Hz)"


# What encoders need


def test_mono_and_resample_keep_a_tone() -> None:
    time = np.arange(44100) / 44100
    tone = Audio(np.stack([np.sin(2 * np.pi * 440 * time), np.zeros(44100)]), 44100)
    mono = tone.mono()
    assert mono.samples.shape == (1, 44100)
    np.testing.assert_allclose(mono.samples[0], tone.samples[0] / 2, atol=1e-6)
    low = mono.resample(16000)
    assert low.rate == 16000 and low.samples.shape == (1, 16000)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    np.testing.assert_allclose(low.samples[0, 200:-200], expected[200:-200], atol=2e-3)
    assert mono.resample(44100) is mono


@pytest.mark.parametrize("rate", [1, 44101, 768_000, 767_999])
def test_resampling_strange_rates_stays_small(rate: int) -> None:
    out = Audio(SAMPLES[:100], rate).resample(16000)
    assert out.duration == pytest.approx(100 / rate, rel=1e-3, abs=1e-4)


def test_sample_takes_the_nearest_frame() -> None:
    got = Video(FRAMES, 4).sample([-1, 0, 0.13, 0.24, 1.0, 99])
    assert got[:, 0, 0, 0].tolist() == [0, 0, 30, 30, 120, 210]
    with pytest.raises(ValueError, match="finite seconds"):
        Video(FRAMES, 4).sample([math.nan])


def test_imu_resample_is_linear() -> None:
    ramp = IMU(np.tile(np.arange(11, dtype=np.float32), (6, 1)), 10)
    np.testing.assert_allclose(ramp.resample(20).samples[0, :21], np.arange(21) / 2)
    assert ramp.resample(20).duration == pytest.approx(ramp.duration)


def test_display_holds_the_data() -> None:
    assert Image(PIXELS)._repr_png_().startswith(b"\x89PNG")
    assert "data:image/png;base64," in Depth(np.ones((3, 4), np.float32)).html()
    assert "<audio controls" in Audio(SAMPLES, 8000)._repr_html_()
    assert "data:video/mp4;base64," in Video(FRAMES, 8)._repr_html_()
    svg = IMU(MOVES, 100)._repr_html_()
    assert svg.startswith("<svg") and svg.count("<polyline") == 6 and "nan" not in svg
