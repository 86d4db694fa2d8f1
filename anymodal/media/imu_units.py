"""Units of an inertial measurement unit's readings and times, as people write them."""

from __future__ import annotations

import math
import re

from anymodal.config.printable import printable
from anymodal.media.limits import MediaError

STANDARD_GRAVITY = 9.80665  # m/s², by definition
_DEGREE = math.pi / 180
ACCELERATION = {
    "ms2": 1.0, "mss": 1.0, "mps2": 1.0, "mpss": 1.0, "msec2": 1.0, "cms2": 0.01,
    "g": STANDARD_GRAVITY, "gs": STANDARD_GRAVITY, "gn": STANDARD_GRAVITY,
    "gforce": STANDARD_GRAVITY,
    "mg": STANDARD_GRAVITY / 1000, "millig": STANDARD_GRAVITY / 1000,
}  # fmt: skip
ROTATION = {
    "rads": 1.0, "radsec": 1.0, "radps": 1.0, "mrads": 1e-3,
    "degs": _DEGREE, "degsec": _DEGREE, "degps": _DEGREE, "dps": _DEGREE, "ds": _DEGREE,
    "mdps": math.pi / 180_000, "mdegs": math.pi / 180_000,
}  # fmt: skip
TIME = {
    "s": 1.0, "sec": 1.0, "secs": 1.0, "second": 1.0, "seconds": 1.0,
    "ms": 1e-3, "msec": 1e-3, "msecs": 1e-3, "milli": 1e-3, "millis": 1e-3,
    "millisecond": 1e-3, "milliseconds": 1e-3,
    "us": 1e-6, "usec": 1e-6, "usecs": 1e-6, "micro": 1e-6, "micros": 1e-6,
    "microsecond": 1e-6, "microseconds": 1e-6,
    "ns": 1e-9, "nsec": 1e-9, "nsecs": 1e-9, "nano": 1e-9, "nanos": 1e-9, "nanosec": 1e-9,
    "nanosecs": 1e-9, "nanosecond": 1e-9, "nanoseconds": 1e-9,
}  # fmt: skip
_ASCII = {"²": "2", "¹": "1", "⁻": "-", "−": "-", "°": "deg", "º": "deg", "˚": "deg",
            "µ": "u", "μ": "u"}  # fmt: skip
_ABBREVIATIONS = (
    (r"radians?", "rad"), (r"degrees?", "deg"), (r"met(?:er|re)s?", "m"),
    (r"second squared", "s2"), (r"seconds?", "s"), (r"\bper\b", "/"),
)  # fmt: skip
_HELP = {
    id(ACCELERATION): "m/s^2, g, mg",
    id(ROTATION): "rad/s, deg/s, dps",
    id(TIME): "s, ms, us, ns",
}


def find_factor(unit: str, factors: dict[str, float]) -> float | None:
    """The factor from a unit, however it is written, to the table's own; None if it isn't in it."""
    plain = unit.strip().lower()
    if len(plain) > 40:
        return None
    for spelling, ascii_ in _ASCII.items():
        plain = plain.replace(spelling, ascii_)
    if factors is not TIME:
        plain = plain.replace("_", " ")
        # In order: "second squared" must go before "second".
        for pattern, short in _ABBREVIATIONS:
            plain = re.sub(pattern, short, plain)
        plain = re.sub(r"(?<=s)[\s^*]*-\s*1$", "", plain)  # rad s^-1 is rad/s
    return factors.get(re.sub(r"[\s_/^*·.()\[\]\-]", "", plain))


def factor(unit: str, factors: dict[str, float]) -> float:
    """The factor from a unit to SI.

    Raises:
        ValueError: if it is unknown.
    """
    value = find_factor(unit, factors)
    if value is None:
        raise MediaError(
            f"the unit {printable(unit.strip())!r} is not known here; use one of "
            f"{_HELP[id(factors)]}"
        )
    return value


def parse_units(text: str) -> tuple[float, float, str | None]:
    """The factors to m/s² and rad/s of units such as `g, deg/s`, and the times' unit behind them.

    Raises:
        ValueError: if there are not two or three, or one is unknown.
    """
    units = [part.strip() for part in re.split(r"[,;]", text[:200]) if part.strip()]
    if len(units) not in (2, 3):
        raise MediaError(
            f"units={printable(text)!r} are not two; give acceleration and rotation: 'g, deg/s' "
            "(a third is the unit of the times: 'g, deg/s, ms')"
        )
    if len(units) == 3:
        factor(units[2], TIME)
    return factor(units[0], ACCELERATION), factor(units[1], ROTATION), (*units, None)[2]
