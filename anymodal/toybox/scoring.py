"""Oracle scoring: attributes read off media and texts, against those that were expected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from anymodal.media import Media
from anymodal.toybox.grammar.captions import caption
from anymodal.toybox.oracles.media import read_media
from anymodal.toybox.oracles.text import read_text, score_text
from anymodal.toybox.render import render_scene
from anymodal.toybox.scene import VALUES, sample_scene


def read_attributes(modality: str, content: object) -> dict[str, str]:
    """Read the attributes off a media item or a text by the oracle of its modality.

    Args:
        modality: expected modality: "text", or a kind of media.
        content: a string, a media item, or None where there is none.

    Returns:
        Values by attribute; none if the content is of another kind or can't be read.
    """
    if modality == "text":
        return read_text(content) if isinstance(content, str) else {}
    if not isinstance(content, Media) or content.kind != modality:
        return {}
    try:
        return read_media(content)
    except Exception:  # whatever a model generates, scoring it must not end the run
        return {}


def score(attributes: Mapping[str, str], expected: Mapping[str, str]) -> dict[str, bool]:
    """For each expected attribute whether it has the expected value."""
    return {name: attributes.get(name) == value for name, value in expected.items()}


def score_reply(modality: str, content: object, expected: Mapping[str, str]) -> dict[str, bool]:
    """Score a media item or a text; a text loses by other attributes that it states, too."""
    if modality == "text":
        return score_text(content if isinstance(content, str) else "", expected)
    return score(read_attributes(modality, content), expected)


def chance_level(name: str, expected: Mapping[str, str]) -> float:
    """The probability that a uniform guess of an expected attribute is right."""
    if name in ("answer", "which"):
        return 1 / 2
    count = len(VALUES[name])
    # Two things at once, as "ball and bell", are guessed as an unordered pair of different ones.
    if " and " in expected.get(name, ""):
        return 2 / (count * (count - 1))
    return 1 / count


@dataclass(frozen=True)
class SceneSet:
    """Random scenes to measure on.

    Args:
        count: how many.
        seed: of the scenes.
        unseen: take held-out scenes instead of training ones.
    """

    count: int
    seed: int = 0
    unseen: bool = False

    def captions(self, modality: str) -> list[tuple[str, dict[str, str]]]:
        """Captions of the scenes' media, with their attributes."""
        samples = []
        for index in range(self.count):
            scene = sample_scene(np.random.default_rng((self.seed, index, 7)), unseen=self.unseen)
            attributes = scene.observable(modality)
            samples.append((caption(attributes, modality), attributes))
        return samples

    def media(self, modality: str) -> list[tuple[Media, dict[str, str]]]:
        """Rendered media of the scenes, with their attributes."""
        samples = []
        for index in range(self.count):
            rng = np.random.default_rng((self.seed, index, 8))
            scene = sample_scene(rng, unseen=self.unseen)
            samples.append((render_scene(scene, modality, rng), scene.observable(modality)))
        return samples
