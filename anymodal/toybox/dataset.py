"""The Toybox as data sets: captioned media, scenes in several modalities, and conversations.

Every sample depends on the seed and its index alone. Media come from a pool of a fixed size, so
that the results of frozen parts on them can be cached.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache, lru_cache

import numpy as np
from transformers import PreTrainedTokenizerFast

from anymodal.data.captioned import Captioned
from anymodal.media import Image, Media, Video
from anymodal.toybox.conditions.outside import render_outside
from anymodal.toybox.conditions.pictures import draw_video
from anymodal.toybox.conditions.render import draw_in_conditions, render_in_conditions
from anymodal.toybox.grammar.captions import caption
from anymodal.toybox.grammar.dialogues import as_text, join_dialogues, sample_dialogue
from anymodal.toybox.grammar.types import MediaItem, ReferenceDialogue
from anymodal.toybox.render import render_scene
from anymodal.toybox.renderers.visual import FPS, render_video
from anymodal.toybox.scene import OBSERVABLE, VALUES, Scene, all_scenes, sample_scene
from anymodal.toybox.tokenizer import plain_text_normalizer, train_tokenizer
from anymodal.types import Message, Target

MEDIA_LENGTH = 32
"""Length that a media item adds to a conversation, in characters: about its soft tokens'."""

OUTSIDE_SHARE = 20
"""The media pool holds one of so many media for each kind of media from outside."""
FORGOTTEN = "(The beginning of this conversation is no longer shown.)"
"""Notice before a conversation whose first turns are dropped, as in `configs/models/nano.yaml`."""

# A draw is seeded by the data set's seed, the sample's index and a number of its own, so that no
# two share a stream: 1 jitter, 2 dialogues, 3 their media, 4 frames, 5 negatives, 6 augmentation,
# 7 sources of edits, 8 which samples have any.


class ToyboxMedia:
    """Captioned media of one modality.

    Args:
        modality: of the media.
        size: how many different media there are.
        seed: of the scenes and their jitter.
        unseen: take held-out scenes instead of training ones.
        group_size: size of the groups of hard negatives: scenes that share about half of their
            attributes with the first of their group.
        augment_prob: the share of media in other light, rooms and hands (`conditions`).
    """

    def __init__(
        self,
        modality: str,
        size: int,
        seed: int = 0,
        unseen: bool = False,
        group_size: int = 1,
        augment_prob: float = 0.0,
    ) -> None:
        self.modality, self.size, self.seed, self.unseen = modality, size, seed, unseen
        self.group_size, self.augment_prob = group_size, augment_prob
        self._samples: dict[int, Captioned] = {}

    def __len__(self) -> int:
        return self.size

    def scene(self, index: int) -> Scene:
        """The scene of a sample."""
        first = index - index % self.group_size
        scene = sample_scene(np.random.default_rng((self.seed, first)), unseen=self.unseen)
        if index == first:
            return scene
        rng = np.random.default_rng((self.seed, index, 5))
        attributes = {name: value for name, value in asdict(scene).items() if rng.random() < 0.5}
        return sample_scene(rng, unseen=self.unseen, **attributes)

    def __getitem__(self, index: int) -> Captioned:
        if index not in self._samples:
            scene = self.scene(index)
            rng = np.random.default_rng((self.seed, index, 6))
            if rng.random() < self.augment_prob:
                media = render_in_conditions(scene, self.modality, rng)
            else:
                jitter = np.random.default_rng((self.seed, index, 1))
                media = render_scene(scene, self.modality, jitter)
            captions = _captions(scene, self.modality)
            self._samples[index] = Captioned(self.modality, media, *captions)
        return self._samples[index]


def _captions(scene: Scene, modality: str) -> tuple[str, tuple[str, ...]]:
    """The caption of a media item, and one for each attribute that its modality can show."""
    attributes = scene.observable(modality)
    # Every sample has the same places; where an attribute doesn't show, the detail is empty.
    details = (
        caption({name: attributes[name]}, modality) if name in attributes else ""
        for name in OBSERVABLE[modality]
    )
    return caption(attributes, modality), tuple(details)


class ToyboxEdits:
    """Captioned media of one modality with what they are made from: edits of the Toybox.

    Source and result are rendered with the same placement and ground, and differ in one attribute
    that shows, or in none: a sample in ten is to stay as it is. Clips may be made from a picture,
    their own first frame, instead; in half of these the thing moves on from where pictures show it.

    Args:
        modality: of the media, `image` or `video`.
        size: how many edits there are.
        seed: of the scenes, their jitter and the changes.
        unseen: take results of held-out scenes instead of training ones.
        plain: the share of media that are made from nothing.
        first_frames: the share of clips that are made from their first frame.
        varied: the share of media that are made from something on other grounds, in other light
            and styles (`conditions`); what is made from nothing looks as the Toybox does.
    """

    def __init__(
        self,
        modality: str,
        size: int,
        seed: int = 0,
        unseen: bool = False,
        plain: float = 0.3,
        first_frames: float = 0.0,
        varied: float = 0.0,
    ) -> None:
        if modality != "video" and first_frames:
            raise ValueError(f"first_frames={first_frames}, and {modality} has none; leave it out")
        self.results = ToyboxMedia(modality, size, seed, unseen)
        self.modality, self.plain, self.first_frames = modality, plain, first_frames
        self.varied = varied

    def __len__(self) -> int:
        return len(self.results)

    def source(self, index: int) -> Scene:
        """The scene that a sample's result is an edit of."""
        scene = self.results.scene(index)
        rng = np.random.default_rng((self.results.seed, index, 7))
        if rng.random() < 0.1:
            return scene
        name = str(rng.choice(list(scene.observable(self.modality))))
        others = [value for value in VALUES[name] if value != getattr(scene, name)]
        return scene.replace(**{name: str(rng.choice(others))})

    def __getitem__(self, index: int) -> Captioned:
        sample, seed = self.results[index], self.results.seed
        draw, varies, middle = np.random.default_rng((seed, index, 8)).random(3)
        if draw < self.plain:
            return sample
        scene, jitter = self.results.scene(index), (seed, index, 1)
        if draw < self.plain + self.first_frames:
            film = draw_video if varies < self.varied else _film
            clip = film(scene, np.random.default_rng(jitter), middle < 0.5)
            media: Media = clip
            reference: Media = Image(clip.frames[0])
        else:
            render = draw_in_conditions if varies < self.varied else render_scene
            media = render(scene, self.modality, np.random.default_rng(jitter))
            source = self.source(index)
            reference = render(source, self.modality, np.random.default_rng(jitter))
        return Captioned(self.modality, media, sample.caption, sample.details, (reference,))


def _film(scene: Scene, rng: np.random.Generator, from_image: bool) -> Video:
    return Video(render_video(scene, rng, from_image=from_image), FPS)


class ToyboxFrames:
    """Single frames of videos, as images: icons at all positions and scales that occur.

    Args:
        size: how many there are.
        seed: of the scenes and their jitter.
        varied: the share of images on other grounds, in other light and styles (`conditions`).
    """

    def __init__(self, size: int, seed: int = 0, varied: float = 0.0) -> None:
        self.videos, self.seed, self.varied = ToyboxMedia("video", size, seed), seed, varied

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, index: int) -> Captioned:
        rng = np.random.default_rng((self.seed, index, 4))
        if rng.random() < self.varied:
            return Captioned(
                "image", draw_in_conditions(self.videos.scene(index), "image", rng), ""
            )
        video = self.videos[index].media
        assert isinstance(video, Video)
        frame = rng.integers(len(video.frames))
        return Captioned("image", Image(video.frames[frame]), "")


class ToyboxScenes:
    """Scenes in several modalities, for binding: each a mapping of modality to captioned media.

    A sample is a group of hard negatives. Among few scenes sampled independently, thing and color
    tell nearly all apart, and an encoder would learn nothing else.

    Args:
        modalities: to render every scene in.
        size: how many scenes there are.
        seed: of the scenes and their jitter.
        group_size: scenes in a sample, which share about half of their attributes.
        augment_prob: the share of media in other light, rooms and hands (`conditions`).

    Raises:
        ValueError: if `size` is no multiple of `group_size`.
    """

    def __init__(
        self,
        modalities: Sequence[str],
        size: int,
        seed: int = 0,
        group_size: int = 4,
        augment_prob: float = 0.0,
    ) -> None:
        if size % group_size:
            raise ValueError(f"size={size} is no multiple of group_size={group_size}")
        self.media = {
            name: ToyboxMedia(name, size, seed, group_size=group_size, augment_prob=augment_prob)
            for name in modalities
        }
        self.size, self.group_size = size, group_size

    def __len__(self) -> int:
        return self.size // self.group_size

    def __getitem__(self, index: int) -> list[dict[str, Captioned]]:
        group = range(index * self.group_size, (index + 1) * self.group_size)
        return [{name: media[place] for name, media in self.media.items()} for place in group]


class ToyboxDialogues:
    """Conversations of the grammar, as messages with media and targets.

    Args:
        size: how many conversations there are.
        seed: of the conversations.
        kinds: weights by kind of conversation; the grammar's own if None.
        media_pool_size: about how many different media of each modality there are, equally many
            for each set of attributes.
        text_only: write media as their captions, for a language model alone.
        max_joined: the most conversations of the grammar that follow each other in one, so that a
            model learns to drop a subject when the next one comes.
        augment_prob: the share of users' media in other light, rooms and hands (`conditions`).
    """

    def __init__(
        self,
        size: int,
        seed: int = 0,
        kinds: Mapping[str, float] | None = None,
        media_pool_size: int = 4000,
        text_only: bool = False,
        max_joined: int = 1,
        augment_prob: float = 0.0,
    ) -> None:
        self.size, self.seed, self.kinds, self.text_only = size, seed, kinds, text_only
        self.media_pool_size = media_pool_size
        self.max_joined, self.augment_prob = max_joined, augment_prob
        self._render_cached = lru_cache(maxsize=None)(self._render)

    def __len__(self) -> int:
        return self.size

    def dialogue(self, index: int) -> ReferenceDialogue:
        """The conversation of a sample, before its media are rendered."""
        rng = np.random.default_rng((self.seed, index, 2))
        count = int(rng.integers(1, self.max_joined + 1))
        return join_dialogues([self._sample(rng) for _ in range(count)])

    def length(self, index: int) -> int:
        """About how long a conversation is, in characters, before its media are rendered."""
        parts = [part for turn in self.dialogue(index).turns for part in turn.parts]
        return sum(len(part) if isinstance(part, str) else MEDIA_LENGTH for part in parts)

    def _sample(self, rng: np.random.Generator) -> ReferenceDialogue:
        kind = None
        if self.kinds:
            weights = np.array(list(self.kinds.values()), float)
            kind = str(rng.choice(list(self.kinds), p=weights / weights.sum()))
        return sample_dialogue(rng, kind=kind)

    def __getitem__(self, index: int) -> list[Message]:
        dialogue = self.dialogue(index)
        notice = [FORGOTTEN] if dialogue.forgets else []
        contents: list[tuple[str, list[str | Media | Target]]]
        if self.text_only:
            contents = [
                (turn.role, [part for part in turn.parts if isinstance(part, str)])
                for turn in as_text(dialogue)
            ]
        else:
            rng = np.random.default_rng((self.seed, index, 3))
            contents = [
                (turn.role, [self._part(turn.role, part, rng) for part in turn.parts])
                for turn in dialogue.turns
            ]
        return [
            Message(role, [*(notice if place == 0 else []), *parts])
            for place, (role, parts) in enumerate(contents)
        ]

    def _part(
        self, role: str, part: str | MediaItem, rng: np.random.Generator
    ) -> str | Media | Target:
        if isinstance(part, str):
            return part
        if part.outside:
            variant = int(rng.integers(max(1, self.media_pool_size // OUTSIDE_SHARE)))
            return self._render_cached(part.modality, (("outside", part.outside),), variant, False)
        attributes = tuple(sorted(part.attributes.items()))
        variants = max(1, self.media_pool_size // _count_observable(part.modality))
        variant = int(rng.integers(variants))
        if role == "user":
            # The first variants are the augmented ones, so that the pool doesn't grow by them.
            augments = variant < self.augment_prob * variants
            return self._render_cached(part.modality, attributes, variant, augments)
        media = self._render_cached(part.modality, attributes, variant, False)
        return Target(part.modality, part.caption, media, references=part.references)

    def _render(
        self, modality: str, attributes: tuple[tuple[str, str], ...], variant: int, augments: bool
    ) -> Media:
        """Render one of the variants of a media item, the same for any scene that shows it."""
        seed = [self.seed, variant, *(" ".join(f"{k}={v}" for k, v in attributes)).encode()]
        rng = np.random.default_rng(seed)
        facts = dict(attributes)
        if "outside" in facts:
            return render_outside(modality, facts["outside"], rng)
        defaults = {
            "thing": "ball",
            "color": "blue",
            "size": "big",
            "motion": "still",
            "tempo": "slow",
        }
        scene = Scene(**{**defaults, **facts})
        render = render_in_conditions if augments else render_scene
        return render(scene, modality, rng)


@cache
def _count_observable(modality: str) -> int:
    """The number of different sets of attributes that media of a modality can show."""
    return len({tuple(sorted(scene.observable(modality).items())) for scene in all_scenes()})


def toybox_texts(count: int, seed: int = 0) -> list[str]:
    """Messages of the grammar, to train a tokenizer on."""
    dialogues = ToyboxDialogues(count, seed, text_only=True)
    return [message.text for index in range(count) for message in dialogues[index]]


def toybox_tokenizer(
    vocab_size: int = 768, count: int = 4000, seed: int = 0, append_end: bool = False
) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer on the Toybox's texts, in their plain form.

    Args:
        vocab_size: the most tokens.
        count: conversations to train on.
        seed: of the conversations.
        append_end: close every text, as `tokenizer.train_tokenizer` says.
    """
    texts = toybox_texts(count, seed)
    return train_tokenizer(
        texts, vocab_size, append_end=append_end, normalizer=plain_text_normalizer()
    )
