"""A beginning that all conversations share: computed once, and in each.

A frozen language model of SmolLM2-135M's shape, with random weights, reads rows of 43 positions as
in training a projection: 23 of a system prompt, soft tokens that train, a question and a label.
Timed is a pass forward and back.

    OMP_NUM_THREADS=1 python benchmarks/shared_prefix.py
"""

from __future__ import annotations

from functools import partial

import measure
import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from anymodal.composition import find
from anymodal.io.results import markdown_table
from anymodal.language.flat_rows import FlatReader, Needs
from anymodal.language.model import IGNORED, LanguageModel
from anymodal.language.packing import Packed, pack
from anymodal.language.signal_tokens import Signals

SHARED, SOFT, LENGTH = 23, 8, 43
SHAPE = {
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
}


def main() -> None:
    """Time both in turn, and print the table."""
    parser = measure.arguments(__doc__)
    parser.add_argument("--runs", type=int, default=5, help="of each; default: %(default)s")
    parser.add_argument("--layers", type=int, default=30, help="default: %(default)s")
    parser.add_argument("--rows", type=int, default=16, help="default: %(default)s")
    args = parser.parse_args()
    torch.manual_seed(0)
    tokenizer = LanguageModel.from_pretrained(str(find("nano") / "language")).tokenizer
    config = LlamaConfig(vocab_size=49152, num_hidden_layers=args.layers, **SHAPE)
    language = LanguageModel(LlamaForCausalLM(config), tokenizer).eval().requires_grad_(False)
    signals = Signals.add_to(language, {}, ["pic"])
    soft = torch.nn.Linear(1, 1)  # stands for the projection, whose soft tokens train
    reader = FlatReader(language, signals, [soft])
    batch = rows_of(args.rows, signals.placeholder("pic"))
    both = reader.needs(batch), reader.needs(batch, [SHARED] * args.rows)
    sides = {
        name: partial(step, reader, batch, needs)
        for name, needs in zip(("in each row", "once"), both, strict=True)
    }
    losses = [side().item() for side in sides.values()]
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-5, atol=0)
    times = measure.alternating(sides, args.runs)
    rows = [
        [name, measure.milliseconds(laps), measure.ratio(times["in each row"], laps)]
        for name, laps in times.items()
    ]
    caption = (
        f"{args.rows} rows of {LENGTH} positions, {SHARED} of them shared; {args.layers} layers; "
        f"{args.runs} alternating runs. Losses {losses[0]:.6f} and {losses[1]:.6f}."
    )
    table = markdown_table(["the beginning is computed", "ms a step", "× in each row"], rows)
    measure.write_section("shared-prefix", f"{caption}\n\n{table}", args.page)


def rows_of(count: int, placeholder: int) -> Packed:
    """Conversations that begin alike, in a row each."""
    ids = torch.randint(0, 200, (count, LENGTH))
    ids[:, :SHARED] = ids[0, :SHARED]
    ids[:, SHARED : SHARED + SOFT] = placeholder
    labels = [[*[IGNORED] * (LENGTH - 2), *row[-2:]] for row in ids.tolist()]
    return pack(ids.tolist(), labels, False)


def step(reader: FlatReader, batch: Packed, needs: Needs) -> Tensor:
    """A pass forward and back; its loss."""
    language = reader.language
    embeds = language.embed(batch.ids).requires_grad_()
    loss = language.loss(reader.read(embeds, needs), batch.labels)
    loss.backward()
    return loss.detach()


if __name__ == "__main__":
    main()
