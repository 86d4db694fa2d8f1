"""The demo: a scripted conversation through every modality, with oracle scores of the replies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from anymodal.chat.html_report import Check, message_html, write_html_report
from anymodal.chat.transcript import Exchange
from anymodal.media import Media
from anymodal.toybox.demo_script import DemoStep
from anymodal.toybox.grammar.captions import caption
from anymodal.toybox.grammar.types import MediaItem
from anymodal.toybox.oracles.media import read_media
from anymodal.toybox.oracles.text import score_text
from anymodal.toybox.render import render_scene

TITLE = "A conversation with AnyModal"


def write_inputs(steps: Sequence[DemoStep], folder: Path, seed: int) -> list[list[Path]]:
    """Render the user's media into ordinary files; returns those of each step."""
    folder.mkdir(parents=True, exist_ok=True)
    files: list[list[Path]] = []
    for index, step in enumerate(steps):
        files.append([])
        for item in step.inputs:
            media = render_scene(item.scene, item.modality, np.random.default_rng([seed, index]))
            name = f"{index + 1:02d}-{item.modality}{media.suffix}"
            files[-1].append(media.save(folder / name))
    return files


def check_reply(step: DemoStep, exchange: Exchange) -> list[Check]:
    """Score a reply: each media item by the oracle of its kind, words where they are not free."""
    media = exchange.reply.media
    kinds = [item.kind for item in media]
    expected_kinds = [item.modality for item in step.expected_media]
    if kinds != expected_kinds:
        return [Check(f"asked for {_join_names(expected_kinds)}, got {_join_names(kinds)}", False)]
    checks = [_check_item(*pair) for pair in zip(media, step.expected_media, strict=True)]
    if step.expected_attributes is not None:
        scores = score_text(exchange.reply.text, step.expected_attributes)
        wrong = [name for name, right in scores.items() if not right]
        values = _join_names(list(step.expected_attributes.values()))
        checks.append(
            Check(f"wrong in {_join_names(wrong)}" if wrong else f"told: {values}", not wrong)
        )
    return checks


def _check_item(media: Media, expected: MediaItem) -> Check:
    attributes = read_media(media)
    wrong = [n for n, value in expected.attributes.items() if attributes.get(n) != value]
    text = f"measured: {caption(attributes, media.kind) if attributes else 'nothing it knows'}"
    return Check(text + (f", but asked for {expected.caption}" if wrong else ""), not wrong)


def _join_names(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def write_conversation(
    path: Path, exchanges: Sequence[Exchange], checks: Sequence[Sequence[Check]]
) -> Path:
    """Write the conversation as an HTML report, with the checks of each reply."""
    body = []
    for exchange, each in zip(exchanges, checks, strict=True):
        body.append(message_html(exchange.question, [file.name for file in exchange.files]))
        body.append(
            message_html(exchange.reply, [file.name for file in exchange.reply_files], each)
        )
    lead = (
        "Every file here was read from disk and every answer made by the model, in one "
        "conversation. Under an answer stands what a measurement finds in it: colour by hue, "
        f"movement by tracking, sound by its spectrum. {accuracy_sentence(checks)}"
    )
    return write_html_report(path, TITLE, lead, body)


def accuracy_sentence(checks: Sequence[Sequence[Check]]) -> str:
    """The number of right answers among those that were measured, in a sentence."""
    right = [bool(check.right) for each in checks for check in each]
    return f"{sum(right)} of {len(right)} measured answers are right."
