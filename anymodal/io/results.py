"""Results as people and programs read them: Markdown tables, and a folder's result files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from anymodal.io.checkpoint import replacing

_NUMBER = re.compile(r"[-+×]?\d|–$|$")
"""The beginning of a figure or an interval; a dash or an empty cell may stand in its place."""


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table with padded columns; those of figures are aligned right.

    Args:
        head: the columns' names. The first column names the rows and is aligned left.
        rows: as many cells each as there are columns.
    """
    # A bar in a cell would begin another one.
    lines = [[str(cell).replace("|", r"\|") for cell in row] for row in (head, *rows)]
    columns = list(zip(*lines, strict=True))
    # Three, the least that some Markdown readers take for a rule.
    widths = [max(3, *map(len, column)) for column in columns]
    numeric = [
        place > 0 and len(column) > 1 and all(map(_NUMBER.match, column[1:]))
        for place, column in enumerate(columns)
    ]

    def line(cells: Sequence[str]) -> str:
        triples = zip(cells, widths, numeric, strict=True)
        texts = (c.rjust(width) if is_figure else c.ljust(width) for c, width, is_figure in triples)
        return f"| {' | '.join(texts)} |"

    dashes = ["-" * (width - 1) for width in widths]
    rule = [f"{d}:" if is_figure else f":{d}" for d, is_figure in zip(dashes, numeric, strict=True)]
    return "\n".join(map(line, (lines[0], rule, *lines[1:])))


def write_results(folder: Path, results: Mapping[str, object], text: str) -> None:
    """Write `results.json` and the same as text, `results.md`, each whole or not at all.

    Args:
        folder: made if it isn't there.
        results: JSON values by name.
        text: the tables in Markdown.
    """
    for name, content in (("results.json", json.dumps(results, indent=2)), ("results.md", text)):
        with replacing(folder / name) as temporary:
            temporary.write_text(content + "\n", "utf-8")
