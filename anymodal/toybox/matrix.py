"""The any-to-any matrix: conversations with known answers, run with a predictor and scored.

A task is a kind of conversation, or a mixture of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from tqdm import tqdm

from anymodal.config import suggest
from anymodal.evaluation.predictor import Predictor
from anymodal.evaluation.store import RecordStore
from anymodal.media import Media
from anymodal.toybox.gallery import write_gallery
from anymodal.toybox.grammar.dialogues import KINDS, sample_dialogue
from anymodal.toybox.grammar.types import DialogueTurn, MediaItem, ReferenceDialogue
from anymodal.toybox.matrix_report import MatrixResults, summarize
from anymodal.toybox.paraphrases import sample_paraphrase
from anymodal.toybox.records import DialogueRecord, MediaPart, TurnRecord
from anymodal.toybox.render import render_scene
from anymodal.toybox.scoring import chance_level, read_attributes, score_reply
from anymodal.toybox.variations import render_varied
from anymodal.types import Message

ANY = "any"
"""The task of all kinds of conversation, by the grammar's weights."""

PARAPHRASE = "paraphrase"
"""The task of requests in words that the grammar doesn't have."""

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
"""The tasks that "main" stands for: text to each modality and back, and a mixture."""

SampleKey = tuple[str, bool, int]
"""Task, split and index of a sample, unique within a plan."""

SaveMedia = Callable[[Media, str], str]
"""Saves a media item under a name; its path comes back."""


@dataclass(frozen=True)
class MatrixSample:
    """One conversation of the matrix; seed, task, split and index decide everything in it."""

    seed: int
    task: str
    unseen: bool
    index: int
    varied: bool = False

    @property
    def key(self) -> SampleKey:
        """Task, split and index."""
        return self.task, self.unseen, self.index

    @property
    def name(self) -> str:
        """The stem of its files' names."""
        split = "unseen" if self.unseen else "seen"
        return f"{self.task.replace('>', '-to-').replace(':', '-')}-{split}-{self.index:03d}"

    @property
    def entropy(self) -> list[int]:
        """The entropy of its random numbers, without its format: varied media show the same."""
        return [self.seed, self.index, int(self.unseen), *self.task.encode()]

    @cached_property
    def dialogue(self) -> ReferenceDialogue:
        """The conversation, with its answers."""
        rng = np.random.default_rng([*self.entropy, 0])
        if self.task == PARAPHRASE:
            return sample_paraphrase(rng, unseen=self.unseen)
        kind = None if self.task == ANY else self.task
        return sample_dialogue(rng, kind=kind, unseen=self.unseen)

    def reply_seed(self, turn: int) -> int:
        """The seed of the reply of one turn."""
        state = np.random.SeedSequence([*self.entropy, 1, turn]).generate_state(1)
        return int(state[0]) >> 1  # seeds of torch and of sessions have a sign

    def request(self, turn: int) -> Message:
        """The user's message of one turn, its media rendered."""
        rng = np.random.default_rng([*self.entropy, 2, turn])
        renderer = render_varied if self.varied else render_scene
        return Message(
            "user",
            [
                renderer(part.scene, part.modality, rng) if isinstance(part, MediaItem) else part
                for part in self.dialogue.turns[2 * turn].parts
            ],
        )


@dataclass(frozen=True)
class MatrixPlan:
    """The conversations to run.

    Args:
        tasks: kinds of conversation, `ANY` or `PARAPHRASE`.
        count: conversations of each task and split.
        seed: decides everything.
        splits: whether scenes are held out, one value per split.
        batch_size: conversations at once.
        varied: give media as files of other formats, sizes, rates and lengths, with some noise.
    """

    tasks: tuple[str, ...] = MAIN
    count: int = 100
    seed: int = 0
    splits: tuple[bool, ...] = (False,)
    batch_size: int = 16
    varied: bool = False

    def samples(self) -> list[MatrixSample]:
        """Every conversation, task by task."""
        return [
            MatrixSample(self.seed, task, unseen, index, self.varied)
            for task in self.tasks
            for unseen in self.splits
            for index in range(self.count)
        ]


def parse_tasks(text: str) -> tuple[str, ...]:
    """The tasks that a comma-separated text names: "main" for some, "all" for every one.

    Raises:
        ValueError: for a task that there isn't.
    """
    every = [*KINDS, ANY, PARAPHRASE]
    groups: dict[str, Sequence[str]] = {"main": MAIN, "all": every}
    names = [name.strip() for name in text.split(",")]
    tasks = tuple(dict.fromkeys(x for name in names for x in groups.get(name, [name])))
    for task in tasks:
        if task not in every:
            hint = suggest(task, [*every, *groups])
            raise ValueError(f"no kind of conversation is called {task!r}{hint}")
    return tasks


def evaluate_matrix(
    predictor: Predictor, plan: MatrixPlan, out: Path | None = None, *, name: str = ""
) -> MatrixResults:
    """Run the conversations of a plan, score them, and sum up.

    Args:
        predictor: replies to the conversations.
        plan: the conversations.
        out: folder of samples and their media, written as they come, and of a gallery of them;
            samples that it holds already are not run again.
        name: of the predictor, for the results.

    Raises:
        ValueError: if the folder holds samples of another predictor or seed.
    """
    samples = {sample.key: sample for sample in plan.samples()}
    head = {"answerer": predictor.metadata(), "seed": plan.seed, "varied": plan.varied}
    store = RecordStore[DialogueRecord](out, head, _key) if out is not None else None
    records_on_disk = store.records if store else {}
    records = {key: records_on_disk[key] for key in samples if key in records_on_disk}
    remaining = [sample for key, sample in samples.items() if key not in records]
    with tqdm(total=len(samples), initial=len(records), unit="talk") as bar:
        for start in range(0, len(remaining), plan.batch_size):
            batch = remaining[start : start + plan.batch_size]
            bar.set_description(batch[0].task)
            results = run_dialogues(predictor, batch, store.save_medium if store else None)
            for sample, record in zip(batch, results, strict=True):
                records[sample.key] = record
                if store is not None:
                    store.add(record)
            bar.update(len(batch))
    # In the plan's order, whatever order they were run in.
    all_records = [records[key] for key in samples]
    summary: MatrixResults = {
        "model": name,
        "lines": plan.tasks,
        "count": plan.count,
        "seed": plan.seed,
        "batch_size": plan.batch_size,
        "varied": plan.varied,
        **summarize(all_records),
    }
    if out is not None:
        write_gallery(out, summary, all_records)
    return summary


def _key(record: DialogueRecord) -> SampleKey:
    """The key of a record's sample."""
    return record["line"], record["unseen"], record["index"]


def run_dialogues(
    predictor: Predictor, samples: Sequence[MatrixSample], save: SaveMedia | None = None
) -> list[DialogueRecord]:
    """Run several conversations at once, turn by turn; their history has the predictor's replies.

    Args:
        predictor: replies to the conversations.
        samples: the conversations.
        save: saves their media; None to drop them.

    Returns:
        A record of each: requests, replies, attributes read, and scores.
    """
    histories: list[list[Message]] = [[] for _ in samples]
    turns: list[list[TurnRecord]] = [[] for _ in samples]
    for turn in range(max(len(sample.dialogue.answers) for sample in samples)):
        active = [i for i, s in enumerate(samples) if turn < len(s.dialogue.answers)]
        for i in active:
            histories[i].append(samples[i].request(turn))
        seeds = [samples[i].reply_seed(turn) for i in active]
        replies = predictor([list(histories[i]) for i in active], seeds)
        for i, reply in zip(active, replies, strict=True):
            histories[i].append(reply)
            record = _score_turn(samples[i].dialogue, turn, reply)
            if save is not None:
                name = f"{samples[i].name}-{turn}"
                _save_media(record["request"], histories[i][-2].media, save, f"{name}-user")
                _save_media(record["reply"], reply.media, save, f"{name}-reply")
            turns[i].append(record)
    return [
        {
            "line": sample.task,
            "kind": sample.dialogue.kind,
            "unseen": sample.unseen,
            "index": sample.index,
            "from_input": sample.dialogue.from_input,
            "turns": records,
        }
        for sample, records in zip(samples, turns, strict=True)
    ]


def _save_media(
    parts: Sequence[str | MediaPart], media: Sequence[Media], save: SaveMedia, name: str
) -> None:
    """Save the media of a message, and write their paths into its record."""
    places = [part for part in parts if not isinstance(part, str)]
    for number, (part, item) in enumerate(zip(places, media, strict=True)):
        part["path"] = save(item, f"{name}-{number}")


def _score_turn(dialogue: ReferenceDialogue, turn: int, reply: Message) -> TurnRecord:
    """Score the reply of one turn; its record comes back."""
    request, reference = dialogue.turns[2 * turn : 2 * turn + 2]
    kinds = [item.modality for item in reference.media]
    expected = dialogue.answers[turn]
    modalities = kinds or ["text"] * len(expected)
    contents = _match(modalities, reply)
    return {
        "request": _describe_parts(request),
        "reply": [
            part if isinstance(part, str) else {"kind": getattr(part, "kind", "")}
            for part in reply.content
        ],
        "wanted": expected,
        "read": [read_attributes(*pair) for pair in zip(modalities, contents, strict=True)],
        "right": [score_reply(*each) for each in zip(modalities, contents, expected, strict=True)],
        "chance": [{name: chance_level(name, each) for name in each} for each in expected],
        "media": {"asked": kinds, "given": [item.kind for item in reply.media]},
    }


def _match(modalities: Sequence[str], reply: Message) -> list[str | Media | None]:
    """The reply's content for each expected modality: its next item of that kind, or its text."""
    items: dict[str, Iterator[Media]] = {
        name: iter([item for item in reply.media if item.kind == name]) for name in modalities
    }
    return [reply.text if name == "text" else next(items[name], None) for name in modalities]


def _describe_parts(turn: DialogueTurn) -> list[str | MediaPart]:
    return [
        part if isinstance(part, str) else {"kind": part.modality, "caption": part.caption}
        for part in turn.parts
    ]
