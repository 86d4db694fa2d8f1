"""Files over a limit are refused, or scaled down where that is possible."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from anymodal.media import (
    Limits,
    Video,
    load,
)
from tests.support.media_files import (
    VALID,
    clip,
    png_header,
    wav_header,
)

# Limits


@pytest.mark.parametrize(
    ("data", "limits", "message"),
    [
        (png_header(30_000, 30_000), Limits(), "30000×30000 = 900,000,000 pixels.*max_pixels"),
        (VALID["a.jpg"][1], Limits(max_pixels=100), "17×13 = 221 pixels, over the limit of 100"),
        (VALID["a.webp"][1], Limits(max_pixels=100), "max_pixels"),
        (VALID["a.png"][1], Limits(max_decoded_bytes=600), "max_decoded_bytes"),
        (wav_header(36_000), Limits(), r"lasts 36,000\.0 s, over the limit of 600.*max_seconds"),
        (wav_header(60, rate=48_000, channels=2), Limits(), "cut short: it has 64 of 11,520,000"),
        (wav_header(32 / (2**31 - 1), rate=2**31 - 1), Limits(), "1 channels at 2147483647 Hz"),
        (wav_header(0.002, rate=0), Limits(), "damaged"),
        (VALID["a.flac"][1], Limits(max_seconds=0.4), r"lasts 0\.5 s"),
        (VALID["a.ogg"][1], Limits(max_decoded_bytes=15_000), "max_decoded_bytes"),
        (VALID["a.mp3"][1], Limits(max_seconds=0.4), "max_seconds"),
        (VALID["a.m4a"][1], Limits(max_decoded_bytes=15_000), "max_decoded_bytes"),
        (VALID["a.mp4"][1], Limits(max_frames=7), "has 8 frames, over the limit of 7"),
        (VALID["a.mp4"][1], Limits(max_seconds=0.7), r"lasts 0\.8 s"),
        (VALID["a.webm"][1], Limits(max_frames=7), "8 frames"),
        (VALID["a.webm"][1], Limits(max_pixels=383), "over the limit of 383 pixels"),
        (VALID["a.mp4"][1], Limits(max_decoded_bytes=9000), "8 frames of 24×16.*cut it or scale"),
        (VALID["a.gif"][1], Limits(max_frames=1), "max_frames"),
        (VALID["a.gif"][1], Limits(max_pixels=100), "over the limit of 100 pixels"),
        (VALID["a.csv"][1], Limits(max_decoded_bytes=1000), "max_decoded_bytes"),
        (VALID["a.csv"][1], Limits(max_seconds=0.1), "max_seconds"),
        (VALID["a.npy"][1], Limits(max_decoded_bytes=1000), "max_decoded_bytes"),
        (VALID["a.wav"][1], Limits(max_bytes=1000), "max_bytes"),
        (VALID["a.ply"][1], Limits(max_points=39), "has 40 points, over the limit of 39"),
        (VALID["a.ply"][1], Limits(max_decoded_bytes=500), "40 points of 6 values.*max_decoded_b"),
        (VALID["text.ply"][1], Limits(max_points=39), "max_points"),
    ],
)  # fmt: skip
def test_limits(data: bytes, limits: Limits, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load(data, limits=limits)


def test_limits_hold_for_files_and_before_reading(tmp_path: Path) -> None:
    path = tmp_path / "big.wav"
    with path.open("wb") as file:
        file.truncate(600 * 2**20)  # a sparse file
    with pytest.raises(ValueError, match=r"big\.wav is 600\.0 MiB, over the limit of 512\.0 MiB"):
        load(path)
    with pytest.raises(ValueError, match="max_bytes"):
        load(io.BytesIO(bytes(2000)), limits=Limits(max_bytes=1000))


@pytest.mark.parametrize("fmt", ["mp4", "matroska"])
def test_a_large_clip_is_scaled_down_to_fit(fmt: str) -> None:
    frames = np.zeros((6, 480, 640, 3), np.uint8)
    frames[:, :240, :320] = 200
    data = clip(fmt, "libx264", frames=frames)
    limits = Limits(max_decoded_bytes=2_000_000)
    found = Video.load(data, limits=limits)
    count, height, width, _ = found.frames.shape
    assert count == 6 and found.fps == 10
    assert 224 <= height < 480 and abs(width / height - 4 / 3) < 0.02
    assert 0.7 * limits.max_decoded_bytes < found.frames.nbytes <= limits.max_decoded_bytes
    assert abs(int(found.frames[3, height // 4, width // 4, 0]) - 200) < 12
    assert found.frames[3, -height // 4, -width // 4].max() < 12
    with pytest.raises(ValueError, match="6 frames of 298×224.*max_decoded_bytes"):
        Video.load(data, limits=Limits(max_decoded_bytes=1_000_000))


def test_a_frame_larger_than_its_header_is_refused() -> None:
    data = clip("matroska", "libx264", frames=np.zeros((2, 640, 640, 3), np.uint8))
    at = data.index(b"\xb0\x82\x02\x80")  # PixelWidth in the track's header
    forged = data[:at] + b"\xb0\x82\x00\x10" + data[at + 4 :]
    with pytest.raises(ValueError, match="640"):
        Video.load(forged, limits=Limits(max_pixels=200_000))
