"""Clips as people have them: turned, mirrored, anamorphic, see-through, long, and forged."""

from __future__ import annotations

import hashlib
import io
import logging
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from anymodal.media import Audio, Limits, Video, load
from anymodal.media import frames as frames_module

QUARTER = np.zeros((2, 64, 96, 3), np.uint8)
QUARTER[:, :32, :48] = 255  # white at the top left


def clip(
    fmt: str = "mp4",
    codec: str = "libx264",
    frames: Any = QUARTER,
    *,
    pix_fmt: str = "yuv420p",
    rate: int = 10,
    aspect: Fraction | None = None,
    times: Any = None,
    options: dict[str, str] | None = None,
    streamed: bool = False,
) -> bytes:
    """A clip by PyAV; skips the test where its build has no such encoder."""
    try:
        av.codec.Codec(codec, "w")
    except av.codec.codec.UnknownCodecError:
        pytest.skip(f"PyAV has no {codec}")
    buffer: Any = Unseekable() if streamed else io.BytesIO()
    with av.open(buffer, "w", format=fmt, options=options or {}) as container:
        stream: Any = container.add_stream(codec, rate=rate)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pix_fmt
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if codec == "libvpx":
            stream.options = {"auto-alt-ref": "0"}
        for index, frame in enumerate(frames):
            shape = "rgba" if frame.shape[-1] == 4 else "rgb24"
            shown = av.VideoFrame.from_ndarray(frame, format=shape)
            shown.time_base = Fraction(1, 1000)
            shown.pts = round(1000 * (times[index] if times is not None else index / rate))
            container.mux(stream.encode(shown))
        container.mux(stream.encode(None))
    return bytes(buffer.written) if streamed else buffer.getvalue()


class Unseekable:
    """A pipe, into which no header can be written afterwards."""

    def __init__(self) -> None:
        self.written = bytearray()

    def write(self, data: bytes) -> int:
        self.written += data
        return len(data)


def seen(data: bytes, **options: Any) -> Video:
    found = load(data, **options)
    assert isinstance(found, Video)
    return found


# Turned, mirrored, stretched

CORNERS = {
    (1, 0, 0, 1): "tl",
    (-1, 0, 0, 1): "tr",
    (1, 0, 0, -1): "bl",
    (-1, 0, 0, -1): "br",
    (0, 1, -1, 0): "tr",
    (0, -1, 1, 0): "bl",
    (0, 1, 1, 0): "tl",
    (0, -1, -1, 0): "br",
}
"""By a display matrix (a, b, c, d): where the top left goes, (x, y) being (ax + cy, bx + dy)."""


def with_matrix(data: bytes, a: int, b: int, c: int, d: int) -> bytes:
    forged, at = bytearray(data), data.index(b"tkhd") + 44
    one = 1 << 16
    forged[at : at + 36] = struct.pack(
        ">9i", a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30
    )
    return bytes(forged)


@pytest.mark.parametrize(("matrix", "corner"), CORNERS.items())
def test_every_display_matrix(matrix: tuple[int, int, int, int], corner: str) -> None:
    frame = seen(with_matrix(clip(), *matrix)).frames[0]
    assert frame.shape == ((64, 96, 3) if matrix[0] else (96, 64, 3))
    corners = {"tl": frame[8, 8], "tr": frame[8, -8], "bl": frame[-8, 8], "br": frame[-8, -8]}
    assert {name: bool(value[0] > 128) for name, value in corners.items()} == {
        name: name == corner for name in corners
    }


@pytest.mark.parametrize("fmt", ["mp4", "matroska", "avi", "mpegts"])
def test_pixels_become_square(fmt: str) -> None:
    y, x = np.mgrid[:120, :160]
    disc = (((y - 60) / 40) ** 2 + ((x - 80) / 20) ** 2 <= 1)[..., None]  # round at 2:1
    frames = np.repeat((255 * disc).astype(np.uint8), 3, axis=2)[None].repeat(2, axis=0)
    wide = seen(clip(fmt, frames=frames, aspect=Fraction(2), rate=25)).frames[0]
    assert wide.shape == (120, 320, 3)
    high, broad = (np.ptp(np.nonzero(wide[..., 0] > 128)[axis]) + 1 for axis in (0, 1))
    assert abs(int(high) - int(broad)) <= 2
    assert seen(clip(fmt, aspect=Fraction(1, 2), rate=25)).frames.shape == (2, 128, 96, 3)
    assert seen(clip(fmt, aspect=Fraction(64, 45), rate=25)).frames.shape[1:3] == (64, 137)


def test_square_pixels_are_turned_and_counted() -> None:
    wide = clip(aspect=Fraction(2))
    assert seen(with_matrix(wide, 0, 1, -1, 0)).frames.shape == (2, 192, 64, 3)
    with pytest.raises(ValueError, match="192×64 = 12,288 pixels"):
        load(wide, limits=Limits(max_pixels=10_000))
    with pytest.raises(ValueError, match="pixels 60 times as wide as high.*square pixels"):
        load(clip(aspect=Fraction(60)))


# See-through


@pytest.mark.parametrize(
    ("fmt", "codec", "pix_fmt"),
    [
        ("webm", "libvpx-vp9", "yuva420p"), ("webm", "libvpx", "yuva420p"),
        ("matroska", "ffv1", "yuva420p"), ("mov", "prores_ks", "yuva444p10le"),
        ("mov", "png", "rgba"), ("mov", "qtrle", "argb"), ("gif", "gif", "bgra"),
    ],
)  # fmt: skip
def test_transparency_stands_on_white(fmt: str, codec: str, pix_fmt: str) -> None:
    frames = np.zeros((3, 32, 48, 4), np.uint8)
    frames[..., 0] = 200  # red, through which one sees nothing, half, and all
    frames[:, :, 16:32, 3], frames[:, :, 32:, 3] = 128, 255
    if codec == "gif":
        try:
            data = clip(fmt, codec, frames, pix_fmt=pix_fmt)
        except av.error.FFmpegError:
            pytest.skip("this build's GIF encoder takes palettes alone")
    else:
        data = clip(fmt, codec, frames, pix_fmt=pix_fmt)
    last = seen(data).frames[-1].astype(int)
    assert np.abs(last[16, 8] - 255).max() <= 12
    assert np.abs(last[16, 40] - (200, 0, 0)).max() <= 20
    if codec != "gif":
        assert np.abs(last[16, 24] - (227, 127, 127)).max() <= 16


# Long clips


def counting(count: int, height: int = 32, width: int = 48) -> Any:
    """Frames whose brightness tells their place, from 0 to 250."""
    levels = np.linspace(0, 250, count).round().astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (count, height, width, 3))


@pytest.mark.parametrize(
    ("fmt", "streamed"), [("mp4", False), ("matroska", False), ("matroska", True), ("mpegts", True)]
)
def test_a_long_clip_is_thinned_evenly(fmt: str, streamed: bool, caplog: Any) -> None:
    data = clip(fmt, frames=counting(300), rate=30, streamed=streamed)
    room = Limits(max_decoded_bytes=64 * 3 * 32 * 48)
    with caplog.at_level(logging.INFO, "anymodal"):
        found = seen(data, limits=room)
    assert "300 frames, thinned to 60 at 6 a second" in caplog.text
    assert len(found.frames) == 60 and found.fps == pytest.approx(6, rel=1e-4)
    level = found.frames[:, 16, 24, 0].astype(float)
    wanted = np.linspace(0, 250, 300)[::5]
    assert np.abs(level - wanted).max() < 6
    assert seen(data).frames.shape[0] == 300 and seen(data).fps == pytest.approx(30)


def test_34_seconds_of_a_phone_are_no_problem() -> None:
    found = seen(clip(frames=np.zeros((1020, 360, 640, 3), np.uint8), rate=30))
    assert found.duration == pytest.approx(34) and found.fps == pytest.approx(15)
    assert found.frames.shape == (510, 224, 398, 3)


def test_a_clip_without_even_times_is_thinned_too() -> None:
    times = np.concatenate([np.arange(40) / 40, 5 + np.arange(40) / 40])
    data = clip("matroska", frames=counting(80), times=times, rate=40)
    assert len(seen(data).frames) == pytest.approx(240, abs=2)
    found = seen(data, limits=Limits(max_decoded_bytes=50 * 3 * 32 * 48))
    assert 32 <= len(found.frames) <= 50
    assert found.duration == pytest.approx(6, abs=0.2)
    held = found.sample([2.0, 3.0, 4.0])[:, 16, 24, 0].astype(int)
    assert np.abs(held - 123).max() < 6  # the 40th frame


def test_too_little_room_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="300 frames of 48×32.*max_decoded_bytes"):
        load(clip(frames=counting(300)), limits=Limits(max_decoded_bytes=20 * 3 * 32 * 48))


# Files as programs write them


def box(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


@pytest.mark.parametrize(
    "behind",
    [
        b"\3\0vendor trailer 8db42d694ccc", b"SEFH" + bytes(40) + b"SEFT", bytes(5), b"\n",
        b"\xff" * 4000, box(b"free", b"x" * 9), box(b"abcd"), bytes(4096),
    ],
)  # fmt: skip
def test_bytes_behind_a_clip_are_left_alone(behind: bytes) -> None:
    for fmt, codec, pix_fmt in (
        ("mp4", "libx264", "yuv420p"),
        ("webm", "libvpx-vp9", "yuv420p"),
        ("avi", "mpeg4", "yuv420p"),
        ("gif", "gif", "rgb8"),
    ):
        data = clip(fmt, codec, pix_fmt=pix_fmt, rate=10)
        assert seen(data + behind) == seen(data)


def test_a_cut_clip_is_refused_all_the_same() -> None:
    for data in (
        clip(),
        early(clip()),
        clip("webm", "libvpx-vp9"),
        clip("avi", "mpeg4"),
        clip("flv"),
    ):
        for share in (0.95, 0.6, 0.3):
            with pytest.raises(ValueError, match="cut short|damaged|no frames"):
                load(data[: int(share * len(data))])


def early(data: bytes, named: bool = True) -> bytes:
    """A clip with its index before its frames, as for the web, and perhaps without its name."""
    name, at = int.from_bytes(data[:4], "big"), data.index(b"moov") - 4
    index, frames = data[at:], data[name:at]
    moved = len(index) - (0 if named else name)
    place = index.index(b"stco") + 12
    offset = int.from_bytes(index[place : place + 4], "big") + moved
    index = index[:place] + struct.pack(">I", offset) + index[place + 4 :]
    return (data[:name] if named else b"") + index + frames


@pytest.mark.parametrize("first", [b"wide", b"free", b"skip", b"pnot", b"mdat"])
def test_a_movie_that_begins_with_another_box(first: bytes) -> None:
    data = clip("mov")
    size = int.from_bytes(data[:4], "big")
    assert data[4:8] == b"ftyp"
    assert seen(box(first, bytes(size - 8)) + data[size:]) == seen(data)


def test_a_movie_that_begins_with_its_index_and_one_in_fragments() -> None:
    plain = clip("mov")
    assert seen(early(plain)) == seen(plain)
    assert seen(early(plain, named=False)) == seen(plain)
    pieces = clip(options={"movflags": "frag_every_frame+empty_moov+default_base_moof"})
    assert seen(pieces) == seen(clip(options={"movflags": "frag_keyframe+empty_moov"}))
    with pytest.raises(ValueError, match="cut short"):
        load(pieces[: len(pieces) * 2 // 3])


@pytest.mark.parametrize(
    ("fmt", "codec", "suffix"),
    [
        ("mpegts", "libx264", ".ts"), ("mpegts", "mpeg2video", ".m2ts"), ("flv", "libx264", ".flv"),
        ("mpeg", "mpeg2video", ".mpg"), ("vob", "mpeg2video", ".vob"), ("asf", "wmv2", ".wmv"),
        ("flv", "flv", ".flv"), ("3gp", "mpeg4", ".3gp"), ("mov", "mjpeg", ".mov"),
        ("ogg", "libtheora", ".ogv"), ("mxf", "mpeg2video", ".mxf"), ("ivf", "libvpx", ".ivf"),
        ("mpeg2video", "mpeg2video", ".m2v"), ("yuv4mpegpipe", "wrapped_avframe", ".y4m"),
        ("matroska", "libsvtav1", ".mkv"),
    ],
)  # fmt: skip
def test_formats_of_clips(fmt: str, codec: str, suffix: str, tmp_path: Path) -> None:
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    frames = counting(12, 64, 96)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(clip(fmt, codec, frames, rate=25, pix_fmt=pix_fmt))
    found = load(path)
    assert isinstance(found, Video) and found.frames.shape[1:] == (64, 96, 3)
    assert abs(len(found.frames) - 12) <= 1 and found.fps == pytest.approx(25, rel=0.05)
    level = found.frames[[0, -1], 32, 48, 0].astype(int)
    assert level[0] < 40 and level[1] > 200


# Forged files


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        (box(b"free") * 1_100_000, "boxes in a row"),
        (box(b"moov", box(b"free") * 1_100_000), "boxes in a row"),
        (b"".join(box(b"moov", bytes(8)) for _ in range(9)), "damaged|without any"),
        (box(b"moov", box(b"trak") * 50_000), "damaged|without any"),
    ],
)
def test_boxes_without_end(inner: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load(box(b"ftyp", b"isom\0\0\2\0isom") + inner)


@pytest.mark.parametrize("claimed", [1, 2, 7, 40])
def test_a_header_that_counts_wrong_loses_no_frame(
    claimed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    grey = np.arange(0, 250, 20, dtype=np.uint8)[:, None, None, None]  # 13 frames
    data = clip(frames=np.broadcast_to(grey, (13, 48, 64, 3)))
    whole, read = Video.load(data), frames_module._read_header

    def counts_wrong(*args: Any) -> Any:
        header, is_read_through = read(*args)
        return header._replace(frames=claimed), is_read_through

    monkeypatch.setattr(frames_module, "_read_header", counts_wrong)
    assert Video.load(data).frames.tolist() == whole.frames.tolist()
    assert len(whole.frames) == 13


def test_tables_that_claim_more_than_there_is() -> None:
    data = clip()
    for table, offset, value in (
        (b"stsz", 8, struct.pack(">II", 1, 2**28)),
        (b"stsz", 12, struct.pack(">I", 2**30)),
        (b"stsc", 12, struct.pack(">III", 1, 2**31, 1)),
        (b"stco", 8, struct.pack(">I", 2**31)),
        (b"stts", 8, struct.pack(">I", 2**31)),
    ):
        at = data.index(table) + offset
        with pytest.raises(ValueError, match="more samples than it has bytes"):
            load(data[:at] + value + data[at + len(value) :])
    run = box(b"traf", box(b"trun", struct.pack(">II", 0, 200_000_000)))
    with pytest.raises(ValueError, match="more samples than it has bytes"):
        load(clip(options={"movflags": "frag_keyframe+empty_moov"}) + box(b"moof", run))


def test_frames_too_large_for_a_decoder_are_refused_before_one_is_made() -> None:
    huge = np.zeros((2, 2400, 4096, 3), np.uint8)
    small = clip("mpegts", frames=np.zeros((30, 64, 96, 3), np.uint8))
    for fmt in ("mp4", "flv", "mpegts"):
        data = clip(fmt, frames=huge)
        with pytest.raises(ValueError, match="4096×2400.*max_decoded_bytes"):
            load(data)
        assert seen(data, limits=Limits(max_decoded_bytes=2**29)).frames.shape[0] == 2
    with pytest.raises(ValueError, match="damaged"):  # begun small
        load(small + clip("mpegts", frames=huge))


def test_a_canvas_of_gif_is_counted_before_it_is_made() -> None:
    picture = b",\0\0\0\0\1\0\1\0\0\2\2\x44\1\0"
    head = b"GIF89a" + struct.pack("<HH", 8000, 8000) + b"\x80\0\0\0\0\0\xff\xff\xff"
    delay = b"!\xf9\4\0\5\0\0\0"
    with pytest.raises(ValueError, match="over the limit"):
        load(head + (delay + picture) * 40 + b";")
    with pytest.raises(ValueError, match="a damaged GIF file"):
        load(head + b"\x99" + picture + b";")
    with pytest.raises(ValueError, match="max_frames"):
        many = head.replace(b"\x40\x1f\x40\x1f", b"\1\0\1\0") + (delay + picture) * 160_000
        load(many + b";", limits=Limits(max_seconds=1e6))


def test_a_clip_is_decoded_under_a_budget_of_time() -> None:
    for fmt in ("mp4", "matroska", "mpegts"):
        with pytest.raises(ValueError, match="s to decode.*max_decode_seconds_per_mib"):
            load(clip(fmt), limits=Limits(max_decode_seconds_per_mib=1e-9))


def sounding(seconds: float = 0.4, channels: int = 2, rate: int = 24_000) -> Video:
    """Twelve and a half frames a second, and a tone that is softer in each channel."""
    times = np.arange(round(seconds * rate)) / rate
    tone = np.sin(2 * np.pi * 440 * times).astype(np.float32)
    samples = np.stack([tone / (2 + place) for place in range(channels)])
    frames = np.zeros((round(12.5 * seconds), 16, 32, 3), np.uint8)
    return Video(frames, 12.5, Audio(samples, rate))


@pytest.mark.parametrize(
    ("channels", "rate", "file_rate"), [(2, 24_000, 24_000), (1, 800, 7350), (1, 20_000, 22_050)]
)
def test_a_clip_keeps_its_sound_in_one_file(channels: int, rate: int, file_rate: int) -> None:
    video = sounding(channels=channels, rate=rate)
    assert video.sound is not None and "with sound" in repr(video)
    data = video.encode(".mp4")
    again = Video.load(data, sound=True)
    assert again.sound is not None and again.sound.rate == file_rate
    wanted = video.sound.resample(file_rate).samples
    heard = again.sound.samples[:, : wanted.shape[1]]
    assert heard.shape == wanted.shape and np.abs(heard - wanted).mean() < 0.03
    assert video.encode(".mp4") == data and b"autoplay" not in video.html().encode()
    # As ever where nobody asks for the sound: the clip, and the sound by itself.
    assert seen(data).sound is None and load(data, kind="audio") == again.sound
    assert seen(data) == seen(Video(video.frames, 12.5).encode(".mp4"))


def test_a_clip_s_sound_is_a_part_of_its_content(tmp_path: Path) -> None:
    video = sounding()
    silent = Video(video.frames, 12.5)
    assert video != silent and video.digest() != silent.digest() and silent.file_hints == {}
    # As it was before clips had sounds, since caches know media by it.
    assert (
        silent.digest()
        == hashlib.sha256(
            b"videoframes:uint8:(5, 16, 32, 3):" + silent.frames.tobytes() + b"fps=12.5;"
        ).hexdigest()
    )
    part = video.cut(0.08, 0.16)
    assert part.sound is not None and video.sound is not None and part.sound.duration == 0.16
    np.testing.assert_array_equal(part.sound.samples, video.sound.samples[:, 1920:5760])
    frozen = video.freeze()
    assert frozen.sound is not None and not frozen.sound.samples.flags.writeable
    frozen.sound = Audio(video.sound.samples / 2, 24_000)
    assert frozen.digest() not in (silent.digest(), sounding().digest())
    file = sounding().save(tmp_path / "clip.mp4")
    deferred = Video.defer(file, **sounding().file_hints)
    assert not deferred.decoded and deferred.sound == load(file, kind="audio")
    assert Video.defer(file).sound is None
    with pytest.raises(ValueError, match="give an Audio"):
        Video(video.frames, 12.5, "loud")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="7 channels.*mono"):
        sounding(channels=7).encode(".mp4")
    assert sounding().encode(".gif") == silent.encode(".gif")
