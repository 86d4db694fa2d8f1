"""Notes in files: read back by what others read files with, and harmless to what they hold."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image as Pillow

from anymodal.media import IMU, Audio, Image, Media, PointCloud, Thermal, Video, load
from anymodal.media.file_notes import NOTE_WRITERS
from anymodal.media.provenance import SOURCE_TYPE, Provenance

MADE = Provenance('a "model" <é>', 2**63, "AnyModal 1.0")
RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (18, 20, 3), np.uint8)
SOUND = (0.1 * RANDOM.standard_normal((2, 999))).astype(np.float32)
MEDIA: dict[str, Media] = {
    ".png": Image(PIXELS), ".jpg": Image(PIXELS), ".jpeg": Image(PIXELS), ".webp": Image(PIXELS),
    ".wav": Audio(SOUND, 16000), ".flac": Audio(SOUND, 16000),
    ".mp4": Video(np.stack([PIXELS] * 4), 4.0), ".gif": Video(np.stack([PIXELS] * 4), 4.0),
    ".ply": PointCloud(RANDOM.standard_normal((9, 3)).astype(np.float32)),
}  # fmt: skip


def noted(suffix: str) -> tuple[Media, bytes, bytes]:
    """A medium, its file without a note, and its file with one."""
    medium = MEDIA[suffix]
    medium.provenance = None
    plain = medium.encode(suffix)
    medium.provenance = MADE
    return medium, plain, medium.encode(suffix)


@pytest.mark.parametrize("suffix", MEDIA)
def test_a_note_changes_nothing_of_the_medium(suffix: str) -> None:
    medium, plain, data = noted(suffix)
    assert len(data) > len(plain) and data == medium.encode(suffix), "no time in it"
    assert load(data, kind=medium.kind) == load(plain, kind=medium.kind)
    assert b"Made by AI: AnyModal 1.0" in data
    assert load(data, kind=medium.kind).provenance is None


def test_every_format_is_tried() -> None:
    assert MEDIA.keys() == NOTE_WRITERS.keys()
    table = IMU(np.ones((6, 9), np.float32), 100.0)
    plain = table.encode(".csv")
    table.provenance = MADE
    assert table.encode(".csv") == plain


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_pillow_reads_the_note_of_a_picture(suffix: str) -> None:
    picture = Pillow.open(io.BytesIO(noted(suffix)[2]))
    picture.load()
    xmp = picture.info["xmp"]
    text = (xmp if isinstance(xmp, bytes) else xmp.encode()).decode()
    assert SOURCE_TYPE in text and 'a "model" &lt;é&gt;' in text.replace("&quot;", '"')
    if suffix == ".png":
        assert picture.info["Comment"] == MADE.text


@pytest.mark.parametrize(("suffix", "key"), [(".mp4", "comment"), (".wav", "comment"),
                                             (".flac", "comment")])  # fmt: skip
def test_ffmpeg_reads_the_note_of_a_recording(suffix: str, key: str) -> None:
    with av.open(io.BytesIO(noted(suffix)[2])) as container:
        metadata = {name.lower(): value for name, value in container.metadata.items()}
        assert metadata[key] == MADE.text
        assert sum(1 for _ in container.decode()) > 0


def test_other_pictures_of_png_and_saved_files(tmp_path: Path) -> None:
    picture = Thermal(PIXELS[..., 0])
    picture.provenance = MADE
    path = picture.save(tmp_path / "a.png")
    assert MADE.text.encode() in path.read_bytes() and Thermal.load(path) == picture


def test_equal_sounds_have_equal_files() -> None:
    data = Audio(SOUND, 16000).encode(".wav")
    at = data.index(b"PEAK")
    assert data[at + 12 : at + 16] == bytes(4), "the time of day"
