"""Make preference pairs: replies to prompts, their scores, and the pairs among them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

from tqdm import tqdm

from anymodal.distributed import devices
from anymodal.evaluation.predictor import ModelPredictor
from anymodal.evaluation.reply_job import import_packages
from anymodal.evaluation.report import Failure
from anymodal.evaluation.run import (
    Reply,
    check_model_name,
    collect_replies,
    open_job_model,
    stored_reply,
)
from anymodal.evaluation.store import RecordStore
from anymodal.io.results import markdown_table, write_results
from anymodal.metrics.samples import EvaluationSample
from anymodal.model import AnyModal
from anymodal.tools.pairs.configuration import PairMaking
from anymodal.tools.pairs.page import write_pairs_page
from anymodal.tools.pairs.records import ScoredPair, ScoredReply, write_json_lines
from anymodal.tools.pairs.scorers import ReplyScore, Scorer

PAIRS, SCORES = "pairs.jsonl", "scores.jsonl"


class ScoreRecord(TypedDict):
    """The record of a reply's score.

    Attributes:
        id: of the reply.
        digest: of the prompt, the reply as it was kept, and what it is measured against.
        value: see `ReplyScore`.
        details: see there.
    """

    id: str
    digest: str
    value: float | None
    details: dict[str, Any]


class PairResults(TypedDict):
    """What came of making pairs.

    Attributes:
        model: who replied.
        prompts: how many.
        replies: how many were scored.
        pairs: how many were kept.
        left_out: numbers of what was left out, by the reason.
        failed: replies that failed.
    """

    model: str
    prompts: int
    replies: int
    pairs: int
    left_out: dict[str, int]
    failed: list[Failure]


class _Prompt(NamedTuple):
    """A prompt, and as many samples that ask it, each for a reply of its own."""

    sample: EvaluationSample
    repeats: list[EvaluationSample]


def make_pairs(path: str | Path, overrides: Iterable[str] = ()) -> tuple[PairResults, str]:
    """Make pairs as a configuration says; figures, and a table of them.

    The folder then has `pairs.jsonl` (rows for preference training), `scores.jsonl` (every reply
    and its scores) and `pairs.html`. Replies and scores are kept as they come, so that a run that
    was stopped ends as one that was not.

    Raises:
        ConfigError: for a configuration or data that can't work.
        ValueError: if every prompt failed, or the folder holds replies of another model.
    """
    job = PairMaking.read(path, overrides)
    import_packages(job.trusted_packages)
    samples = job.samples()
    check_model_name(job)
    model = open_job_model(job)
    scorers = job.build_scorers(model, samples)
    prompts = [_Prompt(sample, _repeats(sample, job.replies)) for sample in samples]
    store, failures = _collect(job, model, prompts)
    device = devices.choose_device(job.device)
    scores = {
        name: _score(job, name, scorer, store, prompts, device) for name, scorer in scorers.items()
    }
    return _write(job, prompts, store, scores, failures)


def _repeats(sample: EvaluationSample, count: int) -> list[EvaluationSample]:
    """A prompt as often as it is asked; the names give each a seed of its own."""
    return [replace(sample, id=f"{sample.id}/{number}") for number in range(count)]


def _collect(
    job: PairMaking, model: AnyModal, prompts: Sequence[_Prompt]
) -> tuple[RecordStore[Reply], list[Failure]]:
    predictor = ModelPredictor(model, **job.settings)
    head = {"answerer": predictor.metadata(), "seed": job.seed}
    folder = Path(job.output_dir) / "replies"
    store = RecordStore[Reply](folder, head, lambda record: record["id"])
    asked = [sample for prompt in prompts for sample in prompt.repeats]
    failures = collect_replies(predictor, asked, store, seed=job.seed, batch_size=job.batch_size)
    return store, failures


def _score(
    job: PairMaking,
    name: str,
    scorer: Scorer,
    store: RecordStore[Reply],
    prompts: Sequence[_Prompt],
    device: str,
) -> dict[str, ReplyScore]:
    """The scores of all replies by their names, those that were kept and new ones."""
    scorer.to(device)
    folder = Path(job.output_dir) / "scores" / name
    # With the configuration, since a metric doesn't tell of its networks.
    head = {"scorer": scorer.metadata(), "settings": job.scorers[name]}
    kept = RecordStore[ScoreRecord](folder, head, lambda record: record["id"])
    replies = [
        (sample, reply)
        for prompt in prompts
        for sample in prompt.repeats
        if (reply := stored_reply(store, sample)) is not None
    ]
    size = scorer.batch_size
    for start in tqdm(range(0, len(replies), size), desc=name, unit="batch"):
        some = replies[start : start + size]
        digests = [_digest(store.records[sample.id], sample) for sample, _ in some]
        known = [kept.records.get(sample.id) for sample, _ in some]
        if [record and record["digest"] for record in known] == digests:
            continue
        # As a whole, since what a judge says may depend on the batch.
        scores = scorer.score([(sample, reply.load()) for sample, reply in some])
        for (sample, _), digest, score in zip(some, digests, scores, strict=True):
            record: ScoreRecord = {
                "id": sample.id, "digest": digest,
                "value": _finite(score.value), "details": dict(score.details),
            }  # fmt: skip
            kept.records[sample.id] = record
            kept.add(record)
    records = (kept.records[sample.id] for sample, _ in replies)
    return {each["id"]: ReplyScore(each["value"], each["details"]) for each in records}


def _finite(value: float | None) -> float | None:
    """A score, or None for NaN and infinity, which would be neither better nor worse."""
    return value if value is not None and math.isfinite(value) else None


def _digest(record: Reply, sample: EvaluationSample) -> str:
    """All that a score comes from: what is asked, the reply, and what it is measured against."""
    wanted = [sample.references, sample.caption, sample.choices, sample.answer]
    against = hashlib.sha256(json.dumps(wanted).encode())
    for file in sample.media:
        against.update(file.path.read_bytes())
    return f"{record['digest']} {json.dumps(record['reply'])} {against.hexdigest()[:16]}"


def _write(
    job: PairMaking,
    prompts: Sequence[_Prompt],
    store: RecordStore[Reply],
    scores: Mapping[str, Mapping[str, ReplyScore]],
    failures: list[Failure],
) -> tuple[PairResults, str]:
    folder, selection = Path(job.output_dir), job.selection
    pairs: list[ScoredPair] = []
    lines: list[Mapping[str, object]] = []
    for prompt in prompts:
        replies = [
            ScoredReply(sample.id, reply, {name: scores[name].get(sample.id) for name in scores},
                       job.weights)
            for sample in prompt.repeats
            if (reply := stored_reply(store, sample)) is not None
        ]  # fmt: skip
        lines += [reply.line(prompt.sample.id) for reply in replies]
        choice = selection.pairs([(each.message.load(), each.total) for each in replies])
        pairs += [
            ScoredPair.copied(folder, prompt.sample, replies[pair.chosen], replies[pair.rejected])
            for pair in choice
        ]
    write_json_lines(folder / SCORES, lines)
    write_json_lines(folder / PAIRS, [pair.row() for pair in pairs])
    write_pairs_page(folder, pairs[: job.page_pairs], len(pairs))
    results: PairResults = {
        "model": job.model if isinstance(job.model, str) else job.model["_target_"],
        "prompts": len(prompts),
        "replies": len(lines),
        "pairs": len(pairs),
        "left_out": dict(selection.left_out),
        "failed": failures,
    }
    table = markdown_table(
        ["", "number"],
        [
            *(["prompts", len(prompts)], ["replies", len(lines)], ["pairs", len(pairs)]),
            *([name, count] for name, count in selection.left_out.items()),
        ],
    )
    write_results(folder, results, table)
    if not pairs:
        raise ValueError(
            f"no pair is left of {len(prompts)} prompts:\n\n{table}\n\nraise replies or "
            f"settings.temperature, or lower margin; all scores are in {folder / SCORES}"
        )
    return results, table
