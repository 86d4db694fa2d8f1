"""`report.html`: a run's curves, replies, data and configuration on one page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

from anymodal.chat.html_report import write_html_report
from anymodal.training.report.charts import line_chart
from anymodal.training.report.history import Curves

REPORT = "report.html"
VALIDATION = "validation/"
FRAGMENT = Path("validation", "latest.html")
"""The replies of the last validation, as pieces of the page."""


def write_report(
    folder: Path,
    lead: str,
    curves: Curves,
    data: Mapping[str, Mapping[str, object]],
    sections: Mapping[str, str],
) -> None:
    """Write a run's page, whole or not at all; it loads nothing from anywhere.

    Args:
        folder: of the run.
        lead: text under the title.
        curves: values by name and step.
        data: facts about each data set.
        sections: texts, such as the configuration, by title.
    """
    body = [*_curves_html(curves), *_replies(folder), *_data_html(data)]
    for title, text in sections.items():
        block = f"<pre>{escape(text)}</pre>"
        body.append(f"<details><summary>{escape(title)}</summary>{block}</details>")
    write_html_report(folder / REPORT, folder.resolve().name, lead, body)


def _curves_html(curves: Curves) -> Iterator[str]:
    yield '<h2>Curves</h2><div class="charts">'
    for title, names in chart_groups(list(curves)).items():
        lines = {name: sorted(curves[name].items()) for name in names}
        yield line_chart(title, lines)
    yield "</div>"


def chart_groups(names: list[str]) -> dict[str, list[str]]:
    """Names by chart: a held-out figure stands with the run's own of the same name."""
    groups: dict[str, list[str]] = {}
    for name in names:
        title = name.removeprefix(VALIDATION)
        parts = title.split("/")
        if "loss" in parts:  # of one data set: `birds/loss/text`
            title = "/".join(parts[parts.index("loss") :])
        groups.setdefault(title, []).append(name)
    return groups


def _replies(folder: Path) -> list[str]:
    path = folder / FRAGMENT
    if not path.exists():
        return []
    return ["<h2>Replies at the last validation</h2>", path.read_text("utf-8")]


def _data_html(data: Mapping[str, Mapping[str, object]]) -> Iterator[str]:
    yield "<h2>Data</h2>"
    for name, facts in data.items():
        rows = "".join(
            f"<tr><th scope=row>{escape(str(key))}</th><td>{escape(_text(value))}</td></tr>"
            for key, value in facts.items()
        )
        yield f"<h3>{escape(name)}</h3><table>{rows}</table>"


def _text(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
