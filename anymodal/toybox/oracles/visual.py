"""Oracles for images and videos: nearest rendered icon, palette hue, and nearest trajectory.

The color is the palette's nearest to the icon's median hue, the thing that of the nearest rendered
icon at the same place and scale, the size its spread relative to that icon's, and motion and tempo
those of the trajectory nearest to its centre and scale over time.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from anymodal.toybox.oracles.common import MOVES, nearest_size
from anymodal.toybox.oracles.segmentation import (
    GRID,
    Floats,
    IconSegment,
    median_hue,
    resize_frame,
    segment,
)
from anymodal.toybox.renderers.visual import (
    FPS,
    IMAGE_SIZE,
    NUM_FRAMES,
    PALETTE,
    RADIUS,
    Jitter,
    draw_icon,
)
from anymodal.toybox.scene import COLORS, THINGS
from anymodal.toybox.trajectory import AMPLITUDE, LOG_SCALES, SECONDS, trajectory

_DEPTH = 2 * AMPLITUDE / (LOG_SCALES[1] - LOG_SCALES[0])
"""Frame widths that a unit of log scale counts for."""


@lru_cache(maxsize=1)
def _references() -> tuple[Floats, Floats]:
    """Every icon in both sizes, some colors, sharp and blurred: R renderings of each thing.

    Returns:
        crops of shape (12, R, D), and radius per spread of shape (12, R).
    """
    crops, ratios = [], []
    jitter = Jitter(0.0, 0.0, 1.0, np.full((3, IMAGE_SIZE, IMAGE_SIZE), 236, np.float32))
    for thing in THINGS:
        for color in ("red", "yellow", "blue"):
            for radius in RADIUS.values():
                sharp = draw_icon(thing, color, radius, jitter)
                for blur in (0.0, 1.0):
                    frame = ndimage.gaussian_filter(sharp, (blur, blur, 0))
                    reference = segment(frame.astype(np.float64))
                    assert reference is not None
                    crops.append(reference.crop)
                    ratios.append(radius / reference.spread)
    shape = (len(THINGS), -1)
    return np.stack(crops).reshape(*shape, 2 * GRID**2), np.array(ratios).reshape(shape)


def _classify_thing(segments: list[IconSegment]) -> tuple[str, Floats]:
    """The thing that the frames show together, and the icon's radius in each."""
    crops, ratios = _references()
    similarity = crops @ np.stack([s.crop for s in segments], -1)  # (12, R, T)
    # Frames vote by their similarities, so that one blurred frame doesn't decide.
    number = int(similarity.max(1).sum(1).argmax())
    nearest = similarity[number].argmax(0)  # (T,)
    return THINGS[number], np.array([s.spread for s in segments]) * ratios[number, nearest]


@lru_cache(maxsize=1)
def _palette_hues() -> Floats:
    return np.array([median_hue(np.array([PALETTE[color]], float)) for color in COLORS])


def _classify_color(hues: list[float]) -> str:
    """The palette's color that is nearest to the median of some hues."""
    turns = np.abs((np.array(hues)[:, None] - _palette_hues() + 180) % 360 - 180)  # (T, 8)
    return COLORS[int(np.median(turns, 0).argmin())]


def read_image(pixels: NDArray[np.generic]) -> dict[str, str]:
    """Read thing, color and size off an image; empty if it shows no icon.

    Args:
        pixels: uint8, shape (H, W, 3), of any size.

    Raises:
        ValueError: if the pixels are of another type or shape.
    """
    icon = segment(resize_frame(pixels))
    if icon is None:
        return {}
    thing, radii = _classify_thing([icon])
    size = nearest_size(radii[0], RADIUS)
    return {"thing": thing, "color": _classify_color([icon.hue]), "size": size}


def read_video(frames: NDArray[np.generic], fps: float = FPS) -> dict[str, str]:
    """Read thing, color, size, motion and tempo off a video; empty if it shows no icon.

    A video without motion has no tempo.

    Args:
        frames: uint8, shape (T, H, W, 3); of any frame rate, sampled at 8 times of its first 2 s.
        fps: frames per second.

    Raises:
        ValueError: if there are no frames, or fps is not positive.
    """
    if len(frames) == 0 or not fps > 0:
        raise ValueError(f"a video needs frames and a positive fps, not {len(frames)} at {fps}")
    moments = np.arange(NUM_FRAMES) * SECONDS / NUM_FRAMES
    indices = np.unique(np.clip(np.rint(moments * fps).astype(int), 0, len(frames) - 1))
    detections = [(index / fps, segment(resize_frame(frames[index]))) for index in indices]
    track = [(time, icon) for time, icon in detections if icon is not None]
    if not track:
        return {}
    times, segments = tuple(time for time, _ in track), [icon for _, icon in track]
    thing, radii = _classify_thing(segments)
    move, log_scales = _fit_motion(times, segments)
    # Motion toward the viewer scales the icon; the size is the radius without that scale.
    radius = float(np.exp(np.median(np.log(radii) - log_scales)))
    return {
        "thing": thing,
        "color": _classify_color([icon.hue for icon in segments]),
        "size": nearest_size(radius, RADIUS),
        **move,
    }


@lru_cache(maxsize=8)
def _trajectories(times: tuple[float, ...]) -> tuple[Floats, Floats]:
    """Every move at some times: centred in frame widths, (M, T, 3), and its log scale, (M, T)."""
    moves = np.stack([trajectory(motion, tempo, np.array(times)) for motion, tempo in MOVES])
    log_scales = moves[..., 2]
    moves = moves * [1.0, 1.0, _DEPTH]
    return moves - moves.mean(1, keepdims=True), log_scales


def _fit_motion(
    times: tuple[float, ...], segments: list[IconSegment]
) -> tuple[dict[str, str], Floats]:
    """The nearest motion and tempo of a track, and the motion's log scale at the times.

    A move may be up to half smaller or larger than the Toybox's; less than that is still.
    """
    depth = [_DEPTH * np.log(icon.spread) for icon in segments]
    track = np.stack([[s.x for s in segments], [s.y for s in segments], depth], -1)  # (T, 3)
    track = track - track.mean(0)
    moves, log_scales = _trajectories(times)
    energy = np.square(moves).sum((1, 2)) + 1e-9
    gain = np.clip((moves * track).sum((1, 2)) / energy, 0.5, 1.5)  # (M,)
    errors = np.square(track - gain[:, None, None] * moves).sum((1, 2))
    best = int(errors.argmin())
    if errors[best] >= np.square(track).sum():  # no move explains the track better than rest
        return {"motion": "still"}, np.zeros(len(times))
    motion, tempo = MOVES[best]
    return {"motion": motion, "tempo": tempo}, log_scales[best]
