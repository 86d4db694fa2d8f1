"""A support vector machine and logistic regression on the same windows and measurements.

    pip install scikit-learn
    python examples/activity/baselines.py

They read what the encoder reads before its layer, `movement.measure`. Their settings are the best
of the validation people; the held-out people are read once.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
import torch
from hapt import LABELS, windows
from movement import MovementEncoder, measure
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

CHOICES = {
    "support vector machine": [SVC(C=c, gamma=0.2 / 525) for c in (1, 3, 10)],
    "logistic regression": [LogisticRegression(C=c, max_iter=200) for c in (0.003, 0.01, 0.03)],
}


def read(path: str) -> tuple[np.ndarray, np.ndarray]:
    """Measurements (N, 525) of windows, and the places of their labels."""
    media, labels = windows(path, LABELS[:6])
    encoder = MovementEncoder()
    batches = torch.stack([encoder.prepare(each) for each in media]).split(256)
    return torch.cat([measure(batch) for batch in batches]).numpy(), labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="data/hapt")
    args = parser.parse_args()
    warnings.filterwarnings("ignore", module="sklearn")  # of iterations that are enough here
    train, validation, held_out = (
        read(f"{args.data}/{name}.jsonl") for name in ("train", "validation", "held-out")
    )
    everything = [np.concatenate(pair) for pair in zip(train, validation, strict=True)]
    for name, models in CHOICES.items():
        pipelines = [make_pipeline(StandardScaler(), model) for model in models]
        chosen = max(pipelines, key=lambda each: each.fit(*train).score(*validation))
        print(f"{name}, {chosen[-1]}: validation people {chosen.score(*validation):.2%}, ", end="")
        print(f"held-out people {chosen.fit(*everything).score(*held_out):.2%}", flush=True)


if __name__ == "__main__":
    main()
