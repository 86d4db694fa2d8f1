"""A published benchmark, from its files to figures: ask, judge, measure, report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from anymodal.evaluation.benchmark_page import write_benchmark_page
from anymodal.evaluation.benchmarks import benchmark_class
from anymodal.evaluation.benchmarks.base import Benchmark, BenchmarkSource, BrokenRow
from anymodal.evaluation.predictor import Predictor
from anymodal.evaluation.report import Failure, Results, metric_table, sizes_of, tables_of
from anymodal.evaluation.run import (
    Reply,
    collect_replies,
    measure_replies,
    stored_reply,
    truncated_replies,
)
from anymodal.evaluation.store import RecordStore
from anymodal.io.results import write_results
from anymodal.media import Limits
from anymodal.metrics.samples import EvaluationSample, SampleMessage, with_limits


class BenchmarkResults(Results):
    """The results of a benchmark.

    Attributes:
        benchmark: its name.
        split: the one that was read, where there are several.
        prompt: as in `BenchmarkSource`.
        choices: as in `BenchmarkJob`.
        judge: who judged, or an empty text.
        broken: rows of the files that stand aside.
    """

    benchmark: str
    split: str
    prompt: str
    choices: bool
    judge: str
    broken: list[BrokenRow]


@dataclass(frozen=True)
class BenchmarkJob:
    """A benchmark to run.

    Args:
        name: of the benchmark.
        path: its file or folder.
        output_dir: for replies, results and the page; a run that was stopped goes on there.
        media: the folder of its media, where they lie elsewhere.
        split: the one to read, where there are several.
        prompt: what is said; `{prompt}` in it stands for the benchmark's own prompt.
        choices: whether a reply is the likeliest option's letter, or Yes or No, rather than any.
        max_samples: ask the first so many samples, and the rest of the last one's unit; all where
            None.
        batch_size: samples to ask at once.
        seed: of everything that is drawn.
        limits: the largest media that are read.
        device: on which metrics compute.
    """

    name: str
    path: Path
    output_dir: Path
    media: Path | None = None
    split: str | None = None
    prompt: str = "{prompt}"
    choices: bool = False
    max_samples: int | None = None
    batch_size: int = 8
    seed: int = 0
    limits: Limits | None = None
    device: str = "cpu"

    def open(self) -> Benchmark:
        """The benchmark.

        Raises:
            ConfigError: if there is none of that name, no such path, or no such split.
        """
        source = BenchmarkSource(
            self.path, self.output_dir / "unpacked", self.media, self.split, self.prompt
        )
        return benchmark_class(self.name)(source)


@dataclass(frozen=True)
class NamedPredictor:
    """A predictor that is built when it is needed.

    Args:
        name: for the results.
        build: gives the predictor.
    """

    name: str
    build: Callable[[], Predictor]


def run_benchmark(
    job: BenchmarkJob, model: NamedPredictor, judge: NamedPredictor | None = None
) -> tuple[BenchmarkResults, str]:
    """Run a benchmark; its results, and a table of them.

    Files are read before the model is opened. Replies and judgements are kept, so that a run that
    was stopped ends as one that was not.

    Raises:
        ConfigError: if the files can't be read.
        ValueError: if every sample failed, or the folder holds replies of another model.
    """
    benchmark = job.open()
    samples, broken = benchmark.read()
    samples = [with_limits(each, job.limits) for each in first_units(samples, job.max_samples)]
    metrics = benchmark.metrics()
    for metric in metrics.values():
        metric.check(samples)
    questions = [*map(benchmark.among_choices, samples)] if job.choices else samples
    store, failures = _collect(job, questions, model, job.output_dir)
    judgements: RecordStore[Reply] | None = None
    if judge is not None:
        judged = benchmark.judge_samples(samples, _stored(store, samples))
        if judged:
            judgements, more = _collect(job, judged, judge, job.output_dir / "judge")
            failures += [{**each, "metric": "judge"} for each in more]
    if judge is not None or not benchmark.needs_judge:
        message_of = partial(_measured, benchmark, store, judgements)
        failures += measure_replies(metrics, samples, message_of, job.device)
    results: BenchmarkResults = {
        "benchmark": job.name,
        "model": model.name,
        "data": str(job.path),
        "split": benchmark.split,
        "prompt": job.prompt,
        "judge": judge.name if judge is not None else "",
        "seed": job.seed,
        "count": len(samples),
        "broken": broken,
        "failed": failures,
        "truncated": truncated_replies(samples, store),
        "metrics": {name: metric.compute() for name, metric in metrics.items()},
        "sizes": sizes_of(metrics),
        "tables": tables_of(metrics),
        "choices": job.choices,
    }
    table = benchmark_table(results)
    write_results(job.output_dir, results, table)
    write_benchmark_page(job.output_dir, table, samples, _stored(store, samples), judgements)
    return results, table


def first_units(samples: list[EvaluationSample], count: int | None) -> list[EvaluationSample]:
    """The first samples, so many or more: those that count together stay together."""
    if count is None:
        return samples
    units: dict[str, list[EvaluationSample]] = {}
    for sample in samples:
        units.setdefault(sample.unit or f"alone {sample.id}", []).append(sample)
    first: list[EvaluationSample] = []
    for unit in units.values():
        if len(first) >= count:
            break
        first += unit
    return first


def benchmark_table(results: BenchmarkResults) -> str:
    """The figures as a Markdown table, with lists of rows that stand aside and of what failed."""
    table = metric_table(results)
    lines = [f"- {row['place']}: {row['error']}" for row in results["broken"]]
    aside = [f"{len(lines)} rows stand aside:", "\n".join(lines)] if lines else []
    return "\n\n".join([table, *aside])


def _collect(
    job: BenchmarkJob, samples: list[EvaluationSample], predictor: NamedPredictor, folder: Path
) -> tuple[RecordStore[Reply], list[Failure]]:
    built = predictor.build()
    head = {"answerer": built.metadata(), "seed": job.seed}
    store = RecordStore[Reply](folder, head, lambda record: record["id"])
    return store, collect_replies(built, samples, store, seed=job.seed, batch_size=job.batch_size)


def _stored(store: RecordStore[Reply], samples: list[EvaluationSample]) -> dict[str, SampleMessage]:
    replies = {sample.id: stored_reply(store, sample) for sample in samples}
    return {name: reply for name, reply in replies.items() if reply is not None}


def _measured(
    benchmark: Benchmark,
    store: RecordStore[Reply],
    judgements: RecordStore[Reply] | None,
    sample: EvaluationSample,
) -> SampleMessage | None:
    reply = stored_reply(store, sample)
    if reply is None:
        return None
    judgement = stored_reply(judgements, sample) if judgements is not None else None
    return benchmark.measured_reply(reply, judgement)
