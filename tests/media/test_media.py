"""Media: files of every kind, limits, and bad input answered with a `ValueError`."""

from __future__ import annotations

import copy
import io
import json
import math
import os
import struct
import subprocess
import sys
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image as pil

from anymodal.media import (
    IMU,
    Audio,
    Depth,
    Image,
    Limits,
    Media,
    Normal,
    PointCloud,
    Thermal,
    Video,
    load,
)
from tests.support.paths import ROOT as REPOSITORY

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (13, 17, 3), dtype=np.uint8)
SAMPLES = (0.4 * np.sin(np.arange(4000) / 7)).astype(np.float32)
FRAMES = np.stack([np.full((16, 24, 3), 30 * i, np.uint8) for i in range(8)])
MOVES = RNG.normal(size=(6, 50)).astype(np.float32)
POINTS = RNG.normal(size=(40, 3)).astype(np.float32)
COLORS = RNG.integers(0, 256, (40, 3), dtype=np.uint8)
FACING = POINTS.reshape(5, 8, 3) / np.linalg.norm(POINTS, axis=1).reshape(5, 8, 1)
TEXT_PLY = (
    "ply\nformat ascii 1.0\nelement vertex 40\n"
    + "".join(f"property float {axis}\n" for axis in "xyz")
    + "end_header\n"
    + "".join(f"{x} {y} {z}\n" for x, y, z in POINTS)
)
CSV = "t,ax,ay,az,gx,gy,gz\n" + "".join(f"{i / 100},{i},0,9.8,0,0,0.5\n" for i in range(20))


def picture(fmt: str, source: Any = None, **options: Any) -> bytes:
    buffer = io.BytesIO()
    (source or pil.fromarray(PIXELS)).save(buffer, format=fmt, **options)
    return buffer.getvalue()


def sound(fmt: str, samples: Any = SAMPLES, rate: int = 8000, **options: Any) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=fmt, **options)
    return buffer.getvalue()


def clip(
    fmt: str, codec: str, *, frames: Any = FRAMES, times: Any = None, rotation: float = 0
) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=fmt) as container:
        stream: Any = container.add_stream(codec, rate=10)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        if rotation:
            stream.set_display_rotation(rotation)
        for index, frame in enumerate(frames):
            shown = av.VideoFrame.from_ndarray(frame, format="rgb24")
            shown.time_base = Fraction(1, 1000)
            shown.pts = round(1000 * times[index]) if times else 100 * index
            container.mux(stream.encode(shown))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def spoken(fmt: str, codec: str, *, rate: int = 16000, cover: bool = False) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=fmt) as container:
        stream: Any = container.add_stream(codec, rate=rate, layout="mono")
        if cover:
            art: Any = container.add_stream("mjpeg", rate=1)
            art.width, art.height, art.pix_fmt = 16, 16, "yuvj420p"
            art.disposition = av.stream.Disposition.attached_pic
        for start in range(0, 16000, 1000):
            values = (0.4 * np.sin(np.arange(start, start + 1000) / 7)).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(values[None], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = rate, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if cover:
            blank = np.zeros((16, 16, 3), np.uint8)
            container.mux(art.encode(av.VideoFrame.from_ndarray(blank, format="rgb24")))
    return buffer.getvalue()


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0" * 64)
    chunks = [
        struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (head, data)
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def wav_header(
    seconds: float, rate: int = 16000, channels: int = 1, data: bytes = bytes(64)
) -> bytes:
    size = int(seconds * rate * channels * 2)
    fmt = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * 2, 2 * channels, 16)
    body = b"WAVEfmt " + struct.pack("<I", 16) + fmt + b"data" + struct.pack("<I", size) + data
    return b"RIFF" + struct.pack("<I", (size + 36) & 0xFFFFFFFF) + body


VALID: dict[str, tuple[str, bytes]] = {
    "a.png": ("image", picture("PNG")),
    "a.jpg": ("image", picture("JPEG")),
    "a.webp": ("image", picture("WEBP")),
    "still.gif": ("image", picture("GIF")),
    "a.gif": (
        "video",
        picture("GIF", save_all=True, append_images=[pil.fromarray(255 - PIXELS)], duration=100),
    ),
    "a.wav": ("audio", sound("WAV")),
    "a.flac": ("audio", sound("FLAC")),
    "a.ogg": ("audio", sound("OGG", subtype="VORBIS")),
    "a.opus": ("audio", sound("OGG", subtype="OPUS")),
    "a.mp3": ("audio", spoken("mp3", "libmp3lame")),
    "a.m4a": ("audio", spoken("mp4", "aac")),
    "a.aac": ("audio", spoken("adts", "aac")),
    "a.mp4": ("video", clip("mp4", "libx264")),
    "a.webm": ("video", clip("webm", "libvpx-vp9")),
    "a.avi": ("video", clip("avi", "mpeg4")),
    "a.csv": ("imu", CSV.encode()),
    "a.npy": ("imu", npy(MOVES.T)),
    "a.ply": ("points", PointCloud(POINTS, COLORS)._encode(".ply")),
    "text.ply": ("points", TEXT_PLY.encode()),
}
HINTS: dict[str, Any] = {"a.npy": {"sample_rate": 100}}


# Loading what is right


@pytest.mark.parametrize("name", VALID)
def test_every_format_loads_from_path_bytes_and_file(name: str, tmp_path: Path) -> None:
    kind, data = VALID[name]
    path = tmp_path / name
    path.write_bytes(data)
    hints = HINTS.get(name, {})
    media = [
        load(path, **hints),
        load(str(path), kind=kind, **hints),
        load(data, **hints),
        load(io.BytesIO(data), **hints),
        Media.kinds[kind].load(memoryview(data), **hints),
        Media.load(path.open("rb"), **hints),
    ]
    assert {m.kind for m in media} == {kind}
    assert all(m == media[0] and m.digest() == media[0].digest() for m in media)
    (tmp_path / "nameless").write_bytes(data)
    assert load(tmp_path / "nameless", **hints) == media[0]


def test_contents_are_right() -> None:
    assert np.array_equal(Image.load(VALID["a.png"][1]).pixels, PIXELS)
    for name in ("a.wav", "a.flac", "a.ogg"):
        audio = Audio.load(VALID[name][1])
        assert audio.rate == 8000 and audio.samples.shape == (1, 4000)
        np.testing.assert_allclose(audio.samples[0], SAMPLES, atol=0.05)
    for name in ("a.mp3", "a.m4a", "a.aac"):
        audio = Audio.load(VALID[name][1])
        assert audio.rate == 16000 and abs(audio.duration - 1) < 0.15
        assert 0.2 < audio.samples.std() < 0.35
    for name in ("a.mp4", "a.webm", "a.avi"):
        video = Video.load(VALID[name][1])
        assert video.frames.shape == FRAMES.shape and video.fps == pytest.approx(10)
        assert np.abs(video.frames.astype(int) - FRAMES).max() <= 8
    imu = IMU.load(VALID["a.csv"][1])
    assert imu.rate == pytest.approx(100) and imu.samples[0, 19] == 19


def test_transparency_orientation_palette_and_sixteen_bits() -> None:
    clear = pil.new("RGBA", (4, 2), (255, 0, 0, 0))
    assert (Image.load(picture("PNG", clear)).pixels == 255).all()
    palette = pil.new("P", (4, 2))
    assert (Image.load(picture("PNG", palette, transparency=0)).pixels == 255).all()
    exif = pil.Exif()
    exif[0x0112] = 6  # turn by 90° clockwise
    assert Image.load(picture("JPEG", exif=exif)).pixels.shape == (17, 13, 3)
    assert Image.load(picture("JPEG", exif=b"Exif\0\0garbage")).pixels.shape == PIXELS.shape
    deep = pil.fromarray(np.full((2, 3), 0x8000, np.uint16))
    assert (Image.load(picture("PNG", deep)).pixels == 0x80).all()
    assert (Thermal.load(picture("PNG", deep)).values == 0x80).all()
    assert (Depth.load(picture("PNG", deep)).values == 0x8000).all()
    assert Image.load(picture("JPEG", pil.new("CMYK", (3, 2)))).pixels.shape == (2, 3, 3)


def test_cover_art_is_no_clip_and_a_clip_gives_its_sound(tmp_path: Path) -> None:
    assert load(spoken("mp4", "aac", cover=True)).kind in ("audio", "video")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        moving: Any = container.add_stream("libx264", rate=10)
        moving.width, moving.height, moving.pix_fmt = 24, 16, "yuv420p"
        heard: Any = container.add_stream("aac", rate=16000, layout="stereo")
        for frame in FRAMES:
            container.mux(moving.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        values = np.zeros((2, 8192), np.float32)
        frame = av.AudioFrame.from_ndarray(values, format="fltp", layout="stereo")
        frame.sample_rate = 16000
        container.mux(heard.encode(frame))
        container.mux(moving.encode(None))
        container.mux(heard.encode(None))
    data = buffer.getvalue()
    assert load(data).kind == "video"
    assert Audio.load(data).samples.shape[0] == 2
    with pytest.raises(ValueError, match=r"holds MP4 \(video\), not audio"):
        Audio.load(VALID["a.mp4"][1])


def test_a_turned_clip_stands_upright() -> None:
    frames = FRAMES.copy()
    frames[:, :8] = 255  # the upper half is white
    turned = Video.load(clip("mp4", "libx264", frames=frames, rotation=90))
    assert turned.frames.shape == (8, 24, 16, 3)
    assert turned.frames[0, :, :6].min() > 200 and turned.frames[0, :, 10:].max() < 60


def test_variable_frame_rate_keeps_the_timing() -> None:
    times = [0.0, 0.1, 0.2, 0.3, 1.3, 1.4, 1.5, 1.6]
    video = Video.load(clip("matroska", "libx264", times=times))
    assert video.fps == pytest.approx(10, rel=0.01)
    assert len(video.frames) in (16, 17)
    held = video.sample([0.35, 0.8, 1.2])
    assert np.abs(held.astype(int) - 90).max() <= 4
    assert abs(int(video.sample([1.32])[0].mean()) - 120) <= 4


# Saving


def test_lossless_kinds_come_back_exactly(tmp_path: Path) -> None:
    media: list[tuple[Media, str]] = [
        (Image(PIXELS), "png"),
        (Image(PIXELS), "webp"),
        (Audio(np.stack([SAMPLES, 3 * SAMPLES]), 44100), "wav"),
        (IMU(MOVES, 123.4), "csv"),
        (IMU(MOVES, 123.4), "npy"),
        (Depth(RNG.normal(size=(4, 5)).astype(np.float32)), "npy"),
        (Thermal(PIXELS[..., 0]), "png"),
        (Normal(FACING), "npy"),
        (PointCloud(POINTS), "ply"),
        (PointCloud(POINTS, COLORS), "ply"),
        (PointCloud(POINTS, COLORS), "npy"),
    ]
    for index, (medium, suffix) in enumerate(media):
        path = medium.save(tmp_path / f"{index}.{suffix}")
        assert load(path, kind=medium.kind) == medium
        assert medium.encode(f".{suffix}") == path.read_bytes()
        assert type(medium).load(path).digest() == medium.digest()
        assert medium.save(tmp_path / f"bare{index}").suffix == medium.suffix


@pytest.mark.parametrize("fps", [8, 29.97, 12.5])
@pytest.mark.parametrize("suffix", ["mp4", "gif"])
def test_clips_come_back(suffix: str, fps: float, tmp_path: Path) -> None:
    frames = np.zeros((6, 32, 48, 3), np.uint8)
    frames[...] = (230, 40, 30)
    for index in range(6):
        frames[index, 8:16, 4 * index : 4 * index + 12] = (20, 60, 200)
    video = Video.load(Video(frames, fps).save(tmp_path / f"a.{suffix}"))
    assert video.frames.shape == frames.shape
    assert video.fps == pytest.approx(fps, rel=0.04 if suffix == "gif" else 1e-3)
    assert np.abs(video.frames.astype(int) - frames).mean() < 3


def test_lossy_and_odd_sizes(tmp_path: Path) -> None:
    assert Video.load(Video(FRAMES[:, :15, :23], 5).save(tmp_path / "odd.mp4")).frames.shape == (
        8, 16, 24, 3,
    )  # fmt: skip
    assert Video.load(Video(FRAMES[:1], 5).save(tmp_path / "one.gif")).frames.shape[0] == 1
    smooth = Image(np.tile(np.arange(64, dtype=np.uint8)[:, None, None] * 3, (1, 64, 3)))
    loaded = Image.load(smooth.save(tmp_path / "a.jpeg"))
    assert np.abs(loaded.pixels.astype(int) - smooth.pixels).max() <= 4
    flac = Audio.load(Audio(SAMPLES, 8000).save(tmp_path / "a.flac"))
    np.testing.assert_allclose(flac.samples[0], SAMPLES, atol=2**-22)


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: Any) -> None:
    path = Image(PIXELS).save(tmp_path / "a.png")
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        Image(255 - PIXELS).save(path)
    monkeypatch.undo()
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["a.png"]
    with pytest.raises(FileNotFoundError, match="make it first"):
        Image(PIXELS).save(tmp_path / "none" / "a.png")
    with pytest.raises(ValueError, match=r"cannot save image as \.wav; use one of \.png"):
        Image(PIXELS).save(tmp_path / "a.wav")
    with pytest.raises(ValueError, match=r"encoder does not take Audio.*\.wav"):
        Audio(np.zeros((9, 5), np.float32), 8000).save(tmp_path / "a.flac")


def test_npy_never_overwrites_another_json(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"scene": 1}')
    with pytest.raises(ValueError, match="about something else"):
        IMU(MOVES, 100).save(tmp_path / "a.npy")
    assert os.listdir(tmp_path) == ["a.json"]


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


# Tables of an IMU


def table(header: str, row: str, count: int = 5, before: str = "") -> bytes:
    return (before + header + "\n" + "".join(row.format(i=i) + "\n" for i in range(count))).encode()


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("t,ax,ay,az,gx,gy,gz", "0.0{i},1,2,3,4,5,6"),
        ("time_ms;gyro_z;gyro_y;gyro_x;acc_z;acc_y;acc_x", "1{i}0;6;5;4;3;2;1"),
        ("timestamp_us,accel_x,accel_y,accel_z,gyro_x,gyro_y,gyro_z,mag", "{i}0000,1,2,3,4,5,6,x"),
        ("Time (ns)\tAccX\tAccY\tAccZ\tGyroX\tGyroY\tGyroZ", "{i}0000000\t1\t2\t3\t4\t5\t6"),
        ('"a.x","a.y","a.z","wx","wy","wz","t[ms]"', "1,2,3,4,5,6,{i}0"),
        ("seconds_elapsed,Accelerometer X,Accelerometer Y,Accelerometer Z,gx,gy,gz",
         "0.0{i},1,2,3,4,5,6"),
    ],
)  # fmt: skip
def test_columns_by_name_in_any_order(header: str, row: str) -> None:
    imu = IMU.load(table(header, row))
    assert imu.rate == pytest.approx(100) and imu.samples.shape == (6, 5)
    assert imu.samples[:, 2].tolist() == [1, 2, 3, 4, 5, 6]


def test_units_and_rates_may_be_stated() -> None:
    rows = ("ax,ay,az,gx,gy,gz", "1,0,0,180,0,0")
    stated = IMU.load(table(*rows, before="# sample_rate=50\n# units: g, deg/s\n"))
    assert stated.rate == 50
    assert stated.samples[:, 0] == pytest.approx([9.80665, 0, 0, math.pi, 0, 0])
    asked = IMU.load(table(*rows), sample_rate=50, units="g, °/s")
    assert asked == stated
    suffixed = IMU.load(table("ax_g,ay_g,az_g,gx (deg/s),gy_dps,gz_dps", rows[1]), sample_rate=50)
    assert suffixed == stated
    assert IMU.load(table(*rows, before="# fs: 50 units: g, deg/s\n")).rate == 50
    plain = IMU.load(table("ax [m/s^2],ay,az,gx [rad/s],gy,gz", "1,0,0,2,0,0"), sample_rate=9)
    assert plain.samples[[0, 3], 0].tolist() == [1, 2]


def test_uneven_times_become_even() -> None:
    times = np.cumsum([0, 10, 12, 8, 10, 20, 10, 10])  # ms, one sample lost
    rows = "".join(f"{t},{t},0,0,0,0,0\n" for t in times)
    imu = IMU.load(("t_ms,ax,ay,az,gx,gy,gz\n" + rows).encode())
    assert imu.rate == pytest.approx(100)
    np.testing.assert_allclose(imu.samples[0], np.arange(9) * 10, atol=1e-4)


def test_arrays_take_their_rate_from_argument_or_sidecar(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(npy(np.ones((6, 40))))
    with pytest.raises(ValueError, match=r"no sample rate: give load\(\.\.\., sample_rate=200\)"):
        IMU.load(path)
    (tmp_path / "a.json").write_text(json.dumps({"sample_rate": 50, "units": "g, dps"}))
    imu = IMU.load(path)
    assert imu.rate == 50 and imu.samples[0, 0] == pytest.approx(9.80665)
    assert IMU.load(path, sample_rate=20).rate == 20
    (tmp_path / "a.json").write_text("[")
    with pytest.raises(ValueError, match="no JSON object"):
        IMU.load(path)


HEAD = "t,ax,ay,az,gx,gy,gz"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (table("ax,ay,az,gx,gy,gz", "1,2,3,4,5,6"), "no sample rate: add a time column"),
        (table("t,ax,ay,az", "{i},1,2,3"), "no column for gx, gy, gz"),
        (table("1,2,3,4,5,6", "1,2,3,4,5,6"), "name the columns in a header"),
        (table("ax,acc_x,ay,az,gx,gy,gz", "1,1,2,3,4,5,6"), "two columns for ax"),
        (table(HEAD, "0.0{i},nan,0,0,0,0,0"), "line 2: ax='nan' is no finite number"),
        (table(HEAD, "0.0{i},1,0,0,0,0,oops"), "gz='oops'"),
        (table(HEAD, "0.0{i},1,0"), "line 2: 3 of 7 columns"),
        (table(HEAD, "5,1,0,0,0,0,0"), "time stands still"),
        (table(HEAD, "{i}0,1,0,0,0,0,0"), "name the column by its unit"),
        (table(HEAD, "", 0), "no rows below"),
        (table(HEAD, "0.0{i},1,0,0,0,0,0", before="# sample_rate=200\n"), "states 200 Hz"),
        (table("t_ms,ax,ay,az,gx,gy,gz", "{i}0,1,0,0,0,0,0") + b"9000,0,0,0,0,0,0\n", "a gap of"),
        (table("t_h,ax,ay,az,gx,gy,gz", "{i},1,0,0,0,0,0"), "unit 'h' is not known"),
        (table(HEAD, "0.0{i},1,0,0,0,0,0", before="# units: furlong, deg/s\n"), "furlong"),
        (table(HEAD, "0.0{i},1,0,0,0,0,0", before="# units: g\n"), "are not two"),
        (table(HEAD[2:], "1,2,3,4,5,6", before="# sample_rate=often\n"), "sample_rate='often'"),
        (b"dear diary,\n", "no column for ax"),
        (npy(np.ones((40, 5))), r"shape \(40, 5\), expected \(n, 6\)"),
        (npy(np.ones(40)), "2 axes"),
        (npy(np.ones((0, 6))), "no samples"),
        (npy(np.array([[1, None]])), "holds object, not plain numbers"),
        (npy(np.ones((40, 6)))[:-1], "cut short"),
    ],
)  # fmt: skip
def test_bad_tables(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        IMU.load(data)


def test_an_array_with_nan_or_without_end() -> None:
    bad = np.ones((40, 6))
    bad[7, 3] = np.nan
    with pytest.raises(ValueError, match="nan in gx at sample 7"):
        IMU.load(npy(bad), sample_rate=100)
    with pytest.raises(ValueError, match="lasts 20,000"):
        IMU.load(npy(np.ones((2000, 6))), sample_rate=0.1)
    with pytest.raises(ValueError, match="sample_rate=0 is out of range"):
        IMU.load(npy(np.ones((20, 6))), sample_rate=0)


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


# Bad files


@pytest.mark.parametrize("name", VALID)
def test_empty_garbage_and_cut_files(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    kind, data = VALID[name]
    cases = {
        "is empty": b"",
        "known|starts as|no column|cut short": bytes(range(128, 228)),
        "damaged|cut short|no sample|columns|pixels|no frames|no rows": data[: len(data) * 2 // 3],
    }
    for message, content in cases.items():
        if name in ("a.mp3", "a.aac") and len(content) > 500:
            continue  # these streams carry no length: what is left plays
        path.write_bytes(content[:-3] if name == "a.csv" and content else content)
        with pytest.raises(ValueError, match=message) as caught:
            load(path, kind=kind, **HINTS.get(name, {}))
        assert name in str(caught.value) and "0x" not in str(caught.value)
        assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("a.png", "b.wav", r"b\.wav is named as audio \(\.wav\), but it holds PNG"),
        ("a.wav", "b.png", "holds WAV"),
        ("a.mp4", "b.csv", r"named as imu \(\.csv\), but it holds MP4"),
        ("a.csv", "b.mp4", "holds text"),
        ("a.npy", "b.jpg", "holds NPY"),
        ("a.mp4", "b.png", "holds MP4"),
        ("still.gif", "b.mp3", "holds GIF"),
    ],
)
def test_mislabelled_files(content: str, name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(VALID[content][1])
    with pytest.raises(ValueError, match=message):
        load(tmp_path / name)


def test_a_wrong_kind_or_hint_is_refused() -> None:
    for name, (kind, data) in VALID.items():
        wrong = "audio" if kind != "audio" else "image"
        with pytest.raises(ValueError, match=f"not {wrong}"):
            load(data, kind=wrong, **HINTS.get(name, {}))
    with pytest.raises(ValueError, match="kind='smell' is unknown; choose one of"):
        load(b"x", kind="smell")
    with pytest.raises(ValueError, match="loaded as image, which takes no sample_rate="):
        load(VALID["a.png"][1], sample_rate=5)
    with pytest.raises(ValueError, match="channels RGB, but a depth map has one"):
        Depth.load(VALID["a.png"][1])
    animated = picture("PNG", save_all=True, append_images=[pil.fromarray(255 - PIXELS)])
    with pytest.raises(ValueError, match="animated PNG; convert it"):
        load(animated)


@pytest.mark.parametrize(
    "url", ["http://x.y/a.png", "https://x.y/a.mp4", "rtsp://x", "file:///etc/passwd", "data:,a"]
)
def test_urls_are_off(url: str) -> None:
    with pytest.raises(ValueError, match="remote URLs are off"):
        load(url)


def test_missing_files_folders_and_strange_sources(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"check the spelling.*none\.png"):
        load(tmp_path / "none.png")
    with pytest.raises(ValueError, match="is a folder"):
        load(tmp_path)
    with pytest.raises(ValueError, match="no regular file"):
        load("/dev/zero")
    with pytest.raises(ValueError, match="no valid path"):
        load("a\0b")
    with pytest.raises(ValueError, match="no valid path"):
        load("x" * 5000)
    with pytest.raises(ValueError, match="from a int"):
        load(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="binary mode"):
        load(io.StringIO(CSV))  # type: ignore[arg-type]


def test_playlists_open_no_other_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(VALID["a.mp4"][1])
    for text in (
        f"#EXTM3U\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile '{secret}'\n",
    ):
        for kind in (None, "video", "audio", "imu"):
            with pytest.raises(ValueError, match="holds text|no column"):
                load(text.encode(), kind=kind)


def test_a_clip_of_no_frames() -> None:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        stream: Any = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 24, 16, "yuv420p"
        container.start_encoding()
    with pytest.raises(ValueError, match="no frames|damaged"):
        Video.load(buffer.getvalue())
    with pytest.raises(ValueError, match="holds no samples"):
        Audio.load(sound("WAV", np.zeros((0, 1))))


# Wild bytes: a medium or a ValueError, nothing else, and soon

WILD = settings(
    deadline=20_000, max_examples=150, suppress_health_check=[HealthCheck.too_slow], database=None
)
STARTS = [data[:16] for _, data in VALID.values()] + [b"RF64....WAVE", b"OggS..theora", b"ID3\4"]


def tried(data: bytes, kind: str | None = None) -> None:
    try:
        medium = load(data, kind=kind, limits=Limits(max_seconds=60, max_decoded_bytes=2**24))
    except ValueError as error:
        assert len(str(error)) > 20
    else:
        assert medium.digest()


@WILD
@given(st.sampled_from(STARTS), st.binary(max_size=400), st.sampled_from([None, *Media.kinds]))
@example(b"", b"a" * 300, None)
def test_random_bytes_after_a_good_start(start: bytes, rest: bytes, kind: str | None) -> None:
    tried(start + rest, kind)


@WILD
@given(st.binary(max_size=200), st.sampled_from([None, *Media.kinds]))
def test_random_bytes(data: bytes, kind: str | None) -> None:
    tried(data, kind)


@WILD
@given(st.sampled_from(sorted(VALID)), st.floats(0, 1))
def test_prefixes_of_good_files(name: str, share: float) -> None:
    data = VALID[name][1]
    tried(data[: int(share * len(data))])


@WILD
@given(
    st.sampled_from(sorted(VALID)),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8),
    st.booleans(),
)
def test_good_files_with_wrong_bytes(
    name: str, changes: list[tuple[float, int]], near_start: bool
) -> None:
    data = bytearray(VALID[name][1])
    reach = min(len(data), 200) if near_start else len(data)
    for place, value in changes:
        data[min(int(place * reach), len(data) - 1)] = value
    tried(bytes(data))


@WILD
@given(st.text(max_size=300), st.booleans())
def test_wild_text(text: str, headed: bool) -> None:
    tried(((HEAD + "\n" if headed else "") + text).encode("utf-8", "surrogatepass"), "imu")


def test_import_is_light() -> None:
    code = (
        "import sys, anymodal.media; heavy = {'torch', 'av', 'PIL', 'scipy', 'soundfile'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    root = REPOSITORY
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "[]"
