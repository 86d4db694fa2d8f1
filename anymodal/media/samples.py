"""Samples of sound out of files, by libsndfile where it knows them and by FFmpeg otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anymodal.media.chunks import chunked_end
from anymodal.media.containers import (
    decode_packet,
    header_seconds,
    open_container,
    packets,
    sound_stream,
)
from anymodal.media.formats import FLAC, HEADLESS, MP3, OGG, W64, WAV, Format
from anymodal.media.limits import Limits, MediaError, decoding
from anymodal.media.mpeg import mp3_samples
from anymodal.media.ogg import ogg_links
from anymodal.media.source import Blob
from anymodal.media.spans import Spans, cut_short
from anymodal.media.tags import audio_end
from anymodal.media.wav import wav_file

if TYPE_CHECKING:
    from av import AudioFrame, AudioLayout, AudioResampler
    from av.audio.stream import AudioStream
    from av.container import InputContainer

MAX_CHANNELS = 64
MAX_RATE = 768_000
_BLOCK = 65_536  # samples read at a time
_UNKNOWN = 2**40  # libsndfile's answer is about 2**63 where a header gives no length
_MPEG_TAGS = (b"\x50\0", b"\x55\0")  # of MP2 and MP3 in WAV
_DELAYS = 4608  # samples at both ends that an encoder adds and a decoder takes away, 4 frames


def read_sound(blob: Blob, fmt: Format, limits: Limits) -> tuple[NDArray[np.float32], int]:
    """The samples of a blob and their rate.

    Shapes: samples (channels, n), full scale is ±1.

    Raises:
        ValueError: if it is damaged, cut short, over a limit, holds no sound, or streams one
            after the other that differ.
    """
    samples = _Samples(blob, limits)
    for file in _files(blob, fmt, limits):
        if not (fmt.sndfile and _read_sndfile(file, fmt, samples)):
            if not fmt.demuxer:
                raise MediaError(
                    f"{blob.name} is {fmt.label} in a way that is not read; convert it to WAV"
                )
            file.seek(0)
            _read_av(file, fmt, samples)
    header_count = mp3_samples(blob.data) if fmt is MP3 else 0
    if samples.count < header_count - min(header_count // 3, _DELAYS):
        raise cut_short(blob.name, f"{samples.count:,} of {header_count:,} samples")
    return samples.array()


def _files(blob: Blob, fmt: Format, limits: Limits) -> list[Spans]:
    """Parts that are read one after the other: the links of Ogg, of anything else the whole."""
    data = memoryview(blob.data)
    if fmt in (WAV, W64):
        return [wav_file(blob, fmt, limits)]
    if fmt is OGG:
        return [Spans([data[start:end]], blob.budget) for start, end in ogg_links(blob)]
    end = audio_end(blob.data) if fmt.estimates or fmt.exact else chunked_end(blob, fmt)
    return [Spans([data[:end]], blob.budget)]


class _Samples:
    """Samples as they are decoded, held against the limits before they are kept."""

    def __init__(self, blob: Blob, limits: Limits) -> None:
        self.blob, self.limits = blob, limits
        self.rate = self.channels = self.streams = self.count = 0
        self._buffer = bytearray()

    def begin(self, channels: int, rate: int, count: float) -> None:
        """Take up a stream of so many samples by its header."""
        if not 1 <= rate <= MAX_RATE or not 1 <= channels <= MAX_CHANNELS:
            raise MediaError(
                f"{self.blob.name} claims {channels} channels at {rate} Hz; at most {MAX_CHANNELS} "
                f"channels and {MAX_RATE} Hz are taken, so convert it, or check that it is not "
                "damaged"
            )
        self.streams += 1
        if self.streams > 1 and (channels, rate) != (self.channels, self.rate):
            raise MediaError(
                f"{self.blob.name} holds {self.streams} streams or more one after the other, of "
                f"{self.channels} ch at {self.rate} Hz and {channels} ch at {rate} Hz; cut them "
                "apart, or convert it to one rate"
            )
        self.channels, self.rate = channels, rate
        self._check(self.count + count)

    def add(self, block: NDArray[np.float32]) -> None:
        """Keep some samples. Shapes: (n, channels)."""
        self.blob.budget.check()
        self._check(self.count + len(block))
        self._buffer += block.tobytes()
        self.count += len(block)

    def _check(self, count: float) -> None:
        self.limits.check_seconds(self.blob.name, count / self.rate)
        what = f"{self.channels} ch, {self.rate} Hz"
        self.limits.check_decoded(self.blob.name, 4 * self.channels * count, what)

    def array(self) -> tuple[NDArray[np.float32], int]:
        """All samples, (channels, n), and their rate."""
        if self.count == 0:
            raise MediaError(f"{self.blob.name} holds no samples; record or export it again")
        samples = np.frombuffer(self._buffer, np.float32)
        return samples.reshape(-1, self.channels).T, self.rate  # (n, C) -> (C, n)


def _read_sndfile(file: Spans, fmt: Format, samples: _Samples) -> bool:
    """Read with libsndfile; False if it does not know what is inside."""
    import soundfile

    blob, before = samples.blob, samples.count
    with decoding(blob.name, fmt.label):
        mpeg = file.read(22)[20:] in _MPEG_TAGS
        if mpeg and fmt in (WAV, W64):  # libsndfile's library for it complains on the terminal
            return False
        file.seek(0)
        try:
            file_in = soundfile.SoundFile(file)
        except soundfile.LibsndfileError:
            return False
        with file_in:
            if file_in.frames >= _UNKNOWN and fmt is FLAC:  # where it could not go on reading
                return False
            header_count = int(file_in.frames) if file_in.frames < _UNKNOWN else 0
            samples.begin(int(file_in.channels), int(file_in.samplerate), header_count)
            while len(block := file_in.read(_BLOCK, dtype="float32", always_2d=True)):
                samples.add(block)
    blob.budget.check()
    count = samples.count - before
    if count < header_count and fmt not in (WAV, W64):  # whose bytes have been counted
        raise cut_short(blob.name, f"{count:,} of {header_count:,} samples")
    return True


def _read_av(file: Spans, fmt: Format, samples: _Samples) -> None:
    blob, resampler = samples.blob, None
    spans = None if fmt.group == "container" else file
    with open_container(blob, fmt, samples.limits, spans) as container:
        stream = sound_stream(container)
        if stream is None:
            raise MediaError(f"{blob.name} is {fmt.label} without any sound; record it anew")
        rate, layout, header_count = int(stream.rate or 0), stream.layout, 0.0
        if not fmt.estimates:
            header_count = header_seconds(container, stream) * rate
        for frame in _frames(blob, fmt, container, stream):
            if resampler is None:
                if fmt in HEADLESS or not rate:  # the first frame knows better
                    rate, layout, header_count = frame.sample_rate, frame.layout, 0.0
                samples.begin(int(layout.nb_channels), rate, header_count)
                resampler = _Resampler(layout, rate)
            for piece in resampler.resample(frame):
                samples.add(piece)
        for piece in resampler.resample(None) if resampler else ():
            samples.add(piece)
    if fmt.exact and samples.count < 0.99 * header_count - 1:
        raise cut_short(blob.name, f"{samples.count:,} of {header_count:,.0f} samples")


def _frames(
    blob: Blob, fmt: Format, container: InputContainer, stream: AudioStream
) -> Iterator[AudioFrame]:
    """A stream's frames; what a format without a length has behind its end may be anything."""
    has_frames = has_failed = False
    for packet in packets(blob, container, stream):
        try:
            frames = decode_packet(blob, fmt, packet, has_frames)
        except Exception:
            if not (has_frames and fmt.estimates):
                raise
            has_failed, frames = True, []
        if has_failed and frames:
            raise MediaError(
                f"{blob.name} is damaged in its middle; save or download it again, or mend it"
            )
        has_frames = has_frames or bool(frames)
        yield from frames


class _Resampler:
    """Brings frames to floats of one rate and layout, though a broadcast may change them."""

    def __init__(self, layout: str | AudioLayout, rate: int) -> None:
        self.layout, self.rate = layout, rate
        self._resampler: AudioResampler | None = None
        self._for: tuple[str | int, ...] = ()

    def resample(self, frame: AudioFrame | None) -> list[NDArray[np.float32]]:
        """Pieces of samples of a frame, or what is left where there is none. Shapes: (n, C)."""
        import av

        pieces: list[AudioFrame] = []
        shape = self._for if frame is None else _shape(frame)
        # FFmpeg's resampler keeps some samples back; they belong before the new layout's.
        if self._resampler is not None and (frame is None or shape != self._for):
            pieces += self._resampler.resample(None)
            self._resampler = None
        if frame is not None:
            if self._resampler is None:
                self._resampler, self._for = (
                    av.AudioResampler("fltp", self.layout, self.rate),
                    shape,
                )
            pieces += self._resampler.resample(frame)
        arrays = (piece.to_ndarray().T for piece in pieces if piece.samples)
        return [array.astype(np.float32, copy=False) for array in arrays]


def _shape(frame: AudioFrame) -> tuple[str | int, ...]:
    return frame.format.name, frame.layout.name, frame.layout.nb_channels, frame.sample_rate
