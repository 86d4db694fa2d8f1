"""Whole files to damage: small, of every format that is read, by several tools."""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

_PICTURE = "-f lavfi -i testsrc2=s=48x32:r=10:d=0.6"
_SOUND = "-f lavfi -i sine=f=440:r=16000:d=0.4"
_BOTH = f"{_PICTURE} {_SOUND}"
_FFMPEG = {
    "h264.mp4": f"{_BOTH} -c:v libx264 -pix_fmt yuv420p -c:a aac",
    "hevc.mp4": f"{_PICTURE} -c:v libx265 -x265-params log-level=none",
    "av1.mp4": f"{_PICTURE} -c:v libsvtav1 -pix_fmt yuv420p",
    "fragments.mp4": f"{_BOTH} -c:v libx264 -c:a aac -movflags frag_keyframe+empty_moov",
    "mpeg4.m4v": f"{_PICTURE} -c:v mpeg4 -f mp4",
    "h264.mov": f"{_BOTH} -c:v libx264 -pix_fmt yuv420p -c:a pcm_s16le",
    "prores.mov": f"{_PICTURE} -c:v prores_ks",
    "rle.mov": f"{_PICTURE} -c:v qtrle",
    "h263.3gp": "-f lavfi -i testsrc2=s=128x96:r=10:d=0.4 -c:v h263",
    "h264.mkv": f"{_BOTH} -c:v libx264 -c:a libopus",
    "ffv1.mkv": f"{_BOTH} -c:v ffv1 -c:a flac",
    "vp8.webm": f"{_BOTH} -c:v libvpx -c:a libvorbis",
    "vp9.webm": f"{_BOTH} -c:v libvpx-vp9 -c:a libopus",
    "alpha.webm": f"{_PICTURE} -vf format=yuva420p -c:v libvpx-vp9",
    "mpeg4.avi": f"{_BOTH} -c:v mpeg4 -c:a libmp3lame",
    "mjpeg.avi": f"{_PICTURE} -c:v mjpeg",
    "raw.avi": f"{_PICTURE} -c:v rawvideo",
    "theora.ogv": f"{_BOTH} -c:v libtheora -c:a libvorbis",
    "a.flv": f"{_BOTH} -c:v flv -c:a libmp3lame -ar 22050",
    "h264.flv": f"{_BOTH} -c:v libx264 -c:a aac",
    "a.ts": f"{_BOTH} -c:v mpeg2video -c:a mp2 -ar 48000",
    "h264.ts": f"{_BOTH} -c:v libx264 -c:a aac",
    "a.mpg": "-f lavfi -i testsrc2=s=48x32:r=25:d=0.4 -c:v mpeg1video",
    "a.wmv": f"{_BOTH} -c:v wmv2 -c:a wmav2",
    "a.wma": f"{_SOUND} -c:a wmav2",
    "a.mp3": f"{_SOUND} -c:a libmp3lame",
    "a.mp2": f"{_SOUND} -c:a mp2",
    "a.aac": f"{_SOUND} -c:a aac",
    "a.m4a": f"{_SOUND} -c:a aac",
    "alac.m4a": f"{_SOUND} -c:a alac",
    "a.ac3": f"{_SOUND} -c:a ac3 -ar 48000",
    "a.eac3": f"{_SOUND} -c:a eac3 -ar 48000",
    "a.opus": f"{_SOUND} -c:a libopus",
    "vorbis.ogg": f"{_SOUND} -c:a libvorbis",
    "flac.oga": f"{_SOUND} -c:a flac",
    "a.spx": f"{_SOUND} -c:a libspeex",
    "a.flac": f"{_SOUND} -c:a flac",
    "a.wav": f"{_SOUND} -c:a pcm_s24le",
    "adpcm.wav": f"{_SOUND} -c:a adpcm_ima_wav",
    "a.w64": f"{_SOUND}",
    "a.aiff": f"{_SOUND}",
    "a.caf": f"{_SOUND}",
    "a.au": f"{_SOUND}",
    "a.tta": f"{_SOUND}",
    "a.wv": f"{_SOUND}",
    "a.apng": f"{_PICTURE} -plays 0",
    "a.gif": f"{_PICTURE}",
    "a.webp": f"{_PICTURE} -c:v libwebp_anim",
    "a.avif": f"{_PICTURE} -frames:v 1 -c:v libsvtav1 -pix_fmt yuv420p",
    "a.jp2": f"{_PICTURE} -frames:v 1 -c:v jpeg2000",
    "a.jpg": f"{_PICTURE} -frames:v 1",
    "a.png": f"{_PICTURE} -frames:v 1",
    "a.bmp": f"{_PICTURE} -frames:v 1",
    "a.tiff": f"{_PICTURE} -frames:v 1",
}
_SOX = {
    "16.wav": "-b 16", "mulaw.wav": "-e mu-law", "float.wav": "-e float -b 32", "gsm.wav": "-e gsm",
    "ima.wav": "-e ima-adpcm", "a.aiff": "-b 24", "a.aifc": "-b 16", "a.au": "-e mu-law",
    "a.caf": "-b 16", "a.flac": "", "a.ogg": "", "a.w64": "", "a.voc": "", "a.mp3": "",
}  # fmt: skip
_CONVERT = {
    "a.png": "", "palette.png": "-type Palette", "16.png": "-depth 16", "alpha.png": "-alpha set",
    "interlaced.png": "-interlace PNG", "text.png": "-set comment " + "x" * 300, "a.jpg": "",
    "progressive.jpg": "-interlace JPEG", "cmyk.jpg": "-colorspace CMYK",
    "grey.jpg": "-type Grayscale",
    "a.gif": "", "a.bmp": "", "a.tiff": "", "lzw.tiff": "-compress LZW",
    "jpeg.tiff": "-compress JPEG",
    "fax.tiff": "-type Bilevel -compress Group4", "lossless.webp": "-define webp:lossless=true",
    "a.webp": "", "a.jp2": "", "a.avif": "", "a.heic": "", "a.tga": "", "a.pcx": "", "a.ppm": "",
    "a.ico": "", "a.psd": "", "a.sgi": "", "a.pdf": "", "a.svg": "",
}  # fmt: skip

Corpus = dict[str, bytes]
"""Files by `tool/name.suffix`."""


TOOLS = ("ffmpeg", "sox", "convert", "python")
"""FFmpeg's, SoX's and ImageMagick's commands, and the libraries that the project needs anyway."""


def make_corpus(tools: tuple[str, ...] = TOOLS) -> tuple[Corpus, list[str]]:
    """Files of all formats that the tools here can write, and the names of what they can't."""
    makers = {"ffmpeg": _by_ffmpeg, "sox": _by_sox, "convert": _by_convert, "python": _by_python}
    files: Corpus = {}
    absent = []
    with tempfile.TemporaryDirectory() as folder:
        for tool in tools:
            if tool != "python" and not shutil.which(tool):
                absent.append(f"{tool}, the whole tool")
                continue
            for name, data in makers[tool](Path(folder) / tool).items():
                if data:
                    files[f"{tool}/{name}"] = data
                else:
                    absent.append(f"{tool}/{name}")
    return files, absent


def _run(command: list[str], out: Path) -> bytes:
    """The file that a command writes, or nothing where it can't (a build without the encoder)."""
    try:
        subprocess.run(command, capture_output=True, check=True, timeout=60)
        return out.read_bytes()
    except (subprocess.SubprocessError, OSError):
        return b""


def _by_ffmpeg(folder: Path) -> Corpus:
    folder.mkdir()
    start = ["ffmpeg", "-v", "error", "-y", "-threads", "1"]
    tidy = ["-fflags", "+bitexact", "-flags", "+bitexact", "-map_metadata", "-1"]
    return {
        name: _run([*start, *options.split(), *tidy, str(folder / name)], folder / name)
        for name, options in _FFMPEG.items()
    }


def _by_sox(folder: Path) -> Corpus:
    folder.mkdir()
    sound = ["sox", "-R", "-n", "-r", "16000", "-c", "1"]
    return {
        name: _run([*sound, *how.split(), str(folder / name), *["synth", "0.4", "sine", "440"]],
                   folder / name)
        for name, how in _SOX.items()
    }  # fmt: skip


def _by_convert(folder: Path) -> Corpus:
    folder.mkdir()
    drawn = ["convert", "-size", "48x32", "gradient:red-blue"]
    return {
        name: _run([*drawn, *how.split(), str(folder / name)], folder / name)
        for name, how in _CONVERT.items()
    }


def _by_python(folder: Path) -> Corpus:
    """What Pillow, libsndfile, PyAV and NumPy write, and tables and clouds by hand."""
    files: Corpus = {}
    for make in (_pictures, _sounds, _clips, _arrays_and_tables):
        files |= make()
    return files


def _quietly(make: Callable[[io.BytesIO], Any]) -> bytes:
    buffer = io.BytesIO()
    try:
        make(buffer)
    except (OSError, ValueError, KeyError, RuntimeError):
        return b""  # a build without this format
    return buffer.getvalue()


def _pictures() -> Corpus:
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    picture = Image.fromarray(pixels)
    animated: dict[str, Any] = {
        "save_all": True, "append_images": [Image.fromarray(255 - pixels)], "duration": 80
    }  # fmt: skip
    ways: dict[str, dict[str, Any]] = {
        "a.png": {}, "a.jpeg": {"quality": 90}, "a.webp": {}, "moving.webp": animated, "a.gif": {},
        "moving.gif": animated, "moving.png": animated, "a.bmp": {}, "a.jpeg2000": {},
        "a.tiff": {"compression": "tiff_lzw"}, "pages.tiff": animated, "a.avif": {},
        "moving.avif": animated, "a.ppm": {}, "a.tga": {}, "exif.jpeg": {"exif": _exif()},
    }  # fmt: skip
    return {
        name: _quietly(lambda b, n=name, w=how: picture.save(b, n.split(".")[1].upper(), **w))  # type: ignore[misc]
        for name, how in ways.items()
    }


def _exif() -> Any:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turned
    return exif


def _sounds() -> Corpus:
    import soundfile

    samples = (0.4 * np.sin(np.arange(4000) / 7)).astype(np.float32)
    ways = {
        "a.wav": ("WAV", "PCM_16"), "a.wavex": ("WAVEX", "PCM_24"), "a.rf64": ("RF64", "PCM_16"),
        "a.flac": ("FLAC", "PCM_16"), "a.ogg": ("OGG", "VORBIS"), "a.opus": ("OGG", "OPUS"),
        "a.mp3": ("MP3", "MPEG_LAYER_III"), "a.aiff": ("AIFF", "PCM_16"), "a.au": ("AU", "PCM_16"),
        "a.caf": ("CAF", "PCM_16"), "alac.caf": ("CAF", "ALAC_16"), "a.w64": ("W64", "PCM_16"),
    }  # fmt: skip
    return {
        name: _quietly(lambda b, f=fmt, s=sub: soundfile.write(b, samples, 8000, s, format=f))  # type: ignore[misc]
        for name, (fmt, sub) in ways.items()
    }


def _clips() -> Corpus:
    import av

    frames = np.random.default_rng(0).integers(0, 256, (6, 32, 48, 3), np.uint8)

    def write(buffer: io.BytesIO, fmt: str, codec: str) -> None:
        with av.open(buffer, "w", format=fmt) as container:
            stream: Any = container.add_stream(codec, rate=10)
            stream.height, stream.width, stream.pix_fmt = 32, 48, "yuv420p"
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode(None))

    ways = {
        "a.mp4": ("mp4", "libx264"),
        "a.webm": ("webm", "libvpx-vp9"),
        "a.avi": ("avi", "mpeg4"),
    }
    return {
        name: _quietly(lambda b, f=fmt, c=codec: write(b, f, c))  # type: ignore[misc]
        for name, (fmt, codec) in ways.items()
    }


def _arrays_and_tables() -> Corpus:
    from anymodal.media import PointCloud

    rng = np.random.default_rng(0)
    points = rng.normal(size=(40, 3)).astype(np.float32)
    colors = rng.integers(0, 256, (40, 3), np.uint8)
    rows = [f"{i / 100},{i},0,9.8,0,0,0.5" for i in range(40)]
    table = "t,ax,ay,az,gx,gy,gz\n" + "\n".join(rows) + "\n"
    euroc = "#timestamp [ns],w_x [rad s^-1],w_y [rad s^-1],w_z [rad s^-1],a_x,a_y,a_z\n"
    return {
        "imu.npy": _quietly(lambda b: np.save(b, rng.normal(size=(50, 6)))),
        "depth.npy": _quietly(lambda b: np.save(b, rng.uniform(1, 5, (24, 32)).astype(np.float32))),
        "normal.npy": _quietly(lambda b: np.save(b, rng.normal(size=(24, 32, 3)))),
        "a.ply": PointCloud(points, colors).encode(".ply"),
        "text.ply": (
            "ply\nformat ascii 1.0\nelement vertex 40\n"
            + "".join(f"property float {axis}\n" for axis in "xyz")
            + "end_header\n"
            + "".join(f"{x} {y} {z}\n" for x, y, z in points)
        ).encode(),
        "a.csv": table.encode(),
        "comma.csv": table.replace(",", ";").replace(".", ",").encode("utf-16"),
        "euroc.csv": (
            euroc + "".join(f"{i * 5_000_000},0,0,0,0,0,9.8\n" for i in range(40))
        ).encode(),
    }
