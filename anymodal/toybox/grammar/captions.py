"""Captions of Toybox media: one canonical caption, and many descriptions."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from anymodal.toybox.grammar.phrases.attributes import DESCRIBE, NOUNS
from anymodal.toybox.grammar.words import (
    Draw,
    capitalize,
    movement_phrase,
    noun_phrase,
)

_MOTIONS = {
    "still": ", still", "left": " moving left", "right": " moving right", "up": " moving up",
    "down": " moving down", "toward": " moving toward us", "shake": " shaking",
    "bounce": " bouncing",
}  # fmt: skip
_WAYS = {"left": " to the left", "right": " to the right", "up": " up", "down": " down",
         "toward": " toward us"}  # fmt: skip
_KINDS = {"shake": "shaking ", "bounce": "bouncing "}


def caption(attributes: Mapping[str, str], modality: str) -> str:
    """The caption of a media item: equal attributes have equal captions, others have others.

    Args:
        attributes: of the item, from `Scene.observable`; some of them may be missing.
        modality: of the item, or "text".

    Raises:
        ValueError: for a modality that the Toybox has no words for.
    """
    if modality not in DESCRIBE:
        raise ValueError(f"no captions for {modality!r}; choose one of {', '.join(DESCRIBE)}")
    names = ("size", "tempo" if modality == "imu" else "color", "thing")
    words = [attributes[name] for name in names if name in attributes]
    if modality == "imu":
        return _imu_caption(attributes, words)
    if "thing" in attributes:
        words[-1] = NOUNS.get(attributes["thing"], attributes["thing"])
    else:
        words.append("thing")
    text = f"{'an' if words[0][0] in 'aeiou' else 'a'} {' '.join(words)}"
    if modality == "audio":
        text = f"the sound of {text}"
    if "motion" in attributes:
        text += _MOTIONS[attributes["motion"]]
    if "tempo" in attributes:
        # Only a scene in words can have a tempo at rest: that of its sound.
        sounding = "sounding " if attributes.get("motion") == "still" else ""
        text += f", {sounding}{attributes['tempo']}"
    return text


def _imu_caption(attributes: Mapping[str, str], words: list[str]) -> str:
    motion = attributes.get("motion", "")
    if motion == "still":
        return "no movement"
    return f"a {' '.join([*words, ''])}{_KINDS.get(motion, '')}movement{_WAYS.get(motion, '')}"


def describe(attributes: Mapping[str, str], modality: str, rng: np.random.Generator) -> str:
    """A random sentence that states just the attributes of a media item.

    Args:
        attributes: of the item, from `Scene.observable`.
        modality: of the item, or "text".
        rng: draws the words.

    Raises:
        ValueError: for a modality that the Toybox has no words for.
    """
    if modality not in DESCRIBE:
        raise ValueError(f"no words for {modality!r}; choose one of {', '.join(DESCRIBE)}")
    draw = Draw(rng)
    template = draw.choice(DESCRIBE[modality])
    if modality == "imu":
        phrase = movement_phrase(draw, attributes)
    else:
        # Amid a sentence, a phrase with commas would run into the words that follow it.
        phrase = noun_phrase(draw, modality, attributes, compact=not template.endswith("{x}."))
    return capitalize(template.replace("{x}", phrase))
