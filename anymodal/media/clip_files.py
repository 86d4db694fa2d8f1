"""Files of clips: MP4 with or without sound, and GIF."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anymodal.media.limits import MediaError

if TYPE_CHECKING:
    from av import AudioFrame, VideoFrame

    from anymodal.media.audio import Audio

_BT601, _LIMITED_RANGE = 6, 1  # AVCOL_SPC_SMPTE170M and AVCOL_RANGE_MPEG
_AAC_RATES = (
    *(7350, 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000),
)
_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}
"""Layouts of AAC by their number of channels."""
_BITS = 96_000
"""Of a second of one channel: what is hard to tell from the original."""


def write_mp4(frames: NDArray[np.uint8], fps: float, sound: Audio | None = None) -> bytes:
    """An MP4 of H.264, and AAC where there is sound.

    Shapes: frames (T, H, W, 3).
    """
    import av

    _, height, width, _ = frames.shape
    if height % 2 or width % 2:  # yuv420p halves both sides
        padding = ((0, 0), (0, height % 2), (0, width % 2), (0, 0))
        frames = np.pad(frames, padding, mode="edge")
    rate = Fraction(fps).limit_denominator(1001)  # exact for NTSC's, such as 30000/1001
    buffer = BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream(
            "libx264", rate=rate, options={"crf": "16", "preset": "veryfast"}
        )
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        # Named, since players guess unnamed colours by the size of the frames.
        stream.colorspace, stream.color_range = _BT601, _LIMITED_RANGE
        pieces: Iterator[AudioFrame] = iter(())
        if sound is not None:
            sound = _as_aac(sound)
            track = container.add_stream(
                "aac", rate=sound.rate, layout=_LAYOUTS[len(sound.samples)]
            )
            track.bit_rate = _BITS * len(sound.samples)
            pieces = _pieces(sound, rate)
        for picture in _pictures(frames, rate):
            container.mux(stream.encode(picture))
            # In turn, so that a player finds the sound of a moment beside its picture.
            for piece in [each for each in [next(pieces, None)] if each is not None]:
                container.mux(track.encode(piece))
        for piece in pieces:
            container.mux(track.encode(piece))
        container.mux(stream.encode(None))
        if sound is not None:
            container.mux(track.encode(None))
    return buffer.getvalue()


def write_gif(frames: NDArray[np.uint8], fps: float) -> bytes:
    """A GIF that loops, with one palette made of all frames."""
    import av

    _, height, width, _ = frames.shape
    rate = Fraction(fps).limit_denominator(1001)
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=width, height=height, format=av.VideoFormat("rgb24"), time_base=1 / rate
    )
    split, palette, use = graph.add("split"), graph.add("palettegen"), graph.add("paletteuse")
    sink = graph.add("buffersink")
    source.link_to(split)
    split.link_to(palette, 0, 0)
    split.link_to(use, 1, 0)
    palette.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    for picture in _pictures(frames, rate):
        graph.vpush(picture)
    graph.vpush(None)
    buffer = BytesIO()
    with av.open(buffer, "w", format="gif") as container:
        stream = container.add_stream("gif", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "pal8"
        for _ in frames:
            container.mux(stream.encode(graph.vpull()))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def _pictures(frames: NDArray[np.uint8], fps: Fraction) -> Iterator[VideoFrame]:
    import av

    for index, frame in enumerate(frames):
        picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
        picture.pts, picture.time_base = index, 1 / fps
        yield picture


def _as_aac(sound: Audio) -> Audio:
    """A sound at a rate that AAC has, the next above its own, in a layout that it has.

    Raises:
        ValueError: it has no layout of so many channels.
    """
    channels = len(sound.samples)
    if channels not in _LAYOUTS:
        raise MediaError(
            f"the sound of a clip has {channels} channels, and MP4 takes "
            f"{', '.join(map(str, _LAYOUTS))}; use sound.mono()"
        )
    return sound.resample(next((r for r in _AAC_RATES if r >= sound.rate), _AAC_RATES[-1]))


def _pieces(sound: Audio, fps: Fraction) -> Iterator[AudioFrame]:
    """A sound in pieces as long as a picture stays."""
    import av

    samples = np.ascontiguousarray(sound.samples.clip(-1, 1))
    end, first, index = samples.shape[1], 0, 0
    while first < end:
        index += 1
        last = min(end, max(first + 1, round(index * sound.rate / fps)))
        piece = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples[:, first:last]),
            format="fltp",
            layout=_LAYOUTS[len(samples)],
        )
        piece.rate, piece.pts, piece.time_base = sound.rate, first, Fraction(1, sound.rate)
        yield piece
        first = last
