"""A scripted conversation about the Toybox through every modality, measured as it goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from anymodal.data.toybox.captions import caption
from anymodal.data.toybox.grammar_types import Medium
from anymodal.data.toybox.measure import measure
from anymodal.data.toybox.render import render
from anymodal.data.toybox.scene import Scene
from anymodal.data.toybox.text_oracle import score_text
from anymodal.media import Media
from anymodal.page import Check, bubble, write_page
from anymodal.session import Exchange

TITLE = "A conversation with AnyModal"


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
    given: tuple[Medium, ...] = ()
    made: tuple[Medium, ...] = ()
    told: Mapping[str, str] | None = None


def describing(text: str, *given: Medium) -> Step:
    """A question that is answered by what the given media tell."""
    told = {name: value for medium in given for name, value in medium.told.items()}
    return Step(text, given, told=told)


def _script() -> tuple[Step, ...]:
    ball = Scene("ball", "blue", "small", "still", "slow")
    green = ball.but(color="green")
    duck = Scene("duck", "orange", "big", "still", "slow")
    bell = Scene("bell", "yellow", "small", "still", "fast")
    drum = Scene("drum", "red", "big", "still", "slow")
    bird = Scene("bird", "green", "big", "right", "fast")
    rise = Scene("ball", "blue", "big", "up", "fast")
    heart = Scene("heart", "purple", "small", "left", "slow")
    bee = Scene("bee", "yellow", "big", "still", "slow")
    car = Scene("car", "blue", "big", "left", "slow")
    movements = [Medium(scene, "imu") for scene in (rise, heart)]
    return (
        Step("what can you do?"),
        Step("draw a small blue ball", made=(Medium(ball, "image"),)),
        Step("now make it green", made=(Medium(green, "image"),)),
        Step("what does it sound like?", made=(Medium(green, "audio"),)),
        Step("very nice"),
        describing("what is this?", Medium(duck, "image")),
        describing("what do you hear?", Medium(bell, "audio")),
        Step("draw what you hear, in red", (Medium(drum, "audio"),), (Medium(drum, "image"),)),
        Step("thank you"),
        describing("describe the video", Medium(bird, "video")),
        describing("what movement is this?", movements[0]),
        Step(
            "move this picture like that",
            (Medium(heart, "image"), movements[1]),
            (Medium(heart, "video"),),
        ),
        Step("i like it"),
        Step(
            "do they belong together?",
            (Medium(bee, "image"), Medium(bee, "audio")),
            told={"answer": "yes", "thing": "bee"},
        ),
        Step(
            "draw a big blue car, play its sound and film it moving left",
            made=(Medium(car, "image"), Medium(car, "audio"), Medium(car, "video")),
        ),
        Step("thank you, bye"),
    )


def write_inputs(steps: Sequence[Step], folder: Path, seed: int) -> list[list[Path]]:
    """Render what the user gives into ordinary files; returns those of each step."""
    folder.mkdir(parents=True, exist_ok=True)
    files: list[list[Path]] = []
    for index, step in enumerate(steps):
        files.append([])
        for medium in step.given:
            rendered = render(medium.scene, medium.modality, np.random.default_rng([seed, index]))
            name = f"{index + 1:02d}-{medium.modality}{rendered.suffix}"
            files[-1].append(rendered.save(folder / name))
    return files


def checks(step: Step, turn: Exchange) -> list[Check]:
    """Measure a reply: each medium by the oracle of its kind, words that should tell something."""
    made = turn.reply.media
    kinds, wanted = [medium.kind for medium in made], [medium.modality for medium in step.made]
    if kinds != wanted:
        text = f"asked for {_listed(wanted)}, got {_listed(kinds)}"
        return [Check(text, False)]
    found = [_check_medium(medium, want) for medium, want in zip(made, step.made, strict=True)]
    if step.told is not None:
        scores = score_text(turn.reply.text, step.told)
        wrong = [name for name, right in scores.items() if not right]
        text = (
            f"wrong in {_listed(wrong)}" if wrong else f"told: {_listed(list(step.told.values()))}"
        )
        found.append(Check(text, not wrong))
    return found


def _check_medium(medium: Media, wanted: Medium) -> Check:
    found = measure(medium)
    wrong = [name for name, value in wanted.told.items() if found.get(name) != value]
    text = f"measured: {caption(found, medium.kind) if found else 'nothing it knows'}"
    return Check(text + (f", but asked for {wanted.caption}" if wrong else ""), not wrong)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def write_conversation(
    path: Path, turns: Sequence[Exchange], checked: Sequence[Sequence[Check]]
) -> Path:
    """Write the conversation as a page."""
    body = []
    for turn, found in zip(turns, checked, strict=True):
        body.append(bubble(turn.asked, [file.name for file in turn.files]))
        body.append(bubble(turn.reply, [file.name for file in turn.saved], found))
    lead = (
        "Every file here was read from disk and every answer made by the model, in one "
        "conversation. Under an answer stands what a measurement finds in it: colour by hue, "
        f"movement by tracking, sound by its spectrum. {summary(checked)}"
    )
    return write_page(path, TITLE, lead, body)


def summary(checked: Sequence[Sequence[Check]]) -> str:
    """How many measured answers are right, in a sentence."""
    flat = [check.right for found in checked for check in found]
    return f"{sum(flat)} of {len(flat)} measured answers are right."


SCRIPT = _script()
"""The conversation: every input and every output modality, alone and together."""
