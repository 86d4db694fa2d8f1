"""The time to the first token of an answer, at later and later turns of a conversation with media.

Every turn gives a new picture and asks what it is. Three ways of holding the same conversation: a
session that is shown all turns, one of a model with a memory, and, to compare, chatting without
what a session keeps.

    OMP_NUM_THREADS=1 python benchmarks/first_token.py
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import measure
import numpy as np
from measure import Elapsed, Watch

from anymodal import AnyModal, Message
from anymodal.chat.session import Session
from anymodal.io.results import markdown_table
from anymodal.media import Media
from anymodal.toybox.render import render_scene
from anymodal.toybox.scene import Scene
from anymodal.types import Done, Event, TextDelta

TABLE_TURNS = (1, 5, 10, 20)
QUESTION = "what is this?"


def pictures(seed: int, turns: int) -> list[Media]:
    """A picture for each turn, no two alike."""
    scenes = [
        Scene("duck", "orange", "big", "still", "slow"),
        Scene("ball", "blue", "small", "still", "slow"),
    ]
    return [
        render_scene(scenes[turn % 2], "image", np.random.default_rng([seed, turn]))
        for turn in range(turns)
    ]


def first_of(events: Iterator[Event]) -> tuple[Elapsed, Message]:
    """The time to the first piece of text, and the whole reply."""
    watch, first = Watch(), None
    for event in events:
        if isinstance(event, TextDelta) and first is None:
            first = watch.elapsed()
        if isinstance(event, Done) and first is not None:
            return first, event.message
    raise AssertionError("every answer here begins with text")


def with_session(
    model: AnyModal, files: list[Path], out: Path, memory: int | None
) -> list[Elapsed]:
    """Times to the first token of each turn of a session."""
    history_turns, model.history_turns = model.history_turns, memory
    session, times = Session(model, out, 0), []
    for file in files:
        session.attach(file)
        times.append(first_of(session.ask(QUESTION))[0])
    model.history_turns = history_turns
    return times


def without(model: AnyModal, media: list[Media], turn_numbers: tuple[int, ...]) -> list[Elapsed]:
    """Times to the first token of some turns, with everything before computed again."""
    talk, times = [], []
    for turn, medium in enumerate(media, 1):
        talk.append(Message("user", [medium, QUESTION]))
        if turn in turn_numbers:
            times.append(first_of(model.stream(talk, seed=0))[0])
        talk.append(Message("assistant", ["This is a duck, orange and big."]))
    return times


def main() -> None:
    """Hold conversations, and write the table."""
    parser = measure.arguments(__doc__)
    parser.add_argument("--runs", type=int, default=9, help="default: %(default)s")
    parser.add_argument("--model", default="nano", help="default: %(default)s")
    parser.add_argument("--memory", type=int, default=6, help="default: %(default)s turns")
    parser.add_argument("--turns", type=int, default=max(TABLE_TURNS), help="default: %(default)s")
    args = parser.parse_args()
    turn_numbers = tuple(turn for turn in TABLE_TURNS if turn <= args.turns)
    model = AnyModal.from_pretrained(args.model)
    every: list[list[Elapsed]] = []
    some: list[list[Elapsed]] = []
    afresh: list[list[Elapsed]] = []
    with tempfile.TemporaryDirectory() as folder:
        for run in range(-1, args.runs):  # the first one warms up
            media = pictures(run + 1, args.turns)
            files = [m.save(Path(folder) / f"{run}-{turn}.png") for turn, m in enumerate(media)]
            out = Path(folder) / "out"
            for kind in ("all", "memory") if run % 2 else ("memory", "all"):
                memory = args.memory if kind == "memory" else None
                times = with_session(model, files, out, memory)
                if run >= 0:
                    (some if memory else every).append(times)
            if run >= 0:
                afresh.append(without(model, media, turn_numbers))
    body = report(turn_numbers, every, some, afresh, args.memory)
    measure.write_section("first_token", body, args.page)


def report(
    turn_numbers: tuple[int, ...],
    every: list[list[Elapsed]],
    some: list[list[Elapsed]],
    afresh: list[list[Elapsed]],
    memory: int,
) -> str:
    """The tables."""
    header = ["turn", "session ms", "to turn 1", f"memory of {memory} turns ms", "to turn 1",
              "nothing kept ms", "to turn 1"]  # fmt: skip
    rows = []
    for place, turn in enumerate(turn_numbers):
        row = [str(turn)]
        for runs, at in ((every, turn - 1), (some, turn - 1), (afresh, place)):
            times, firsts = [run[at] for run in runs], [run[0] for run in runs]
            row += [measure.milliseconds(times), measure.ratio(times, firsts)]
        rows.append(row)
    # Turns in which a memory drops old ones, and so moves all positions.
    step, turns = max(1, memory // 2), range(memory + 2, len(every[0]) + 1)
    drops = [turn for turn in turns if (turn - memory - 2) % step == 0]
    later = [turn for turn in turns if turn not in drops]
    ratios = [
        measure.ratio(
            [run[t - 1] for run in some for t in those], [run[0] for run in some for _ in those]
        )
        for those in (drops, later)
    ]
    text = (
        f"Of the turns after the memory is full, {', '.join(map(str, drops))} drop some of those "
        f"before. Such a turn takes {ratios[0]} of turn 1, the others {ratios[1]}."
    )
    return f"{markdown_table(header, rows)}\n\n{text}"


if __name__ == "__main__":
    main()
