"""Samples for training at full size: noise and digits, of a real conversation's lengths.

A digit is a token, so lengths are known; what is said doesn't matter to speed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from anymodal.media import Audio, Image, Media, Video
from anymodal.types import Message, Target

KINDS = ("image", "audio", "video")


def medium(kind: str, seed: int, side: int) -> Media:
    """A picture, a sound of six seconds or a film of two seconds, all of it noise."""
    random = np.random.default_rng(seed)
    if kind == "audio":
        noise = 0.1 * random.standard_normal((1, 6 * 16000))
        return Audio(noise.astype(np.float32), 16000)
    if kind == "image":
        return Image(random.integers(0, 256, (side, side, 3), np.uint8))
    return Video(random.integers(0, 256, (16, side, side, 3), np.uint8), 8.0)


class Samples:
    """Conversations of a stage: about media, asking for media, or both and text alone in turns.

    Args:
        stage: perceive, express or instruct.
        size: how many.
        media: how many media of a kind, each in several samples, as over several epochs.
        side: of pictures and films, in pixels.
    """

    def __init__(self, stage: str, size: int, media: int, side: int) -> None:
        self.stage, self.size = stage, size
        kinds = {"perceive": ("image",), "express": (), "instruct": KINDS}[stage]
        self.media = {kind: [medium(kind, seed, side) for seed in range(media)] for kind in kinds}

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> list[Message]:
        random = np.random.default_rng(index)
        reply = _digits(random, 24, 72)
        kind = KINDS[index % len(KINDS)]
        what = {"perceive": "read", "express": "make"}.get(self.stage)
        what = what or ("read", "make", "talk")[index // len(KINDS) % 3]
        if what == "make":
            caption = _digits(random, 10, 30)
            return [Message("user", [caption]), Message("assistant", [Target(kind, caption)])]
        media: list[Any] = []
        if what == "read":
            of = self.media[kind if self.stage == "instruct" else "image"]
            media = [of[index % len(of)]]
        request = [*media, _digits(random, 6, 7)]
        return [Message("user", request), Message("assistant", [reply])]


def _digits(random: np.random.Generator, low: int, high: int) -> str:
    return "".join(map(str, random.integers(0, 10, random.integers(low, high))))
