"""Scenes of the Toybox: five attributes, those that each modality shows, and the held-out split."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass

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

OBSERVABLE: dict[str, tuple[str, ...]] = {
    "text": ("thing", "color", "size", "motion", "tempo"),
    "image": ("thing", "color", "size"),
    "audio": ("thing", "size", "tempo"),
    "video": ("thing", "color", "size", "motion", "tempo"),
    "imu": ("size", "motion", "tempo"),
}
"""The attributes that can be read off a media item of each modality, or off a text."""

# What a request leaves open is filled from here, so that every request has one right answer.
DEFAULT_COLOR = {
    "ball": "blue", "bell": "yellow", "bird": "green", "bee": "yellow", "clock": "purple",
    "drum": "red", "duck": "yellow", "flute": "cyan", "heart": "pink", "rain": "cyan",
    "siren": "red", "car": "red",
}  # fmt: skip
DEFAULTS = {"thing": "ball", "size": "big", "motion": "still", "tempo": "slow"}


@dataclass(frozen=True)
class Scene:
    """A scene: five attributes, from which media of any modality are rendered.

    Raises:
        ValueError: for a value that is none of the attribute's.
    """

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
        """True for a scene of the held-out split, which no training sees."""
        return is_held_out(self.thing, self.color, self.motion)

    def observable(self, modality: str) -> dict[str, str]:
        """The attributes that can be read off a media item of this scene, with their values."""
        attributes = {name: getattr(self, name) for name in OBSERVABLE[modality]}
        # Without motion there is no pace to see, and an IMU has no acceleration to tell a size by.
        if modality in ("video", "imu") and self.motion == "still":
            attributes.pop("tempo")
            if modality == "imu":
                attributes.pop("size")
        return attributes

    def replace(self, **changes: str) -> Scene:
        """A copy with some attributes changed."""
        return dataclasses.replace(self, **changes)


def is_held_out(thing: str, color: str | None = None, motion: str | None = None) -> bool:
    """Return True for a pair of the held-out split.

    Thing i and color j with (3i + j) mod 8 = 0, or thing i and motion k with (i + 3k) mod 8 = 5.

    So each thing misses one color and one motion in training, and meets both there with other
    things: the split measures the recombination of known values.
    """
    i = THINGS.index(thing)
    if color is not None and (3 * i + COLORS.index(color)) % 8 == 0:
        return True
    return motion is not None and (i + 3 * MOTIONS.index(motion)) % 8 == 5


def all_scenes() -> list[Scene]:
    """All scenes of both splits, in a fixed order."""
    return [Scene(*values) for values in itertools.product(*VALUES.values())]


def sample_scene(rng: np.random.Generator, *, unseen: bool = False, **attributes: str) -> Scene:
    """A random scene with some attributes fixed, from the training split or from the held-out one.

    Raises:
        ValueError: if no scene of the split has the fixed attributes.
    """
    # Rejection sampling: 23 % of all scenes are held out, so a few draws are enough.
    for _ in range(10_000):
        values = {name: attributes.get(name) or str(rng.choice(VALUES[name])) for name in VALUES}
        scene = Scene(**values)
        if scene.held_out == unseen:
            return scene
    split = "held-out" if unseen else "training"
    raise ValueError(f"no {split} scene has {attributes}; fix fewer attributes")
