"""Files of frames and samples read with PyAV, and the kinds of media in a blob of any format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar, overload

from anymodal.media.chunks import chunked_end
from anymodal.media.formats import BROADCAST, HEADLESS, MP4, OGV, Format
from anymodal.media.gif import gif_end, gif_start
from anymodal.media.imu_header import find_header
from anymodal.media.limits import Limits, MediaError, decoding
from anymodal.media.mp4 import mp4_end
from anymodal.media.ogg import ogg_links
from anymodal.media.source import GIF, TEXT, Blob
from anymodal.media.spans import Spans

if TYPE_CHECKING:
    from av import AudioFrame, Packet, VideoFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.stream import Stream
    from av.video.stream import VideoStream

PlayedStream = TypeVar("PlayedStream", "VideoStream", "AudioStream")

_GROUPS: dict[str, tuple[str, ...]] = {
    "picture": ("image", "depth", "thermal", "normal"),
    "sound": ("audio",),
    "table": ("imu",),
    "cloud": ("points",),
    "array": ("imu", "depth", "normal", "points"),
}
KNOWN_KINDS = frozenset({"video"}.union(*_GROUPS.values()))
"""The kinds that a file's content tells of; what holds others, their own classes know."""

_KEPT_FRAMES = 28  # the pixels of so many frames, at 1.5 bytes or more, are what decoders keep
_LEAST_PIXELS = 2**21  # of a frame, which are few enough whatever the limits: 1920×1088
_MOST_STREAMS = 256  # subtitles and fonts included
_PROBED = (
    "aac,aac_latm,ac3,eac3,dca,truehd,mlp,mp1,mp1float,mp2,mp2float,mp3,mp3float,opus,flac,s302m,"
    "nellymoser,adpcm_swf,pcm_bluray,pcm_dvd,pcm_s16le,pcm_s16be,pcm_u8,pcm_alaw,pcm_mulaw"
)
"""Decoders that FFmpeg may use before it takes our limits: of sound, whose frames are small."""


def contents(blob: Blob, fmt: Format, limits: Limits) -> tuple[str, ...]:
    """The kinds of media that a blob can be loaded as, the most natural one first.

    Raises:
        ValueError: if it is cut short, damaged, or holds neither pictures nor sound; `NoTable`
            if it is a text of anything else than readings.
    """
    if fmt is TEXT:
        find_header(blob)
    if fmt.group in _GROUPS:
        return _GROUPS[fmt.group]
    if fmt.group == "gif":
        moving = gif_start(blob).pictures > 1
        return ("video",) if moving else (*_GROUPS["picture"], "video")
    with open_container(blob, fmt, limits) as container:
        streams = {"video": moving_stream(container), "audio": sound_stream(container)}
    kinds = tuple(kind for kind, stream in streams.items() if stream is not None)
    if not kinds:
        raise MediaError(f"{blob.name} is {fmt.label} without any picture or sound; record it anew")
    return kinds


def frame_pixels(limits: Limits) -> int:
    """The most pixels of a clip's frame, so that all that a decoder keeps stays small."""
    return min(limits.max_pixels, max(_LEAST_PIXELS, limits.max_decoded_bytes // _KEPT_FRAMES))


@contextmanager
def open_container(
    blob: Blob, fmt: Format, limits: Limits, file: Spans | None = None
) -> Iterator[InputContainer]:
    """Open bytes with PyAV: one named demuxer, no network, no file beside it, one thread.

    Args:
        file: what to read instead of all of the blob.

    Raises:
        ValueError: if the file is cut short, takes too long, or anything within fails.
    """
    import av

    file = file or Spans([memoryview(blob.data)[: _end(blob, fmt, limits)]], blob.budget)
    codec = {"max_pixels": str(frame_pixels(limits)), "threads": "1"}
    options = {"protocol_whitelist": "file", "max_streams": str(_MOST_STREAMS), **codec}
    if fmt in HEADLESS:
        options["codec_whitelist"] = _PROBED
    with _checked_time(blob, fmt):
        # What the library reads at once is under the time limit too, as the clock on the wall
        # tells: it looks at nothing else between the packets that it tries.
        waiting = 4 * min(blob.budget.seconds, 900.0)
        with av.open(
            file,
            "r",
            format=fmt.demuxer,
            options=options,
            metadata_errors="ignore",  # titles in another encoding are no reason to refuse a file
            timeout=(waiting, None),
        ) as container:
            for stream in (*container.streams.video, *container.streams.audio):
                if stream.codec_context is not None:
                    stream.codec_context.options = codec
                    # The budget counts this thread's time, and each thread keeps frames.
                    stream.codec_context.thread_count = 1
            yield container


@contextmanager
def _checked_time(blob: Blob, fmt: Format) -> Iterator[None]:
    """A decoder's work: its own errors are none for a reader, and those of a late one are ours."""
    try:
        with decoding(blob.name, fmt.label):
            yield
    finally:
        blob.budget.check()


def packets(
    blob: Blob, container: InputContainer, stream: PlayedStream
) -> Iterator[Packet[PlayedStream]]:
    """A stream's packets, the last one empty, as long as the budget lasts."""
    packets: Iterator[Packet[PlayedStream]] = container.demux(stream)
    for packet in packets:
        blob.budget.check()
        yield packet


@overload
def decode_packet(
    blob: Blob, fmt: Format, packet: Packet[VideoStream], has_frames: bool
) -> list[VideoFrame]:
    """Frames of pictures."""


@overload
def decode_packet(
    blob: Blob, fmt: Format, packet: Packet[AudioStream], has_frames: bool
) -> list[AudioFrame]:
    """Frames of sound."""


def decode_packet(
    blob: Blob, fmt: Format, packet: Packet[VideoStream] | Packet[AudioStream], has_frames: bool
) -> Sequence[VideoFrame | AudioFrame]:
    """A packet's frames; in what may begin in the middle, none of those before the first."""
    try:
        return packet.decode()
    except Exception:
        if has_frames or fmt not in BROADCAST:
            raise
        return []


def moving_stream(container: InputContainer) -> VideoStream | None:
    """The first stream of pictures that is no cover art, or None."""
    from av.stream import Disposition

    streams = container.streams.video
    return next((s for s in streams if not s.disposition & Disposition.attached_pic), None)


def sound_stream(container: InputContainer) -> AudioStream | None:
    """The first stream of sound, or None."""
    return next(iter(container.streams.audio), None)


def header_seconds(container: InputContainer, stream: Stream) -> float:
    """Seconds that the header gives a stream; 0 where it gives none."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / 1_000_000  # AV_TIME_BASE


def _end(blob: Blob, fmt: Format, limits: Limits) -> int:
    """The end of the content; a file that ends before its own structure does is refused."""
    if fmt is MP4:
        return mp4_end(blob, limits)
    if fmt is GIF:
        return gif_end(blob)
    if fmt is OGV:
        if len(links := ogg_links(blob)) > 1:
            raise MediaError(
                f"{blob.name} holds {len(links)} streams one after the other; cut them apart"
            )
        return len(blob.data)
    return chunked_end(blob, fmt)
