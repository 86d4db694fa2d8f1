"""Sound."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from anymodal.media.base import Media, check_array, check_number, data_uri
from anymodal.media.containers import header_seconds, open_container, riff_chunks, sound_stream
from anymodal.media.limits import Limits, MediaError, decoding
from anymodal.media.source import AAC, FLAC, MP3, OGG, WAV, Blob, Format

MAX_CHANNELS = 64
MAX_RATE = 768_000
_BLOCK = 65_536  # samples read at a time
_UNKNOWN = 2**40  # libsndfile's answer is about 2**63 where a header gives no length


@dataclass(eq=False, repr=False)
class Audio(Media):
    """A sound.

    Shapes: samples (channels, n), float32, full scale is ±1; (n,) is taken as one channel.
    Units: rate in Hz.

    Loads WAV, FLAC, Ogg (Vorbis, Opus), MP3, AAC, and the sound of MP4, WebM and AVI.
    Saves WAV (32-bit float, without loss) and FLAC (24 bits, clipped to ±1).
    """

    samples: NDArray[np.float32]
    rate: int

    kind: ClassVar[str] = "audio"
    suffix: ClassVar[str] = ".wav"
    saves: ClassVar[tuple[str, ...]] = (".wav", ".flac")
    inline: ClassVar[str] = ".wav"

    def __post_init__(self) -> None:
        samples = np.asarray(self.samples)
        self.samples = check_array(
            samples[None] if samples.ndim == 1 else samples,
            "samples",
            np.float32,
            "(channels, n)",
            "give floats in [-1, 1]; for 16-bit integers, x.astype(np.float32) / 32768",
        )
        if len(self.samples) > MAX_CHANNELS:
            raise MediaError(
                f"samples have {len(self.samples)} channels, at most {MAX_CHANNELS} are taken; "
                "the shape is (channels, n): if yours is (n, channels), pass samples.T"
            )
        self.rate = round(check_number(self.rate, "rate", 1, MAX_RATE, "Hz"))

    def __repr__(self) -> str:
        return f"Audio({self.duration:.2f} s, {len(self.samples)} ch, {self.rate} Hz)"

    @property
    def duration(self) -> float:
        """Seconds."""
        return float(self.samples.shape[1] / self.rate)

    def mono(self) -> Audio:
        """The mean of all channels, as one channel."""
        return Audio(self.samples.mean(axis=0, keepdims=True, dtype=np.float32), self.rate)

    def resample(self, rate: int) -> Audio:
        """The same sound at another rate, by a polyphase filter (`scipy.signal.resample_poly`).

        Exact for the rates in use. Where two rates share so few factors that the filter would
        grow with them (44,101 Hz to 16 kHz), the nearest ratio of small numbers is taken, off by
        less than a millisecond in ten minutes.
        """
        from scipy.signal import resample_poly

        rate = round(check_number(rate, "rate", 1, MAX_RATE, "Hz"))
        if rate == self.rate:
            return self
        ratio = Fraction(rate, self.rate)
        ratio = ratio.limit_denominator(max(2000, 4 * self.rate // rate))
        samples = resample_poly(self.samples, ratio.numerator, ratio.denominator, axis=1)
        return Audio(samples.astype(np.float32), rate)

    def html(self) -> str:
        """An `<audio>` player with the sound inside, as 16-bit WAV."""
        return (
            f'<audio controls src="{data_uri("audio/wav", self._sound("WAV", "PCM_16"))}"></audio>'
        )

    _repr_html_ = html

    @classmethod
    def _decode(cls, blob: Blob, fmt: Format, limits: Limits, **hints: Any) -> Audio:
        if fmt is WAV:
            _check_wav(blob, limits)
        if fmt is OGG:
            _check_ogg(blob)
        read = _read_sndfile if fmt in (WAV, FLAC, OGG) else _read_av
        with decoding(blob.name, fmt.label):
            samples, rate = read(blob, fmt, limits)
            if samples.shape[1] == 0:
                raise MediaError(f"{blob.name} holds no samples; record or export it again")
            return cls(samples, rate)

    def _encode(self, suffix: str) -> bytes:
        return self._sound("WAV", "FLOAT") if suffix == ".wav" else self._sound("FLAC", "PCM_24")

    def _sound(self, fmt: str, subtype: str) -> bytes:
        import soundfile

        buffer = BytesIO()
        soundfile.write(buffer, self.samples.T, self.rate, format=fmt, subtype=subtype)
        return buffer.getvalue()


def _check_wav(blob: Blob, limits: Limits) -> None:
    """Hold a WAV's claimed length against the limits, then against the bytes that are there."""
    bytes_per_second = 0
    for name, start, size in riff_chunks(blob.data):
        if name == b"fmt ":
            bytes_per_second = int.from_bytes(blob.data[start + 8 : start + 12], "little")
        if name == b"data" and size not in (0, 0xFFFFFFFF):  # a stream's length is not known
            if bytes_per_second:
                limits.check_seconds(blob.name, size / bytes_per_second)
            if size > len(blob.data) - start:
                raise _cut_short(blob, f"{len(blob.data) - start:,} of {size:,} bytes of sound")
            return


def _check_ogg(blob: Blob) -> None:
    """An Ogg stream's last page is marked and whole (RFC 3533, section 6)."""
    last = blob.data.rfind(b"OggS")
    page = blob.data[last:]
    segments = page[26] if len(page) > 26 else 0
    length = 27 + segments + sum(page[27 : 27 + segments])
    if len(page) < max(28, length) or not page[5] & 4:
        raise _cut_short(blob, "all pages but the last")


def _cut_short(blob: Blob, what: str) -> MediaError:
    return MediaError(f"{blob.name} is cut short: it has {what}; save or download it again")


def _check_header(blob: Blob, limits: Limits, channels: int, rate: int, count: float) -> None:
    if not 1 <= rate <= MAX_RATE or not 1 <= channels <= MAX_CHANNELS:
        raise MediaError(
            f"{blob.name} claims {channels} channels at {rate} Hz; at most {MAX_CHANNELS} channels "
            f"and {MAX_RATE} Hz are taken, so convert it, or check that it is not damaged"
        )
    limits.check_seconds(blob.name, count / rate)
    limits.check_decoded(blob.name, 4 * channels * count, f"{channels} ch, {rate} Hz")


def _read_sndfile(blob: Blob, fmt: Format, limits: Limits) -> tuple[NDArray[np.float32], int]:
    import soundfile

    with soundfile.SoundFile(BytesIO(blob.data)) as file:
        rate, channels = int(file.samplerate), int(file.channels)
        claimed = int(file.frames) if file.frames < _UNKNOWN else 0
        _check_header(blob, limits, channels, rate, claimed)
        decoded, count = bytearray(), 0
        while len(block := file.read(_BLOCK, dtype="float32", always_2d=True)):
            count += len(block)
            _check_header(blob, limits, channels, rate, count)
            decoded += block.tobytes()
    if count < claimed:
        raise _cut_short(blob, f"{count:,} of {claimed:,} samples")
    return np.frombuffer(decoded, np.float32).reshape(-1, channels).T, rate  # (n, C) -> (C, n)


def _read_av(blob: Blob, fmt: Format, limits: Limits) -> tuple[NDArray[np.float32], int]:
    import av

    with open_container(blob, fmt, limits) as container:
        stream = sound_stream(container)
        rate, channels = int(stream.rate), int(stream.channels)
        estimated = fmt in (MP3, AAC)  # from the bit rate of the first frames
        claimed = 0.0 if estimated else header_seconds(container, stream) * rate
        _check_header(blob, limits, channels, rate, claimed)
        resampler = av.AudioResampler("fltp", stream.layout, rate)
        decoded, count = bytearray(), 0
        for frame in container.decode(stream):
            for piece in resampler.resample(frame):
                count += piece.samples
                _check_header(blob, limits, channels, rate, count)
                decoded += piece.to_ndarray().T.tobytes()
    return np.frombuffer(decoded, np.float32).reshape(-1, channels).T, rate  # (n, C) -> (C, n)
