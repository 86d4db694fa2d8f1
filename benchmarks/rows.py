"""Rows of a batch: packed, one conversation each, and that grouped by length.

The shipped language model reads the Toybox's conversations as in
configs/stages/nano/31-conversations.yaml. Counted are positions for each token that is real; timed
is a pass forward and back.

    OMP_NUM_THREADS=1 python benchmarks/rows.py
"""

from __future__ import annotations

import measure
import torch

from anymodal.composition import find
from anymodal.io.results import markdown_table
from anymodal.language.model import LanguageModel
from anymodal.toybox.dataset import ToyboxDialogues
from anymodal.training.batches import Batches
from anymodal.training.objectives import LanguageModeling
from anymodal.training.objectives.language_modeling import TokenBatch


def seconds(objective: LanguageModeling, batch: TokenBatch) -> float:
    """A pass forward and back."""
    start = measure.seconds()
    objective.named_losses(batch)["text"].backward()
    objective.zero_grad()
    return measure.seconds() - start


def main() -> None:
    """Count and time each side's batches in turn, and print the table."""
    parser = measure.arguments(__doc__)
    parser.add_argument("--runs", type=int, default=3, help="of each; default: %(default)s")
    parser.add_argument("--batches", type=int, default=16)
    args = parser.parse_args()
    language = LanguageModel.from_pretrained(str(find("nano") / "language"), dtype="float32")
    objective = LanguageModeling(language)
    language.requires_grad_(True)
    data = ToyboxDialogues(200000, seed=31, text_only=True, max_joined=4)
    batches: dict[str, list[TokenBatch]] = {}
    sides = {
        "a row for each": (False, 1),
        f"a row for each, `length_group_batches: {args.batches}`": (False, args.batches),
        "packed": (True, 1),
    }
    for name, (objective.packed, grouped) in sides.items():
        loader = iter(Batches(data, objective.collate, 12, 0, length_group_batches=grouped))
        batches[name] = [next(loader) for _ in range(args.batches)]
    with torch.no_grad():
        losses = {name: total(objective, of) for name, of in batches.items()}
    first = next(iter(losses.values()))
    if any(abs(other - first) > 1e-4 * first for other in losses.values()):
        raise AssertionError(f"the sides don't lose the same: {losses}")
    times: dict[str, list[float]] = {name: [] for name in batches}
    for run in range(args.runs):
        for name in measure.turns(batches, run):
            times[name].append(sum(seconds(objective, batch) for batch in batches[name]))
    rows = []
    for name, some in batches.items():
        positions = sum(batch.packed.ids.numel() for batch in some)
        gains = [
            other / one for one, other in zip(times[name], times[next(iter(times))], strict=True)
        ]
        rows.append(
            [name, f"{positions / real(batches['a row for each']):.2f}", measure.spread(gains, 2)]
        )
    caption = f"{args.batches} batches of 12, {args.runs} alternating runs."
    table = markdown_table(["rows", "positions a token", "× a row for each"], rows)
    measure.write_section("rows", f"{caption}\n\n{table}", args.page)


def real(batches: list[TokenBatch]) -> int:
    """Tokens that are no padding, of rows that hold one conversation each."""
    return sum(int((batch.packed.ids != 0).sum()) for batch in batches)


def total(objective: LanguageModeling, batches: list[TokenBatch]) -> float:
    """The loss over all supervised positions of all batches, which no dealing may change."""
    pairs = [(float(objective.named_losses(b)["text"]), b.supervised) for b in batches]
    return sum(loss * count for loss, count in pairs) / sum(count for _, count in pairs)


if __name__ == "__main__":
    main()
