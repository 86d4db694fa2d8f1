"""Shapes, as points on their surface."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from anymodal.media.arrays import read_npy, write_npy
from anymodal.media.base import Media
from anymodal.media.checks import check_array
from anymodal.media.limits import Limits, MediaError, decoding
from anymodal.media.ply import read_ply, to_byte_colors, write_ply
from anymodal.media.source import NPY, Blob, Format

_DRAWN = 1500  # points of a plot
_SIDE = 320  # its pixels
_VIEW = np.array([[0.87, 0.5, 0.0], [0.25, -0.43, 0.87], [-0.43, 0.75, 0.5]])
"""Right, up and away from the viewer, who looks along y from above, with z up."""


@dataclass(eq=False, repr=False)
class PointCloud(Media):
    """A set of points, with or without colours; their order means nothing.

    Shapes: points (n, 3), float32, in whatever unit and axes the source has; colors (n, 3),
    uint8, or None.

    Loads PLY, and NPY of (n, 3), or of (n, 6) with red, green and blue from 0 to 1. Saves both.
    """

    points: NDArray[np.float32]
    colors: NDArray[np.uint8] | None = field(default_factory=lambda: None)
    """By a factory: a plain default would be there before the file is decoded."""

    kind: ClassVar[str] = "points"
    suffix: ClassVar[str] = ".ply"
    saves: ClassVar[tuple[str, ...]] = (".ply", ".npy")

    def __post_init__(self) -> None:
        self.points = check_array(
            self.points, "points", np.float32, "(n, 3)", "give x, y and z as floats"
        )
        if self.colors is None:
            return
        advice = "give red, green and blue from 0 to 255 of each point"
        self.colors = check_array(self.colors, "colors", np.uint8, "(n, 3)", advice)
        if len(self.colors) != len(self.points):
            raise MediaError(
                f"{len(self.colors):,} colors for {len(self.points):,} points; {advice}"
            )

    def __repr__(self) -> str:
        return f"PointCloud({len(self.points):,} points{', colours' * (self.colors is not None)})"

    def html(self) -> str:
        """An `<svg>` of some of the points from one side, the near ones over the far ones."""
        every = -(-len(self.points) // _DRAWN)
        points = self.points[::every].astype(np.float64)
        low, high = points.min(axis=0), points.max(axis=0)
        right, up, away = (
            _VIEW @ ((points - (low + high) / 2) / max(float((high - low).max()), 1e-12)).T
        )
        grey = np.full((len(points), 3), 96, np.uint8)
        colors = grey if self.colors is None else self.colors[::every]
        half = _SIDE / 2
        dots = "".join(
            f'<circle cx="{half + 0.9 * half * right[i]:.1f}" cy="{half - 0.9 * half * up[i]:.1f}" '
            f'r="2" fill="#{colors[i].tobytes().hex()}"/>'
            for i in np.argsort(-away)
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_SIDE} {_SIDE}" '
            f'width="{_SIDE}" height="{_SIDE}" role="img" '
            f'aria-label="{len(self.points):,} points">'
            f'<rect width="{_SIDE}" height="{_SIDE}" fill="white"/>{dots}</svg>'
        )

    _repr_html_ = html

    @classmethod
    def _decode(cls, blob: Blob, fmt: Format, limits: Limits, **hints: object) -> PointCloud:
        with decoding(blob.name, fmt.label):
            return cls(*(_read_array if fmt is NPY else read_ply)(blob, limits))

    def _encode(self, suffix: str) -> bytes:
        if suffix == ".ply":
            return write_ply(self.points, self.colors)
        if self.colors is None:
            return write_npy(self.points)
        shares = self.colors.astype(np.float32) / np.float32(255)
        return write_npy(np.concatenate([self.points, shares], axis=1))


def _read_array(blob: Blob, limits: Limits) -> tuple[NDArray[np.float32], NDArray[np.uint8] | None]:
    def check(shape: tuple[int, ...]) -> None:
        if shape[1] not in (3, 6):
            raise MediaError(
                f"{blob.name} has the shape {shape}, expected (n, 3) of x, y, z, or (n, 6) with "
                "red, green, blue from 0 to 1 behind them"
            )
        limits.check_points(blob.name, shape[0])

    array = read_npy(blob, limits, ndim=2, check=check)
    colors = to_byte_colors(blob, list(array[:, 3:].T)) if array.shape[1] == 6 else None
    return array[:, :3].astype(np.float32), colors
