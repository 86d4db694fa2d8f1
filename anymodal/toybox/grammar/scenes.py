"""Sampling of scenes for conversations: splits, variants, and attributes left at their default."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from anymodal.toybox.grammar.types import MediaItem
from anymodal.toybox.grammar.typos import type_text
from anymodal.toybox.grammar.words import Attributes, Draw
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
_OMISSION = {"thing": 0.03, "color": 0.15, "size": 0.2, "motion": 0.12, "tempo": 0.25}
"""Probability that a request leaves an attribute at its default."""


def shows_held_out(attributes: Attributes) -> bool:
    """Return True if a held-out pair is among some attributes."""
    thing = attributes.get("thing")
    if thing is None:
        return False
    return is_held_out(thing, attributes.get("color"), attributes.get("motion"))


def default_value(scene: Scene, name: str) -> str:
    """The value that a request means which leaves an attribute open."""
    return DEFAULT_COLOR[scene.thing] if name == "color" else DEFAULTS[name]


def observable_in(scene: Scene, modalities: Iterable[str]) -> dict[str, str]:
    """The attributes that media of several modalities show of a scene together."""
    attributes: dict[str, str] = {}
    for modality in modalities:
        attributes |= scene.observable(modality)
    return {name: attributes[name] for name in VALUES if name in attributes}


class SceneSampler(Draw):
    """Samples scenes of the training split, or of the held-out one as far as media can show it.

    Args:
        draw: random draws.
        unseen: whether scenes are held out.
        slips: whether users' messages have slips of the fingers and short forms.
    """

    __slots__ = ("slips", "unseen")

    def __init__(self, draw: Draw, unseen: bool, slips: bool = True) -> None:
        super().__init__(draw.rng)
        self.unseen, self.slips = unseen, slips

    def typed(self, text: str) -> str:
        """A message as fingers type it."""
        return type_text(self, text) if self.slips else text

    def may_show(self, scene: Scene, modality: str) -> bool:
        """Return True for a scene whose media of a modality show no held-out pair, or may."""
        return self.unseen or not shows_held_out(scene.observable(modality))

    def in_split(self, scene: Scene, modalities: Collection[str]) -> bool:
        """Return True for a scene of the split, as media of these modalities show it."""
        if not self.unseen:
            return not scene.held_out
        names = {name for modality in modalities for name in OBSERVABLE[modality]}
        # Where the media can show no pair, as audio without color, the scene's own pairs count.
        if "thing" not in names or not names & {"color", "motion"}:
            return scene.held_out
        return shows_held_out(observable_in(scene, modalities))

    def sample(self, modalities: Collection[str], *, moves: bool = False) -> Scene:
        """A scene of the split for media of these modalities; on request one that moves."""
        while True:
            values = {name: self.choice(options) for name, options in VALUES.items()}
            if moves:
                values["motion"] = self.choice(MOVING)
            scene = Scene(**values)
            if self.in_split(scene, modalities):
                return scene

    def variant(
        self,
        scene: Scene,
        names: Collection[str],
        modalities: Collection[str],
        *,
        moves: bool = False,
    ) -> Scene:
        """The scene with other values of some attributes, of the training split if it can be.

        Args:
            scene: the scene to change.
            names: of the attributes that get another value.
            modalities: of all media that will show the variant.
            moves: keep it moving where the motion changes.
        """
        other = scene
        for _ in range(50):  # one attribute of a held-out scene may leave no way out of its split
            values = {}
            for name in names:
                options = MOVING if moves and name == "motion" else VALUES[name]
                values[name] = self.choice([v for v in options if v != getattr(scene, name)])
            other = scene.replace(**values)
            if not shows_held_out(observable_in(other, modalities)):
                return other
        assert self.unseen, f"no training scene differs from {scene} in {names}"
        return other

    def omit_defaults(
        self,
        scene: Scene,
        names: Collection[str],
        modalities: Collection[str],
        targets: Collection[str],
    ) -> tuple[Scene, dict[str, str]]:
        """Choose the attributes that a request states; those that it omits get their default.

        Args:
            scene: the scene to ask for.
            names: attributes that no other part of the conversation shows.
            modalities: of all media of the scene in the conversation, for the split.
            targets: modalities of the media asked for; without motion they have no tempo.

        Returns:
            The scene with its defaults, and the stated attributes.
        """
        attributes = {}
        for name in VALUES:
            if name not in names or name not in observable_in(scene, targets):
                continue
            if self.chance(_OMISSION[name]):
                candidate = scene.replace(**{name: default_value(scene, name)})
                if self.in_split(candidate, modalities):
                    scene = candidate
                    continue
            attributes[name] = getattr(scene, name)
        return scene, attributes

    def media_item(self, scene: Scene, modality: str) -> MediaItem:
        """A media item of the scene; in training no held-out scene lies behind it either."""
        attributes = scene.observable(modality)
        if not self.unseen and not shows_held_out(attributes):
            # Attributes that the item doesn't show are free to change, as the color of audio.
            hidden = [name for name in ("thing", "color", "motion") if name not in attributes]
            while scene.held_out:
                scene = scene.replace(**{name: self.choice(VALUES[name]) for name in hidden})
        return MediaItem(scene, modality)
