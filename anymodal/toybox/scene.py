"""Scenes of the Toybox: five attributes, what each medium tells of them, and what is held out."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, fields, replace

import numpy as np

THINGS = (
    "ball", "bell", "bird", "bee", "clock", "drum",
    "duck", "flute", "heart", "rain", "siren", "car",
)  # fmt: skip
COLORS = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink")
SIZES = ("small", "big")
MOTIONS = ("still", "left", "right", "up", "down", "toward", "shake", "bounce")
TEMPOS = ("slow", "fast")

VALUES: dict[str, tuple[str, ...]] = {
    "thing": THINGS,
    "color": COLORS,
    "size": SIZES,
    "motion": MOTIONS,
    "tempo": TEMPOS,
}
"""Every attribute's values."""

TOLD: dict[str, tuple[str, ...]] = {
    "text": ("thing", "color", "size", "motion", "tempo"),
    "image": ("thing", "color", "size"),
    "audio": ("thing", "size", "tempo"),
    "video": ("thing", "color", "size", "motion", "tempo"),
    "imu": ("size", "motion", "tempo"),
}
"""Which attributes each medium tells."""

# What a request leaves open is filled from here, so that every request has one right answer.
DEFAULT_COLOR = {
    "ball": "blue", "bell": "yellow", "bird": "green", "bee": "yellow", "clock": "purple",
    "drum": "red", "duck": "yellow", "flute": "cyan", "heart": "pink", "rain": "cyan",
    "siren": "red", "car": "red",
}  # fmt: skip
DEFAULTS = {"thing": "ball", "size": "big", "motion": "still", "tempo": "slow"}


@dataclass(frozen=True)
class Scene:
    """One scene: what it is, and how it looks, moves and sounds."""

    thing: str
    color: str
    size: str
    motion: str
    tempo: str

    def __post_init__(self) -> None:
        for name, values in VALUES.items():
            if getattr(self, name) not in values:
                raise ValueError(
                    f"{name}={getattr(self, name)!r} is not a value of the Toybox; "
                    f"choose one of {', '.join(values)}"
                )

    @property
    def held_out(self) -> bool:
        """Whether a pair of this scene's values is kept from all training."""
        return held_out(self.thing, self.color, self.motion)

    def told_by(self, modality: str) -> dict[str, str]:
        """The attributes that a medium of this scene tells.

        What does not move has no tempo to see or feel, and no strength to feel either.
        """
        told = {name: getattr(self, name) for name in TOLD[modality]}
        if modality in ("video", "imu") and self.motion == "still":
            told.pop("tempo")
            if modality == "imu":
                told.pop("size")
        return told

    def but(self, **changes: str) -> Scene:
        """This scene with some attributes changed."""
        return replace(self, **changes)


def held_out(thing: str, color: str | None = None, motion: str | None = None) -> bool:
    """Whether thing i and color j have (3i + j) mod 8 = 0, or i and motion k (i + 3k) mod 8 = 5."""
    i = THINGS.index(thing)
    if color is not None and (3 * i + COLORS.index(color)) % 8 == 0:
        return True
    return motion is not None and (i + 3 * MOTIONS.index(motion)) % 8 == 5


def all_scenes() -> list[Scene]:
    """Every scene there is, in a fixed order."""
    return [Scene(*values) for values in itertools.product(*VALUES.values())]


def sample_scene(rng: np.random.Generator, *, unseen: bool = False, **fixed: str) -> Scene:
    """A random scene with some attributes fixed, from the training split or from the held-out one.

    Raises:
        ValueError: if no scene of the wanted split has the fixed attributes.
    """
    names = [field.name for field in fields(Scene)]
    for _ in range(10_000):
        values = {name: fixed.get(name) or str(rng.choice(VALUES[name])) for name in names}
        scene = Scene(**values)
        if scene.held_out == unseen:
            return scene
    split = "held-out" if unseen else "training"
    raise ValueError(f"no {split} scene has {fixed}; fix fewer attributes")
