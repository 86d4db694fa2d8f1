"""Sounds as MP3, Opus and AAC: files that are small, and near to the sound."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

if TYPE_CHECKING:
    from av import AudioFrame, AudioStream

    from anymodal.media.audio import Audio

_PIECE = 1 << 14  # samples that are encoded together


class _Codec(NamedTuple):
    """An encoder of FFmpeg's, its container, its rates, and bits of a second of a channel."""

    name: str
    container: str
    rates: tuple[int, ...]
    bits: int


_MPEG_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_CODECS = {
    ".mp3": _Codec("libmp3lame", "mp3", _MPEG_RATES, 96_000),
    ".opus": _Codec("libopus", "ogg", (8000, 12000, 16000, 24000, 48000), 48_000),
    ".aac": _Codec("aac", "adts", _MPEG_RATES, 96_000),
}
LOSSY_SUFFIXES = (*_CODECS,)


def encode_lossy(sound: Audio, suffix: str) -> bytes:
    """A file of a sound, of one channel or two, at the next rate above its own that there is.

    The note about who made it is the comment of an MP3 or Opus; AAC as it is, in ADTS, has no place
    for one. Equal sounds have equal files.

    Args:
        sound: of any rate; several channels that aren't stereo become one.
        suffix: one of `LOSSY_SUFFIXES`.
    """
    import av

    codec, provenance = _CODECS[suffix], sound.provenance
    sound = sound if len(sound.samples) in (1, 2) else sound.mono()
    sound = sound.resample(next((r for r in codec.rates if r >= sound.rate), codec.rates[-1]))
    layout = "mono" if len(sound.samples) == 1 else "stereo"
    buffer = BytesIO()
    with av.open(
        buffer, "w", format=codec.container, container_options={"fflags": "+bitexact"}
    ) as container:
        if provenance is not None:
            container.metadata["comment"] = provenance.text
        added = container.add_stream(codec.name, rate=sound.rate, layout=layout)
        stream = cast("AudioStream", added)
        stream.bit_rate = codec.bits * len(sound.samples)
        for piece in _pieces(sound, layout):
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def _pieces(sound: Audio, layout: str) -> Iterator[AudioFrame]:
    import av

    samples = np.ascontiguousarray(sound.samples.clip(-1, 1))
    for first in range(0, samples.shape[1], _PIECE):
        piece = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples[:, first : first + _PIECE]), format="fltp", layout=layout
        )
        piece.rate, piece.pts, piece.time_base = sound.rate, first, Fraction(1, sound.rate)
        yield piece
