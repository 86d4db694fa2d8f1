"""Samples, replies and what metrics make of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from anymodal.metrics import (
    Metric,
)
from anymodal.metrics.samples import EvaluationSample, SampleMessage
from anymodal.types import Message

ASKED = (SampleMessage("user", ("what is this?",)),)


def sample(name: object = "1", **fields: Any) -> EvaluationSample:
    return EvaluationSample(str(name), ASKED, **fields)


def reply_of(*parts: Any) -> Message:
    return Message("assistant", list(parts))


def figures(metric: Metric, pairs: list[tuple[EvaluationSample, Message]]) -> dict[str, float]:
    for each, reply in pairs:
        metric.update(each, reply)
    return metric.compute()


def write_samples(folder: Path, *lines: Any) -> Path:
    path = folder / "samples.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts), "utf-8")
    return path
