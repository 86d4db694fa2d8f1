"""Small whole files of every kind of media, as bytes."""

from __future__ import annotations

import io
import struct
import zlib
from fractions import Fraction
from typing import Any

import av
import numpy as np
import soundfile
from PIL import Image as pil

from anymodal.media import (
    PointCloud,
)

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
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.time_base = Fraction(1, 1000)
            picture.pts = round(1000 * times[index]) if times else 100 * index
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def speech(fmt: str, codec: str, *, rate: int = 16000, cover: bool = False) -> bytes:
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
    "a.mp3": ("audio", speech("mp3", "libmp3lame")),
    "a.m4a": ("audio", speech("mp4", "aac")),
    "a.aac": ("audio", speech("adts", "aac")),
    "a.mp4": ("video", clip("mp4", "libx264")),
    "a.webm": ("video", clip("webm", "libvpx-vp9")),
    "a.avi": ("video", clip("avi", "mpeg4")),
    "a.csv": ("imu", CSV.encode()),
    "a.npy": ("imu", npy(MOVES.T)),
    "a.ply": ("points", PointCloud(POINTS, COLORS)._encode(".ply")),
    "text.ply": ("points", TEXT_PLY.encode()),
}

HINTS: dict[str, Any] = {"a.npy": {"sample_rate": 100}}
