"""What a picture, a video and an IMU recording tell, by measurement.

A figure is what differs from a plane fitted to the picture's border. Its colour is its median hue,
its thing the nearest rendered icon at the same place and scale, its size its spread relative to
that icon's, and its motion and tempo the path nearest to its centre and scale over time. Media may
be blurred, compressed, of any size and of any frame rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from anymodal.toybox.renderers.imu import METRES, movement
from anymodal.toybox.renderers.visual import FPS, FRAMES, PALETTE, RADIUS, SIDE, Look, render
from anymodal.toybox.scene import COLORS, MOTIONS, TEMPOS, THINGS
from anymodal.toybox.trajectory import NEARER, REACH, SECONDS, path

Floats = NDArray[np.float64]

_NOISE = 24.0
"""Distance from the background, in levels over the three channels, that may be noise."""
_DARK = np.array([46.0, 40.0, 52.0])
_GRID = 20
_SPAN = 2.2
"""Half-width of the normalised crop, in spreads of the figure."""
_MOVES = [(motion, tempo) for motion in MOTIONS if motion != "still" for tempo in TEMPOS]
_DEPTH = 2 * REACH / (NEARER[1] - NEARER[0])
"""Frame widths that a change of log scale counts for."""


@dataclass(frozen=True)
class _Figure:
    """What one picture shows.

    Args:
        x: centre, to the right of the picture's middle, as a fraction of its shorter side.
        y: centre, up from the picture's middle.
        spread: root mean square distance from the centre, as a fraction of the shorter side.
        hue: degrees.
        crop: how much of the fill and of the dark details there is at each place of a grid that
            is centred on the figure and scaled by its spread, shape (2 * _GRID**2,), unit norm.
    """

    x: float
    y: float
    spread: float
    hue: float
    crop: Floats


def _as_frame(pixels: NDArray[np.generic]) -> Floats:
    """Pixels with a shorter side of 64 and without an alpha channel, shape (H, W, 3)."""
    pixels = np.asarray(pixels)
    if pixels.ndim != 3 or pixels.shape[-1] not in (3, 4) or pixels.dtype != np.uint8:
        raise ValueError(
            f"a picture must be uint8 of shape (height, width, 3), not {pixels.dtype} of shape "
            f"{pixels.shape}"
        )
    height, width = pixels.shape[:2]
    factor = SIDE / min(height, width)
    if factor != 1:
        shape = (max(SIDE, round(width * factor)), max(SIDE, round(height * factor)))
        picture = Image.fromarray(np.ascontiguousarray(pixels[..., :3]))
        pixels = np.asarray(picture.resize(shape, Image.Resampling.BOX))
    return pixels[..., :3].astype(np.float64)


@lru_cache(maxsize=8)
def _border(height: int, width: int) -> tuple[Floats, NDArray[np.bool_]]:
    """The terms of a plane, shape (H, W, 3), and a mask of a picture's outermost two pixels."""
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    border = np.ones((height, width), bool)
    border[2:-2, 2:-2] = False
    return np.stack([np.ones_like(rows), rows, columns], -1), border


def _background(frame: Floats) -> Floats:
    """A plane per channel through the border, its outliers dropped; shape (H, W, 3)."""
    basis, border = _border(*frame.shape[:2])
    terms, values = basis[border], frame[border]
    guess = np.broadcast_to(np.median(values, 0), values.shape)
    for limit in (40.0, 20.0):
        near = np.abs(values - guess).max(-1) < limit
        if near.sum() < 20:
            break
        plane, *_ = np.linalg.lstsq(terms[near], values[near], rcond=None)
        guess = terms @ plane
    else:
        return np.asarray(basis @ plane)
    return np.broadcast_to(np.median(values, 0), frame.shape)


def _weights(difference: Floats) -> Floats:
    """How surely each pixel is the figure's, 0 to 1, without the specks of noise."""
    distance = np.sqrt(np.einsum("hwc,hwc->hw", difference, difference))
    weights = np.clip((distance - _NOISE) / (2 * _NOISE), 0, 1)
    pieces, count = ndimage.label(weights > 0.3, np.ones((3, 3)))
    if count > 1:
        mass = np.bincount(pieces.ravel(), weights.ravel())
        mass[0] = 0  # the soft rim of what is kept comes back below
        kept = ndimage.grey_dilation((mass >= 0.01 * mass.sum())[pieces], (3, 3))
        weights = weights * kept
    return np.asarray(weights)


def _chroma(frame: Floats) -> Floats:
    """The largest less the smallest channel of every pixel, shape (H, W)."""
    red, green, blue = frame[..., 0], frame[..., 1], frame[..., 2]
    most = np.maximum(np.maximum(red, green), blue)
    return np.asarray(most - np.minimum(np.minimum(red, green), blue))


def _median_hue(colors: Floats) -> float:
    """The median hue in degrees of colours of shape (N, 3), taken around their mean hue."""
    red, green, blue = colors.T
    angles = np.arctan2(np.sqrt(3) * (green - blue), 2 * red - green - blue)
    middle = np.angle(np.exp(1j * angles).sum())
    return float(np.degrees(middle + np.median((angles - middle + np.pi) % (2 * np.pi) - np.pi)))


def _amounts(difference: Floats, ground: Floats, fill: Floats) -> Floats:
    """Least-squares amounts of fill and of dark in every pixel, shape (2, H, W), 0 to 1."""
    basis = np.stack([fill - ground, _DARK - ground])  # (2, 3)
    amounts = difference @ np.linalg.pinv(basis)  # (H, W, 2)
    return np.asarray(np.clip(amounts, 0, 1).transpose(2, 0, 1))


def _find(frame: Floats) -> _Figure | None:
    """The figure in a frame, or None if there is none."""
    background = _background(frame)
    difference = frame - background
    weights = _weights(difference)
    mass = weights.sum()
    if mass < 6:
        return None
    height, width = weights.shape
    rows, columns = np.arange(height), np.arange(width)
    across, down = weights.sum(0) / mass, weights.sum(1) / mass
    cx, cy = across @ columns, down @ rows
    spread = float(np.sqrt(across @ (columns - cx) ** 2 + down @ (rows - cy) ** 2))
    if spread < 1 or not (weights > 0.5).any():  # a speck, or a shade all over the picture
        return None
    chroma = np.where(weights > 0.5, _chroma(frame), 0)
    strong = chroma > 0.65 * np.quantile(chroma[weights > 0.3], 0.95)
    if not strong.any():  # a figure in grey
        return None
    fill = np.median(frame[strong], 0)
    ground = background[int(cy), int(cx)]
    amounts = _amounts(difference, ground, fill) * weights
    return _Figure(
        x=float(cx + 0.5 - width / 2) / SIDE,
        y=float(height / 2 - cy - 0.5) / SIDE,
        spread=spread / SIDE,
        hue=_median_hue(frame[strong]),
        crop=_crop(amounts, cx, cy, spread),
    )


def _crop(amounts: Floats, cx: float, cy: float, spread: float) -> Floats:
    """The amounts on a grid that is centred and scaled by the spread, as one unit vector."""
    offsets = np.linspace(-_SPAN, _SPAN, _GRID) * spread
    places = np.meshgrid(cy + offsets, cx + offsets, indexing="ij")
    # Softened to the grid's spacing, so that small, blurred and sharp figures compare.
    width = 0.11 * spread
    soft = [ndimage.gaussian_filter(plane, width, truncate=2.5) for plane in amounts]
    crop = np.concatenate([ndimage.map_coordinates(p, places, order=1).ravel() for p in soft])
    return np.asarray(crop / (np.linalg.norm(crop) + 1e-9))


@lru_cache(maxsize=1)
def _references() -> tuple[Floats, Floats]:
    """Every icon in both sizes, some colours, sharp and blurred: R renderings of each thing.

    Returns:
        crops of shape (12, R, D), and radius per spread of shape (12, R).
    """
    crops, ratios = [], []
    look = Look(0.0, 0.0, 1.0, np.full((3, SIDE, SIDE), 236, np.float32))
    for thing in THINGS:
        for color in ("red", "yellow", "blue"):
            for radius in RADIUS.values():
                sharp = render(thing, color, radius, look)
                for blur in (0.0, 1.0):
                    frame = ndimage.gaussian_filter(sharp, (blur, blur, 0))
                    figure = _find(frame.astype(np.float64))
                    assert figure is not None
                    crops.append(figure.crop)
                    ratios.append(radius / figure.spread)
    shape = (len(THINGS), -1)
    return np.stack(crops).reshape(*shape, 2 * _GRID**2), np.array(ratios).reshape(shape)


def _identify(figures: list[_Figure]) -> tuple[str, Floats]:
    """The thing that the figures show together, and each figure's radius."""
    crops, ratios = _references()
    likeness = crops @ np.stack([figure.crop for figure in figures], -1)  # (12, R, F)
    number = int(likeness.max(1).sum(1).argmax())
    nearest = likeness[number].argmax(0)  # (F,)
    return THINGS[number], np.array([f.spread for f in figures]) * ratios[number, nearest]


@lru_cache(maxsize=1)
def _palette_hues() -> Floats:
    return np.array([_median_hue(np.array([PALETTE[color]], float)) for color in COLORS])


def _color(hues: list[float]) -> str:
    """The colour of the palette whose hue is nearest to the middle one of some hues."""
    turns = np.abs((np.array(hues)[:, None] - _palette_hues() + 180) % 360 - 180)  # (F, 8)
    return COLORS[int(np.median(turns, 0).argmin())]


def _size(measured: float, values: dict[str, float]) -> str:
    """Whether a measure is nearer to that of small or of big, on a log scale."""
    return "big" if measured > np.sqrt(values["small"] * values["big"]) else "small"


def read_image(pixels: NDArray[np.generic]) -> dict[str, str]:
    """The thing, color and size that a picture shows; empty if it shows no figure.

    Args:
        pixels: uint8, shape (H, W, 3), of any size.

    Raises:
        ValueError: if the pixels are of another type or shape.
    """
    figure = _find(_as_frame(pixels))
    if figure is None:
        return {}
    thing, radii = _identify([figure])
    return {"thing": thing, "color": _color([figure.hue]), "size": _size(radii[0], RADIUS)}


def read_video(frames: NDArray[np.generic], fps: float = FPS) -> dict[str, str]:
    """The thing, color, size, motion and tempo that a video shows; empty if it shows no figure.

    What is still has no tempo.

    Args:
        frames: uint8, shape (T, H, W, 3); of any frame rate, seen at 8 moments of its first 2 s.
        fps: frames per second.

    Raises:
        ValueError: if there are no frames, or fps is not positive.
    """
    if len(frames) == 0 or not fps > 0:
        raise ValueError(f"a video needs frames and a positive fps, not {len(frames)} at {fps}")
    moments = np.arange(FRAMES) * SECONDS / FRAMES
    chosen = np.unique(np.clip(np.rint(moments * fps).astype(int), 0, len(frames) - 1))
    found = [(index / fps, _find(_as_frame(frames[index]))) for index in chosen]
    seen = [(time, figure) for time, figure in found if figure is not None]
    if not seen:
        return {}
    times, figures = tuple(time for time, _ in seen), [figure for _, figure in seen]
    thing, radii = _identify(figures)
    move, offset = _follow(times, figures)
    return {
        "thing": thing,
        "color": _color([figure.hue for figure in figures]),
        "size": _size(float(np.exp(np.median(np.log(radii) - offset))), RADIUS),
        **move,
    }


@lru_cache(maxsize=8)
def _paths(times: tuple[float, ...]) -> tuple[Floats, Floats]:
    """Every move at some times: centred in frame widths, (M, T, 3), and its log scale, (M, T)."""
    paths = np.stack([path(motion, tempo, np.array(times)) for motion, tempo in _MOVES])
    log_scale = paths[..., 2]
    paths = paths * [1.0, 1.0, _DEPTH]
    return paths - paths.mean(1, keepdims=True), log_scale


def _follow(times: tuple[float, ...], figures: list[_Figure]) -> tuple[dict[str, str], Floats]:
    """The motion, and its tempo, that the figures follow, and its log scale at the times.

    A move may be up to half smaller or larger than the Toybox's; less than that is still.
    """
    depth = [_DEPTH * np.log(figure.spread) for figure in figures]
    track = np.stack([[f.x for f in figures], [f.y for f in figures], depth], -1)  # (T, 3)
    track = track - track.mean(0)
    paths, log_scale = _paths(times)
    energy = np.square(paths).sum((1, 2)) + 1e-9
    gain = np.clip((paths * track).sum((1, 2)) / energy, 0.5, 1.5)  # (M,)
    misses = np.square(track - gain[:, None, None] * paths).sum((1, 2))
    best = int(misses.argmin())
    if misses[best] >= np.square(track).sum():
        return {"motion": "still"}, np.zeros(len(times))
    motion, tempo = _MOVES[best]
    return {"motion": motion, "tempo": tempo}, log_scale[best]


@lru_cache(maxsize=8)
def _accelerations(rate: float, steps: int) -> Floats:
    """Every move's acceleration per metre, less its mean, shape (M, 3, steps)."""
    all_moves = [movement(motion, tempo, rate, steps / rate)[0] for motion, tempo in _MOVES]
    felt = np.stack(all_moves)
    return np.asarray(felt - felt.mean(-1, keepdims=True))


def read_imu(samples: NDArray[np.generic], rate: float) -> dict[str, str]:
    """The size, motion and tempo that an IMU recording tells; what is still tells no other.

    Args:
        samples: acceleration in m/s^2 and turning in rad/s, shape (6, T); turning is not read.
        rate: samples per second.

    Raises:
        ValueError: if the samples are of another shape.
    """
    samples = np.asarray(samples, np.float64)
    if samples.ndim != 2 or len(samples) != 6 or samples.shape[1] < 2:
        raise ValueError(f"an IMU recording must have shape (6, samples), not {samples.shape}")
    felt = samples[:3] - samples[:3].mean(-1, keepdims=True)  # without gravity and bias
    moves = _accelerations(rate, samples.shape[1])
    energy = np.square(moves).sum((1, 2)) + 1e-9
    strength = np.maximum((moves * felt).sum((1, 2)) / energy, 0)  # metres, (M,)
    best = int((strength**2 * energy).argmax())
    if strength[best] < METRES["small"] / 2:
        return {"motion": "still"}
    motion, tempo = _MOVES[best]
    return {"size": _size(strength[best], METRES), "motion": motion, "tempo": tempo}
