"""Heads side by side: the same frozen decoders, language model, conversations and steps for each.

Every head starts from random weights, as do the signals' rows and the adapters, and learns to ask
the shipped decoders for what a request in words names. Printed are the alignment error on other
requests (mean square, `alignment_loss`) and how often the caption nearest to what a head asks
for has the right attributes.

    python benchmarks/heads.py --steps 300
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any

import measure
import numpy as np
import torch

from anymodal import AnyModal
from anymodal.composition import find
from anymodal.heads import ConnectorHead, Head, LinearHead, MapperHead
from anymodal.io.results import markdown_table
from anymodal.language.model import LanguageModel
from anymodal.modality import Modality
from anymodal.toybox.diagnosis import head_accuracy
from anymodal.toybox.grammar.dialogues import sample_dialogue
from anymodal.toybox.grammar.types import MediaItem
from anymodal.toybox.scoring import SceneSet
from anymodal.training.objectives import Dialogue
from anymodal.training.optimizer_configuration import MuonConfig, OptimizerConfig
from anymodal.training.optimizers import build_optimizer
from anymodal.training.trainable import freeze_all_but
from anymodal.types import Message, Target

KINDS = ("text>image", "text>audio", "text>video")
BATCH = 32

HEADS: dict[str, tuple[Callable[..., Head], dict[str, Any], int, bool]] = {
    "mapper, 4 signals, frozen language model": (
        MapperHead, {"hidden_width": 128, "depth": 1}, 4, False,
    ),
    "linear, 4 signals": (LinearHead, {}, 4, True),
    "connector of 1 block, 4 signals": (ConnectorHead, {"depth": 1, "heads": 4}, 4, True),
    "mapper, 4 signals": (MapperHead, {"hidden_width": 128, "depth": 1}, 4, True),
    "mapper, 8 signals": (MapperHead, {"hidden_width": 128, "depth": 1}, 8, True),
}  # fmt: skip
"""Heads to compare: class, arguments, signals, and whether adapters learn with it."""


def compose(
    language: str, make: Callable[..., Head], how: dict[str, Any], signals: int
) -> AnyModal:
    """A model that only writes and makes, with the shipped decoders and fresh heads."""
    nano = AnyModal.from_pretrained("nano")
    words = LanguageModel.from_pretrained(language, dtype="float32")
    modalities = {}
    for name, decoder in nano.decoders.items():
        head = make(input_width=words.width, num_signal_tokens=signals, spec=decoder.spec, **how)
        modalities[name] = Modality(decoder=decoder, head=head, num_signal_tokens=signals)
    return AnyModal(words, None, modalities)


def conversations(seed: int, count: int) -> Iterator[list[Message]]:
    """Requests in words and their replies, whose media need not be rendered."""
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        dialogue = sample_dialogue(rng, kind=KINDS[int(rng.integers(len(KINDS)))])
        yield [
            Message(
                turn.role,
                [
                    Target(part.modality, part.caption) if isinstance(part, MediaItem) else part
                    for part in turn.parts
                ],
            )
            for turn in dialogue.turns
        ]


def aligning(model: AnyModal) -> Dialogue:
    """The objective, without its loss through the decoders."""
    dialogue = Dialogue(model)
    dialogue.use_losses({"text": 1, "align": 1})
    return dialogue


def learn(model: AnyModal, steps: int, adapters: bool) -> float:
    """Train heads and signal rows, with adapters or without; seconds per step."""
    globs = ["heads.*", "language.rows"]
    if adapters:
        model.language.enable_lora(r=32, alpha=64, dropout=0.0)
        globs.append("*lora_*")
    freeze_all_but(model, globs)
    settings = OptimizerConfig(lr=1e-3, muon=MuonConfig(["heads.*"], 1e-2))
    optimizer = build_optimizer(model, settings)
    rates = [group["lr"] for group in optimizer.param_groups]
    data = conversations(1, steps * BATCH)
    dialogue = aligning(model)
    start = time.perf_counter()
    for step in range(steps):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * settings.rate(step, steps)
        samples = [next(data) for _ in range(BATCH)]
        losses = dialogue.named_losses(dialogue.collate(samples))
        (losses["text"] + losses["align"]).backward()
        torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return (time.perf_counter() - start) / steps


@torch.no_grad()
def measure_heads(model: AnyModal, count: int) -> list[str]:
    """The alignment error over all modalities, and the share of right attributes of each."""
    dialogue = aligning(model)
    batch = dialogue.collate(list(conversations(2, count)))
    loss = dialogue.named_losses(batch)["align"] / len(model.heads)
    scenes = SceneSet(count)
    shares = [head_accuracy(model, name, scenes).shares["share"] for name in model.heads]
    return [f"{loss:.4f}", *(f"{100 * share:.1f}" for share in shares)]


def main() -> None:
    """Train every head and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=300, help="default: %(default)s")
    parser.add_argument("--n", type=int, default=100, help="requests measured per modality")
    parser.add_argument("--language", default=str(find("nano") / "language"), metavar="FOLDER")
    parser.add_argument("--only", nargs="+", choices=[*HEADS], default=[*HEADS], metavar="HEAD")
    args = parser.parse_args()
    rows = []
    for name in args.only:
        make, how, signals, adapters = HEADS[name]
        torch.manual_seed(0)
        model = compose(args.language, make, how, signals)
        size = sum(p.numel() for p in model.heads.parameters()) / len(model.heads)
        pace = learn(model, args.steps, adapters)
        rows.append([name, f"{size / 1e3:.0f} k", *measure_heads(model, args.n), f"{pace:.2f}"])
        print(rows[-1], flush=True)
    columns = [f"{name} right %" for name in model.heads]
    print(markdown_table(["head", "weights", "alignment", *columns, "s / step"], rows))
    print(f"\n{measure.environment()}")


if __name__ == "__main__":
    main()
