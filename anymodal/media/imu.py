"""Movement, as an inertial measurement unit feels it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from anymodal.media.arrays import read_npy, write_npy
from anymodal.media.base import Media
from anymodal.media.checks import check_array, check_number
from anymodal.media.imu_table import read_table, read_texts
from anymodal.media.imu_time import MAX_RATE, MIN_RATE
from anymodal.media.imu_units import parse_units
from anymodal.media.limits import Limits, MediaError, decoding
from anymodal.media.source import NPY, Blob, Format, read_source, write_file

AXES = ("ax", "ay", "az", "gx", "gy", "gz")
UNITS = "m/s^2, rad/s"
_BESIDE = ".json"
"""Suffix of the file beside an NPY that has its rate and units."""
_PLOTTED = 400  # points of a line
_COLORS = ("#d1495b", "#2a9d54", "#3066be")
_RATE_HELP = "give load(..., sample_rate=200)"


@dataclass(eq=False, repr=False)
class IMU(Media):
    """A movement: acceleration x, y, z, then angular velocity x, y, z.

    Shapes: samples (6, n), float32. Units: m/s² and rad/s; rate in Hz.

    Loads tables whose header names the columns, as CSV, with other delimiters or decimal commas,
    in UTF-8, UTF-16 or cp1252: `t, ax, ay, az, gx, gy, gz`, `acc_x_g`, `gyro_x [deg/s]`, the names
    of ROS, EuRoC and apps, … in any order; others are ignored. The rate comes from a time column
    (`t_s`, `time_ms`, `timestamp [ns]`, Unix times, dates), a line `# sample_rate=200`, or
    `sample_rate=`. Times that are uneven or repeat are moved onto an even grid; whole numbers need
    a unit. And loads NPY of (n, 6) or (6, n), the rate from `sample_rate=` or a JSON file of the
    same name, `{"sample_rate": 200, "units": "g, deg/s"}`. Units are SI unless a column, the row
    below the header, a line `# units: g, deg/s`, the JSON file, or `units=` says else; a third one
    is that of the times. Saves CSV, and NPY with JSON.
    """

    samples: NDArray[np.float32]
    rate: float

    kind: ClassVar[str] = "imu"
    time_axis: ClassVar[int | None] = 1
    suffix: ClassVar[str] = ".csv"
    saves: ClassVar[tuple[str, ...]] = (".csv", ".npy")
    hints: ClassVar[frozenset[str]] = frozenset({"sample_rate", "units"})

    def __post_init__(self) -> None:
        self.samples = check_array(
            self.samples,
            "samples",
            np.float32,
            "(6, n)",
            "give rows ax, ay, az in m/s² and gx, gy, gz in rad/s as floats; pass samples.T "
            "if yours are columns",
        )
        self.rate = check_number(self.rate, "rate", MIN_RATE, MAX_RATE, "Hz")

    def __repr__(self) -> str:
        return f"IMU({self.duration:.2f} s, {self.rate:g} Hz)"

    @property
    def duration(self) -> float:
        """Seconds."""
        return float(self.samples.shape[1] / self.rate)

    def resample(self, rate: float) -> IMU:
        """The same movement at another rate, by linear interpolation in time.

        Sample i is at i / rate. Nothing is filtered: what moves faster than half the new rate
        folds back, so go down in rate only for slow movements.
        """
        rate = check_number(rate, "rate", MIN_RATE, MAX_RATE, "Hz")
        count = max(1, round(self.duration * rate))
        old = np.arange(self.samples.shape[1]) / self.rate
        new = np.arange(count) / rate
        return IMU(np.stack([np.interp(new, old, row) for row in self.samples]), rate)

    def html(self) -> str:
        """An `<svg>` plot: acceleration above, angular velocity below; x red, y green, z blue."""
        panels = "".join(
            _panel(self.samples[3 * i : 3 * i + 3], 95 * i, name)
            for i, name in enumerate(("m/s²", "rad/s"))
        )
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 420 190" width="420" '
            f'height="190" role="img" aria-label="IMU, {self.duration:.2f} s">'
            f'<rect width="420" height="190" fill="white"/>{panels}</svg>'
        )

    _repr_html_ = html

    @classmethod
    def _files(cls, path: Path) -> tuple[Path, ...]:
        return path, path.with_suffix(_BESIDE)

    @classmethod
    def _decode(
        cls,
        blob: Blob,
        fmt: Format,
        limits: Limits,
        **hints: object,
    ) -> IMU:
        units, rate_hint = cast("str | None", hints.get("units")), hints.get("sample_rate")
        sample_rate = None
        if rate_hint is not None:
            sample_rate = check_number(rate_hint, "sample_rate", MIN_RATE, MAX_RATE, "Hz")
        with decoding(blob.name, fmt.label):
            if fmt is NPY:
                samples, rate = _read_array(blob, limits, sample_rate, units)
            else:
                samples, rate = read_table(blob, limits, sample_rate, units)
            limits.check_seconds(blob.name, samples.shape[1] / rate)
            if not np.isfinite(samples.sum(dtype=np.float64)):
                axis, index = np.argwhere(~np.isfinite(samples))[0].tolist()
                raise MediaError(
                    f"{blob.name} holds {samples[axis, index]} in {AXES[axis]} at sample {index}; "
                    "cut or fill such values before"
                )
            return cls(samples, rate)

    @classmethod
    def read_column(cls, path: Path, name: str, limits: Limits) -> list[str] | None:
        return read_texts(read_source(path, limits), name)

    def _encode(self, suffix: str) -> bytes:
        if suffix == ".npy":
            return write_npy(self.samples.T)
        lines = [f"# sample_rate={self.rate!r}", f"# units: {UNITS}", "t," + ",".join(AXES)]
        for index, row in enumerate(self.samples.T.tolist()):
            values = ",".join(f"{value:.9g}" for value in row)  # nine digits are exact for float32
            lines.append(f"{index / self.rate!r},{values}")
        return ("\n".join(lines) + "\n").encode()

    def save(self, path: str | Path) -> Path:
        """Save as CSV, or as NPY with a JSON file of the same name beside it; see `Media.save`.

        Raises:
            ValueError: also if that JSON file exists and is about something else.
        """
        path = Path(path)
        if path.suffix.lower() == ".npy":
            sidecar = path.with_suffix(_BESIDE)
            if sidecar.exists() and "sample_rate" not in _read_sidecar(sidecar):
                raise MediaError(
                    f"{sidecar.name} exists and is about something else; "
                    "choose another name, or save as .csv"
                )
            text = json.dumps({"sample_rate": self.rate, "units": UNITS})
            write_file(sidecar, text.encode())
        return super().save(path)


def _read_array(
    blob: Blob, limits: Limits, sample_rate: float | None, units: str | None
) -> tuple[NDArray[np.float32], float]:
    array = read_npy(blob, limits, ndim=2, check=lambda shape: _check_shape(blob, limits, shape))
    beside = blob.path.with_suffix(_BESIDE) if blob.path else None
    sidecar = _read_sidecar(beside) if beside and beside.is_file() else {}
    rate = sample_rate or sidecar.get("sample_rate")
    if rate is None:
        raise MediaError(
            f"{blob.name} has no sample rate: {_RATE_HELP}, or write "
            '{"sample_rate": 200} into a .json file of the same name'
        )
    rate = check_number(rate, "sample_rate", MIN_RATE, MAX_RATE, "Hz")
    limits.check_seconds(blob.name, max(array.shape) / rate)  # before it is copied
    acceleration, rotation, _ = parse_units(str(units or sidecar.get("units") or UNITS))
    axes = array.T if array.shape[1] == 6 else array  # (6, 6) counts as (n, 6)
    samples = np.empty(axes.shape, np.float32)
    for index, (row, values) in enumerate(zip(samples, axes, strict=True)):
        row[:] = values.astype(np.float64) * (acceleration if index < 3 else rotation)
    return samples, rate


def _check_shape(blob: Blob, limits: Limits, shape: tuple[int, ...]) -> None:
    """Refuse another array than (n, 6) or (6, n), or one whose samples take too much memory."""
    if 6 not in shape:
        raise MediaError(
            f"{blob.name} has the shape {shape}, expected (n, 6) or (6, n): ax, ay, az, gx, gy, gz"
        )
    if 0 in shape:
        raise MediaError(f"{blob.name} holds no samples; record it again")
    limits.check_decoded(blob.name, 4 * shape[0] * shape[1], f"samples of {shape}")


def _read_sidecar(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            value = json.loads(file.read(65_536))
    except (OSError, ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise MediaError(f'{path.name} is no JSON object such as {{"sample_rate": 200}}; fix it')
    return value


def _panel(rows: NDArray[np.float32], top: int, unit: str) -> str:
    count = rows.shape[1]
    places = np.linspace(0, count - 1, min(count, _PLOTTED)).round().astype(int)
    low, high = float(rows.min()), float(rows.max())
    span = max(high - low, 1e-9)
    lines = []
    for row, color in zip(rows, _COLORS, strict=True):
        points = " ".join(
            f"{60 + 350 * i / max(count - 1, 1):.1f},"
            f"{top + 85 - 75 * (float(row[i]) - low) / span:.1f}"
            for i in places
        )
        lines.append(f'<polyline points="{points}" fill="none" stroke="{color}"/>')
    style = 'font-family="sans-serif" font-size="10" text-anchor="end" fill="#555"'
    labels = ((14, f"{high:.3g}"), (50, unit), (88, f"{low:.3g}"))
    texts = "".join(f'<text x="54" y="{top + y}" {style}>{text}</text>' for y, text in labels)
    return texts + "".join(lines)
