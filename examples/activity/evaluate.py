"""Measure the activity model on the held-out people: its answers, and its encoder's linear head.

    python examples/activity/evaluate.py

Each is asked about the six activities and about all twelve, with transitions. The model answers
among choices, by the likelihood of each. Figures and confusions go to `--out` as JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from hapt import LABELS, windows
from movement import MovementEncoder

from anymodal import AnyModal
from anymodal.media import IMU
from anymodal.training.objectives import Classifier

Scorer = Callable[[Sequence[IMU], Sequence[str]], np.ndarray]
"""Probabilities (N, C) of choices for media."""


def head_scorer(folder: str) -> Scorer:
    """The linear head that the encoder was trained below."""
    classifier = Classifier.from_pretrained(folder, MovementEncoder())

    def score(media: Sequence[IMU], choices: Sequence[str]) -> np.ndarray:
        places = [classifier.labels.index(choice) for choice in choices]
        return classifier.probabilities(media)[:, places].numpy()

    return score


def model_scorer(folder: str) -> Scorer:
    """The language model's answers."""
    model = AnyModal.from_pretrained(folder, trusted_packages=["movement"])

    def score(media: Sequence[IMU], choices: Sequence[str]) -> np.ndarray:
        questions = [[each, "what is the person doing?"] for each in media]
        replies = model.chat(questions, choices=list(choices), batch_size=32, seed=0)
        return np.array([[score.probability for score in reply.choices] for reply in replies])

    return score


def measure(score: Scorer, names: Sequence[str], data: str, step: int) -> dict[str, object]:
    """Accuracy, balanced accuracy and confusion (true, answered) over the held-out windows."""
    media, labels = windows(data, names, step)
    answers = score(media, names).argmax(1)
    confusion = np.zeros((len(names), len(names)), int)
    np.add.at(confusion, (labels, answers), 1)
    recalls = np.diag(confusion) / confusion.sum(1).clip(min=1)
    return {
        "windows": len(labels),
        "accuracy": float(np.mean(answers == labels)),
        "balanced_accuracy": float(recalls.mean()),
        "recalls": dict(zip(names, recalls.round(4).tolist(), strict=True)),
        "confusion": confusion.tolist(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="data/hapt/held-out.jsonl")
    parser.add_argument("--encoder", default="runs/activity/encoder/model", help="a finished one")
    parser.add_argument("--model", default="runs/activity/align/model", help="a finished one")
    parser.add_argument("--only", choices=["head", "model"], help="measure one of both")
    parser.add_argument("--classes", type=int, nargs="+", default=[6, 12], choices=[6, 12])
    parser.add_argument("--step", type=int, default=1, help="take each so-many-th window")
    parser.add_argument("--out", type=Path, default=Path("activity.json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    figures = {}
    for name, folder, open_scorer in (
        ("head", args.encoder, head_scorer),
        ("model", args.model, model_scorer),
    ):
        if args.only not in (None, name):
            continue
        score = open_scorer(folder)
        for count in args.classes:
            result = measure(score, LABELS[:count], args.data, args.step)
            figures[f"{name}, {count} activities"] = result
            print(
                f"{name}, {count} activities, {result['windows']} windows: accuracy "
                f"{result['accuracy']:.2%}, balanced {result['balanced_accuracy']:.2%}",
                flush=True,
            )
    args.out.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
