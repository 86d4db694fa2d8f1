"""Tasks of files in other light, rooms and hands, and a plain question about each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from anymodal.media import Media
from anymodal.toybox.grammar.captions import caption
from anymodal.toybox.light import STYLES, light_audio, light_image, light_imu
from anymodal.toybox.records import TurnRecord
from anymodal.toybox.render import render_scene
from anymodal.toybox.scene import Scene, sample_scene
from anymodal.toybox.tasks.base import MatrixSample, ReplyExpectation
from anymodal.types import Message

CONDITIONS: dict[str, tuple[str, ...]] = {
    "image": (
        "brightness", "gamma", "tint", "ground", "shadow", "table edge", "vignette", "mirrored",
        "rotated", "cropped", *STYLES,
    ),
    "audio": ("room echo", "noise", "music", "speech"),
    "video": ("left", "right", "up", "down"),
    "imu": ("any orientation",),
}  # fmt: skip
"""For each modality the conditions of its files, in turn; of slow videos, which way they go."""

QUESTIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "image": {
        "thing": ("what is this?", "what do you see?"),
        "color": ("what colour is it?", "which colour does it have?"),
        "size": ("is it small or big?", "how big is it?"),
    },
    "audio": {
        "thing": ("what is this?", "what do you hear?"),
        "size": ("is it small or big?", "how big is it?"),
        "tempo": ("is it slow or fast?", "how fast is it?"),
    },
    "video": {"motion": ("which way does it move?", "where does it go?")},
    "imu": {
        "motion": ("how did the phone move?", "what movement is this?"),
        "tempo": ("is it slow or fast?", "how fast was the movement?"),
    },
}
"""For each modality and attribute the questions that ask for it."""

LIGHT = tuple(f"light:{modality}" for modality in CONDITIONS)
"""The tasks."""

_RENDERERS: dict[str, Callable[[Scene, str, np.random.Generator], Media]] = {
    "image": light_image,
    "audio": light_audio,
    "video": lambda scene, condition, rng: render_scene(scene, "video", rng),
    "imu": lambda scene, condition, rng: light_imu(scene, rng),
}


@dataclass(frozen=True)
class LightSample(MatrixSample):
    """A file in one of its modality's conditions, and a question about one attribute."""

    @property
    def modality(self) -> str:
        """The modality of the file."""
        return self.task.removeprefix("light:")

    @property
    def kind(self) -> str:
        """The condition of the file."""
        conditions = CONDITIONS[self.modality]
        return conditions[self.index % len(conditions)]

    @property
    def turn_count(self) -> int:
        """The number of requests."""
        return 1

    @property
    def modalities(self) -> tuple[set[str], set[str]]:
        """The modalities that its requests show, and those that its replies must hold."""
        return {self.modality}, set()

    @property
    def scene(self) -> Scene:
        """The scene of the file; that of a video is slow, and goes the condition's way."""
        rng = np.random.default_rng([*self.entropy, 0])
        if self.modality == "video":
            return sample_scene(rng, unseen=self.unseen, motion=self.kind, tempo="slow")
        while True:
            scene = sample_scene(rng, unseen=self.unseen)
            # At rest a recording is the same in every orientation.
            if self.modality != "imu" or scene.motion != "still":
                return scene

    def _question(self) -> tuple[str, str]:
        """The attribute that is asked for, and the words."""
        rng = np.random.default_rng([*self.entropy, 3])
        by_attribute = QUESTIONS[self.modality]
        attribute = str(rng.choice(list(by_attribute)))
        return attribute, str(rng.choice(by_attribute[attribute]))

    def request(self, turn: int) -> Message:
        """The file and the question."""
        rng = np.random.default_rng([*self.entropy, 2])
        media = _RENDERERS[self.modality](self.scene, self.kind, rng)
        return Message("user", [media, self._question()[1]])

    def score(self, turn: int, request: Message, reply: Message) -> TurnRecord:
        """Score the reply by the attribute that it must state; it may state others, too."""
        attribute, _ = self._question()
        observable = self.scene.observable(self.modality)
        expectation = ReplyExpectation(attributes=({attribute: observable[attribute]},), more=True)
        captions = [caption(observable, self.modality)]
        return {**expectation.score(request, captions, reply), "kind": self.kind}
