"""The types and ranges of settings, checked before anything is computed."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from numbers import Integral, Real
from typing import cast

from anymodal.config import suggest

MOST_STEPS = 1000
"""The most denoising steps: schedules are tables of a thousand levels."""
MOST_GUIDANCE = 1000.0
NUMBER, MOST_MEDIA = "number", 32
"""The setting of how many media a span asks for, which is every decoder's, and its limit."""
MEDIA_SETTINGS = ("steps", "guidance", NUMBER)
"""Settings that every decoder takes."""
MOST_SESSION_SEED = 2**31 - 1
MOST_SEED = 2**63 - 1
"""Seeds of a reply's media are counted on from its own, and torch takes them up to 2**64."""


class SettingError(ValueError):
    """A setting that is unknown, or whose value is of the wrong type or out of its range.

    Args:
        name: of the setting; empty where the problem names it.
        problem: what stands behind the name in the message: value, limit and way out.
        place: what it is a setting of; empty for nothing else than the call.
    """

    def __init__(self, name: str, problem: str, place: str = "") -> None:
        super().__init__(name, problem, place)
        self.name, self.problem, self.place = name, problem, place

    def __str__(self) -> str:
        return f"{self.place}: {self.name}{self.problem}".removeprefix(": ")


@contextmanager
def settings_errors_at(place: str) -> Iterator[None]:
    """Let errors of settings tell what they are settings of.

    Raises:
        SettingError: in the place of a ValueError.
    """
    try:
        yield
    except SettingError as error:
        raise SettingError(error.name, error.problem, place) from error
    except ValueError as error:
        raise SettingError("", str(error), place) from error


def check_integer(name: str, value: object, least: int, most: int) -> int:
    """Give a whole number from `least` to `most`.

    Raises:
        SettingError: it is none, or out of the range.
    """
    good = isinstance(value, Integral) and not isinstance(value, bool)  # True is an int in Python
    if not (good and least <= cast(int, value) <= most):
        raise SettingError(name, f"={value!r}; it must be a whole number from {least} to {most}")
    return int(cast(int, value))


def check_real(name: str, value: object, least: float, most: float, also: str = "") -> float:
    """Give a number from `least` to `most`; `also` is what else the setting takes, in words.

    Raises:
        SettingError: it is none, or out of the range.
    """
    good = isinstance(value, Real) and not isinstance(value, bool)
    if not (good and least <= cast(float, value) <= most):  # which no NaN is
        problem = f"={value!r}; it must be {also}a number from {least:g} to {most:g}"
        raise SettingError(name, problem)
    return float(cast(float, value))


def check_seed(value: object, most: int = MOST_SEED) -> int:
    """Give a seed.

    Raises:
        SettingError: it is no whole number from 0 on.
    """
    return check_integer("seed", value, 0, most)


def check_sampling(
    settings: object,
    sample: Callable[..., object] | None = None,
    min_steps: int = 1,
    place: str = "",
) -> dict[str, object]:
    """Give the settings by which a decoder makes media, each in its range.

    Args:
        settings: by name: `steps`, `guidance`, `number`, and what else the decoder takes.
        sample: the decoder's method, which tells what it takes; None where it isn't known yet.
        min_steps: the fewest denoising steps that it takes.
        place: what the settings are of, to stand before their names in an error.

    Raises:
        ValueError: a setting is unknown, of the wrong type or out of its range.
    """
    prefix = f"{place}: " if place else ""
    if not isinstance(settings, Mapping):
        raise ValueError(
            f"{prefix}settings are given by name, as {{'steps': 20}}, not {settings!r}"
        )
    # A bound method's function, which is the same for all of a class and keeps no decoder alive.
    names, open_ended = _settings_of(getattr(sample, "__func__", sample))
    values = dict(settings)
    for name, value in settings.items():
        if name not in names and not open_ended:
            raise ValueError(f"{prefix}there is no setting {name!r}{suggest(str(name), names)}")
        if name == "steps":
            values[name] = check_integer(f"{prefix}steps", value, min_steps, MOST_STEPS)
        elif name == NUMBER:
            values[name] = check_integer(f"{prefix}number", value, 1, MOST_MEDIA)
        elif name == "guidance":
            values[name] = check_real(f"{prefix}guidance", value, 0, MOST_GUIDANCE)
        elif isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{prefix}{name}={value!r}; it must be a finite number")
    return values


@lru_cache(maxsize=256)
def _settings_of(sample: Callable[..., object] | None) -> tuple[tuple[str, ...], bool]:
    """The settings that a decoder's `sample` takes, and whether it takes any other."""
    if sample is None:
        return MEDIA_SETTINGS, False
    parameters = inspect.signature(sample).parameters.values()
    internal = (
        *("conditioning", "generator", "negative", "neither", "progress", "ranks", "references"),
        "self",
    )
    parameter_names = [
        p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    names = tuple(name for name in parameter_names if name not in internal)
    return (*names, NUMBER), any(p.kind == p.VAR_KEYWORD for p in parameters)
