"""What a medium of the Toybox shows, in words: the one caption, and many descriptions."""

from __future__ import annotations

import numpy as np

from anymodal.toybox.grammar.phrases.attributes import DESCRIBE, NOUNS
from anymodal.toybox.grammar.words import Draw, movement, sentence, show, sound

_MOTIONS = {
    "still": ", still", "left": " moving left", "right": " moving right", "up": " moving up",
    "down": " moving down", "toward": " moving toward us", "shake": " shaking",
    "bounce": " bouncing",
}  # fmt: skip
_WAYS = {"left": " to the left", "right": " to the right", "up": " up", "down": " down",
         "toward": " toward us"}  # fmt: skip
_KINDS = {"shake": "shaking ", "bounce": "bouncing "}


def caption(told: dict[str, str], modality: str) -> str:
    """The caption of a medium: the same facts always give the same words, others give others.

    Args:
        told: what the medium tells, from `Scene.told_by`; some of it may be missing.
        modality: of the medium, or "text".

    Raises:
        ValueError: for a modality that the Toybox has no words for.
    """
    if modality not in DESCRIBE:
        raise ValueError(f"no captions for {modality!r}; choose one of {', '.join(DESCRIBE)}")
    words = [told[name] for name in ("size", "tempo" if modality == "imu" else "color", "thing")
             if name in told]  # fmt: skip
    if modality == "imu":
        return _movement_caption(told, words)
    if "thing" in told:
        words[-1] = NOUNS.get(told["thing"], told["thing"])
    else:
        words.append("thing")
    text = f"{'an' if words[0][0] in 'aeiou' else 'a'} {' '.join(words)}"
    if modality == "audio":
        text = f"the sound of {text}"
    if "motion" in told:
        text += _MOTIONS[told["motion"]]
    if "tempo" in told:
        text += f", {'sounding ' if told.get('motion') == 'still' else ''}{told['tempo']}"
    return text


def _movement_caption(told: dict[str, str], words: list[str]) -> str:
    motion = told.get("motion", "")
    if motion == "still":
        return "no movement"
    return f"a {' '.join([*words, ''])}{_KINDS.get(motion, '')}movement{_WAYS.get(motion, '')}"


def describe(told: dict[str, str], modality: str, rng: np.random.Generator) -> str:
    """One of many sentences that say just what a medium tells.

    Args:
        told: what the medium tells, from `Scene.told_by`.
        modality: of the medium, or "text".
        rng: what chooses the words.

    Raises:
        ValueError: for a modality that the Toybox has no words for.
    """
    if modality not in DESCRIBE:
        raise ValueError(f"no words for {modality!r}; choose one of {', '.join(DESCRIBE)}")
    draw = Draw(rng)
    form = draw.one(DESCRIBE[modality])
    if modality == "imu":
        phrase = movement(draw, told)
    else:
        say = sound if modality == "audio" else show
        phrase = say(draw, told, compact=not form.endswith("{x}."))
    return sentence(form.replace("{x}", phrase))
