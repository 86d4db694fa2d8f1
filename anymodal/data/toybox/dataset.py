"""The Toybox as data sets: captioned media, scenes for binding, and conversations.

Every sample depends on the seed and its index alone. Media are drawn from a pool of a fixed size,
so that what a frozen part makes of them can be kept.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from transformers import PreTrainedTokenizerFast

from anymodal.data.captioned import Captioned
from anymodal.data.tokenizer import train_tokenizer
from anymodal.data.toybox.captions import caption
from anymodal.data.toybox.grammar import Dialogue, Medium, render_plain, sample_dialogue
from anymodal.data.toybox.render import render
from anymodal.data.toybox.scene import Scene, sample_scene
from anymodal.media import Image, Media, Video
from anymodal.types import Message, Target


class ToyboxMedia:
    """Captioned media of one modality.

    Args:
        modality: what to render.
        size: how many different media there are.
        seed: of the scenes and their jitter.
        unseen: take held-out scenes instead of the training ones.
    """

    def __init__(self, modality: str, size: int, seed: int = 0, unseen: bool = False) -> None:
        self.modality, self.size, self.seed, self.unseen = modality, size, seed, unseen
        self._kept: dict[int, Captioned] = {}

    def __len__(self) -> int:
        return self.size

    def scene(self, index: int) -> Scene:
        """The scene of a sample."""
        return sample_scene(np.random.default_rng((self.seed, index)), unseen=self.unseen)

    def __getitem__(self, index: int) -> Captioned:
        if index not in self._kept:
            scene = self.scene(index)
            media = render(scene, self.modality, np.random.default_rng((self.seed, index, 1)))
            words = caption(scene.told_by(self.modality), self.modality)
            self._kept[index] = Captioned(self.modality, media, words)
        return self._kept[index]


class ToyboxFrames:
    """Single frames of videos, as images: icons at every place and scale that occurs."""

    def __init__(self, size: int, seed: int = 0) -> None:
        self.videos, self.seed = ToyboxMedia("video", size, seed), seed

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, index: int) -> Captioned:
        video = self.videos[index].media
        assert isinstance(video, Video)
        frame = np.random.default_rng((self.seed, index, 4)).integers(len(video.frames))
        return Captioned("image", Image(video.frames[frame]), "")


class ToyboxScenes:
    """One scene in several media, for binding: a mapping of modality to captioned medium.

    Args:
        modalities: what to render of every scene.
        size: how many scenes there are.
        seed: of the scenes and their jitter.
    """

    def __init__(self, modalities: list[str], size: int, seed: int = 0) -> None:
        self.pools = {name: ToyboxMedia(name, size, seed) for name in modalities}
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> dict[str, Captioned]:
        return {name: pool[index] for name, pool in self.pools.items()}


class ToyboxDialogues:
    """Conversations of the grammar, as messages with media and targets.

    Args:
        size: how many conversations there are.
        seed: of the conversations.
        kinds: weights by kind of conversation; the grammar's own where not given.
        variants: how many renderings of the same facts there are in each modality.
        plain: write media as their captions, for a language model that only reads text.
    """

    def __init__(
        self,
        size: int,
        seed: int = 0,
        kinds: dict[str, float] | None = None,
        variants: int = 8,
        plain: bool = False,
    ) -> None:
        self.size, self.seed, self.kinds, self.plain = size, seed, kinds, plain
        self.render = lru_cache(maxsize=None)(self._render)
        self.variants = variants

    def __len__(self) -> int:
        return self.size

    def dialogue(self, index: int) -> Dialogue:
        """The conversation of a sample, before its media are rendered."""
        rng = np.random.default_rng((self.seed, index, 2))
        kind = None
        if self.kinds:
            weights = np.array(list(self.kinds.values()), float)
            kind = str(rng.choice(list(self.kinds), p=weights / weights.sum()))
        return sample_dialogue(rng, kind=kind)

    def __getitem__(self, index: int) -> list[Message]:
        dialogue = self.dialogue(index)
        if self.plain:
            return [
                Message(turn.role, [part for part in turn.parts if isinstance(part, str)])
                for turn in render_plain(dialogue)
            ]
        rng = np.random.default_rng((self.seed, index, 3))
        return [
            Message(turn.role, [self._part(turn.role, part, rng) for part in turn.parts])
            for turn in dialogue.turns
        ]

    def _part(
        self, role: str, part: str | Medium, rng: np.random.Generator
    ) -> str | Media | Target:
        if isinstance(part, str):
            return part
        told = tuple(sorted(part.scene.told_by(part.modality).items()))
        media = self.render(part.modality, told, int(rng.integers(self.variants)))
        if role == "user":
            return media
        return Target(part.modality, caption(dict(told), part.modality), media)

    def _render(self, modality: str, told: tuple[tuple[str, str], ...], variant: int) -> Media:
        """A medium that tells these facts; what it doesn't tell is left to the generator."""
        seed = [self.seed, variant, *(" ".join(f"{k}={v}" for k, v in told)).encode()]
        rng = np.random.default_rng(seed)
        rest = {"thing": "ball", "color": "blue", "size": "big", "motion": "still", "tempo": "slow"}
        return render(Scene(**{**rest, **dict(told)}), modality, rng)


def toybox_texts(count: int, seed: int = 0) -> list[str]:
    """Texts of the grammar to train a tokenizer on."""
    dialogues = ToyboxDialogues(count, seed, plain=True)
    return [message.text for index in range(count) for message in dialogues[index]]


def toybox_tokenizer(
    vocab_size: int = 768, count: int = 4000, seed: int = 0, append_end: bool = False
) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer for the Toybox's texts."""
    return train_tokenizer(toybox_texts(count, seed), vocab_size, append_end=append_end)
