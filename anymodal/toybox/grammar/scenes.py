"""Which scenes a conversation may speak of, and which of their attributes it leaves out."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from anymodal.toybox.grammar.types import Medium
from anymodal.toybox.grammar.words import Draw, Facts
from anymodal.toybox.scene import (
    DEFAULT_COLOR,
    DEFAULTS,
    MOTIONS,
    OBSERVABLE,
    VALUES,
    Scene,
    is_held_out,
)

MOVING = tuple(motion for motion in MOTIONS if motion != "still")
_OMIT = {"thing": 0.03, "color": 0.15, "size": 0.2, "motion": 0.12, "tempo": 0.25}


def shows_held_out(told: Facts) -> bool:
    """Whether a held-out pair is among these facts."""
    thing = told.get("thing")
    return thing is not None and is_held_out(thing, told.get("color"), told.get("motion"))


def default(scene: Scene, name: str) -> str:
    """What a request means that leaves an attribute open."""
    return DEFAULT_COLOR[scene.thing] if name == "color" else DEFAULTS[name]


def told_by_all(scene: Scene, modalities: Iterable[str]) -> dict[str, str]:
    """What media of several modalities tell of a scene together."""
    told: dict[str, str] = {}
    for modality in modalities:
        told |= scene.observable(modality)
    return {name: told[name] for name in VALUES if name in told}


class Scenes(Draw):
    """Draws scenes of the training split, or such as show a held-out pair where media can."""

    __slots__ = ("unseen",)

    def __init__(self, draw: Draw, unseen: bool) -> None:
        super().__init__(draw.rng)
        self.unseen = unseen

    def allowed(self, scene: Scene, modalities: Collection[str]) -> bool:
        """Whether a scene belongs to the split, as seen by media of these modalities."""
        if not self.unseen:
            return not scene.held_out
        names = {name for modality in modalities for name in OBSERVABLE[modality]}
        if "thing" not in names or not names & {"color", "motion"}:
            return scene.held_out
        return shows_held_out(told_by_all(scene, modalities))

    def scene(self, modalities: Collection[str], *, moves: bool = False) -> Scene:
        """A scene of the split for media of these modalities; on request one that moves."""
        while True:
            values = {name: self.one(options) for name, options in VALUES.items()}
            if moves:
                values["motion"] = self.one(MOVING)
            scene = Scene(**values)
            if self.allowed(scene, modalities):
                return scene

    def variant(
        self, scene: Scene, changed: Collection[str], shown: Collection[str], *, moves: bool = False
    ) -> Scene:
        """The scene with other values of some attributes, of the training split if it can be."""
        other = scene
        for _ in range(50):
            values = {}
            for name in changed:
                options = MOVING if moves and name == "motion" else VALUES[name]
                values[name] = self.one([v for v in options if v != getattr(scene, name)])
            other = scene.replace(**values)
            if not shows_held_out(told_by_all(other, shown)):
                return other
        assert self.unseen, f"no training scene differs from {scene} in {changed}"
        return other

    def said(
        self,
        scene: Scene,
        names: Collection[str],
        modalities: Collection[str],
        shown: Collection[str],
    ) -> tuple[Scene, dict[str, str]]:
        """What a request says of a scene; some attributes are left out, and so at their default.

        Args:
            scene: the scene wanted.
            names: which attributes the request has to tell.
            modalities: all media of the scene that the conversation shows, for the split.
            shown: the media asked for; what rests has no tempo to see.

        Returns:
            The scene with its defaults, and the attributes to say.
        """
        said = {}
        for name in VALUES:
            if name not in names or name not in told_by_all(scene, shown):
                continue
            if self.chance(_OMIT[name]):
                candidate = scene.replace(**{name: default(scene, name)})
                if self.allowed(candidate, modalities):
                    scene = candidate
                    continue
            said[name] = getattr(scene, name)
        return scene, said

    def medium(self, scene: Scene, modality: str) -> Medium:
        """A medium of the scene; what it doesn't tell is kept in the training split too."""
        told = scene.observable(modality)
        if not self.unseen and not shows_held_out(told):
            hidden = [name for name in ("thing", "color", "motion") if name not in told]
            while scene.held_out:
                scene = scene.replace(**{name: self.one(VALUES[name]) for name in hidden})
        return Medium(scene, modality)
