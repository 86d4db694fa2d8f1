"""Sound as people have it: headers of streams, tags, chained and cut files, many formats."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile

from anymodal.media import Audio, Limits, MediaError, load

SECOND = (0.4 * np.sin(np.arange(8000) / 7)).astype(np.float32)


def written(fmt: str, subtype: str | None = None, samples: Any = SECOND, rate: int = 8000) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=fmt, subtype=subtype)
    return buffer.getvalue()


def encoded(fmt: str, codec: str, rate: int = 48000, layout: str = "mono") -> bytes:
    """One second of sound by PyAV; skips the test where its build has no such encoder."""
    try:
        av.codec.Codec(codec, "w")
    except av.codec.codec.UnknownCodecError:
        pytest.skip(f"PyAV has no {codec}")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=fmt) as container:
        stream: Any = container.add_stream(codec, rate=rate, layout=layout)
        stream.bit_rate = 128_000
        resampler = av.AudioResampler(stream.codec_context.format, layout, rate)
        tone = (0.4 * np.sin(np.arange(rate) / 7)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(tone[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        for piece in resampler.resample(frame):
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def heard(data: bytes) -> Audio:
    found = load(data)
    assert isinstance(found, Audio)
    return found


# WAV


def wav(size: int | None = None, *, before: bytes = b"", behind: bytes = b"") -> bytes:
    """A second of 16 bits at 8 kHz, with any size of its data and chunks before and behind."""
    data = (SECOND * 32767).astype("<i2").tobytes()
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 16000, 2, 16)
    size = len(data) if size is None else size
    body = b"WAVE" + fmt + before + b"data" + struct.pack("<I", size) + data + behind
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize(
    "size",
    [0, 0x7FFFF000, 0x7FFFEFDC, 0x7FFFFFFF, 0x80000000, 0xFFFFF000, 0xFFFFFFDB, 0xFFFFFFFF],
)
def test_the_header_of_a_stream_reaches_to_the_end(size: int) -> None:
    assert heard(wav(size)) == heard(wav())
    assert heard(wav(size)[:-1]).samples.shape == (1, 7999)  # half a sample is none


def test_a_wav_that_is_cut_is_refused_and_an_empty_one_too() -> None:
    for data in (wav(16002), wav()[:-2], wav(1_000_000)):
        with pytest.raises(ValueError, match="cut short"):
            load(data)
    empty = wav(0)[: -2 * len(SECOND)]
    for data in (empty, empty + b"LIST\4\0\0\0INFO"):
        with pytest.raises(ValueError, match="holds no samples"):
            load(data)


def rf64(size: int, long: int, magic: bytes = b"RF64") -> bytes:
    plain = wav(size)
    ds64 = b"ds64" + struct.pack("<IQQQI", 28, len(plain) + 28, long, 0, 0)
    return magic + b"\xff\xff\xff\xff" + b"WAVE" + ds64 + plain[12:]


def test_rf64_tells_its_size_elsewhere() -> None:
    for magic in (b"RF64", b"BW64"):
        assert heard(rf64(0xFFFFFFFF, 16000, magic)) == heard(wav())
    for unknown in (0, 2**64 - 1):
        assert heard(rf64(0xFFFFFFFF, unknown)) == heard(wav())
    with pytest.raises(ValueError, match="cut short"):
        load(rf64(0xFFFFFFFF, 16002))


def test_other_streams_reach_to_their_end_too() -> None:
    w64 = written("W64", "PCM_16")
    at = w64.index(b"data\xf3\xac") + 16
    for size in (0, 24, 2**63 - 1, 2**64 - 1):
        assert heard(w64[:at] + struct.pack("<Q", size) + w64[at + 8 :]) == heard(w64)
    au = written("AU", "PCM_16")
    assert heard(au[:8] + b"\xff\xff\xff\xff" + au[12:]) == heard(au)
    flac = bytearray(written("FLAC", "PCM_16"))
    flac[21] &= 0xF0  # the last 36 bits before the checksum are the number of samples
    flac[22:42] = bytes(20)
    np.testing.assert_allclose(heard(bytes(flac)).samples[0], SECOND, atol=1e-4)


def test_chunks_of_all_kinds_stand_around_the_sound() -> None:
    plain = heard(wav())
    bext = b"bext" + struct.pack("<I", 5001) + bytes(5002)
    odd = b"LIST" + struct.pack("<I", 7) + b"INFOabc\0"
    unpadded = b"LIST" + struct.pack("<I", 7) + b"INFOabc"
    tag = b"id3 " + struct.pack("<I", 10) + b"ID3\4\0\0\0\0\0\0"
    for before in (bext, odd, unpadded, tag, bext + odd):
        assert heard(wav(before=before)) == plain
    assert heard(wav(behind=odd)) == heard(wav(behind=b"\0" * 999)) == plain


@pytest.mark.parametrize("subtype", soundfile.available_subtypes("WAV"))
def test_every_codec_of_wav(subtype: str) -> None:
    if subtype.startswith("MPEG"):
        pytest.skip("libsndfile cannot seek in it")
    try:
        data = written("WAV", subtype)
    except soundfile.LibsndfileError:
        pytest.skip("libsndfile only reads it")
    found = heard(data)
    assert found.rate == 8000 and found.duration == pytest.approx(1, abs=0.05)
    assert np.abs(found.samples[0, 500:7500] - SECOND[500:7500]).mean() < 0.1


# Tags


def id3(size: int) -> bytes:
    return b"ID3\4\0\0" + bytes(size >> shift & 127 for shift in (21, 14, 7, 0)) + b"x" * size


def test_sound_stands_behind_tags() -> None:
    adts = encoded("adts", "aac")
    for data in (written("FLAC"), wav(), adts, written("MP3", rate=16000), written("OGG")):
        plain = heard(data)
        assert heard(id3(300) + data) == plain
        assert heard(id3(300) + id3(5) + bytes(40) + data) == plain
    for data in (id3(300), id3(3000)[:50], id3(10) + bytes(500), b"ID3", b"ID3\4\0\0"):
        with pytest.raises(ValueError, match=r"damaged|known|column"):
            load(data)


def test_an_mp3_is_told_apart_from_half_of_one() -> None:
    data = encoded("mp3", "libmp3lame", 44100)
    whole = heard(data)
    assert whole.duration == pytest.approx(1, abs=0.06)
    footer = b"APETAGEX" + struct.pack("<IIII", 2000, 32, 0, 0) + bytes(8)
    for tagged in (data + b"TAG" + bytes(125), data + footer, id3(50) + data):
        assert heard(tagged) == whole
    assert heard(data + b"\3\0vendor trailer 8db42d694ccc") == whole
    for cut in (data[: len(data) // 2], id3(50) + data[: len(data) * 2 // 3]):
        with pytest.raises(ValueError, match=r"cut short: it has [\d,]+ of [\d,]+ samples"):
            load(cut)


# Ogg


def test_a_chained_ogg_is_read_to_its_end() -> None:
    for subtype in ("VORBIS", "OPUS"):
        one, two = written("OGG", subtype), written("OGG", subtype, -SECOND[:4000])
        found = heard(one + two + one)
        assert found.duration == pytest.approx(2.5, abs=0.01)
        assert found.samples.shape[1] == sum(heard(d).samples.shape[1] for d in (one, two, one))
        with pytest.raises(ValueError, match=r"lasts 2\.5 s"):
            load(one + two + one, limits=Limits(max_seconds=2.2))
    other = written("OGG", "VORBIS", SECOND, 16000)
    with pytest.raises(ValueError, match="holds 2 streams or more.*8000 Hz.*16000 Hz"):
        load(written("OGG", "VORBIS") + other)
    with pytest.raises(ValueError, match="cut short"):
        load(written("OGG", "VORBIS") * 2 + other[: len(other) // 2])


@pytest.mark.parametrize("codec", ["flac", "libspeex", "libvorbis", "libopus"])
def test_what_else_ogg_holds(codec: str) -> None:
    found = heard(encoded("ogg", codec, 16000 if codec == "libspeex" else 48000))
    assert found.duration == pytest.approx(1, abs=0.05)


# Other formats


@pytest.mark.parametrize(
    ("fmt", "codec", "suffix"),
    [
        ("ac3", "ac3", ".ac3"), ("eac3", "eac3", ".eac3"), ("mp2", "mp2", ".mp2"),
        ("wv", "wavpack", ".wv"), ("tta", "tta", ".tta"), ("asf", "wmav2", ".wma"),
        ("caf", "alac", ".caf"), ("aiff", "pcm_s16be", ".aiff"), ("aiff", "pcm_mulaw", ".aifc"),
        ("au", "pcm_mulaw", ".au"), ("w64", "pcm_s16le", ".w64"), ("voc", "pcm_u8", ".voc"),
        ("matroska", "flac", ".mka"), ("webm", "libopus", ".weba"), ("ipod", "alac", ".m4a"),
        ("mov", "pcm_s16le", ".mov"), ("mpegts", "mp2", ".ts"), ("mpeg", "mp2", ".mpg"),
        ("flv", "libmp3lame", ".flv"), ("avi", "ac3", ".avi"), ("3gp", "aac", ".3gp"),
    ],
)  # fmt: skip
def test_formats_of_sound(fmt: str, codec: str, suffix: str, tmp_path: Path) -> None:
    rate = {"flv": 44100, "asf": 44100, "voc": 8000}.get(fmt, 48000)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(encoded(fmt, codec, rate))
    found = load(path)
    assert isinstance(found, Audio) and found.rate == rate
    assert found.duration == pytest.approx(1, abs=0.07)
    middle = found.samples[0, rate // 4 : rate // 2]
    assert 0.2 < np.sqrt((middle**2).mean()) < 0.35  # a sine of 0.4


def test_amr_is_read() -> None:
    silence = bytes([0x3C, *bytes(31)])  # a frame of 12.2 kbit/s, 20 ms
    found = heard(b"#!AMR\n" + silence * 50)
    assert found.rate == 8000 and found.duration == pytest.approx(1)


@pytest.mark.parametrize("fmt", ["AIFF", "AU", "CAF", "W64", "FLAC"])
def test_a_file_whose_header_tells_a_length_is_not_cut(fmt: str) -> None:
    data = written(fmt, "PCM_16")
    np.testing.assert_allclose(heard(data).samples[0], SECOND, atol=1e-4)
    for share in (0.9, 0.5):
        with pytest.raises(ValueError, match="cut short|damaged"):
            load(data[: int(share * len(data))])


@pytest.mark.parametrize(("fmt", "codec"), [("wv", "wavpack"), ("tta", "tta"), ("asf", "wmav2")])
def test_other_files_that_are_cut(fmt: str, codec: str) -> None:
    data = encoded(fmt, codec, 44100)
    for share in (0.9, 0.5):
        with pytest.raises(ValueError, match="cut short|damaged"):
            load(data[: int(share * len(data))])


# What is forged


@pytest.mark.parametrize(
    "data",
    [
        b"OggS\0\0" + bytes(21) * 100,
        (b"OggS\0\2" + bytes(21)) * 50_000,
        b"RIFF\xff\xff\xff\x7fWAVE" + b"LIST\0\0\0\0" * 50_000,
        b"FORM\x7f\xff\xff\xffAIFF" + b"ANNO\0\0\0\0" * 50_000,
        b"caff\0\1\0\0" + (b"free" + bytes(8)) * 50_000,
        b"fLaC" + b"\1\0\0\0" * 50_000,
        b"wvpk" + struct.pack("<I", 24) + bytes(24),
        b"MAC \x96\x0f" + b"\xff" * 200,
        b"ID3\4\0\0\0\0\0\0" * 50_000,
    ],
)
def test_headers_without_end_are_refused_at_once(data: bytes) -> None:
    with pytest.raises(ValueError, match="damaged|cut short|no samples"):
        load(data)


def test_wrong_bytes_in_any_format_are_a_medium_or_an_error() -> None:
    rng = np.random.default_rng(0)
    files = [written(fmt) for fmt in ("AIFF", "AU", "CAF", "W64", "VOC", "NIST")]
    files += [encoded("wv", "wavpack"), encoded("tta", "tta"), encoded("mpegts", "mp2")]
    files += [encoded("ac3", "ac3"), wav(0xFFFFFFFF), rf64(0xFFFFFFFF, 16000)]
    for data in files:
        for _ in range(25):
            wrong = np.frombuffer(data, np.uint8).copy()
            reach = min(len(wrong), int(rng.choice([64, 400, len(wrong)])))
            wrong[rng.integers(0, reach, 4)] = rng.choice([0, 1, 127, 128, 255], 4)
            try:
                load(wrong.tobytes()[: rng.integers(1, 2 * len(wrong))])
            except ValueError as error:
                assert isinstance(error, MediaError) and "Errno" not in str(error)


def test_decoding_runs_under_a_budget_of_time() -> None:
    slow = Limits(max_decode_seconds_per_mib=1e-9)
    for data in (wav(), written("FLAC"), written("OGG"), encoded("adts", "aac")):
        with pytest.raises(ValueError, match="s to decode.*max_decode_seconds_per_mib"):
            load(data, limits=slow)
    with pytest.raises(ValueError, match=r"Limits\(max_decode_seconds=\.\.\.\)"):
        load(wav(), limits=Limits(max_decode_seconds=1e-9))
