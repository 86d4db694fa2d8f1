"""Prompts about scenes of the Toybox, and its oracles as a scorer of replies to them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from anymodal.metrics.samples import EvaluationSample, SampleFile, SampleMessage
from anymodal.tools.pairs.scorers import ClaimScorer, ReplyScore, Scored, Scorer
from anymodal.toybox.grammar.captions import caption
from anymodal.toybox.oracles.text import read_text, score_text
from anymodal.toybox.render import render_scene
from anymodal.toybox.scene import THINGS, sample_scene
from anymodal.toybox.scoring import read_attributes, score
from anymodal.types import Message


def scene_prompts(
    folder: str | Path,
    modality: str,
    count: int,
    seed: int = 0,
    unseen: bool = False,
    make: bool = False,
    question: str | None = None,
) -> list[EvaluationSample]:
    """Prompts that show media of random scenes, or ask for them.

    Args:
        folder: for the media that are shown; made if it isn't there.
        modality: of the media.
        count: of prompts.
        seed: of the scenes.
        unseen: take held-out scenes instead of training ones.
        make: ask for the media instead of showing them.
        question: beside a medium, or before a caption; None for "What is this?" and "Show me".
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return [
        _prompt(folder, modality, np.random.default_rng((seed, index, 9)), index, unseen, make,
                question)
        for index in range(count)
    ]  # fmt: skip


def _prompt(
    folder: Path,
    modality: str,
    rng: np.random.Generator,
    index: int,
    unseen: bool,
    make: bool,
    question: str | None,
) -> EvaluationSample:
    scene = sample_scene(rng, unseen=unseen)
    text = caption(scene.observable(modality), modality)
    name = f"{'unseen' if unseen else 'seen'}-{modality}-{index}"
    if make:
        asked = SampleMessage("user", (f"{question or 'Show me'} {text}",))
        return EvaluationSample(name, (asked,), caption=text)
    path = render_scene(scene, modality, rng).save(folder / name)
    shown = SampleFile(path, path.name, {"kind": modality})
    asked = SampleMessage("user", (shown, question or "What is this?"))
    return EvaluationSample(name, (asked,), references=(text,))


class AttributeClaimScorer(ClaimScorer):
    """Claims of a reply about a scene: each attribute that it states, asked about by itself."""

    def claims_of(self, replies: Sequence[Scored]) -> list[list[str]]:
        return [[*map(attribute_question, read_text(reply.text).values())] for _, reply in replies]


def attribute_question(value: str) -> str:
    """The question whether a scene has a value of an attribute."""
    return f"Is it a {value}?" if value in THINGS else f"Is it {value}?"


class OracleScorer(Scorer):
    """Minus the number of a reply's wrong attributes, by the Toybox's oracles.

    What is expected stands in the prompt's `caption`, of which a medium is to be made, or else in
    its first reference, whose attributes the text is to state, and no others.
    """

    def metadata(self) -> str:
        return type(self).__name__

    def score(self, replies: Sequence[Scored]) -> list[ReplyScore]:
        return [self._score(sample, reply) for sample, reply in replies]

    def _score(self, sample: EvaluationSample, reply: Message) -> ReplyScore:
        if sample.caption:
            medium = next(iter(reply.media), None)
            expected = read_text(sample.caption)
            kind = "" if medium is None else medium.kind
            right = score(read_attributes(kind, medium), expected)
        elif sample.references:
            right = score_text(reply.text, read_text(sample.references[0]))
        else:
            return ReplyScore(None, {"error": "the prompt has neither a caption nor a reference"})
        return ReplyScore(-float(sum(not each for each in right.values())), {"right": right})
