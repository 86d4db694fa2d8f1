"""The any-to-any matrix: conversations whose answers are known, held with a model and judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from anymodal.config import suggest
from anymodal.evaluation.predictor import Predictor
from anymodal.evaluation.store import Store
from anymodal.media import Media
from anymodal.toybox.gallery import write_gallery
from anymodal.toybox.grammar.dialogues import KINDS, sample_dialogue
from anymodal.toybox.grammar.types import Dialogue, DialogueTurn, MediaItem
from anymodal.toybox.matrix_report import MatrixResults, summarize
from anymodal.toybox.paraphrases import sample_paraphrase
from anymodal.toybox.render import render
from anymodal.toybox.scoring import chance, judge, score_reply
from anymodal.toybox.variations import render_varied
from anymodal.types import Message

ANY = "any"
"""A line of all kinds of conversation, as often as the grammar has them."""

PARAPHRASE = "paraphrase"
"""A line of requests in words that the grammar doesn't have."""

MAIN = (
    "text>image",
    "text>audio",
    "text>video",
    "image>text",
    "audio>text",
    "video>text",
    "imu>text",
    ANY,
)
"""The lines that "main" stands for: words to each medium and back, and a mixture."""


@dataclass(frozen=True)
class Sample:
    """One conversation of the matrix; the seed, line, split and index decide everything in it."""

    seed: int
    line: str
    unseen: bool
    index: int
    varied: bool = False

    @property
    def key(self) -> tuple[str, bool, int]:
        """What tells it from the others of its plan."""
        return self.line, self.unseen, self.index

    @property
    def name(self) -> str:
        """What its files are named by."""
        split = "unseen" if self.unseen else "seen"
        return f"{self.line.replace('>', '-to-').replace(':', '-')}-{split}-{self.index:03d}"

    @property
    def entropy(self) -> list[int]:
        """The entropy of its random numbers."""
        return [self.seed, self.index, int(self.unseen), *self.line.encode()]

    @cached_property
    def dialogue(self) -> Dialogue:
        """The conversation, with its answers."""
        rng = np.random.default_rng([*self.entropy, 0])
        if self.line == PARAPHRASE:
            return sample_paraphrase(rng, unseen=self.unseen)
        kind = None if self.line == ANY else self.line
        return sample_dialogue(rng, kind=kind, unseen=self.unseen)

    def reply_seed(self, turn: int) -> int:
        """The seed of the reply of one turn."""
        state = np.random.SeedSequence([*self.entropy, 1, turn]).generate_state(1)
        return int(state[0]) >> 1

    def user(self, turn: int) -> Message:
        """What the user says and shows, rendered."""
        rng = np.random.default_rng([*self.entropy, 2, turn])
        parts = self.dialogue.turns[2 * turn].parts
        show = render_varied if self.varied else render
        return Message(
            "user",
            [show(p.scene, p.modality, rng) if isinstance(p, MediaItem) else p for p in parts],
        )


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Args:
        lines: kinds of conversation, or `ANY`.
        count: conversations on each line.
        seed: decides everything.
        splits: whether scenes are held out, one value per split.
        batch_size: conversations held at once.
        varied: give media as files of other formats, sizes, rates and lengths, with some noise.
    """

    lines: tuple[str, ...] = MAIN
    count: int = 100
    seed: int = 0
    splits: tuple[bool, ...] = (False,)
    batch_size: int = 16
    varied: bool = False

    def samples(self) -> list[Sample]:
        """Every conversation, line by line."""
        return [
            Sample(self.seed, line, unseen, index, self.varied)
            for line in self.lines
            for unseen in self.splits
            for index in range(self.count)
        ]


def choose_lines(given: str) -> tuple[str, ...]:
    """The lines that a comma-separated text names: "main" for some, "all" for every line there is.

    Raises:
        ValueError: for a kind that there isn't.
    """
    known = [*KINDS, ANY, PARAPHRASE]
    groups: dict[str, Sequence[str]] = {"main": MAIN, "all": known}
    names = [name.strip() for name in given.split(",")]
    lines = tuple(dict.fromkeys(x for name in names for x in groups.get(name, [name])))
    for line in lines:
        if line not in known:
            hint = suggest(line, [*known, *groups])
            raise ValueError(f"no kind of conversation is called {line!r}{hint}")
    return lines


def evaluate(
    predictor: Predictor, plan: Plan, out: Path | None = None, *, name: str = ""
) -> MatrixResults:
    """Hold the conversations of a plan, judge them, and sum up.

    Args:
        predictor: who answers.
        plan: what to measure.
        out: where samples and their media are kept as they come, with a gallery to look at them;
            those kept already are not held again.
        name: of the predictor, for the results.

    Raises:
        ValueError: if the folder holds samples of another predictor or seed.
    """
    wanted = {sample.key: sample for sample in plan.samples()}
    head = {"answerer": predictor.identity(), "seed": plan.seed, "varied": plan.varied}
    store = Store(out, head, _key) if out is not None else None
    records = {key: r for key, r in (store.records if store else {}).items() if key in wanted}
    left = [sample for key, sample in wanted.items() if key not in records]
    with tqdm(total=len(wanted), initial=len(records), unit="talk") as bar:
        for start in range(0, len(left), plan.batch_size):
            some = left[start : start + plan.batch_size]
            bar.set_description(some[0].line)
            held = hold(predictor, some, store.save_medium if store else None)
            for sample, record in zip(some, held, strict=True):
                records[sample.key] = record
                if store is not None:
                    store.add(record)
            bar.update(len(some))
    found = [records[key] for key in wanted]
    results: MatrixResults = {
        "model": name,
        "lines": plan.lines,
        "count": plan.count,
        "seed": plan.seed,
        "batch_size": plan.batch_size,
        "varied": plan.varied,
        **summarize(found),
    }
    if out is not None:
        write_gallery(out, results, found)
    return results


def _key(record: Mapping[str, Any]) -> tuple[str, bool, int]:
    """The key of a record's sample."""
    return record["line"], record["unseen"], record["index"]


Keep = Callable[[Media, str], str]
"""Keeps a medium under a name; the path to find it by comes back."""


def hold(
    predictor: Predictor, samples: Sequence[Sample], keep: Keep | None = None
) -> list[dict[str, Any]]:
    """Hold several conversations at once, turn by turn; the history is the predictor's own.

    Args:
        predictor: who answers.
        samples: what is asked.
        keep: where media go; None to let them go.

    Returns:
        For each a record, ready for JSON, of requests, replies, readings and scores.
    """
    histories: list[list[Message]] = [[] for _ in samples]
    turns: list[list[dict[str, Any]]] = [[] for _ in samples]
    for turn in range(max(len(sample.dialogue.answers) for sample in samples)):
        active = [i for i, s in enumerate(samples) if turn < len(s.dialogue.answers)]
        for i in active:
            histories[i].append(samples[i].user(turn))
        seeds = [samples[i].reply_seed(turn) for i in active]
        answers = predictor([list(histories[i]) for i in active], seeds)
        for i, answer in zip(active, answers, strict=True):
            histories[i].append(answer)
            judged = _judged(samples[i].dialogue, turn, answer)
            if keep is not None:
                name = f"{samples[i].name}-{turn}"
                _keep(judged["request"], histories[i][-2].media, keep, f"{name}-user")
                _keep(judged["reply"], answer.media, keep, f"{name}-reply")
            turns[i].append(judged)
    return [
        {
            "line": sample.line,
            "kind": sample.dialogue.kind,
            "unseen": sample.unseen,
            "index": sample.index,
            "from_input": sample.dialogue.from_input,
            "turns": judged,
        }
        for sample, judged in zip(samples, turns, strict=True)
    ]


def _keep(parts: Sequence[Any], media: Sequence[Media], keep: Keep, name: str) -> None:
    """Keep the media of a message, and write their paths into its record."""
    places = [part for part in parts if isinstance(part, dict)]
    for number, (part, medium) in enumerate(zip(places, media, strict=True)):
        part["path"] = keep(medium, f"{name}-{number}")


def _judged(dialogue: Dialogue, turn: int, answer: Message) -> dict[str, Any]:
    """The record of one turn."""
    request, reference = dialogue.turns[2 * turn : 2 * turn + 2]
    asked = [medium.modality for medium in reference.media]
    given = [medium.kind for medium in answer.media]
    wanted = dialogue.answers[turn]
    modalities = asked or ["text"] * len(wanted)
    made = _matched(modalities, answer)
    marks = [score_reply(*each) for each in zip(modalities, made, wanted, strict=True)]
    return {
        "request": _written(request),
        "reply": [
            part if isinstance(part, str) else {"kind": getattr(part, "kind", "")}
            for part in answer.content
        ],
        "wanted": wanted,
        "read": [judge(*each) for each in zip(modalities, made, strict=True)],
        "right": marks,
        "chance": [{name: chance(name, told) for name in told} for told in wanted],
        "media": {"asked": asked, "given": given},
    }


def _matched(modalities: Sequence[str], message: Message) -> list[str | Media | None]:
    """What a reply holds for each wanted modality: its next medium of that kind, or its text."""
    found: dict[str, Iterator[Media]] = {
        name: iter([m for m in message.media if m.kind == name]) for name in modalities
    }
    return [message.text if name == "text" else next(found[name], None) for name in modalities]


def _written(turn: DialogueTurn) -> list[str | dict[str, str]]:
    return [
        part if isinstance(part, str) else {"kind": part.modality, "caption": part.caption}
        for part in turn.parts
    ]
