"""Tasks of what is made: edits of a picture, clips from one, silhouettes, and ways of slow videos.

Requests are in plain words; oracles measure more than attributes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from anymodal.media import Image, Video
from anymodal.toybox.grammar.captions import caption
from anymodal.toybox.keeping import frame_ssim, match_size, measure_edit, silhouette_overlap
from anymodal.toybox.records import TurnRecord
from anymodal.toybox.renderers.visual import FPS, render_image, render_video
from anymodal.toybox.scene import VALUES, Scene, is_held_out, sample_scene
from anymodal.toybox.tasks.base import MatrixSample, ReplyExpectation
from anymodal.types import Message

EDITED = ("color", "size", "thing")
"""The attributes that a picture's edits change."""

CHAIN = 5
"""Edits in a chain."""

_MOVES = {
    "left": "move to the left",
    "right": "move to the right",
    "up": "move up",
    "down": "move down",
    "toward": "come closer",
    "shake": "shake",
    "bounce": "bounce",
}
"""How a request names a motion."""


def _is_unseen(scene: Scene) -> bool:
    """Whether a picture of a scene shows a held-out pair."""
    return is_held_out(scene.thing, scene.color)


def _words(name: str, value: str) -> str:
    """The words that ask for one change of a picture."""
    if name == "thing":
        return "Make it rain." if value == "rain" else f"Make it a {value}."
    return f"Make it {value}."


@dataclass(frozen=True)
class PictureEditSample(MatrixSample):
    """Edits of an attached picture of the Toybox: one, or a chain of five.

    Scenes of the held-out split are results; of a chain the last one is.
    """

    @property
    def kind(self) -> str:
        """The attribute that changes, or a chain."""
        kinds = (*EDITED, "chain")
        return kinds[self.index % len(kinds)]

    @property
    def turn_count(self) -> int:
        """The number of edits."""
        return CHAIN if self.kind == "chain" else 1

    @property
    def modalities(self) -> tuple[set[str], set[str]]:
        """The modalities that its requests show, and those that its replies must hold."""
        return {"image"}, {"image"}

    @cached_property
    def steps(self) -> list[tuple[str, Scene]]:
        """The attribute that was changed last, and the scene, of the source and after each edit."""
        rng = np.random.default_rng([*self.entropy, 0])
        while True:
            steps = [("", sample_scene(rng, unseen=bool(rng.integers(2))))]
            for _ in range(self.turn_count):
                name = self.kind if self.kind != "chain" else str(rng.choice(EDITED))
                scene = steps[-1][1]
                others = [value for value in VALUES[name] if value != getattr(scene, name)]
                steps.append((name, scene.replace(**{name: str(rng.choice(others))})))
            if _is_unseen(steps[-1][1]) == self.unseen:
                return steps

    def _render(self, scene: Scene) -> Image:
        """A picture of a scene, always in the same place and on the same ground."""
        return Image(render_image(scene, np.random.default_rng([*self.entropy, 2])))

    def request(self, turn: int) -> Message:
        """The picture, before the first edit, and the words of the edit."""
        name, scene = self.steps[turn + 1]
        text = _words(name, getattr(scene, name))
        return Message("user", [self._render(self.steps[0][1]), text] if turn == 0 else [text])

    def score(self, turn: int, request: Message, reply: Message) -> TurnRecord:
        """Score the picture's attributes, and measure what it kept of the attached one."""
        source = self.steps[0][1]
        name, scene = self.steps[turn + 1]
        expected = scene.observable("image")
        captions = [caption(source.observable("image"), "image")]
        record = ReplyExpectation(("image",), (expected,)).score(request, captions, reply)
        measures = {"asked": float(record["right"][0][name])}
        picture = next((item for item in reply.media if isinstance(item, Image)), None)
        if picture is None:
            measures |= {"centre kept": 0.0, "area kept": 0.0}
        else:
            images = (self._render(source), picture, self._render(scene))
            measures |= measure_edit(*(image.pixels for image in images))
        kind = f"chain, edit {turn + 1}" if self.kind == "chain" else self.kind
        return {**record, "kind": kind, "measures": measures}


@dataclass(frozen=True)
class ClipSample(MatrixSample):
    """A clip from an attached picture: one in the middle, or the first frame of such a clip."""

    @property
    def kind(self) -> str:
        """What the picture is."""
        return ("picture", "first frame")[self.index % 2]

    @property
    def turn_count(self) -> int:
        """The number of requests."""
        return 1

    @property
    def modalities(self) -> tuple[set[str], set[str]]:
        """The modalities that its requests show, and those that its replies must hold."""
        return {"image"}, {"video"}

    @cached_property
    def scene(self) -> Scene:
        """The scene of the clip, which moves."""
        rng = np.random.default_rng([*self.entropy, 0])
        motion = str(rng.choice(list(_MOVES)))
        return sample_scene(rng, unseen=self.unseen, motion=motion)

    def _picture(self) -> Image:
        rng = np.random.default_rng([*self.entropy, 2])
        if self.kind == "picture":
            return Image(render_image(self.scene, rng))
        return Image(render_video(self.scene, rng, 1, FPS)[0])

    def request(self, turn: int) -> Message:
        """The picture, and the words of its motion."""
        pace = "slowly" if self.scene.tempo == "slow" else "fast"
        text = f"Make a video of it: let it {_MOVES[self.scene.motion]} {pace}."
        return Message("user", [self._picture(), text])

    def score(self, turn: int, request: Message, reply: Message) -> TurnRecord:
        """Score the clip's attributes, and compare its first frame with the picture."""
        expected = self.scene.observable("video")
        if self.scene.motion == "toward":
            expected.pop("size")  # the picture's own is that of a thing far away, or of a near one
        captions = [caption(self.scene.observable("image"), "image")]
        record = ReplyExpectation(("video",), (expected,)).score(request, captions, reply)
        clip = next((item for item in reply.media if isinstance(item, Video)), None)
        measures = {"asked": float(record["right"][0]["motion"])}
        if clip is not None:
            picture = self._picture().pixels
            first = match_size(clip.frames[0], len(picture))
            measures["first frame SSIM"] = frame_ssim(picture, first)
        return {**record, "kind": self.kind, "measures": measures}


@dataclass(frozen=True)
class SilhouetteSample(MatrixSample):
    """A drawing in plain words, compared with a fresh render of the same scene."""

    @property
    def kind(self) -> str:
        """The size of what is drawn."""
        return VALUES["size"][self.index % 2]

    @property
    def turn_count(self) -> int:
        """The number of requests."""
        return 1

    @property
    def modalities(self) -> tuple[set[str], set[str]]:
        """The modalities that its requests show, and those that its replies must hold."""
        return set(), {"image"}

    @cached_property
    def scene(self) -> Scene:
        """The scene to draw."""
        rng = np.random.default_rng([*self.entropy, 0])
        while True:
            scene = sample_scene(rng, unseen=self.unseen, size=self.kind)
            if _is_unseen(scene) == self.unseen:
                return scene

    def request(self, turn: int) -> Message:
        """The words."""
        scene = self.scene
        return Message("user", [f"draw a {scene.size} {scene.color} {scene.thing}"])

    def score(self, turn: int, request: Message, reply: Message) -> TurnRecord:
        """Score the attributes, and measure the silhouette's overlap with a fresh render."""
        expected = self.scene.observable("image")
        record = ReplyExpectation(("image",), (expected,)).score(request, (), reply)
        picture = next((item for item in reply.media if isinstance(item, Image)), None)
        fresh = render_image(self.scene, np.random.default_rng([*self.entropy, 2]))
        overlap = 0.0 if picture is None else silhouette_overlap(picture.pixels, fresh)
        return {**record, "kind": self.kind, "measures": {"silhouette": overlap}}


@dataclass(frozen=True)
class SlowVideoSample(MatrixSample):
    """A slow video in plain words, of something that goes one way."""

    @property
    def kind(self) -> str:
        """The way."""
        return ("left", "right", "up", "down")[self.index % 4]

    @property
    def turn_count(self) -> int:
        """The number of requests."""
        return 1

    @property
    def modalities(self) -> tuple[set[str], set[str]]:
        """The modalities that its requests show, and those that its replies must hold."""
        return set(), {"video"}

    @cached_property
    def scene(self) -> Scene:
        """The scene to film."""
        rng = np.random.default_rng([*self.entropy, 0])
        return sample_scene(rng, unseen=self.unseen, motion=self.kind, tempo="slow")

    def request(self, turn: int) -> Message:
        """The words."""
        scene = self.scene
        text = f"make a video of a {scene.size} {scene.color} {scene.thing} moving {scene.motion}"
        return Message("user", [f"{text} slowly"])

    def score(self, turn: int, request: Message, reply: Message) -> TurnRecord:
        """Score the video's attributes."""
        expected = self.scene.observable("video")
        record = ReplyExpectation(("video",), (expected,)).score(request, (), reply)
        return {**record, "kind": self.kind}


MEASURED: dict[str, type[MatrixSample]] = {
    "edits": PictureEditSample,
    "clips": ClipSample,
    "silhouettes": SilhouetteSample,
    "slow videos": SlowVideoSample,
}
"""The tasks by name."""
