"""The demo's conversation about the Toybox: what the user says and gives, and what should come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from anymodal.toybox.grammar.types import MediaItem
from anymodal.toybox.scene import Scene


@dataclass(frozen=True)
class Step:
    """One thing the user says, and what should come of it.

    Args:
        text: the words.
        given: the media before them.
        made: the media that the reply should hold; none means that it must hold none.
        told: what the words of the reply should tell; None where they are free.
    """

    text: str
    given: tuple[MediaItem, ...] = ()
    made: tuple[MediaItem, ...] = ()
    told: Mapping[str, str] | None = None


def describing(text: str, *given: MediaItem) -> Step:
    """A question that is answered by what the given media tell."""
    told = {name: value for medium in given for name, value in medium.attributes.items()}
    return Step(text, given, told=told)


def _script() -> tuple[Step, ...]:
    ball = Scene("ball", "blue", "small", "still", "slow")
    green = ball.replace(color="green")
    duck = Scene("duck", "orange", "big", "still", "slow")
    bell = Scene("bell", "yellow", "small", "still", "fast")
    drum = Scene("drum", "red", "big", "still", "slow")
    bird = Scene("bird", "green", "big", "right", "fast")
    rise = Scene("ball", "blue", "big", "up", "fast")
    heart = Scene("heart", "purple", "small", "left", "slow")
    bee = Scene("bee", "yellow", "big", "still", "slow")
    car = Scene("car", "blue", "big", "left", "slow")
    movements = [MediaItem(scene, "imu") for scene in (rise, heart)]
    return (
        Step("what can you do?"),
        Step("draw a small blue ball", made=(MediaItem(ball, "image"),)),
        Step("now make it green", made=(MediaItem(green, "image"),)),
        Step("what does it sound like?", made=(MediaItem(green, "audio"),)),
        Step("very nice"),
        describing("what is this?", MediaItem(duck, "image")),
        describing("what do you hear?", MediaItem(bell, "audio")),
        Step(
            "draw what you hear, in red", (MediaItem(drum, "audio"),), (MediaItem(drum, "image"),)
        ),
        Step("thank you"),
        describing("describe the video", MediaItem(bird, "video")),
        describing("what movement is this?", movements[0]),
        Step(
            "move this picture like that",
            (MediaItem(heart, "image"), movements[1]),
            (MediaItem(heart, "video"),),
        ),
        Step("i like it"),
        Step(
            "do they belong together?",
            (MediaItem(bee, "image"), MediaItem(bee, "audio")),
            told={"answer": "yes", "thing": "bee"},
        ),
        Step(
            "draw a big blue car, play its sound and film it moving left",
            made=(MediaItem(car, "image"), MediaItem(car, "audio"), MediaItem(car, "video")),
        ),
        Step("thank you, bye"),
    )


SCRIPT = _script()
"""The conversation: every input and every output modality, alone and together."""
