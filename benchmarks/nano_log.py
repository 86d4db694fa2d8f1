"""The log of nano's training: steps, time, losses and commit of every stage, from its run folders.

A stage whose folder isn't there keeps its row, since some may have been trained elsewhere.

python benchmarks/nano_log.py runs/nano
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import measure
import yaml

from anymodal.io.results import markdown_table

SECTION = "nano's training"
HEADER = (
    "stage", "steps", "batch", "minutes", "losses at first", "at the end", "sittings", "commit"
)  # fmt: skip
ENDS = 5
"""Readings at a run's end that its last losses are the mean of."""


def main() -> None:
    """Read the runs and write the table."""
    parser = measure.arguments(__doc__)
    parser.add_argument("runs", type=Path, help="the folder of run folders, such as runs/nano")
    args = parser.parse_args()
    runs = sorted((run for run in map(read, folders(args.runs))), key=lambda run: run["started"])
    if not runs:
        raise SystemExit(f"{args.runs} holds no runs; give the folder that `make nano` writes")
    rows = [
        [
            run["name"], str(run["steps"]), str(run["batch"]), f"{run['minutes']:.0f}",
            run["first"], run["last"], str(run["sittings"]), run["commit"],
        ]
        for run in runs
    ]  # fmt: skip
    rows = [*rows_elsewhere(args.page, [run["name"] for run in runs]), *rows]
    total = sum(float(row[HEADER.index("minutes")]) for row in rows)
    text = "\n".join(
        [
            f"{total / 60:.1f} hours of one core in all, by the clock of each run's steps.",
            "",
            markdown_table(HEADER, rows),
        ]
    )
    measure.write_section(SECTION, text, args.page)


def rows_elsewhere(page: Path, names: Sequence[str]) -> list[list[str]]:
    """Rows of the page's table of other stages than these."""
    _, _, behind = page.read_text("utf-8").partition(f"<!-- {SECTION}")
    lines = behind.rpartition(f"<!-- /{SECTION}")[0].splitlines()
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "|" in line]
    return [row for row in table[2:] if row[0] not in names]  # behind the head and its rule


def folders(root: Path) -> list[Path]:
    """Run folders below a folder that have begun."""
    return [path.parent for path in root.glob("*/history.jsonl")]


def read(folder: Path) -> dict[str, Any]:
    """A run: its settings, losses, and the time of its steps."""
    settings = yaml.safe_load((folder / "run.yaml").read_text())
    starts = json.loads((folder / "environment.json").read_text())
    history = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    seconds, step = 0.0, -1
    for record in history:
        # A resumed run repeats no step, so that steps between readings are counted once.
        if "samples_per_second" in record:
            count = settings["batch_size"] * max(0, record["step"] - step)
            seconds += count / record["samples_per_second"]
            step = max(step, record["step"])
    losses = [record for record in history if "loss" in record]
    commits = list(dict.fromkeys(_commit(start) for start in starts))
    return {
        "name": folder.name,
        "started": datetime.fromisoformat(starts[0]["started"]).astimezone(UTC),
        "steps": step + 1,
        "batch": settings["batch_size"],
        "minutes": seconds / 60,
        "first": listed(losses[:1]),
        "last": listed(losses[-ENDS:]),
        "sittings": len(starts),
        "commit": ", ".join(commits),
    }


def _commit(start: dict[str, Any]) -> str:
    """The commit that a sitting ran at; there is none outside a repository."""
    return str(start["git"]["commit"][:7]) if start["git"] else "none"


def listed(records: list[dict[str, Any]]) -> str:
    """Mean losses of some readings, by name."""
    names = [name for name in records[0] if name.startswith("loss/")]
    means = {
        name: sum(record[name] for record in records) / len(records)
        for name in names
        if all(name in record for record in records)
    }
    return ", ".join(f"{name.removeprefix('loss/')} {mean:.3f}" for name, mean in means.items())


if __name__ == "__main__":
    main()
