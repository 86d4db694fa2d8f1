"""Files of every kind load, saved ones come back."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image as pil

from anymodal.media import (
    IMU,
    Audio,
    Depth,
    Image,
    Media,
    Normal,
    PointCloud,
    Thermal,
    Video,
    load,
)
from tests.support.media_files import (
    COLORS,
    FACING,
    FRAMES,
    HINTS,
    MOVES,
    PIXELS,
    POINTS,
    RNG,
    SAMPLES,
    VALID,
    clip,
    picture,
    speech,
)

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
    assert load(speech("mp4", "aac", cover=True)).kind in ("audio", "video")
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
