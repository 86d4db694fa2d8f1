"""What chatting and each stage take on the cards that configurations are made for, as planned.

It opens the parts' settings from the hub or its cache, never a weight, and reads the data that the
stages name. Run it from the root of the repository:

    python benchmarks/cards.py 12gb 24gb 80gb
"""

from __future__ import annotations

import argparse

from anymodal.planning.budget import read_budget
from anymodal.planning.plan import Plan, make_plans

STAGES = ("1-perceive", "2-express", "3-instruct")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cards", nargs="+", metavar="CARD")
    print("| card | " + " | ".join(["chat", *STAGES]) + " |")
    print("| :--- | " + "---: | " * (1 + len(STAGES)))
    for card in parser.parse_args().cards:
        runs = [f"configs/stages/{card}/{stage}.yaml" for stage in STAGES]
        chat, *stages = make_plans(
            [f"configs/models/{card}.yaml", *runs], [], read_budget(card.upper()), context=2048
        )
        print(f"| {card} | " + " | ".join(map(_cell, (chat, *stages))) + " |")


def _cell(plan: Plan) -> str:
    fits = "" if plan.fits else ", too much"
    return f"{plan.need.peak / 1e9:.1f} GB{fits}"


if __name__ == "__main__":
    main()
