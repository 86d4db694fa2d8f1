"""Segmentation of the icon in an image: its centre, spread, hue and normalised crop.

The icon is what differs from a plane fitted to the image's border. Images may be blurred,
compressed, noisy and of any size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from anymodal.toybox.renderers.visual import IMAGE_SIZE

Floats = NDArray[np.float64]

GRID = 20
"""Points of a crop along each axis."""
_NOISE = 24.0
"""Distance from the background, in levels over the three channels, that may be noise."""
_DARK = np.array([46.0, 40.0, 52.0])
"""The colour of dark details, in every icon."""
_CROP = 2.2
"""Half-width of the crop, in spreads of the icon."""


@dataclass(frozen=True)
class IconSegment:
    """The icon that was segmented in one image.

    Args:
        x: centre, to the right of the image's middle, as a fraction of its shorter side.
        y: centre, up from the image's middle.
        spread: root mean square distance from the centre, as a fraction of the shorter side.
        hue: degrees.
        crop: amounts of the fill and of the dark details at each point of a grid that is centred
            on the icon and scaled by its spread, shape (2 * GRID**2,), unit norm.
    """

    x: float
    y: float
    spread: float
    hue: float
    crop: Floats


def resize_frame(pixels: NDArray[np.generic]) -> Floats:
    """Resize pixels to a shorter side of 64 and drop an alpha channel; shape (H, W, 3).

    Raises:
        ValueError: if the pixels are of another type or shape.
    """
    pixels = np.asarray(pixels)
    if pixels.ndim != 3 or pixels.shape[-1] not in (3, 4) or pixels.dtype != np.uint8:
        raise ValueError(
            f"an image must be uint8 of shape (height, width, 3), not {pixels.dtype} of shape "
            f"{pixels.shape}"
        )
    height, width = pixels.shape[:2]
    factor = IMAGE_SIZE / min(height, width)
    if factor != 1:
        shape = (max(IMAGE_SIZE, round(width * factor)), max(IMAGE_SIZE, round(height * factor)))
        image = Image.fromarray(np.ascontiguousarray(pixels[..., :3]))
        pixels = np.asarray(image.resize(shape, Image.Resampling.BOX))
    return pixels[..., :3].astype(np.float64)


@lru_cache(maxsize=8)
def _border(height: int, width: int) -> tuple[Floats, NDArray[np.bool_]]:
    """The terms of a plane, shape (H, W, 3), and a mask of an image's outermost two pixels."""
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    border = np.ones((height, width), bool)
    border[2:-2, 2:-2] = False
    return np.stack([np.ones_like(rows), rows, columns], -1), border


def _fit_background(frame: Floats) -> Floats:
    """A plane per channel through the border, without its outliers; shape (H, W, 3)."""
    basis, border = _border(*frame.shape[:2])
    terms, values = basis[border], frame[border]
    guess = np.broadcast_to(np.median(values, 0), values.shape)
    # An icon may reach the border: what is far from the last fit is left out of the next one.
    for limit in (40.0, 20.0):
        near = np.abs(values - guess).max(-1) < limit
        if near.sum() < 20:
            break
        plane, *_ = np.linalg.lstsq(terms[near], values[near], rcond=None)
        guess = terms @ plane
    else:
        return np.asarray(basis @ plane)
    return np.broadcast_to(np.median(values, 0), frame.shape)


def _foreground(difference: Floats) -> Floats:
    """Soft foreground mask, 0 to 1, without specks of noise."""
    distance = np.sqrt(np.einsum("hwc,hwc->hw", difference, difference))
    mask = np.clip((distance - _NOISE) / (2 * _NOISE), 0, 1)
    pieces, count = ndimage.label(mask > 0.3, np.ones((3, 3)))
    if count > 1:
        mass = np.bincount(pieces.ravel(), mask.ravel())
        mass[0] = 0  # the background's label; the soft rim of each piece comes back by dilation
        large = ndimage.grey_dilation((mass >= 0.01 * mass.sum())[pieces], (3, 3))
        mask = mask * large
    return np.asarray(mask)


def figure_mask(frame: Floats) -> Floats:
    """Soft mask (H, W) of what stands out from a frame's background, 0 to 1."""
    return _foreground(frame - _fit_background(frame))


def _chroma(frame: Floats) -> Floats:
    """The largest less the smallest channel of every pixel, shape (H, W)."""
    red, green, blue = frame[..., 0], frame[..., 1], frame[..., 2]
    most = np.maximum(np.maximum(red, green), blue)
    return np.asarray(most - np.minimum(np.minimum(red, green), blue))


def median_hue(colors: Floats) -> float:
    """The median hue in degrees of colors of shape (N, 3), taken around their mean hue."""
    red, green, blue = colors.T
    angles = np.arctan2(np.sqrt(3) * (green - blue), 2 * red - green - blue)
    middle = np.angle(np.exp(1j * angles).sum())  # red lies on both sides of 0 degrees
    return float(np.degrees(middle + np.median((angles - middle + np.pi) % (2 * np.pi) - np.pi)))


def _unmix(difference: Floats, ground: Floats, fill: Floats) -> Floats:
    """Least-squares amounts of fill and of dark in every pixel, shape (2, H, W), 0 to 1."""
    basis = np.stack([fill - ground, _DARK - ground])  # (2, 3)
    amounts = difference @ np.linalg.pinv(basis)  # (H, W, 2)
    return np.asarray(np.clip(amounts, 0, 1).transpose(2, 0, 1))


def segment(frame: Floats) -> IconSegment | None:
    """Segment the icon in a frame of `resize_frame`; None if there is none."""
    background = _fit_background(frame)
    difference = frame - background
    mask = _foreground(difference)
    mass = mask.sum()
    if mass < 6:
        return None
    height, width = mask.shape
    rows, columns = np.arange(height), np.arange(width)
    across, down = mask.sum(0) / mass, mask.sum(1) / mass
    cx, cy = across @ columns, down @ rows
    spread = float(np.sqrt(across @ (columns - cx) ** 2 + down @ (rows - cy) ** 2))
    if spread < 1 or not (mask > 0.5).any():  # a speck, or a shade all over the image
        return None
    # The hue is read off the most saturated pixels: outlines, panes and lights have none.
    chroma = np.where(mask > 0.5, _chroma(frame), 0)
    mask_of_color = chroma > 0.65 * np.quantile(chroma[mask > 0.3], 0.95)
    if not mask_of_color.any():  # an icon in grey
        return None
    fill = np.median(frame[mask_of_color], 0)
    amounts = _unmix(difference, background[int(cy), int(cx)], fill) * mask
    return IconSegment(
        x=float(cx + 0.5 - width / 2) / IMAGE_SIZE,
        y=float(height / 2 - cy - 0.5) / IMAGE_SIZE,
        spread=spread / IMAGE_SIZE,
        hue=median_hue(frame[mask_of_color]),
        crop=_crop(amounts, cx, cy, spread),
    )


def _crop(amounts: Floats, cx: float, cy: float, spread: float) -> Floats:
    """The amounts on a grid that is centred and scaled by the spread, as one unit vector."""
    offsets = np.linspace(-_CROP, _CROP, GRID) * spread
    points = np.meshgrid(cy + offsets, cx + offsets, indexing="ij")
    # Smoothed to the grid's spacing, so that small, blurred and sharp icons compare.
    sigma = 0.11 * spread
    smooth = [ndimage.gaussian_filter(plane, sigma, truncate=2.5) for plane in amounts]
    crop = np.concatenate([ndimage.map_coordinates(p, points, order=1).ravel() for p in smooth])
    return np.asarray(crop / (np.linalg.norm(crop) + 1e-9))
