"""The results of an evaluation, and their table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NotRequired, TypedDict

from anymodal.io.results import markdown_table
from anymodal.metrics import Metric


class Failure(TypedDict):
    """A sample that failed, or a metric that couldn't measure its reply, and why."""

    id: str
    error: str
    metric: NotRequired[str]


class Table(TypedDict):
    """A table of a metric: the columns' names, and as many cells in each row."""

    columns: list[str]
    rows: list[list[str | float | int]]


class Results(TypedDict):
    """The results of an evaluation.

    Attributes:
        model: who was asked: a folder, a shipped model's name, or the class that gives it.
        data: what was asked: a file, or the class that gives the samples.
        seed: of the run.
        count: how many samples.
        failed: what went wrong; the rest is measured all the same.
        truncated: samples whose replies were cut off by `max_new_tokens`; they are measured as
            they are.
        metrics: figures by metric, with `count`, and `missing` where there are such replies.
        sizes: by metric and figure, of how many values it is a figure where that isn't `count`.
        tables: by metric and name, of metrics that have any.
    """

    model: str
    data: str
    seed: int
    count: int
    failed: list[Failure]
    truncated: list[str]
    metrics: dict[str, dict[str, float]]
    sizes: dict[str, dict[str, int]]
    tables: dict[str, dict[str, Table]]


def tables_of(metrics: Mapping[str, Metric]) -> dict[str, dict[str, Table]]:
    """The tables of those metrics that have any."""
    by_metric = {name: metric.tables() for name, metric in metrics.items()}
    return {
        metric: {name: {"columns": t.columns, "rows": t.rows} for name, t in tables.items()}
        for metric, tables in by_metric.items()
        if tables
    }


def sizes_of(metrics: Mapping[str, Metric]) -> dict[str, dict[str, int]]:
    """The sizes of those metrics that have figures over others than all replies."""
    return {name: sizes for name, metric in metrics.items() if (sizes := metric.sizes())}


def table_texts(tables: Mapping[str, Mapping[str, Table]]) -> Iterator[str]:
    """The tables of metrics in Markdown, each below its name."""
    for metric, by_name in tables.items():
        for name, table in by_name.items():
            rows = [[_cell(cell) for cell in row] for row in table["rows"]]
            yield f"{metric}: {name}\n\n{markdown_table(table['columns'], rows)}"


def _cell(cell: str | float | int) -> str:
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


def metric_table(results: Results) -> str:
    """The figures as Markdown tables, with a list of what failed."""
    rows = []
    for name, result in results["metrics"].items():
        figures = {key: result[key] for key in result if key not in ("count", "missing")}
        count, missing = f"{result['count']:.0f}", f"{result.get('missing', 0):.0f}"
        sizes = results["sizes"].get(name, {})
        if not figures:
            rows.append([f"{name}: –", "–", count, missing])
        for key, value in figures.items():
            label = f"{name}: {key}" if key != name else name
            rows.append([label, f"{value:.4g}", str(sizes.get(key, count)), missing])
    lines = [
        f"- {failure['id']}{': ' + failure['metric'] if 'metric' in failure else ''}: "
        f"{failure['error']}"
        for failure in results["failed"]
    ]
    section = [f"{len(lines)} failed:", "\n".join(lines)] if lines else []
    if names := results["truncated"]:
        section.append(f"{len(names)} replies were cut off by max_new_tokens: {', '.join(names)}")
    table = markdown_table(["metric", "value", "n", "missing"], rows)
    return "\n\n".join([table, *table_texts(results["tables"]), *section])
