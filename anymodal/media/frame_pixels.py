"""Pixels of a decoded frame as they are meant: upright, square, on white where transparent."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from anymodal.media.containers import frame_pixels
from anymodal.media.formats import Format
from anymodal.media.limits import Limits, MediaError
from anymodal.media.source import GIF, Blob

if TYPE_CHECKING:
    from av import Packet, VideoFormat, VideoFrame
    from av.packet import PktSideDataT
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

_MOST_ASPECT = 8  # what is wider or narrower is no pixel of anything
_UPRIGHT = ((1, 0, 0, 0, 1), (0, -1, 0, 1, 0), (-1, 0, 0, 0, -1), (0, 1, 0, -1, 0))
"""Display matrices by quarter turns counterclockwise."""
_BLOCK_ID = 8  # bytes before what Matroska keeps beside a block, big-endian


def pixel_aspect(blob: Blob, fmt: Format, stream: VideoStream) -> float:
    """Width over height of a stream's pixels, by the container or the codec.

    Nobody heeds a GIF's.

    Raises:
        ValueError: if nothing is made of such pixels.
    """
    ratio = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    aspect = float(ratio or 1) if fmt is not GIF else 1.0
    if not 1 / _MOST_ASPECT <= aspect <= _MOST_ASPECT:
        raise MediaError(
            f"{blob.name} claims pixels {aspect:g} times as wide as high, and 1/{_MOST_ASPECT} to "
            f"{_MOST_ASPECT} is taken; export it again with square pixels"
        )
    return aspect


def square_pixel_size(height: int, width: int, aspect: float) -> tuple[int, int]:
    """Height and width with square pixels, the shorter axis made longer."""
    if aspect > 1:
        return height, round(width * aspect)
    return round(height / aspect), width


class FramePixels:
    """Brings frames to RGB of one size.

    Args:
        height: of the frames as they are stored, with square pixels.
        width: likewise.
    """

    def __init__(self, height: int, width: int) -> None:
        from av.video.reformatter import VideoReformatter

        self.height, self.width = height, width
        self._matrices = _Matrices()
        self._reformatter = VideoReformatter()  # of one's own: a frame's would stay with each

    def upright(
        self, frame: VideoFrame, opacity: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint8]:
        """A frame's pixels as they are to be seen; `opacity` is what is decoded apart from it.

        Shapes: opacity (H, W); result (H, W, 3).
        """
        if opacity is not None:
            alpha = self._of(_grey(opacity), "gray", frame)[..., None].astype(np.uint16)
            picture = _on_white(self._of(frame, "rgb24"), alpha)
        elif _has_alpha(frame.format):
            rgba = self._of(frame, "rgba")
            picture = _on_white(rgba[..., :3], rgba[..., 3:].astype(np.uint16))
        else:
            picture = self._of(frame, "rgb24")
        return apply_display_matrix(picture, self._matrices.of(frame))

    def _of(self, frame: VideoFrame, fmt: str, like: VideoFrame | None = None) -> NDArray[np.uint8]:
        size_of = like or frame
        # A frame that is only made smaller keeps its shape; one that is stretched gets the better
        # filter.
        enlarges = self.width > size_of.width or self.height > size_of.height
        values = self._reformatter.reformat(
            frame,
            width=self.width,
            height=self.height,
            format=fmt,
            interpolation="BICUBIC" if enlarges else "BILINEAR",
            threads=1,
        ).to_ndarray()
        return np.asarray(values, np.uint8)


def _has_alpha(fmt: VideoFormat) -> bool:
    return fmt.has_palette or any(component.is_alpha for component in fmt.components)


def _on_white(rgb: NDArray[np.uint8], alpha: NDArray[np.uint16]) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = ((rgb * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    return pixels


def apply_display_matrix(picture: NDArray[np.uint8], matrix: Sequence[int]) -> NDArray[np.uint8]:
    """A picture turned and mirrored as its display matrix says (ISO/IEC 14496-12, section 6.2).

    A point (x, y) goes to (a x + c y, b x + d y); the matrix is (a, b, u, c, d, v, x, y, w).
    """
    a, b, _, c, d = matrix[:5]
    # A quarter turn has its larger entries beside the diagonal.
    if abs(a) + abs(d) < abs(b) + abs(c):
        picture, a, d = picture.swapaxes(0, 1), c, b
    return picture[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]


class _Matrices:
    """The display matrix of each frame, read anew only where its rotation changes.

    PyAV keeps a frame for as long as what was beside it, until the garbage is collected; of large
    frames that is soon a gigabyte.
    """

    def __init__(self) -> None:
        self._rotation: int | None = None
        self._matrix: Sequence[int] = _UPRIGHT[0]

    def of(self, frame: VideoFrame) -> Sequence[int]:
        """The matrix of a frame."""
        from av.sidedata.sidedata import Type

        if frame.rotation != self._rotation:
            self._rotation = frame.rotation
            self._matrix = _UPRIGHT[round(frame.rotation / 90) % 4]
            with contextlib.suppress(ValueError):  # of what PyAV knows no name for
                # By type, which PyAV's stubs leave out.
                matrix = frame.side_data.get(Type.DISPLAYMATRIX)  # type: ignore[call-overload]
                if matrix is not None:
                    self._matrix = np.frombuffer(bytes(matrix), np.int32).tolist()
        return self._matrix


def _grey(values: NDArray[np.uint8]) -> VideoFrame:
    import av

    return av.VideoFrame.from_ndarray(values, format="gray")


class Alpha:
    """The opacity of VP8 and VP9 in WebM, which is a second stream beside each block's.

    FFmpeg's own decoders leave it out. It is decoded like the first: its brightness counts.
    """

    def __init__(self, decoder: VideoCodecContext | None = None) -> None:
        self._decoder = decoder
        self._last: NDArray[np.uint8] | None = None

    @classmethod
    def of(cls, stream: VideoStream, limits: Limits) -> Alpha:
        """The opacity that a stream's header announces, or none."""
        import av

        name = stream.codec_context.name
        codec = next((name_part for name_part in ("vp8", "vp9") if name_part in name), None)
        if codec is None or stream.metadata.get("alpha_mode") != "1":
            return cls()
        decoder = cast("VideoCodecContext", av.CodecContext.create(codec, "r"))
        decoder.options = {"max_pixels": str(frame_pixels(limits)), "threads": "1"}
        decoder.thread_count = 1
        return cls(decoder)

    def of_packet(self, packet: Packet[VideoStream], count: int) -> list[NDArray[np.uint8] | None]:
        """The opacity of each of a packet's frames; where there is nothing new, the last.

        Shapes: each (H, W).
        """
        import av

        kind: PktSideDataT = "matroska_block_additional"
        if self._decoder is not None and packet.size and packet.has_sidedata(kind):
            beside = bytes(packet.get_sidedata(kind))
            for frame in self._decoder.decode(av.Packet(beside[_BLOCK_ID:])):
                plane = frame.planes[0]
                rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
                # Rows are padded to line_size; and the plane dies with its frame.
                self._last = np.ascontiguousarray(rows[: frame.height, : frame.width])
        return [self._last] * count
