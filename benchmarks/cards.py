"""Planned memory of chatting and of each stage, on the cards that configurations are made for.

It opens the parts' settings from the hub or its cache, never a weight, and reads the data that the
stages name. Run it from the root of the repository; `--write` puts the table into the documents:

    python benchmarks/cards.py 12gb 24gb 80gb
"""

from __future__ import annotations

import argparse
from pathlib import Path

from anymodal.io.results import markdown_table
from anymodal.tools.plan.budget import read_budget
from anymodal.tools.plan.plan import MemoryPlan, make_plans

STAGES = ("1-perceive", "2-express", "3-instruct")
CONTEXT = 2048
"""Tokens of a conversation that is answered."""
PAGE = Path(__file__).resolve().parent.parent / "docs" / "guides" / "systems.md"
BEGIN, END = "<!-- cards: made by benchmarks/cards.py -->\n", "<!-- to here -->\n"


def main() -> None:
    """Print the table, or write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cards", nargs="+", metavar="CARD")
    parser.add_argument("--write", action="store_true", help="into docs/guides/systems.md")
    args = parser.parse_args()
    head = ["card", "chat", *(stage.partition("-")[2] for stage in STAGES)]
    rows = []
    for card in args.cards:
        runs = [f"configs/stages/{card}/{stage}.yaml" for stage in STAGES]
        rows.append([label(card), *map(cell, plans(card, runs))])
    table = f"{markdown_table(head, rows)}\n"
    if args.write:
        before, remainder = PAGE.read_text("utf-8").split(BEGIN)
        PAGE.write_text(before + BEGIN + table + END + remainder.split(END, 1)[1], "utf-8")
    print(table, end="")


def plans(card: str, runs: list[str]) -> list[MemoryPlan]:
    """Plans of a card's model in chat, and of runs on it."""
    configs = [f"configs/models/{card}.yaml", *runs]
    return make_plans(configs, [], read_budget(card.upper()), context=CONTEXT)


def label(card: str) -> str:
    """`12gb` as readers write it."""
    return f"{card[:-2]} {card[-2:].upper()}"


def cell(plan: MemoryPlan) -> str:
    """The peak in GB."""
    return f"{plan.need.peak / 1e9:.1f}" + ("" if plan.fits else ", too much")


if __name__ == "__main__":
    main()
