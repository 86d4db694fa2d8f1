"""Scenes under other light, in other styles, rooms and hands than the Toybox's own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from anymodal.media import Media
from anymodal.toybox.augmentation import augment
from anymodal.toybox.conditions.hands import hold_any_way
from anymodal.toybox.conditions.outside import render_outside
from anymodal.toybox.conditions.pictures import draw_picture, draw_video
from anymodal.toybox.conditions.rooms import play_in_room
from anymodal.toybox.grammar.types import MediaItem
from anymodal.toybox.render import render_scene
from anymodal.toybox.scene import Scene

_CONDITIONS: dict[str, Callable[[Scene, np.random.Generator], Media]] = {
    "image": draw_picture,
    "audio": play_in_room,
    "video": draw_video,
    "imu": hold_any_way,
}

CLEAN = 0.25
"""The share of media that have no conditions but the sensors' own, `augment`."""


def draw_in_conditions(scene: Scene, modality: str, rng: np.random.Generator) -> Media:
    """Render a media item of a scene as it is met outside of the Toybox, without noise.

    A scene that differs in thing, colour or size stands at the same place, on the same ground and
    in the same light, if the random numbers are the same.

    Raises:
        ValueError: for a modality that the Toybox doesn't render.
    """
    render = _CONDITIONS.get(modality)
    return render_scene(scene, modality, rng) if render is None else render(scene, rng)


def render_in_conditions(scene: Scene, modality: str, rng: np.random.Generator) -> Media:
    """Render a media item of a scene as it is met outside of the Toybox, with noise.

    Raises:
        ValueError: for a modality that the Toybox doesn't render.
    """
    render = render_scene if rng.random() < CLEAN else draw_in_conditions
    return augment(render(scene, modality, rng), rng)


def render_item(
    item: MediaItem,
    rng: np.random.Generator,
    render: Callable[[Scene, str, np.random.Generator], Media] = render_scene,
) -> Media:
    """Render a media item of a conversation, in the Toybox or from outside.

    Args:
        item: the item.
        rng: of everything in it.
        render: renders a scene.
    """
    if item.outside:
        return render_outside(item.modality, item.outside, rng)
    return render(item.scene, item.modality, rng)
