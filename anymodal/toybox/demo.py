"""A scripted conversation about the Toybox through every modality, measured as it goes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from anymodal.chat.html_report import Check, message_html, write_html_report
from anymodal.chat.session import Exchange
from anymodal.media import Media
from anymodal.toybox.demo_script import SCRIPT as SCRIPT
from anymodal.toybox.demo_script import Step
from anymodal.toybox.grammar.captions import caption
from anymodal.toybox.grammar.types import MediaItem
from anymodal.toybox.oracles.media import read_media
from anymodal.toybox.oracles.text import score_text
from anymodal.toybox.render import render

TITLE = "A conversation with AnyModal"


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


def _check_medium(medium: Media, wanted: MediaItem) -> Check:
    found = read_media(medium)
    wrong = [name for name, value in wanted.attributes.items() if found.get(name) != value]
    text = f"measured: {caption(found, medium.kind) if found else 'nothing it knows'}"
    return Check(text + (f", but asked for {wanted.caption}" if wrong else ""), not wrong)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def write_conversation(
    path: Path, turns: Sequence[Exchange], checked: Sequence[Sequence[Check]]
) -> Path:
    """Write the conversation as an HTML report."""
    body = []
    for turn, found in zip(turns, checked, strict=True):
        body.append(message_html(turn.question, [file.name for file in turn.files]))
        body.append(message_html(turn.reply, [file.name for file in turn.reply_files], found))
    lead = (
        "Every file here was read from disk and every answer made by the model, in one "
        "conversation. Under an answer stands what a measurement finds in it: colour by hue, "
        f"movement by tracking, sound by its spectrum. {summary(checked)}"
    )
    return write_html_report(path, TITLE, lead, body)


def summary(checked: Sequence[Sequence[Check]]) -> str:
    """How many measured answers are right, in a sentence."""
    flat = [check.right for found in checked for check in found]
    return f"{sum(flat)} of {len(flat)} measured answers are right."
