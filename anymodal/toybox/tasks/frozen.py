"""Tasks of the frozen measuring sets: people's own requests, conversations and questions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from anymodal.toybox.frozen_sets import SETS, SetRow, load_set
from anymodal.toybox.grammar.captions import caption
from anymodal.toybox.records import TurnRecord
from anymodal.toybox.render import render_scene
from anymodal.toybox.scene import VALUES, Scene, is_held_out
from anymodal.toybox.tasks.base import MatrixSample, ReplyExpectation
from anymodal.types import Message

PREFIX = "set:"
"""The beginning of the tasks' names; the grammar has kinds of conversation with a set's name."""

FROZEN = tuple(PREFIX + name for name in SETS)
"""The tasks."""


@dataclass(frozen=True)
class SetSample(MatrixSample):
    """A row of a frozen set; its index is that of the row, whatever the split."""

    @property
    def row(self) -> SetRow:
        """The row."""
        return load_set(self.task.removeprefix(PREFIX))[self.index]

    @property
    def name(self) -> str:
        """The row's name, and the stem of its files' names."""
        return self.row["id"]

    @property
    def kind(self) -> str:
        """The row's name, to find it again."""
        return self.row["id"]

    @property
    def turn_count(self) -> int:
        """The number of requests."""
        return len(self.row["turns"])

    @property
    def modalities(self) -> tuple[set[str], set[str]]:
        """The modalities that its requests show, and those that its replies must hold."""
        turns = self.row["turns"]
        return (
            {item["modality"] for turn in turns for item in turn["attach"]},
            {item["modality"] for turn in turns for item in turn["expected"].get("media", ())},
        )

    def request(self, turn: int) -> Message:
        """The user's message of one turn; what its media leave open is drawn by the row's name."""
        fields = self.row["turns"][turn]
        rng = np.random.default_rng([turn, *self.row["id"].encode()])
        media = [
            render_scene(_fill_scene(item, rng), item["modality"], rng) for item in fields["attach"]
        ]
        return Message("user", [*media, fields["text"]])

    def score(self, turn: int, request: Message, reply: Message) -> TurnRecord:
        """Score the reply of one turn by what the row expects; its record comes back."""
        fields = self.row["turns"][turn]
        expected = fields["expected"]
        media = expected.get("media", [])
        expectation = ReplyExpectation(
            kinds=tuple(item["modality"] for item in media),
            attributes=tuple(map(_attributes, media)),
            says=tuple(expected.get("says", ())),
            says_any=tuple(expected.get("says_any", ())),
            refuses=expected.get("refuses"),
        )
        captions = [caption(_attributes(item), item["modality"]) for item in fields["attach"]]
        return {**expectation.score(request, captions, reply), "kind": fields["kind"]}


def _attributes(item: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in item.items() if name != "modality"}


def _fill_scene(item: Mapping[str, str], rng: np.random.Generator) -> Scene:
    """A scene with an item's attributes, of any split, and random ones for the rest."""
    return Scene(**{name: item.get(name) or str(rng.choice(VALUES[name])) for name in VALUES})


def _is_unseen(row: SetRow) -> bool:
    """Whether a row has a pair of values that is held out from training."""
    items = [
        item
        for turn in row["turns"]
        for item in (*turn["attach"], *turn["expected"].get("media", ()))
    ]
    return any(
        is_held_out(item["thing"], item.get("color"), item.get("motion"))
        for item in items
        if "thing" in item
    )


def set_samples(
    task: str, seed: int, splits: tuple[bool, ...], count: int | None = None
) -> list[SetSample]:
    """The rows of a set.

    Args:
        task: of `FROZEN`.
        seed: of the replies.
        splits: whether rows with held-out pairs of values are in it, one value per split.
        count: about how many rows, evenly spread over the set, with every way to type each; None
            for all.
    """
    # Rows of one number are one request, typed in several ways.
    groups: dict[str, list[SetSample]] = defaultdict(list)
    for index, row in enumerate(load_set(task.removeprefix(PREFIX))):
        unseen = _is_unseen(row)
        if unseen in splits:
            groups[row["id"].split("-")[1]].append(SetSample(seed, task, unseen, index))
    numbers = list(groups)
    if count is not None and count < len(numbers):
        places = np.linspace(0, len(numbers) - 1, count).round().astype(int)
        numbers = [numbers[place] for place in dict.fromkeys(places.tolist())]
    return [sample for number in numbers for sample in groups[number]]
