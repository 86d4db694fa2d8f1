"""The README's table of decoders, made of the registry of tests: `python -m tests.family_table`."""

from __future__ import annotations

from pathlib import Path

from anymodal.decoders.families import FAMILIES as ADAPTERS
from tests.pipelines import FAMILIES, Family

README = Path(__file__).resolve().parent.parent / "README.md"
BEGIN, END = "<!-- made by tests/family_table.py -->\n", "<!-- to here -->\n"


def row(known: Family) -> str:
    """One family: what its contract tests have been told, and hold it to."""
    parts = ["embeds", *["mask"] * known.masked, *["pooled"] * (known.pooled is not None)]
    others = [name.removesuffix("Scheduler") for name in known.schedulers]
    cells = [
        ADAPTERS[known.pipeline].media.kind,
        known.title,
        f"`{known.pipeline.removesuffix('Pipeline')}`",
        ", ".join(parts),
        known.prediction.removesuffix("_prediction"),
        ", ".join(others) or "–",
    ]
    return f"| {' | '.join(cells)} |"


def table() -> str:
    """The table in Markdown, a row for each family under test."""
    head = "| makes | family | pipeline | conditioning | tested predicting | other schedulers |\n"
    rule = "| :---- | :----- | :------- | :----------- | :---------------- | :--------------- |\n"
    return head + rule + "".join(row(known) + "\n" for known in FAMILIES.values())


def written(text: str) -> str:
    """A text with the table in its place."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


if __name__ == "__main__":
    README.write_text(written(README.read_text("utf-8")), "utf-8")
