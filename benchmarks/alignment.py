"""Alignment training against a plain PyTorch loop, with identical parts, data order and losses.

In the plain loop media are encoded and captions embedded at every step, each conversation has a row
of its own, padded to the longest of the batch, and the language model scores its whole vocabulary
at every position. `--ladder` takes that away one thing at a time, and then adds AnyModal's
switches. Half of the samples are media to be captioned (encoding-side alignment), half captions to
be made media of (decoding-side). Every medium and caption occurs once an epoch.

    OMP_NUM_THREADS=1 python benchmarks/alignment.py --size small-lm --ladder
"""

from __future__ import annotations

import argparse
import math
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import diffusers
import measure
import numpy as np
import torch
import torch.nn.functional as F
import transformers
import yaml
from alignment_parts import MADE, PROJECTIONS, SIZES, write_parts
from torch import Tensor

from anymodal.core import ComposedModel
from anymodal.io.feature_cache import FeatureCache
from anymodal.io.results import markdown_table
from anymodal.language.packing import Packed, Place, pack
from anymodal.language.prompt import Prompt
from anymodal.toybox.dataset import ToyboxMedia
from anymodal.training.batches import Batches
from anymodal.training.configuration import freeze_all_but, train_mode
from anymodal.training.losses import alignment_loss
from anymodal.training.objectives import Dialogue
from anymodal.training.objectives.base import values_of
from anymodal.training.optimizers import build_optimizer
from anymodal.training.precompute import fill
from anymodal.training.run import build, fit, read_run
from anymodal.types import Conditioning, Message, Target

TRAINABLE = ["projection.*", "heads.*", "language.rows"]


# ---- Data --------------------------------------------------------------------------------------


class Pairs:
    """Media with captions: even samples are to be captioned, odd ones to be made."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.media = {name: ToyboxMedia(name, size) for name in MADE}

    def __len__(self) -> int:
        return self.size

    def length(self, index: int) -> int:
        """About how long a sample is: media come with a longer request."""
        return len(self.media[MADE[index // 2 % len(MADE)]][index].caption) + 20 * (index % 2 == 0)

    def __getitem__(self, index: int) -> list[Message]:
        name = MADE[index // 2 % len(MADE)]
        shown = self.media[name][index]
        words = f"{shown.caption}, number {index}"
        if index % 2:
            return [Message("user", [words]), Message("assistant", [Target(name, words)])]
        asked: list[Any] = [shown.media, "generate a caption"]
        return [Message("user", asked), Message("assistant", [words])]


# ---- The plain loop ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Loop:
    """The plain loop, and what of AnyModal's it does already."""

    supervised: bool = False  # score supervised positions only
    packed: bool = False  # several conversations in a row
    features: bool = False  # encode every medium once
    captions: bool = False  # embed every caption once

    def rows(self, prompts: Sequence[Prompt]) -> tuple[Packed, Tensor | None]:
        """Rows of token ids, and the mask of what is real, where padding is seen otherwise."""
        ids, labels = [p.ids for p in prompts], [p.labels for p in prompts]
        if self.packed:
            return pack(ids, labels), None
        width = max(map(len, ids))
        padded = torch.zeros(len(ids), width, dtype=torch.long)
        wanted, mask = torch.full_like(padded, -100), torch.zeros_like(padded)
        for row, (one, other) in enumerate(zip(ids, labels, strict=True)):
            padded[row, : len(one)], wanted[row, : len(one)] = torch.tensor((one, other))
            mask[row, : len(one)] = 1
        places = [Place(row, 0) for row in range(len(ids))]
        return Packed(padded, wanted, torch.empty(0), places), mask

    def losses(
        self, objective: Dialogue, samples: Sequence[Sequence[Message]], known: dict[str, Any]
    ) -> dict[str, Tensor]:
        """Cross-entropy of replies, and the distance from captions' conditioning."""
        model = objective.model
        prompts = [model.layout.prompt(messages, reply=False) for messages in samples]
        (ids, labels, positions, places), mask = self.rows(prompts)
        embeds = model.embed(prompts, ids, places, encode=objective.features)
        if mask is None:
            hidden = model.language(embeds, positions=positions)
        else:
            hidden = model.language(embeds, attention_mask=mask)
        if self.supervised:
            text = model.language.loss(hidden, labels)
        else:
            scores = model.language.logits(hidden)[:, :-1].float()  # (B, T-1, V)
            text = F.cross_entropy(scores.flatten(0, 1), labels[:, 1:].flatten())
        align = []
        for name, head in model.heads.items():
            spans = [
                (row, start + span.start, span.target.caption)
                for (row, start), prompt in zip(places, prompts, strict=True)
                for span in prompt.spans
                if span.target.modality == name
            ]
            if spans:
                rows = torch.tensor([row for row, *_ in spans])[:, None]
                steps = torch.arange(model.signals.counts[name])
                columns = torch.tensor([first for _, first, _ in spans])[:, None] + steps
                made = head(hidden[rows, columns], embeds[rows, columns])
                target = self._embedded(model, name, [words for *_, words in spans], known)
                align.append(alignment_loss(made, target, "mse"))
        return {"text": text, "align": torch.stack(align).sum()} if align else {"text": text}

    @torch.no_grad()
    def _embedded(
        self, model: ComposedModel, name: str, captions: list[str], known: dict[str, Any]
    ) -> Conditioning:
        decoder = model.decoders[name]
        missing = [words for words in captions if not self.captions or (name, words) not in known]
        if missing:
            found = decoder.embed_captions(missing)
            known.update(
                {(name, w): found_at for w, *found_at in zip(missing, *found[:2], strict=True)}
            )
        embeds, masks = zip(*(known[name, words] for words in captions), strict=True)
        return Conditioning(torch.stack(embeds), torch.stack(masks))


def plain(config: Path, loop: Loop) -> dict[str, Any]:
    """Train as a run's configuration says, in a plain loop; the seconds and losses of its steps."""
    run = read_run(config)
    objective, data = build(run)
    assert isinstance(objective, Dialogue), "it is the objective of composed models"
    model = objective.model
    freeze_all_but(model, run.stage.trainable)
    train_mode(model)
    optimizer = build_optimizer(model, run.optimizer)
    trained = [p for p in model.parameters() if p.requires_grad]
    batches = Batches(data, list, run.batch_size, run.seed)
    known: dict[str, Any] = {}
    if loop.features:
        objective.feature_cache = FeatureCache()
        for step in range(run.steps):
            samples = [data[index] for index in batches.indices(step)]
            with torch.no_grad():
                objective.precompute(objective.collate(samples))
                if loop.captions:
                    loop.losses(objective, samples, known)
    times, found = [measure.seconds()], []
    for step in range(run.steps):
        samples = [data[index] for index in batches.indices(step)]
        losses = loop.losses(objective, samples, known)
        torch.stack(list(losses.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(trained, run.optimizer.max_grad_norm)
        for group in optimizer.param_groups:
            group["lr"] = run.optimizer.lr * run.optimizer.rate(step, run.steps)
        optimizer.step()
        optimizer.zero_grad()
        found.append({name: float(loss.detach()) for name, loss in losses.items()})
        times.append(measure.seconds())
    return {"seconds": list(np.diff(times)), "losses": found}


# ---- AnyModal ----------------------------------------------------------------------------------


def trained(config: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """Train as `anymodal train` does; the seconds and losses of its steps."""
    times: list[float] = []
    found: list[dict[str, float]] = []

    def before(module: torch.nn.Module, given: Any) -> None:
        if isinstance(module, Dialogue):
            times.append(measure.seconds())

    def after(module: torch.nn.Module, given: Any, losses: Any) -> None:
        if isinstance(module, Dialogue):
            values = {name: values_of(parts) for name, parts in losses.items()}
            found.append({name: float(sum(v)) for name, v in values.items() if v})

    torch.nn.modules.module.register_module_forward_pre_hook(before)
    torch.nn.modules.module.register_module_forward_hook(after)
    with tempfile.TemporaryDirectory() as out:
        # The last step is followed by a checkpoint and the end, so its end isn't the next's start.
        fit(read_run(config, [*overrides, f"output_dir={out}"]))
    return {"seconds": list(np.diff(times)), "losses": found}


def filled(config: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """Fill the cache as `anymodal cache` does; the seconds that it took a sample, opening apart."""
    times: list[float] = []
    precompute = Dialogue.precompute

    def timed(objective: Dialogue, batch: Any) -> None:
        times.append(measure.seconds())
        precompute(objective, batch)

    Dialogue.precompute = timed  # type: ignore[method-assign]
    samples = fill(config, overrides)
    times.append(measure.seconds())
    return {"seconds": [(times[-1] - times[0]) / samples]}


# ---- Comparison --------------------------------------------------------------------------------

PLAIN = Loop()
RUNGS = {
    "plain loop": PLAIN,
    "+ loss at supervised positions": (third := replace(PLAIN, supervised=True)),
    "+ packed rows": (fourth := replace(third, packed=True)),
    "+ media encoded once": (fifth := replace(fourth, features=True)),
    "+ captions embedded once": replace(fifth, captions=True),
}
SWITCHES: dict[str, tuple[list[str], float]] = {
    "`anymodal train` with a filled cache": ([], 1e-3),
    "the same, with fused AdamW": (["optimizer.fused=true"], 1e-3),
    "the same, with regional compile": (["compile=true"], 1e-3),
    "the same, with activation checkpointing": (["activation_checkpointing=true"], 1e-3),
    "the same, with bf16": (["precision=bf16-mixed"], 5e-2),
    "the same, rows of their own": (["packed=false"], 1e-3),
    "the same, rows grouped by length": (["packed=false", "length_group_batches=3"], math.inf),
}
"""What is changed of the run, and how far losses may be from the plain loop's, relatively.

Grouping deals samples to other batches, so its losses aren't the plain loop's.
"""


def agree(found: Sequence[dict[str, float]], plain: Sequence[dict[str, float]], by: float) -> None:
    """Check that two sides lose the same at every step, since else they don't do the same."""
    for step, (one, other) in enumerate(zip(found, plain, strict=True)):
        for name in other:
            if abs(one[name] - other[name]) > by * max(abs(other[name]), 0.1):
                raise AssertionError(f"step {step}: {name} is {one[name]}, not {other[name]}")


def main() -> None:
    """Measure in alternating runs, and print the tables."""
    parser = measure.arguments(__doc__)
    parser.add_argument("--size", choices=[*SIZES], default="small-lm")
    parser.add_argument("--projection", choices=[*PROJECTIONS], default="linear")
    parser.add_argument("--runs", type=int, default=3, help="of each; default: %(default)s")
    parser.add_argument("--steps", type=int, default=8, help="two more warm up")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--ladder", action="store_true", help="one switch at a time")
    args = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    diffusers.utils.logging.disable_progress_bar()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        sizes = measure.apart(lambda: write_parts(folder, SIZES[args.size], args.projection))
        sizes.pop("peak_mb")
        config = write_run(folder, args.steps + 2, args.batch)
        for text in compare(config, args, sizes):  # after every run, since the whole takes long
            measure.write_section(f"alignment {args.size} {args.projection}", text, args.page)


def write_run(folder: Path, steps: int, batch: int) -> Path:
    """Write the run that both sides read: each sample is drawn once."""
    run = {
        "model": {"_target_": "anymodal.AnyModal.compose", "config": str(folder / "model.yaml")},
        "data": {"_target_": "alignment.Pairs", "size": steps * batch},
        "trusted_packages": ["alignment"],
        "stage": {"trainable": TRAINABLE, "losses": {"text": 1, "align": 1}},
        "output_dir": str(folder / "out"),
        "steps": steps,
        "batch_size": batch,
        "trainer": {"accelerator": "cpu", "enable_progress_bar": False},
    }
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(run))
    return path


def compare(config: Path, args: argparse.Namespace, sizes: dict[str, float]) -> Iterator[str]:
    """Measure every side in turn, run after run; the tables of all runs so far."""
    rungs = RUNGS if args.ladder else {"plain loop": PLAIN}
    switches = SWITCHES if args.ladder else dict([*SWITCHES.items()][:1])
    cache = [f"feature_cache.dir={config.parent / 'cache'}"]
    tasks: dict[str, Callable[[], dict[str, Any]]] = {
        name: partial(plain, config, loop) for name, loop in rungs.items()
    }
    tolerances = dict.fromkeys(rungs, 1e-3)
    for name, (changes, tolerance) in switches.items():
        tasks[name] = partial(trained, config, [*cache, *changes])
        tolerances[name] = tolerance
    build_seconds = []
    for run in range(args.runs):
        ahead = [f"feature_cache.dir={config.parent / f'cache-{run}'}"]
        build_seconds.append(measure.apart(partial(filled, config, ahead))["seconds"][0])
    for changes in ([], ["precision=bf16-mixed"]) if args.ladder else ([],):
        measure.apart(partial(filled, config, [*cache, *changes]))
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in tasks}
    for run in range(args.runs):
        for name in measure.turns(tasks, run + 1):
            results[name].append(measure.apart(tasks[name]))
            seconds = median(results[name][-1]["seconds"][2:])
            print(f"run {run + 1}: {name}: {args.batch / seconds:.2f} samples/s", flush=True)
        for name, tolerance in tolerances.items():
            if tolerance < math.inf:
                lost = [results[side][-1]["losses"] for side in (name, "plain loop")]
                agree(*lost, tolerance)
        yield report(args, sizes, results, build_seconds)


def report(
    args: argparse.Namespace,
    sizes: dict[str, float],
    results: dict[str, list[dict[str, Any]]],
    build_seconds: Sequence[float],
) -> str:
    """The tables of one size."""
    rates = {
        name: [args.batch / median(run["seconds"][2:]) for run in runs]
        for name, runs in results.items()
    }
    slowest = rates["plain loop"]
    rows = [
        [
            name,
            measure.spread(rates[name], 2),
            measure.spread([a / b for a, b in zip(rates[name], slowest, strict=True)], 1),
            f"{median(run['peak_mb'] for run in runs):.0f}",
        ]
        for name, runs in results.items()
    ]
    best = next(name for name in results if name in SWITCHES)
    once = median(build_seconds)
    amortised = [
        [f"{epochs} epoch{'s' * (epochs > 1)}", *_amortised(epochs, once, rates[best], slowest)]
        for epochs in (1, 3)
    ]
    made = ", ".join(f"{name} {millions:.1f} M" for name, millions in sizes.items())
    return "\n\n".join(
        [
            f"**`--size {args.size} --projection {args.projection}`**, in the proportions of "
            f"{SIZES[args.size].like}: {made}.",
            f"{len(slowest)} alternating runs of {args.steps} steps of {args.batch} samples, after "
            "two that warm up.",
            markdown_table(["loop", "samples/s", "× plain", "peak MB"], rows),
            f"Building the cache takes {measure.spread(build_seconds, 0, 1e3)} ms a sample. "
            "With it:",
            markdown_table(["cache built for", "samples/s", "× plain"], amortised),
        ]
    )


def _amortised(
    epochs: int, once: float, rates: Sequence[float], slowest: Sequence[float]
) -> tuple[str, str]:
    """Samples a second and gain where the cache is built for some epochs."""
    rate = epochs / (once + epochs / median(rates))
    return f"{rate:.2f}", f"{rate / median(slowest):.1f}"


if __name__ == "__main__":
    main()
