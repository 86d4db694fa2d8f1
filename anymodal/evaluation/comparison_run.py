"""A comparison from two models, or replies of earlier evaluations, to its page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from anymodal.config import ConfigError
from anymodal.evaluation.benchmark_run import NamedPredictor
from anymodal.evaluation.comparison import Comparison, build_comparison
from anymodal.evaluation.comparison_page import write_comparison_page
from anymodal.evaluation.preference_rows import MODELS
from anymodal.evaluation.run import Reply, collect_replies, record_message, stored_reply
from anymodal.evaluation.store import RecordStore
from anymodal.evaluation.stored_replies import prompt_of, read_records
from anymodal.media import Limits
from anymodal.metrics.samples import (
    EvaluationSample,
    SampleMessage,
    read_samples,
    with_limits,
)

Source = NamedPredictor | Path
"""A model, or the file of an earlier evaluation's replies."""


@dataclass(frozen=True)
class ComparisonJob:
    """A comparison to make.

    Args:
        folder: for replies, page and choices; a run that was stopped goes on there.
        prompts: a JSON Lines file as `anymodal eval files` reads it, or a `.txt` file with a prompt
            a line; None takes the prompts of earlier replies.
        media: the folder of the media that earlier replies' prompts name.
        max_samples: the first so many prompts; all where None.
        batch_size: samples to ask at once.
        seed: of the replies, the order and the sides.
        limits: the largest media that are read.
    """

    folder: Path
    prompts: Path | None = None
    media: Path | None = None
    max_samples: int | None = None
    batch_size: int = 8
    seed: int = 0
    limits: Limits | None = None


def run_comparison(job: ComparisonJob, sources: tuple[Source, Source]) -> Comparison:
    """Ask both models, where they are models, pair their replies and write the page.

    Raises:
        ConfigError: if there are no prompts, or no pair of replies to show.
        ValueError: if every sample failed, or the folder holds replies of another model.
    """
    records = [read_records(each) if isinstance(each, Path) else {} for each in sources]
    samples = _samples(job, records)
    replies: list[dict[str, SampleMessage]] = []
    for key, source, stored in zip(MODELS, sources, records, strict=True):
        if isinstance(source, Path):
            replies.append(_earlier(source, stored, samples, check=job.prompts is not None))
        else:
            replies.append(_source_replies(job, key, source, samples))
    first, second = (str(each) if isinstance(each, Path) else each.name for each in sources)
    comparison = build_comparison(
        job.folder, (first, second), samples, (replies[0], replies[1]), seed=job.seed
    )
    write_comparison_page(comparison)
    comparison.write_results()
    return comparison


def _samples(job: ComparisonJob, records: Sequence[dict[str, Reply]]) -> list[EvaluationSample]:
    if job.prompts is None:
        if not all(records):
            raise ConfigError("a model has nothing to reply to; name a file of prompts: --prompts")
        samples = [prompt_of(record, job.media) for record in records[0].values()]
    elif job.prompts.suffix == ".txt":
        samples = _text_prompts(job.prompts)
    else:
        samples = read_samples(job.prompts)
    return [with_limits(sample, job.limits) for sample in samples[: job.max_samples]]


def _text_prompts(path: Path) -> list[EvaluationSample]:
    lines = path.read_text("utf-8-sig").splitlines()
    samples = [
        EvaluationSample(str(number), (SampleMessage("user", (line.strip(),)),))
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]
    if not samples:
        raise ConfigError(f"{path} holds no prompts; write one a line")
    return samples


def _earlier(
    path: Path, records: dict[str, Reply], samples: Sequence[EvaluationSample], check: bool
) -> dict[str, SampleMessage]:
    """Earlier replies to some samples; with `check`, to just what they ask."""
    return {
        sample.id: record_message(path.parent, records[sample.id])
        for sample in samples
        if sample.id in records and (not check or records[sample.id]["digest"] == sample.digest())
    }


def _source_replies(
    job: ComparisonJob, key: str, model: NamedPredictor, samples: Sequence[EvaluationSample]
) -> dict[str, SampleMessage]:
    predictor = model.build()
    head = {"answerer": predictor.metadata(), "seed": job.seed}
    store = RecordStore[Reply](job.folder / key, head, lambda record: record["id"])
    collect_replies(predictor, samples, store, seed=job.seed, batch_size=job.batch_size)
    replies = {sample.id: stored_reply(store, sample) for sample in samples}
    return {name: reply for name, reply in replies.items() if reply is not None}
