"""The Toybox as data sets: captioned media, scenes for binding, and conversations.

Every sample depends on the seed and its index alone. Media are drawn from a pool of a fixed size,
so that what a frozen part makes of them can be kept.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import cache, lru_cache

import numpy as np
from transformers import PreTrainedTokenizerFast

from anymodal.data.captioned import Captioned
from anymodal.media import Image, Media, Video
from anymodal.toybox.augmentation import augment
from anymodal.toybox.grammar.captions import caption
from anymodal.toybox.grammar.dialogues import as_text, join_dialogues, sample_dialogue
from anymodal.toybox.grammar.types import Dialogue, MediaItem
from anymodal.toybox.render import render
from anymodal.toybox.scene import OBSERVABLE, Scene, all_scenes, sample_scene
from anymodal.toybox.tokenizer import train_tokenizer
from anymodal.types import Message, Target

MEDIUM = 32
"""What a medium adds to the length of a conversation, in characters: about its soft tokens'."""


class ToyboxMedia:
    """Captioned media of one modality.

    Args:
        modality: what to render.
        size: how many different media there are.
        seed: of the scenes and their jitter.
        unseen: take held-out scenes instead of the training ones.
        alike: how many neighbours share about half of their attributes.
        worse: the share of media that a poorer instrument took.
    """

    def __init__(
        self,
        modality: str,
        size: int,
        seed: int = 0,
        unseen: bool = False,
        alike: int = 1,
        worse: float = 0.0,
    ) -> None:
        self.modality, self.size, self.seed, self.unseen = modality, size, seed, unseen
        self.alike, self.worse = alike, worse
        self._kept: dict[int, Captioned] = {}

    def __len__(self) -> int:
        return self.size

    def scene(self, index: int) -> Scene:
        """The scene of a sample."""
        first = index - index % self.alike
        scene = sample_scene(np.random.default_rng((self.seed, first)), unseen=self.unseen)
        if index == first:
            return scene
        rng = np.random.default_rng((self.seed, index, 5))
        shared = {name: value for name, value in asdict(scene).items() if rng.random() < 0.5}
        return sample_scene(rng, unseen=self.unseen, **shared)

    def __getitem__(self, index: int) -> Captioned:
        if index not in self._kept:
            scene = self.scene(index)
            media = render(scene, self.modality, np.random.default_rng((self.seed, index, 1)))
            rng = np.random.default_rng((self.seed, index, 6))
            if rng.random() < self.worse:
                media = augment(media, rng)
            self._kept[index] = Captioned(self.modality, media, *_captions(scene, self.modality))
        return self._kept[index]


def _captions(scene: Scene, modality: str) -> tuple[str, tuple[str, ...]]:
    """A medium's caption, and one for each attribute that media of its modality may tell."""
    told = scene.observable(modality)
    details = (
        caption({name: told[name]}, modality) if name in told else ""
        for name in OBSERVABLE[modality]
    )
    return caption(told, modality), tuple(details)


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
    """Scenes in several media, for binding: each a mapping of modality to captioned medium.

    A sample is a list of scenes that share about half of their attributes. Among few scenes drawn
    at large, thing and colour tell nearly all apart, and nothing else would be learned.

    Args:
        modalities: what to render of every scene.
        size: how many scenes there are.
        seed: of the scenes and their jitter.
        alike: scenes in a sample.
        worse: the share of media that a poorer instrument took.

    Raises:
        ValueError: if `size` is no multiple of `alike`.
    """

    def __init__(
        self,
        modalities: list[str],
        size: int,
        seed: int = 0,
        alike: int = 4,
        worse: float = 0.0,
    ) -> None:
        if size % alike:
            raise ValueError(f"size={size} is no multiple of alike={alike}")
        self.pools = {
            name: ToyboxMedia(name, size, seed, alike=alike, worse=worse) for name in modalities
        }
        self.size, self.alike = size, alike

    def __len__(self) -> int:
        return self.size // self.alike

    def __getitem__(self, index: int) -> list[dict[str, Captioned]]:
        places = range(index * self.alike, (index + 1) * self.alike)
        return [{name: pool[place] for name, pool in self.pools.items()} for place in places]


class ToyboxDialogues:
    """Conversations of the grammar, as messages with media and targets.

    Args:
        size: how many conversations there are.
        seed: of the conversations.
        kinds: weights by kind of conversation; the grammar's own where not given.
        pool: about how many different media of each modality there are, as many of each fact.
        plain: write media as their captions, for a language model that only reads text.
        joined: how many of the grammar's conversations, at most, follow each other in one, so that
            a subject has to be let go when the next one comes.
        worse: the share of what users give that a poorer instrument took.
    """

    def __init__(
        self,
        size: int,
        seed: int = 0,
        kinds: dict[str, float] | None = None,
        pool: int = 4000,
        plain: bool = False,
        joined: int = 1,
        worse: float = 0.0,
    ) -> None:
        self.size, self.seed, self.kinds, self.plain = size, seed, kinds, plain
        self.joined, self.worse = joined, worse
        self.render = lru_cache(maxsize=None)(self._render)
        self.pool = pool

    def __len__(self) -> int:
        return self.size

    def dialogue(self, index: int) -> Dialogue:
        """The conversation of a sample, before its media are rendered."""
        rng = np.random.default_rng((self.seed, index, 2))
        count = int(rng.integers(1, self.joined + 1))
        return join_dialogues([self._sample(rng) for _ in range(count)])

    def length(self, index: int) -> int:
        """About how long a conversation is, in characters, before anything of it is rendered."""
        parts = [part for turn in self.dialogue(index).turns for part in turn.parts]
        return sum(len(part) if isinstance(part, str) else MEDIUM for part in parts)

    def _sample(self, rng: np.random.Generator) -> Dialogue:
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
                for turn in as_text(dialogue)
            ]
        rng = np.random.default_rng((self.seed, index, 3))
        return [
            Message(turn.role, [self._part(turn.role, part, rng) for part in turn.parts])
            for turn in dialogue.turns
        ]

    def _part(
        self, role: str, part: str | MediaItem, rng: np.random.Generator
    ) -> str | Media | Target:
        if isinstance(part, str):
            return part
        told = tuple(sorted(part.scene.observable(part.modality).items()))
        variants = max(1, self.pool // _count_told(part.modality))
        variant = int(rng.integers(variants))
        if role == "user":
            return self.render(part.modality, told, variant, variant < self.worse * variants)
        media = self.render(part.modality, told, variant, False)
        return Target(part.modality, caption(dict(told), part.modality), media)

    def _render(
        self, modality: str, told: tuple[tuple[str, str], ...], variant: int, worse: bool
    ) -> Media:
        """A medium that tells these facts; what it doesn't tell is left to the generator."""
        seed = [self.seed, variant, *(" ".join(f"{k}={v}" for k, v in told)).encode()]
        rng = np.random.default_rng(seed)
        rest = {"thing": "ball", "color": "blue", "size": "big", "motion": "still", "tempo": "slow"}
        media = render(Scene(**{**rest, **dict(told)}), modality, rng)
        return augment(media, rng) if worse else media


@cache
def _count_told(modality: str) -> int:
    """How many different things media of a modality can tell."""
    told = (scene.observable(modality) for scene in all_scenes())
    return len({tuple(sorted(facts.items())) for facts in told})


def toybox_texts(count: int, seed: int = 0) -> list[str]:
    """Texts of the grammar to train a tokenizer on."""
    dialogues = ToyboxDialogues(count, seed, plain=True)
    return [message.text for index in range(count) for message in dialogues[index]]


def toybox_tokenizer(
    vocab_size: int = 768, count: int = 4000, seed: int = 0, append_end: bool = False
) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer for the Toybox's texts."""
    return train_tokenizer(toybox_texts(count, seed), vocab_size, append_end=append_end)
