"""Bad input is answered with a `ValueError` that says what to do."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image as pil

from anymodal.media import (
    Audio,
    Depth,
    Video,
    load,
)
from tests.support.media_files import (
    CSV,
    HINTS,
    PIXELS,
    VALID,
    picture,
    sound,
)

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
