"""The any-to-any matrix: conversations with known answers, run with a predictor and scored.

A task is a kind of conversation, a mixture of them, a frozen set of people's requests, or one of
files and pictures whose oracles measure more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from anymodal.config import suggest
from anymodal.evaluation.predictor import Predictor
from anymodal.evaluation.store import RecordStore
from anymodal.media import Media
from anymodal.toybox.gallery import write_gallery
from anymodal.toybox.grammar.dialogues import KINDS
from anymodal.toybox.matrix_report import MatrixResults, summarize
from anymodal.toybox.records import DialogueRecord, MediaPart, TurnRecord
from anymodal.toybox.tasks.base import MatrixSample, SampleKey
from anymodal.toybox.tasks.edits import MEASURED
from anymodal.toybox.tasks.frozen import FROZEN, set_samples
from anymodal.toybox.tasks.grammar import ANY, PARAPHRASE, GrammarSample
from anymodal.toybox.tasks.light import LIGHT, LightSample
from anymodal.types import Message

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

GROUPS: dict[str, tuple[str, ...]] = {
    "main": MAIN,
    "all": (*KINDS, ANY, PARAPHRASE),
    "light": LIGHT,
    "sets": (*FROZEN, *LIGHT, *MEASURED),
}
"""Names that stand for several tasks."""

SaveMedia = Callable[[Media, str], str]
"""Saves a media item under a name; its path comes back."""


@dataclass(frozen=True)
class MatrixPlan:
    """The conversations to run.

    Args:
        tasks: as `parse_tasks` names them.
        count: conversations of each task and split.
        seed: decides everything.
        splits: whether scenes are held out, one value per split.
        batch_size: conversations at once.
        varied: give the grammar's media as files of other formats, sizes, rates and lengths, with
            some noise.
        rows: about how many rows of each frozen set; None for all.
    """

    tasks: tuple[str, ...] = MAIN
    count: int = 100
    seed: int = 0
    splits: tuple[bool, ...] = (False,)
    batch_size: int = 16
    varied: bool = False
    rows: int | None = None

    def samples(self) -> list[MatrixSample]:
        """Every conversation, task by task."""
        return [sample for task in self.tasks for sample in self._samples(task)]

    def _samples(self, task: str) -> Sequence[MatrixSample]:
        if task in FROZEN:
            return set_samples(task, self.seed, self.splits, self.rows)
        places = [(unseen, index) for unseen in self.splits for index in range(self.count)]
        if task in LIGHT or task in MEASURED:
            kind = LightSample if task in LIGHT else MEASURED[task]
            return [kind(self.seed, task, *place) for place in places]
        return [GrammarSample(self.seed, task, *place, self.varied) for place in places]


def parse_tasks(text: str) -> tuple[str, ...]:
    """The tasks that a comma-separated text names, each alone or several by a name of `GROUPS`.

    Raises:
        ValueError: for a task that there isn't.
    """
    every = [*GROUPS["all"], *GROUPS["sets"]]
    names = [name.strip() for name in text.split(",")]
    tasks = tuple(dict.fromkeys(x for name in names for x in GROUPS.get(name, (name,))))
    for task in tasks:
        if task not in every:
            hint = suggest(task, [*every, *GROUPS])
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
    for turn in range(max(sample.turn_count for sample in samples)):
        active = [i for i, s in enumerate(samples) if turn < s.turn_count]
        for i in active:
            histories[i].append(samples[i].request(turn))
        seeds = [samples[i].reply_seed(turn) for i in active]
        replies = predictor([list(histories[i]) for i in active], seeds)
        for i, reply in zip(active, replies, strict=True):
            histories[i].append(reply)
            record = samples[i].score(turn, histories[i][-2], reply)
            if save is not None:
                name = f"{samples[i].name}-{turn}"
                _save_media(record["request"], histories[i][-2].media, save, f"{name}-user")
                _save_media(record["reply"], reply.media, save, f"{name}-reply")
            turns[i].append(record)
    return [
        {
            "line": sample.task,
            "kind": sample.kind,
            "unseen": sample.unseen,
            "index": sample.index,
            "from_input": sample.from_input,
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
