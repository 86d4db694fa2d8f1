"""Sound."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from anymodal.media.base import Media, data_uri
from anymodal.media.checks import check_array, check_number
from anymodal.media.formats import Format
from anymodal.media.limits import Limits, MediaError, decoding
from anymodal.media.samples import MAX_CHANNELS, MAX_RATE, read_sound
from anymodal.media.source import Blob


@dataclass(eq=False, repr=False)
class Audio(Media):
    """A sound.

    Shapes: samples (channels, n), float32, full scale is ±1; (n,) is taken as one channel.
    Units: rate in Hz.

    Loads what libsndfile or FFmpeg read of these: WAV, FLAC, Ogg, MP3, AAC, AIFF, AU, CAF, W64,
    VOC, SPHERE, AC-3, DTS, AMR, WavPack, Monkey's Audio, TTA, and the sound of clips (see `Video`).
    Saves WAV (32-bit float, without loss) and FLAC (24 bits, clipped to ±1).
    """

    samples: NDArray[np.float32]
    rate: int

    kind: ClassVar[str] = "audio"
    time_axis: ClassVar[int | None] = 1
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
        rate = round(check_number(rate, "rate", 1, MAX_RATE, "Hz"))
        if rate == self.rate:
            return self
        from scipy.signal import resample_poly

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
    def _decode(cls, blob: Blob, fmt: Format, limits: Limits, **hints: object) -> Audio:
        samples, rate = read_sound(blob, fmt, limits)
        with decoding(blob.name, fmt.label):
            return cls(samples, rate)

    def _encode(self, suffix: str) -> bytes:
        return self._sound("WAV", "FLOAT") if suffix == ".wav" else self._sound("FLAC", "PCM_24")

    def _sound(self, fmt: str, subtype: str) -> bytes:
        import soundfile

        buffer = BytesIO()
        soundfile.write(buffer, self.samples.T, self.rate, format=fmt, subtype=subtype)
        return _without_time(buffer.getvalue())


def _without_time(data: bytes) -> bytes:
    """A WAV without the time of day that libsndfile writes into its chunk of peaks.

    Equal sounds have equal files.
    """
    at = data.find(b"PEAK", 0, 128)
    return data if at < 0 else data[: at + 12] + bytes(4) + data[at + 16 :]
