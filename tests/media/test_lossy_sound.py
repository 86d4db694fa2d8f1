"""Sounds as small files, and at other speeds."""

from __future__ import annotations

from io import BytesIO

import av
import numpy as np
import pytest

from anymodal.media import Audio, load
from anymodal.media.lossy_sound import LOSSY_SUFFIXES, encode_lossy
from anymodal.media.provenance import Provenance
from anymodal.media.tempo import at_speed


def tone(rate: int, channels: int = 1, seconds: float = 1.0) -> Audio:
    wave = 0.5 * np.sin(np.arange(round(seconds * rate)) * 2 * np.pi * 440 / rate)
    return Audio(wave[None].repeat(channels, 0).astype(np.float32), rate)


def pitch_of(sound: Audio) -> float:
    return float(np.abs(np.fft.rfft(sound.samples[0])).argmax() / sound.duration)


@pytest.mark.parametrize("suffix", LOSSY_SUFFIXES)
@pytest.mark.parametrize(("rate", "channels"), [(5000, 1), (22050, 1), (44100, 2), (96000, 3)])
def test_a_small_file_is_near_to_its_sound(suffix: str, rate: int, channels: int) -> None:
    sound = tone(rate, channels)
    sound.provenance = Provenance("m", 3, "AnyModal 0")
    data = encode_lossy(sound, suffix)
    assert data == encode_lossy(sound, suffix) and len(data) < sound.samples.nbytes
    read = load(data)
    assert isinstance(read, Audio) and len(read.samples) == (2 if channels == 2 else 1)
    assert 0 <= read.duration - 1 < 0.2 and abs(pitch_of(read) - 440) < 8
    assert read.samples.std() == pytest.approx(0.5 / 2**0.5, abs=0.05)
    with av.open(BytesIO(data)) as container:
        notes = {**container.metadata, **container.streams[0].metadata}
    assert suffix == ".aac" or notes["comment"] == sound.provenance.text


@pytest.mark.parametrize("count", [10, 600, 1200, 2100, 4000])
def test_a_short_mp3_is_read(count: int) -> None:
    """Of what an encoder adds at both ends, its header tells."""
    sound = tone(8000, 1, count / 8000)
    read = load(encode_lossy(sound, ".mp3"))
    assert isinstance(read, Audio) and read.samples.shape[1] == pytest.approx(count, abs=600)


@pytest.mark.parametrize("speed", [0.25, 0.5, 1.3, 3.0, 4.0])
@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (44100, 2)])
def test_another_speed_has_the_same_pitch(speed: float, rate: int, channels: int) -> None:
    made = at_speed(tone(rate, channels, 2.0), speed)
    assert made.rate == rate and len(made.samples) == 1
    assert made.duration == pytest.approx(2 / speed, rel=0.05)
    assert abs(pitch_of(made) - 440) < 8
    short = at_speed(tone(rate, channels, 0.001), speed)
    assert short.samples.any()
