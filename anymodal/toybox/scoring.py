"""Whether media and texts tell what they should: readings by the oracles, and their scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from anymodal.media import Media
from anymodal.toybox.grammar.captions import caption
from anymodal.toybox.oracles.media import read_media
from anymodal.toybox.oracles.text import read_text, score_text
from anymodal.toybox.render import render
from anymodal.toybox.scene import OBSERVABLE, VALUES, sample_scene

_ANSWERS = ("yes", "no")


def judge(modality: str, media: object) -> dict[str, str]:
    """What a medium, or a text, tells; nothing if it is of another kind or can't be read.

    Args:
        modality: what it should be: "text", or a medium's kind.
        media: a string, a medium, or None where there is none.
    """
    if modality == "text":
        return read_text(media) if isinstance(media, str) else {}
    if not isinstance(media, Media) or media.kind != modality:
        return {}
    try:
        return read_media(media)
    except Exception:  # whatever a model makes, judging it must not end the run
        return {}


def score(read: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, bool]:
    """For each wanted attribute whether it was read so."""
    return {name: read.get(name) == value for name, value in wanted.items()}


def score_reply(modality: str, media: object, wanted: Mapping[str, str]) -> dict[str, bool]:
    """The score of a medium, or of a text, which also loses by what it tells beyond the wanted."""
    if modality == "text":
        return score_text(media if isinstance(media, str) else "", wanted)
    return score(judge(modality, media), wanted)


def chance(name: str, wanted: Mapping[str, str]) -> float:
    """How often blind guessing gets a wanted attribute right.

    Two things at once are as hard to guess as any pair of different things.
    """
    if name == "answer":
        return 1 / len(_ANSWERS)
    count = len(VALUES[name])
    pair = " and " in wanted.get(name, "")
    return 2 / (count * (count - 1)) if pair else 1 / count


def captioned(
    modality: str, count: int, *, seed: int = 0, unseen: bool = False
) -> list[tuple[str, dict[str, str]]]:
    """Captions of fresh scenes, with what a medium of each must tell."""
    found = []
    for index in range(count):
        scene = sample_scene(np.random.default_rng((seed, index, 7)), unseen=unseen)
        told = scene.observable(modality)
        found.append((caption(told, modality), told))
    return found


def rendered(
    modality: str, count: int, *, seed: int = 0, unseen: bool = False
) -> list[tuple[Media, dict[str, str]]]:
    """Freshly rendered media, with what each must tell."""
    found = []
    for index in range(count):
        rng = np.random.default_rng((seed, index, 8))
        scene = sample_scene(rng, unseen=unseen)
        found.append((render(scene, modality, rng), scene.observable(modality)))
    return found


def values_of(modality: str) -> dict[str, Sequence[str]]:
    """The attributes that a medium tells, with their values."""
    return {name: VALUES[name] for name in OBSERVABLE[modality]}
