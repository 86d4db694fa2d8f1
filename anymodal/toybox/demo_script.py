"""The demo's conversation: what the user says and shows, and the expected replies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from anymodal.toybox.grammar.types import MediaItem
from anymodal.toybox.scene import Scene


@dataclass(frozen=True)
class DemoStep:
    """One message of the user, and the expected reply.

    Args:
        text: the words.
        inputs: the media before them.
        expected_media: the reply's media, in order; a reply without any must hold none.
        expected_attributes: attributes that the reply's words state; None where they are free.
    """

    text: str
    inputs: tuple[MediaItem, ...] = ()
    expected_media: tuple[MediaItem, ...] = ()
    expected_attributes: Mapping[str, str] | None = None


def description_step(text: str, *inputs: MediaItem) -> DemoStep:
    """A question that is answered by all attributes of the given media."""
    attributes = {name: value for item in inputs for name, value in item.attributes.items()}
    return DemoStep(text, inputs, expected_attributes=attributes)


def generation_step(text: str, *expected_media: MediaItem) -> DemoStep:
    """A request in words for some media."""
    return DemoStep(text, expected_media=expected_media)


def _script() -> tuple[DemoStep, ...]:
    ball = Scene("ball", "blue", "small", "still", "slow")
    green = ball.replace(color="green")
    duck = Scene("duck", "orange", "big", "still", "slow")
    bell = Scene("bell", "yellow", "small", "still", "fast")
    drum = Scene("drum", "red", "big", "still", "slow")
    bird = Scene("bird", "green", "big", "right", "fast")
    rise = Scene("ball", "blue", "big", "up", "fast")
    heart = Scene("heart", "purple", "small", "left", "slow")
    bee = Scene("bee", "yellow", "big", "still", "slow")
    clock = Scene("clock", "red", "big", "still", "slow")
    car = Scene("car", "blue", "big", "left", "slow")
    return (
        DemoStep("Hi! What can you do?"),
        generation_step("Can you draw me a small blue ball?", MediaItem(ball, "image")),
        generation_step("make it green pls", MediaItem(green, "image")),
        generation_step("What does it sound like?", MediaItem(green, "audio")),
        DemoStep("That's great, thanks!"),
        description_step("Describe this picture, please.", MediaItem(duck, "image")),
        description_step("what do you hear?", MediaItem(bell, "audio")),
        DemoStep(
            "Draw what you hear, but in red.",
            inputs=(MediaItem(drum, "audio"),),
            expected_media=(MediaItem(drum, "image"),),
        ),
        description_step("And what happens in this video?", MediaItem(bird, "video")),
        description_step("what movement is this", MediaItem(rise, "imu")),
        DemoStep(
            "Animate this picture with that movement.",
            inputs=(MediaItem(heart, "image"), MediaItem(heart, "imu")),
            expected_media=(MediaItem(heart, "video"),),
        ),
        DemoStep(
            "Do they belong together?",
            inputs=(MediaItem(bee, "image"), MediaItem(bee, "audio")),
            expected_attributes={"answer": "yes", "thing": "bee"},
        ),
        generation_step(
            "Draw a big blue car, play its sound and film it moving left.",
            *(MediaItem(car, modality) for modality in ("image", "audio", "video")),
        ),
        generation_step("RED CLOCK PIC, BIG", MediaItem(clock, "image")),
        DemoStep("Who won the last world cup?"),
        DemoStep("ok, bye!"),
    )


SCRIPT = _script()
"""The conversation: every input and every output modality, alone and together."""
