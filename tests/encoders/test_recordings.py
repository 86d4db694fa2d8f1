"""Recordings longer than an encoder's clips: clips are spread, or what is left out is told once."""

from __future__ import annotations

import itertools
import logging
from typing import Any

import numpy as np
import pytest
import torch

from anymodal.composition import SHIPPED
from anymodal.encoders import ImageBind, ImageBindEncoder, TransformersEncoder
from anymodal.encoders.base import Encoder
from anymodal.encoders.imagebind.encoder import views
from anymodal.encoders.lengths import _warn
from anymodal.encoders.universal.kinds import AudioTokenizer, IMUTokenizer
from anymodal.encoders.universal.tokenizers import TrunkSizes
from anymodal.media import IMU, Audio, Media, Video
from tests.support import huggingface_models, universal_models
from tests.support.imagebind_models import TRUNKS
from tests.support.random_media import noise, pixels


@pytest.fixture(autouse=True)
def untold() -> None:
    _warn.cache_clear()


def nano(modality: str, clips: int | None = None) -> Encoder:
    return ImageBindEncoder(ImageBind.preset("nano"), modality, clips)


def marked(kind: type[Media], seconds: float, end: bool) -> Any:
    """A recording whose last quarter may differ from another's that begins alike."""
    rng = np.random.default_rng(0)
    rate = {Audio: 16000, IMU: 200, Video: 8}[kind]
    count = round(seconds * rate)
    shape = {Audio: (1, count), IMU: (6, count), Video: (count, 8, 8, 3)}[kind]
    values = rng.integers(0, 256, shape).astype(np.uint8)
    tail = values[count * 3 // 4 :] if kind is Video else values[:, count * 3 // 4 :]
    if end:
        tail //= 2
    if kind is Video:
        return Video(values, float(rate))
    return kind(values.astype(np.float32) / 256, rate)  # type: ignore[call-arg]


SPREAD = {
    "video, at its pace": lambda: nano("video"),
    "video, as published": lambda: ImageBindEncoder(ImageBind(TRUNKS, embedding=24), "video"),
    "audio, as published": lambda: ImageBindEncoder(ImageBind(TRUNKS, embedding=24), "audio"),
    "imu, in more clips": lambda: nano("imu", 4),
    "audio, in more clips": lambda: nano("audio", 4),
    "video of transformers": lambda: huggingface_models.open_saved(huggingface_models.vjepa2),
    **{
        f"{name} of one trunk": lambda name=name: universal_models.open_saved(name)
        for name in ("video", "audio", "imu")
    },
}
TRUNK = TrunkSizes(width=16, size=32)
CUT = {
    "imu": lambda: nano("imu"),
    "audio": lambda: nano("audio"),
    "video": lambda: nano("video", 1),
    **{
        name: lambda build=build: huggingface_models.open_saved(build)
        for name, build in huggingface_models.FAMILIES.items()
        if name in ("clap", "audio-spectrogram-transformer", "whisper", "pe_audio", "wav2vec2")
    },
    "imu of one trunk": lambda: IMUTokenizer(TRUNK),
    "audio of one trunk": lambda: AudioTokenizer(TRUNK),
}


@pytest.mark.parametrize("name", SPREAD)
def test_clips_are_spread_to_the_end(name: str, caplog: pytest.LogCaptureFixture) -> None:
    encoder = SPREAD[name]()
    one, other = (encoder.prepare(marked(encoder.media, 40.0, end)) for end in (False, True))
    assert not torch.equal(one, other) and not caplog.records and encoder.seconds_read is None
    assert one.shape == encoder.prepare(marked(encoder.media, 0.5, False)).shape


@pytest.mark.parametrize("name", CUT)
def test_what_is_left_out_is_told_once(name: str, caplog: pytest.LogCaptureFixture) -> None:
    encoder = CUT[name]()
    caplog.set_level(logging.WARNING, "anymodal")
    long, longer = marked(encoder.media, 40.0, False), marked(encoder.media, 44.0, True)
    for medium in (long, long, longer, long):
        encoder.prepare(medium)
    said = [record.getMessage() for record in caplog.records if record.name == "anymodal"]
    assert len(said) == 2
    for text, seconds in zip(said, ("40.0", "44.0"), strict=True):
        assert text.startswith(f"{encoder.media.kind} of {seconds} s: its encoder reads the first")
        assert f"the first {encoder.seconds_read:.2f} s, the rest is left out; " in text
    caplog.clear()
    encoder.prepare(marked(encoder.media, 0.3, False))
    assert not caplog.records


def test_what_fits_is_read_as_before() -> None:
    """Eight frames in two seconds, one after the other, whatever rate they come at."""
    encoder = nano("video")
    for fps, total in itertools.product((4.0, 8.0, 25.0), (1, 7, 50)):
        film = Video(pixels(total, 64, 64, 3), fps)
        if film.duration > 2:
            continue
        index = (np.arange(8) * 0.25 * fps).round().clip(0, total - 1).astype(int)
        alone = torch.stack([encoder.prepare(Video(film.frames[i : i + 1], fps)) for i in index])
        read = encoder.prepare(film)  # (clips, 3, frames, H, W)
        assert torch.equal(read.transpose(1, 2).flatten(0, 1), alone[:, 0, :, 0])


def test_more_clips_are_more_tokens_and_another_identity() -> None:
    model = ImageBind.preset("nano").eval()
    one, four = ImageBindEncoder(model, "imu"), ImageBindEncoder(model, "imu", 4)
    recording = IMU(noise(6, 4000), 200)
    batches = [encoder.prepare(recording)[None] for encoder in (one, four)]
    tokens = [encoder(b).values.shape[1] for encoder, b in zip((one, four), batches, strict=True)]
    assert tokens[1] == 4 * tokens[0]
    assert four.embed(batches[1]).shape == one.embed(batches[0]).shape
    assert one.metadata() != four.metadata()
    for modality in ("image", "depth"):
        with pytest.raises(ValueError, match="clips=2 of .*, which has none"):
            ImageBindEncoder(ImageBind(TRUNKS), modality, 2)
    with pytest.raises(ValueError, match="clips=0"):
        ImageBindEncoder(model, "imu", 0)


def test_the_shipped_model_tells_it(caplog: pytest.LogCaptureFixture) -> None:
    model = ImageBind.from_pretrained(SHIPPED / "nano" / "imagebind")
    long = {"audio": Audio(noise(1, 160000), 16000), "imu": IMU(noise(6, 72000), 200)}
    for encoder in views(model):
        if encoder.modality in long:
            encoder.prepare(long[encoder.modality])
    assert [r.getMessage().split(":")[0] for r in caplog.records] == [
        "audio of 10.0 s", "imu of 360.0 s"
    ]  # fmt: skip


def test_sounds_of_transformers_are_cut_to_what_is_asked_for(tmp_path: Any) -> None:
    huggingface_models.write(huggingface_models.waves, tmp_path / "ear")
    more = TransformersEncoder.from_pretrained(str(tmp_path / "ear"), seconds=2.0)
    assert more.prepare(marked(Audio, 3.0, False)).shape[-1] == 2 * 2 * 16000  # and its mask
