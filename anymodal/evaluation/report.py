"""The results of an evaluation, and their table."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from anymodal.io.results import markdown_table


class Failure(TypedDict):
    """A sample that failed, or a metric that couldn't measure its reply, and why."""

    id: str
    error: str
    metric: NotRequired[str]


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
    """

    model: str
    data: str
    seed: int
    count: int
    failed: list[Failure]
    truncated: list[str]
    metrics: dict[str, dict[str, float]]


def metric_table(results: Results) -> str:
    """The figures as a Markdown table, with a list of what failed."""
    rows = []
    for name, result in results["metrics"].items():
        figures = {key: result[key] for key in result if key not in ("count", "missing")}
        counts = [f"{result['count']:.0f}", f"{result.get('missing', 0):.0f}"]
        if not figures:
            rows.append([f"{name}: –", "–", *counts])
        for key, value in figures.items():
            rows.append([f"{name}: {key}" if key != name else name, f"{value:.4g}", *counts])
    lines = [
        f"- {failure['id']}{': ' + failure['metric'] if 'metric' in failure else ''}: "
        f"{failure['error']}"
        for failure in results["failed"]
    ]
    section = [f"{len(lines)} failed:", "\n".join(lines)] if lines else []
    if names := results["truncated"]:
        section.append(f"{len(names)} replies were cut off by max_new_tokens: {', '.join(names)}")
    return "\n\n".join([markdown_table(["metric", "value", "n", "missing"], rows), *section])
