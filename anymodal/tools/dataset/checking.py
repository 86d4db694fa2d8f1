"""Every row and media file of a data set opened, in workers, with a report of what is wrong."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from anymodal.data.row_samples import RowSamples, media_in
from anymodal.tools.dataset.statistics import readable

CHUNK = 64
"""Rows that a worker checks at once, and the most that a stopped run checks again."""


class RowProblem(NamedTuple):
    """A row that can't be used.

    Args:
        row: its number, from 0 on.
        reason: with its place.
    """

    row: int
    reason: str


def check_rows(
    source: RowSamples[Any], report: Path, workers: int = 0, settings: str = ""
) -> list[RowProblem]:
    """Open every row of a data set and decode all its media.

    Nothing of the data is changed. The report has a line of JSON for each chunk of rows, as soon as
    it is done, so that a stopped run goes on. Rows of files that have changed are checked anew, and
    so are rows with a problem, whose media may have been mended; other media are not.

    Args:
        source: the data set.
        report: the file to write, or to go on with.
        workers: processes that decode; 0 for this one.
        settings: with others, all is checked anew.

    Raises:
        ChildProcessError: if a worker was killed; the report has what was done before.
    """
    chunks = [range(at, min(at + CHUNK, len(source))) for at in range(0, len(source), CHUNK)]
    done = dict(_read(report))
    keys = [_key(source, chunk, settings) for chunk in chunks]
    left: list[tuple[str, Sequence[int]]] = []
    for key, chunk in zip(keys, chunks, strict=True):
        if key not in done:
            left.append((key, chunk))
        elif done[key]:
            left.append((key, [row for row, _ in done[key]]))
    edges = dict(zip(keys, chunks, strict=True))
    report.parent.mkdir(parents=True, exist_ok=True)
    with report.open("a+b") as out:
        _end_line(out)
        bar = tqdm(
            total=len(source), initial=len(source) - sum(len(c) for _, c in left), unit="row"
        )
        for (key, rows), problems in zip(left, _checked(source, left, workers), strict=True):
            if done.get(key) != problems:
                done[key] = problems
                chunk = edges[key]
                line = {"chunk": key, "rows": [chunk.start, chunk.stop], "problems": problems}
                out.write(json.dumps(line).encode() + b"\n")
                out.flush()
            bar.update(len(rows))
        bar.close()
    return [RowProblem(*problem) for key in keys for problem in done[key]]


def _key(source: RowSamples[Any], rows: range, settings: str) -> str:
    stamps = [(row, source.stamp(row)) for row in rows]
    return hashlib.sha256(repr((len(rows), stamps, settings)).encode()).hexdigest()[:16]


def _read(report: Path) -> Iterator[tuple[str, list[tuple[int, str]]]]:
    """The chunks that a report has; what a killed run left of a line is none."""
    if not report.exists():
        return
    with report.open("rb") as lines:
        for line in lines:
            try:
                value = json.loads(line)
                yield value["chunk"], [(int(row), str(text)) for row, text in value["problems"]]
            except (ValueError, KeyError, TypeError):
                if line.endswith(b"\n"):
                    raise ValueError(
                        f"{report} is no report of this command; name another file"
                    ) from None


def _end_line(out: Any) -> None:
    """Cut off what a killed run left of a line."""
    out.seek(0)
    whole = out.read()
    out.truncate(whole.rfind(b"\n") + 1)
    out.seek(0, 2)


def _checked(
    source: RowSamples[Any], chunks: list[tuple[str, Sequence[int]]], workers: int
) -> Iterator[list[tuple[int, str]]]:
    if workers == 0:
        yield from (_problems(source, chunk) for _, chunk in chunks)
        return
    # Forked, so that media of a user's own and the open data set are there.
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(workers, context, _open, (source,)) as pool:
        try:
            yield from pool.map(_problems_of_worker, [chunk for _, chunk in chunks])
        except BrokenProcessPool as error:
            raise ChildProcessError(
                "a worker process was ended from outside, as where memory runs out; take fewer "
                "workers, 0 for none, and start again to go on"
            ) from error


_SOURCE: list[RowSamples[Any]] = []


def _open(source: RowSamples[Any]) -> None:
    _SOURCE[:] = [source]


def _problems_of_worker(rows: Sequence[int]) -> list[tuple[int, str]]:
    return _problems(_SOURCE[0], rows)


def _problems(source: RowSamples[Any], rows: Sequence[int]) -> list[tuple[int, str]]:
    problems = []
    for row in rows:
        try:
            for medium in media_in(source[row]):
                medium.decode()
        except (OSError, ValueError) as error:
            reason = readable(error)
            place = source.rows.place(row)
            problems.append((row, reason if reason.startswith(place) else f"{place}: {reason}"))
    return problems
