"""When did it happen? Activities in one-minute recordings, with their beginnings and ends.

    python examples/activity/when.py

The model is asked what the person is doing in each window of a minute, in steps of `--hop` seconds,
among all activities. The likeliest path through its probabilities (Viterbi, by a cost of each
change) gives intervals. Beside it the encoder's linear head slides in the same way. An interval is
right if it overlaps one of the same activity by more than half of both together (IoU of 0.5).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from evaluate import Scorer, head_scorer, model_scorer
from hapt import LABELS, recordings
from numpy.typing import NDArray

from anymodal.data.decoded import Recording
from anymodal.data.label_columns import column_intervals
from anymodal.data.windows import Interval

MINUTE, SECONDS = 60.0, 2.56


def timeline(
    score: Scorer,
    recording: Recording,
    start: float,
    hop: float,
    change: float,
    seconds: float = MINUTE,
) -> list[Interval]:
    """The activities of the minute from `start` on, one after the other.

    Args:
        score: probabilities of activities for windows.
        recording: a long one.
        start: second of its begin.
        hop: seconds between windows, each of which tells of its middle.
        change: cost of a change of activity, in nats.
        seconds: of a minute.
    """
    starts = np.arange(start, start + seconds - SECONDS + 1e-6, hop)
    media = [recording.cut(float(each), SECONDS) for each in starts]
    path = likeliest_path(np.log(score(media, LABELS) + 1e-6), change)
    edges = [start, *(starts[1:] + (SECONDS - hop) / 2), start + seconds]
    intervals: list[Interval] = []
    for (begin, end), place in zip(pairwise(edges), path, strict=True):
        if intervals and intervals[-1].label == LABELS[place]:
            begin = intervals.pop().start
        intervals.append(Interval(float(begin), float(end), LABELS[place]))
    return intervals


def likeliest_path(scores: NDArray[np.float64], change: float) -> list[int]:
    """The places of the best sum of scores (T, C), less a cost of each change."""
    total, before = scores[0], []
    for row in scores[1:]:
        best = int(total.argmax())
        stays = total >= total[best] - change
        before.append(np.where(stays, np.arange(len(total)), best))
        total = np.where(stays, total, total[best] - change) + row
    path = [int(total.argmax())]
    for places in reversed(before):
        path.append(int(places[path[-1]]))
    return path[::-1]


def count_matches(answers: Sequence[Interval], truth: Sequence[Interval]) -> tuple[int, int, int]:
    """Intervals that are right, those that were answered, and those that there are."""
    free, right = list(truth), 0
    for answer in answers:
        match = next((each for each in free if _iou(answer, each) > 0.5), None)
        if match is not None:
            free.remove(match)
            right += 1
    return right, len(answers), len(truth)


def _iou(one: Interval, other: Interval) -> float:
    both = min(one.end, other.end) - max(one.start, other.start)
    return (
        0.0
        if one.label != other.label
        else both / (one.end - one.start + other.end - other.start - both)
    )


def labelled(answers: Sequence[Interval], truth: Sequence[Interval]) -> list[Interval]:
    """Answers without the time that has no label, of which nobody knows what is right."""
    pieces = [
        Interval(max(a.start, t.start), min(a.end, t.end), a.label) for t in truth for a in answers
    ]
    joined: list[Interval] = []
    for piece in (piece for piece in pieces if piece.end > piece.start):
        if joined and joined[-1].label == piece.label and piece.start - joined[-1].end < 1e-6:
            piece = piece._replace(start=joined.pop().start)
        joined.append(piece)
    return joined


def minutes(
    data: str, count: int, seconds: float = MINUTE
) -> list[tuple[Recording, float, list[Interval]]]:
    """Minutes of each recording, spread evenly over it, with what happens in them."""
    pieces = []
    for recording in recordings(data, LABELS).recordings:
        length = recording.load().duration
        for place in range(count):
            start = (length - seconds) * (place + 0.5) / count
            end = start + seconds
            truth = [
                Interval(max(each.start, start), min(each.end, end), LABELS[int(each.label) - 1])
                for each in column_intervals(recording, "label")
                if each.label != "-1" and each.end > start and each.start < end
            ]
            pieces.append((recording, start, truth))
    return pieces


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="data/hapt/held-out.jsonl")
    parser.add_argument("--encoder", default="runs/activity/encoder/model", help="a finished one")
    parser.add_argument("--model", default="runs/activity/align/model", help="a finished one")
    parser.add_argument("--only", choices=["head", "model"], help="measure one of both")
    parser.add_argument("--minutes", type=int, default=3, help="of each recording")
    parser.add_argument("--hop", type=float, default=0.64)
    parser.add_argument("--change", type=float, default=4.0, help="cost of a change, in nats")
    parser.add_argument("--out", type=Path, default=Path("when.json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    pieces = minutes(args.data, args.minutes)
    figures = {}
    for name, folder, open_scorer in (
        ("head", args.encoder, head_scorer),
        ("model", args.model, model_scorer),
    ):
        if args.only not in (None, name):
            continue
        score = open_scorer(folder)
        counts: dict[str, list[int]] = {label: [0, 0, 0] for label in LABELS}
        for recording, start, truth in pieces:
            answers = labelled(timeline(score, recording, start, args.hop, args.change), truth)
            for label in LABELS:
                own = ([each for each in some if each.label == label] for some in (answers, truth))
                counts[label] = [
                    a + b for a, b in zip(counts[label], count_matches(*own), strict=True)
                ]
        for kind, labels in (
            ("activities", LABELS[:6]),
            ("transitions", LABELS[6:]),
            ("all", LABELS),
        ):
            right, answered, there = np.sum([counts[label] for label in labels], axis=0)
            f1 = 2 * right / max(answered + there, 1)
            figures[f"{name}, {kind}"] = {
                "f1": float(f1),
                "right": int(right),
                "answered": int(answered),
                "there": int(there),
            }
            print(
                f"{name}, {kind}: F1 {f1:.3f} ({right} right of {answered}, {there} there)",
                flush=True,
            )
        figures[f"{name}, counts"] = counts
    args.out.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
