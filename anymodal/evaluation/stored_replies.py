"""Replies that an earlier evaluation keeps, and its prompts, without a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from anymodal.config import ConfigError
from anymodal.evaluation.run import Reply, record_message
from anymodal.metrics.samples import EvaluationSample, SampleFile, SampleMessage

RECORDS = "samples.jsonl"


def records_file(path: Path) -> Path | None:
    """The file of replies at a path: a results folder or the file itself; None for neither."""
    if path.is_file() and path.suffix == ".jsonl":
        return path
    return path / RECORDS if (path / RECORDS).is_file() else None


def read_records(path: Path) -> dict[str, Reply]:
    """The records of `anymodal eval files`, `benchmark` or `compare` by the sample's id.

    Raises:
        ConfigError: if the file holds none, or names media outside its folder.
    """
    records: dict[str, Reply] = {}
    home = path.parent.resolve()
    try:
        lines = path.read_text("utf-8").split("\n")
        # The first line tells of the model; a last one without an end was cut short.
        for line in lines[1:-1]:
            record: Reply = json.loads(line)
            for file in record_message(home, record).files:
                if not file.path.resolve().is_relative_to(home):
                    raise ValueError(f"{file.name!r} leads out of the folder")
            records[record["id"]] = record
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path} holds no replies of an evaluation: {error}") from error
    if not records:
        raise ConfigError(f"{path} holds no replies")
    return records


def prompt_of(record: Reply, media: Path | None) -> EvaluationSample:
    """The prompt of a record; its media are looked for by name in a folder, and those that aren't
    there stand as text."""
    turns = [_message(turn, media) for turn in record["messages"]]
    return EvaluationSample(record["id"], tuple(turns))


def _message(turn: Any, media: Path | None) -> SampleMessage:
    parts = [part if isinstance(part, str) else _file(part, media) for part in turn["content"]]
    return SampleMessage(str(turn["role"]), tuple(parts))


def _file(part: Any, media: Path | None) -> str | SampleFile:
    name = str(part["file"])
    path = media / name if media is not None else None
    if path is None or media is None or not path.is_file():
        return f"[{name}]\n"
    if not path.resolve().is_relative_to(media.resolve()):
        return f"[{name}]\n"
    return SampleFile(path, name, {key: value for key, value in part.items() if key != "file"})
