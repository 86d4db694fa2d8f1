"""The contract of a published benchmark."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, NamedTuple, TypedDict

from anymodal.config import ConfigError
from anymodal.config.printable import printable
from anymodal.data.containers import RowSource
from anymodal.io.checkpoint import replacing
from anymodal.media import Limits
from anymodal.media.references import decode_base64
from anymodal.metrics import Metric
from anymodal.metrics.options import LETTERS
from anymodal.metrics.samples import EvaluationSample, SampleFile, SampleMessage

BenchmarkRow = Mapping[str, Any]
"""A row of a benchmark's files, as JSON has it."""


class BrokenRow(TypedDict):
    """A row that stands aside: its file and place there, and what is wrong with it."""

    place: str
    error: str


class PlacedRow(NamedTuple):
    """A row, or why it can't be read, and its file and place there."""

    place: str
    row: BenchmarkRow | ValueError


@dataclass(frozen=True)
class BenchmarkSource:
    """The files of a benchmark, and how it is asked.

    Args:
        path: a file, or the folder as it was unpacked.
        unpacked: a folder for media that the files hold within.
        media: the folder of the media, where they lie elsewhere.
        split: the one to read, where there are several.
        prompt: what is said; `{prompt}` in it stands for the benchmark's own prompt.
    """

    path: Path
    unpacked: Path
    media: Path | None = None
    split: str | None = None
    prompt: str = "{prompt}"


class Benchmark(ABC):
    """A benchmark whose files are read as its authors publish them.

    Attributes:
        home: where its authors publish it.
        splits: those that can be scored here, the usual one first.
        media_folders: folders within `path` in which media are looked for.
        max_new_tokens: tokens that a reply needs at most.
        needs_judge: whether there are no figures without a judge.
    """

    home: ClassVar[str]
    splits: ClassVar[tuple[str, ...]] = ()
    media_folders: ClassVar[tuple[str, ...]] = ("", "images")
    max_new_tokens: ClassVar[int] = 16
    needs_judge: ClassVar[bool] = False

    def __init__(self, source: BenchmarkSource) -> None:
        self.source, self.path = source, source.path
        if not self.path.exists():
            raise ConfigError(f"there is no {self.path}; get the files from {self.home}")
        if "{prompt}" not in source.prompt:
            raise ConfigError(f"the prompt {source.prompt!r} lacks {{prompt}}, the benchmark's own")
        self.split = source.split or next(iter(self.splits), "")
        if self.split and self.split not in self.splits:
            options = ", ".join(self.splits) or "none"
            raise ConfigError(f"split is {source.split!r}; there are {options}")

    @abstractmethod
    def rows(self) -> Iterator[PlacedRow]:
        """The rows of the files.

        Raises:
            ConfigError: if a file isn't there, or isn't what it should be.
        """

    @abstractmethod
    def samples_of(self, row: BenchmarkRow) -> list[EvaluationSample]:
        """The samples of a row.

        Raises:
            ValueError: if the row isn't what it should be; so do `KeyError` and `TypeError`.
        """

    @abstractmethod
    def metrics(self) -> dict[str, Metric]:
        """The benchmark's own metrics."""

    def among_choices(self, sample: EvaluationSample) -> EvaluationSample:
        """The sample to be answered by the likeliest option, or by Yes or No.

        Raises:
            ConfigError: if the benchmark has no such questions.
        """
        if sample.choices:
            choices = tuple(LETTERS[: len(sample.choices)])
        elif sample.answer:
            choices = ("Yes", "No")
        else:
            raise ConfigError("its questions have no choices; leave --choices out")
        return replace(sample, choices=choices, chooses=True)

    def judge_samples(
        self, samples: Sequence[EvaluationSample], replies: Mapping[str, SampleMessage]
    ) -> list[EvaluationSample]:
        """Questions for a judge about replies, each under the name of its sample."""
        return []

    def measured_reply(
        self, reply: SampleMessage, judgement: SampleMessage | None
    ) -> SampleMessage | None:
        """The message that metrics measure, or None where there is nothing to measure."""
        return reply

    def read(self) -> tuple[list[EvaluationSample], list[BrokenRow]]:
        """All samples, and the rows that stand aside.

        Raises:
            ConfigError: if there is no sample, or a file can't be read.
        """
        samples: dict[str, EvaluationSample] = {}
        broken: list[BrokenRow] = []
        for place, row in self.rows():
            try:
                if isinstance(row, ValueError):
                    raise row
                several = self.samples_of(row)
                if twice := next((each.id for each in several if each.id in samples), None):
                    raise ValueError(f"{twice!r} is there twice")
            except (ValueError, KeyError, TypeError, OSError) as error:
                reason = f"it has no {error}" if isinstance(error, KeyError) else str(error)
                broken.append({"place": place, "error": reason})
            else:
                samples |= {each.id: each for each in several}
        if not samples:
            reason = f"; {broken[0]['place']}: {broken[0]['error']}" if broken else ""
            raise ConfigError(f"{self.path} has no sample that can be read{reason}")
        return [*samples.values()], broken

    def question(self, *parts: str | SampleFile) -> tuple[SampleMessage, ...]:
        """A user's message, its last part the benchmark's own prompt."""
        *media, text = parts
        assert isinstance(text, str), "the prompt stands last"
        return (SampleMessage("user", (*media, self.source.prompt.replace("{prompt}", text))),)

    def file(self, *names: str) -> Path:
        """The first of several files in the benchmark's folder, or the path where it is a file.

        Raises:
            ConfigError: if none of them is there.
        """
        if self.path.is_file():
            return self.path
        for name in names:
            if (path := self.path / name).is_file():
                return path
        raise ConfigError(f"there is no {' or '.join(names)} in {self.path}; see {self.home}")

    def media_file(self, name: object) -> SampleFile:
        """A media file by the name that a row has.

        Raises:
            ValueError: if there is none, or the name leads out of the folder.
        """
        if not isinstance(name, str) or not name:
            raise ValueError(f"the name of a media file is {name!r}")
        parts = PurePosixPath(name)
        if parts.is_absolute() or ".." in parts.parts:
            raise ValueError(f"the media file {name!r} leads out of the benchmark's folder")
        home = self.path if self.path.is_dir() else self.path.parent
        folders = [home / folder for folder in self.media_folders]
        folders = folders if self.source.media is None else [self.source.media]
        for folder in folders:
            if (path := folder / parts).is_file():
                return SampleFile(path, name)
        places = ", ".join(map(str, folders))
        raise ValueError(f"there is no {name!r} in {places}; --media names another folder")

    def unpack(self, content: bytes | str, name: str, suffix: str) -> SampleFile:
        """A media file of content that stands in a row, as bytes or in base64.

        Raises:
            ValueError: if the base64 is none.
        """
        data = content if isinstance(content, bytes) else decode_base64(content, Limits())
        path = self.source.unpacked / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}{suffix}"
        if not path.is_file():
            with replacing(path) as temporary:
                temporary.write_bytes(data)
        return SampleFile(path, path.name)


def container_rows(rows: RowSource, **more: object) -> Iterator[PlacedRow]:
    """The rows of a container, each with its number from 0 on as `number`, and with what is given
    besides."""
    for number in range(len(rows)):
        place = rows.place(number)
        try:
            yield PlacedRow(place, {**rows[number], "number": number, **more})
        except ValueError as error:
            yield PlacedRow(place, error)


def read_json(path: Path) -> Any:
    """The value in a JSON file.

    Raises:
        ConfigError: if it isn't JSON.
    """
    try:
        return json.loads(path.read_text("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is no JSON: {error}") from error


def object_row(value: object, **more: object) -> BenchmarkRow | ValueError:
    """A value of a JSON file as a row, with what is given besides; why not, if it is no object."""
    return {**value, **more} if isinstance(value, dict) else ValueError("it is no object")


def row_text(row: object, key: str) -> str:
    """A text of a row.

    Raises:
        ValueError: if there is none under that key.
    """
    value = row.get(key) if isinstance(row, Mapping) else None
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"its {key!r} is {printable(repr(value))[:80]}, and no text")
    return value
