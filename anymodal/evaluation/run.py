"""Run an evaluation on samples of one's own: ask, keep the replies, measure them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NotRequired, TypedDict

from tqdm import tqdm

from anymodal import config as configuration
from anymodal import media
from anymodal.composition import find, is_run
from anymodal.distributed import devices
from anymodal.evaluation.predictor import ModelPredictor, Predictor
from anymodal.evaluation.reply_job import ReplyJob, import_packages
from anymodal.evaluation.report import Failure, Results, metric_table, sizes_of, tables_of
from anymodal.evaluation.schema import Evaluation
from anymodal.evaluation.store import RecordStore
from anymodal.io.results import write_results
from anymodal.metrics import Metric
from anymodal.metrics.sample_choices import choices_of, choose_among, split_choices
from anymodal.metrics.samples import EvaluationSample, SampleFile, SampleMessage
from anymodal.model import AnyModal
from anymodal.training.run_folder import open_any_model
from anymodal.types import ChoiceScore, Message


class ReplySampleFile(TypedDict):
    """A medium of a reply, in a file.

    Attributes:
        kind: of the medium.
        path: from the folder of the replies.
        how: what the file is to be read with, see `Media.file_hints`.
    """

    kind: str
    path: str
    how: NotRequired[dict[str, object]]


def reply_file(folder: Path, part: ReplySampleFile) -> SampleFile:
    """The file of a medium of a reply, in a folder."""
    how = {"kind": part["kind"], **part.get("how", {})}
    return SampleFile(folder / part["path"], part["path"], how)


def part_of_file(path: str, medium: media.Media) -> ReplySampleFile:
    """The record of a medium's file, which gives all of it back."""
    part: ReplySampleFile = {"kind": medium.kind, "path": path}
    if hints := medium.file_hints:
        part["how"] = hints
    return part


class Reply(TypedDict):
    """The record of a sample's reply.

    Attributes:
        id: of the sample.
        digest: of all that the sample asks.
        messages: of the sample, media by name.
        reply: texts and media in order.
        finish_reason: why it ended; `length` where it was cut off. Older records lack it.
        choices: text, probability and log-likelihood of each choice, of a reply among choices.
    """

    id: str
    digest: str
    messages: list[dict[str, object]]
    reply: list[str | ReplySampleFile]
    finish_reason: NotRequired[str | None]
    choices: NotRequired[list[ChoiceScore]]


def run_evaluation(path: str | Path, overrides: Iterable[str] = ()) -> tuple[Results, str]:
    """Evaluate as a configuration says; the results, and a table of them.

    Everything that can be checked is checked before the model is loaded. Replies are measured as
    they were kept, so that a run that was stopped ends as one that was not.

    Raises:
        ConfigError: for a configuration or data that can't work.
        ValueError: if every sample failed, or the folder holds replies of another model.
    """
    job = Evaluation.read(path, overrides)
    import_packages(job.trusted_packages)  # their classes of media are needed to read the data
    settings, choices = split_choices(job.settings)
    samples = _with_choices(job.samples(), choices)
    check_model_name(job)
    metrics = job.build_metrics(samples)
    predictor = ModelPredictor(open_job_model(job), **settings)
    head = {"answerer": predictor.metadata(), "seed": job.seed}
    store = RecordStore[Reply](Path(job.output_dir), head, lambda record: record["id"])
    failures = collect_replies(predictor, samples, store, seed=job.seed, batch_size=job.batch_size)
    del predictor  # its memory is free for the metrics
    device = devices.choose_device(job.device)
    failures += measure_replies(metrics, samples, partial(stored_reply, store), device)
    results: Results = {
        "model": job.model if isinstance(job.model, str) else job.model["_target_"],
        "data": job.data if isinstance(job.data, str) else job.data["_target_"],
        "seed": job.seed,
        "count": len(samples),
        "failed": failures,
        "truncated": truncated_replies(samples, store),
        "metrics": {name: metric.compute() for name, metric in metrics.items()},
        "sizes": sizes_of(metrics),
        "tables": tables_of(metrics),
    }
    table = metric_table(results)
    write_results(store.folder, results, table)
    return results, table


def _with_choices(
    samples: list[EvaluationSample], choices: Sequence[str] | None
) -> list[EvaluationSample]:
    """The samples, to be answered among choices where there are any.

    Raises:
        ConfigError: if the answer to one is none of them.
    """
    if choices is None:
        return samples
    try:
        return [choose_among(sample, choices) for sample in samples]
    except ValueError as error:
        raise configuration.ConfigError(f"settings.choices: {error}") from error


def check_model_name(job: ReplyJob) -> None:
    """Make sure, before anything is computed, that there is a model of a job's name."""
    if isinstance(job.model, str) and not is_run(job.model):
        find(job.model)


def open_job_model(job: ReplyJob) -> AnyModal:
    """The model of a job, on its device."""
    if isinstance(job.model, str):
        return open_any_model(job.model, job.trusted_packages, device=job.device or "auto")
    model: AnyModal = configuration.instantiate(job.model, trusted_packages=job.trusted)
    return model.to(devices.choose_device(job.device))


def collect_replies(
    predictor: Predictor,
    samples: Sequence[EvaluationSample],
    store: RecordStore[Reply],
    *,
    seed: int,
    batch_size: int,
) -> list[Failure]:
    """Ask every sample whose reply the store doesn't hold, and keep the replies.

    A batch is asked as a whole, so that replies have the same company in a run that goes on.

    Returns:
        The samples that failed, and why.

    Raises:
        ValueError: if every sample failed: something is wrong that isn't the samples'.
    """
    failures: list[Failure] = []
    with tqdm(total=len(samples), unit="sample") as bar:
        for start in range(0, len(samples), batch_size):
            some = samples[start : start + batch_size]
            # As a whole, since sampled text depends on the batch that it is sampled in.
            if not all(_is_answered(store, sample) for sample in some):
                for sample, reply in _ask(predictor, some, seed):
                    if isinstance(reply, Exception):
                        failures.append({"id": sample.id, "error": str(reply)})
                        # An older reply, to what the sample asked before, must not be measured.
                        store.records.pop(sample.id, None)
                    elif not _is_answered(store, sample):
                        store.records[sample.id] = record = _record(sample, reply, store)
                        store.add(record)
            bar.update(len(some))
    if len(failures) == len(samples):
        failure = failures[0]
        raise ValueError(f"all {len(samples)} samples failed; {failure['id']}: {failure['error']}")
    return failures


def _is_answered(store: RecordStore[Reply], sample: EvaluationSample) -> bool:
    """Return whether the store has a reply to just what the sample asks, with all its media."""
    record = store.records.get(sample.id)
    if record is None:
        return False
    paths = [store.folder / part["path"] for part in record["reply"] if not isinstance(part, str)]
    try:
        return record["digest"] == sample.digest() and all(path.is_file() for path in paths)
    except OSError:  # asking will tell
        return False


def _ask(
    predictor: Predictor, samples: Sequence[EvaluationSample], seed: int
) -> Iterator[tuple[EvaluationSample, Message | Exception]]:
    """Replies in one batch, or errors; which sample spoils a batch shows when each is alone."""
    conversations: list[tuple[EvaluationSample, list[Message]]] = []
    for sample in samples:
        try:
            conversations.append((sample, sample.conversation()))
        except (ValueError, OSError) as error:
            yield sample, error
    if not conversations:
        return
    readable = [sample for sample, _ in conversations]
    seeds = [sample.seed(seed) for sample in readable]
    try:
        each = choices_of(readable)
        choices = each if any(each) else None
        replies = predictor([messages for _, messages in conversations], seeds, choices)
    except ValueError as error:
        if len(readable) == 1:
            yield readable[0], error
            return
        for sample in readable:
            yield from _ask(predictor, [sample], seed)
        return
    yield from zip(readable, replies, strict=True)


def _record(sample: EvaluationSample, message: Message, store: RecordStore[Reply]) -> Reply:
    """A reply, ready for JSON: its texts, and the paths of its media, which are saved."""
    reply: list[str | ReplySampleFile] = []
    for place, part in enumerate(message.content):
        if isinstance(part, media.Media):
            path = store.save_medium(part, f"{sample.name}-{place}")
            reply.append(part_of_file(path, part))
        else:
            assert isinstance(part, str), "a reply holds texts and media"
            reply.append(part)
    record: Reply = {
        "id": sample.id,
        "digest": sample.digest(),
        "messages": sample.to_json(),
        "reply": reply,
        "finish_reason": message.finish_reason,
    }
    if message.choices:
        record["choices"] = list(message.choices)
    return record


def measure_replies(
    metrics: Mapping[str, Metric],
    samples: Sequence[EvaluationSample],
    message_of: Callable[[EvaluationSample], SampleMessage | None],
    device: str,
) -> list[Failure]:
    """Let every metric take in every reply; what couldn't be measured comes back, and why.

    Args:
        metrics: by name.
        samples: in the order in which they are measured.
        message_of: the reply to a sample, or None where there is nothing to measure.
        device: on which metrics compute.
    """
    failures: list[Failure] = []
    for metric in metrics.values():
        metric.to(device)
    for sample in tqdm(samples, unit="reply", desc="measuring"):
        message = message_of(sample)
        if message is None:
            continue
        # From files even in a straight run, so that a resumed one measures the same.
        reply = message.load()
        for name, metric in metrics.items():
            try:
                metric.update(sample, reply)
            except (ValueError, OSError) as error:
                failures.append({"id": sample.id, "metric": name, "error": str(error)})
    return failures


def stored_reply(store: RecordStore[Reply], sample: EvaluationSample) -> SampleMessage | None:
    """The reply to a sample that a store has, its media in files."""
    record = store.records.get(sample.id)
    return None if record is None else record_message(store.folder, record)


def record_message(folder: Path, record: Reply) -> SampleMessage:
    """The reply of a record, its media in files of the record's folder."""
    parts = (
        part if isinstance(part, str) else reply_file(folder, part) for part in record["reply"]
    )
    choices = tuple(ChoiceScore(*each) for each in record.get("choices", ()))
    return SampleMessage("assistant", tuple(parts), choices)


def truncated_replies(samples: Sequence[EvaluationSample], store: RecordStore[Reply]) -> list[str]:
    """The samples whose replies were cut off by `max_new_tokens`."""
    records = {sample.id: store.records.get(sample.id) for sample in samples}
    return [
        name
        for name, record in records.items()
        if record is not None and record.get("finish_reason") == "length"
    ]
