"""Every stage and a chat turn at full size, with random weights, on one GPU.

A language model of 7 to 8 billion weights, ImageBind huge, and decoders of the sizes of Stable
Diffusion 1.5, AudioLDM and Zeroscope (`full_parts.py`) answer with text and each medium, and train
as `anymodal train` does, from a cache that was filled as `anymodal cache` does. Without a GPU the
same code runs with tiny parts, to show that it runs; those figures say nothing of a GPU.

    python benchmarks/full_size.py
    python benchmarks/full_size.py --only perceive --profile profiles
"""

from __future__ import annotations

import argparse
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import diffusers
import full_chat
import full_parts
import measure
import torch
import transformers
import yaml
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from anymodal import AnyModal
from anymodal.io.results import markdown_table
from anymodal.training.objectives import Dialogue
from anymodal.training.objectives.dialogue import DialogueBatch
from anymodal.training.precompute import fill_feature_cache
from anymodal.training.run import fit, read_run
from anymodal.types import Features

EXPRESSED = ["heads.*", "language.rows", "language.output_rows"]
STAGES: dict[str, dict[str, Any]] = {
    "perceive": {"trainable": ["projection.*"], "losses": {"text": 1}},
    "express": {"trainable": EXPRESSED, "losses": {"text": 1, "align": 1}},
    "instruct": {
        "trainable": ["projection.*", *EXPRESSED, "*lora_*"],
        "losses": {"text": 1, "align": 1},
    },
}
PARTS = ["perceive", "express", "chat", "instruct"]
"""In the order of what matters where time is short; instruct is last, for its adapters stay."""

BAR = 190
"""Samples a second that the perceive stage should reach on an H200."""

BOUND = 45
"""MFU in percent that this is about, and that a stage has whose time is the language model's: the
express stage, too, whose captions' conditioning comes from the cache."""

PEAKS = {
    **{"B200": 2250e12, "H200": 989.4e12, "H100 PCIe": 756e12, "H100 NVL": 835e12},
    **{"H100": 989.4e12, "A100": 312e12, "L40S": 362e12, "RTX 4090": 165.2e12},
}
"""FLOP/s of dense bfloat16 matrices, from NVIDIA's data sheets; the first name that fits counts."""


# ---- What a run does ---------------------------------------------------------------------------


class Meter:
    """Counts what a run's steps read and when each begins; the first `warm` don't count.

    Nor does the last, whose end isn't seen.
    """

    def __init__(self, model: AnyModal, warm: int, profiler: Any = None) -> None:
        self.model, self.warm, self.profiler = model, warm, profiler
        self.starts: list[float] = []
        self.counts: list[Counter[Any]] = []

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the model's calls."""
        model = self.model
        # Of every module: the objective, whose forward a step is, is made within the run.
        hooks = [nn.modules.module.register_module_forward_pre_hook(self._step)]
        if model.projection is not None:
            hooks.append(model.projection.register_forward_pre_hook(self._note_projection))
        for name, head in model.heads.items():
            hooks.append(
                head.register_forward_pre_hook(
                    lambda _, arguments, name=name: self._count(("head", name), len(arguments[0]))
                )
            )
        yield
        for hook in hooks:
            hook.remove()

    def _step(self, module: nn.Module, arguments: Any) -> None:
        if not isinstance(module, Dialogue):
            return
        if len(self.starts) == self.warm and torch.cuda.is_available():
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        if self.profiler is not None and self.starts:
            self.profiler.step()
        self.starts.append(time.perf_counter())
        batch: DialogueBatch = arguments[0]
        counts = {
            "samples": len(batch.prompts),
            "tokens": sum(len(prompt.ids) for prompt in batch.prompts),
            "positions": batch.packed.ids.numel(),
            "supervised": batch.supervised,
        }
        self.counts.append(Counter(counts))

    def _note_projection(self, module: nn.Module, arguments: Any) -> None:
        name, features = arguments
        self._count(("projection", name, features.values.shape[1]), len(features.values))

    def _count(self, what: Any, number: int) -> None:
        if self.counts:  # the cache is filled without steps
            self.counts[-1][what] += number

    @property
    def total(self) -> Counter[Any]:
        """Counts of the steps that count."""
        return sum(self.counts[self.warm : -1], Counter())

    @property
    def seconds(self) -> float:
        """Their time."""
        return self.starts[-1] - self.starts[self.warm]


def floating_operations(model: AnyModal, total: Counter[Any]) -> float:
    """FLOPs that training needs, padding and attention's scores left out.

    Of the frozen language model 4 a weight and token (2 forward, 2 for the gradient that passes
    through), its layers at every token and its output layer where something is supervised; of
    adapters 6 a weight and token; of projection and heads three times their forward pass.
    """
    language = model.language
    parameters = list(language.backbone.named_parameters())
    table = language.embedding.weight.numel()
    adapters = sum(p.numel() for name, p in parameters if "lora_" in name)
    layers = sum(p.numel() for _, p in parameters) - table - adapters
    operations = 4.0 * (layers * total["tokens"] + table * total["supervised"])
    operations += 6.0 * adapters * total["tokens"] * any(p.requires_grad for _, p in parameters)
    for what, number in total.items():
        if isinstance(what, tuple):
            operations += 3 * number * _forward_operations(model, *what)
    return operations


def _forward_operations(model: AnyModal, part: str, name: str, tokens: int = 0) -> float:
    """FLOPs of one item's forward pass through the projection or a head."""
    device = model.device
    with FlopCounterMode(display=False) as counter:
        if part == "projection":
            assert model.projection is not None
            values = torch.zeros(1, tokens, model.projection.widths[name], device=device)
            mask = torch.ones(1, tokens, dtype=torch.bool, device=device)
            model.projection(name, Features(values, mask))
        else:
            states = torch.zeros(1, model.signals.counts[name], model.language.width, device=device)
            model.heads[name](states, states)
    return float(counter.get_total_flops())


def write_run(folder: Path, stage: str, args: argparse.Namespace) -> Path:
    """Write a stage's configuration, as `anymodal train` reads it."""
    full = args.full
    which = {"full": full, "device": args.device}
    which |= {"language": args.language, "projection": args.projection}
    run = {
        "model": {"_target_": "full_parts.model_of_run", "lora": stage == "instruct", **which},
        "data": {
            "_target_": "full_data.Samples",
            **{"stage": stage, "size": args.steps * args.batch},
            **({"media": 256 if stage == "perceive" else 16, "side": 224} if full else TINY_DATA),
        },
        "trusted_packages": ["full_parts", "full_data"],
        "stage": STAGES[stage],
        "output_dir": str(folder / stage),
        **{"steps": args.steps, "batch_size": args.batch, "save_every": args.steps},
        "feature_cache": {"dir": str(folder / "cache")},
        **{"precision": "bf16-mixed" if full else "32-true", "compile": args.compile},
        "workers": args.workers,
        "optimizer": {"lr": 1e-4, "fused": full},
        "trainer": {
            **{"accelerator": "cuda" if full else "cpu", "devices": 1},
            "enable_progress_bar": False,
        },
    }
    path = folder / f"{stage}.yaml"
    path.write_text(yaml.safe_dump(run))
    return path


TINY_DATA = {"media": 2, "side": 16}


def train_stage(model: AnyModal, folder: Path, stage: str, args: argparse.Namespace) -> list[str]:
    """Fill a stage's cache and train it; the row of the table."""
    path = write_run(folder, stage, args)
    start = time.perf_counter()
    fill_rate = fill_feature_cache(path) / (time.perf_counter() - start)
    with profile_steps(args, stage) as profiler:
        meter = Meter(model, args.warm, profiler)
        with meter.watching():
            trainer, module = fit(read_run(path))
    bad = module.progress.skipped_in_all
    if trainer.global_step != args.steps or bad:
        raise AssertionError(f"{stage}: {trainer.global_step} steps, {bad} bad")
    memory = torch.cuda.max_memory_allocated() / 1e9 if args.full else None
    model.to(args.device)  # which training has moved away
    total, seconds = meter.total, meter.seconds
    rate = floating_operations(model, total) / seconds
    peak = peak_rate(args)
    return [
        stage,
        f"{total['samples'] / seconds:.1f}",
        f"{total['tokens'] / seconds:.0f}",
        f"{total['tokens'] / total['samples']:.0f}",
        f"{total['positions'] / total['tokens']:.2f}",
        f"{rate / 1e12:.1f}" if args.full else f"{rate / 1e12:.4f}",
        f"{100 * rate / peak:.1f}" if peak else "",
        f"{memory:.1f}" if memory else "",
        f"{fill_rate:.1f}",
    ]


HEADER = ["stage", "samples/s", "tokens/s", "tokens a sample", "positions a token", "TFLOP/s",
          "MFU %", "peak GB", "filling, samples/s"]  # fmt: skip


@contextmanager
def profile_steps(args: argparse.Namespace, stage: str) -> Iterator[Any]:
    """Profile three steps after the first ones, if asked, and write what costs most."""
    if args.profile is None:
        yield None
        return
    from torch.profiler import ProfilerActivity, profile, schedule

    kinds = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * args.full
    when = schedule(wait=max(0, args.warm - 1), warmup=1, active=PROFILED_STEPS, repeat=1)
    with profile(activities=kinds, schedule=when) as profiler:
        yield profiler
    events = profiler.key_averages()
    by = "self_device_time_total" if args.full else "self_cpu_time_total"
    costly = events.table(sort_by=by, row_limit=40, max_name_column_width=80)
    busy = sum(event.self_device_time_total for event in events) / 1e6
    busy_text = (
        f"{stage}: in {PROFILED_STEPS} steps the GPU worked {busy:.3f} s\n" if args.full else ""
    )
    args.profile.mkdir(parents=True, exist_ok=True)
    (args.profile / f"{stage}.txt").write_text(busy_text + costly)
    print(busy_text + "\n".join(costly.splitlines()[:20]), flush=True)


PROFILED_STEPS = 3


def peak_rate(args: argparse.Namespace) -> float | None:
    """The GPU's FLOP/s by its data sheet, None of one that isn't known."""
    name = torch.cuda.get_device_name() if args.full else ""
    return next((rate for part, rate in PEAKS.items() if part in name), None)


# ---- The command -------------------------------------------------------------------------------


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; what isn't said depends on whether there is a GPU."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument(
        "--minutes",
        type=float,
        default=8,
        help="no part begins that would end "
        "after them, by the longest so far; default: %(default)s",
    )
    parser.add_argument("--language", choices=[*full_parts.LANGUAGES], default="vicuna-7b")
    parser.add_argument("--projection", choices=[*full_parts.PROJECTIONS], default="universal")
    parser.add_argument("--steps", type=int, help="of each stage; default: 100, without a GPU 4")
    parser.add_argument("--warm", type=int, help="of them not counted; default: 10, else 1")
    parser.add_argument("--batch", type=int, help="default: 64, without a GPU 3")
    parser.add_argument("--workers", type=int, help="default: 4, without a GPU 0")
    parser.add_argument("--runs", type=int, help="of each turn; default: 3, without a GPU 1")
    parser.add_argument("--no-compile", dest="compile", action="store_false")
    parser.add_argument("--profile", type=Path, metavar="FOLDER", help="write what costs most")
    args = parser.parse_args(argv)
    args.full = torch.cuda.is_available()
    args.device = "cuda" if args.full else "cpu"
    args.compile &= args.full
    usual = (100, 10, 64, 4, 3) if args.full else (4, 1, 3, 0, 1)
    for name, value in zip(("steps", "warm", "batch", "workers", "runs"), usual, strict=True):
        if getattr(args, name) is None:
            setattr(args, name, value)
    if args.steps < args.warm + 2:
        parser.error(f"--steps {args.steps}: {args.warm} warm up, and two more are wanted at least")
    return args


def main() -> None:
    """Measure part after part while there is time; tables are written as soon as they are there."""
    args = arguments()
    for library in (transformers, diffusers):
        library.utils.logging.disable_progress_bar()
        library.utils.logging.set_verbosity_error()
    warnings.simplefilter("ignore")
    budget = Budget(args.minutes)
    model = full_parts.shared_model(args.full, args.device, args.language, args.projection)
    print(f"{about(model, args)}\nBuilt in {budget.elapsed:.0f} s.\n", flush=True)
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory() as folder:
        for part in PARTS:
            if part in args.only:
                with budget.part(part) as begins:
                    if begins:
                        measure_part(part, model, Path(folder), rows, args)
    print(f"\n{budget.elapsed:.0f} s in all.", flush=True)
    if budget.failures:
        raise SystemExit(f"failed: {', '.join(budget.failures)}; the traces are above")


class Budget:
    """Time of a whole run, so that a GPU lent for minutes gives every figure that fits in them."""

    def __init__(self, minutes: float) -> None:
        self.seconds = 60 * minutes
        self.start = time.perf_counter()
        self.longest = 0.0
        self.failures: list[str] = []

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.start

    @contextmanager
    def part(self, name: str) -> Iterator[bool]:
        """Give whether a part begins, which takes at most as long as the longest before it.

        One that fails says why and leaves the others their turn: what they measured stands.
        """
        begin = self.elapsed
        fits = begin + self.longest <= self.seconds
        if not fits:
            print(f"{name}: not measured, {begin:.0f} s of {self.seconds:.0f} are gone", flush=True)
        try:
            yield fits
        except Exception:
            traceback.print_exc()
            self.failures.append(name)
        self.longest = max(self.longest, self.elapsed - begin)


def measure_part(
    part: str, model: AnyModal, folder: Path, rows: list[list[str]], args: argparse.Namespace
) -> None:
    """Measure a part and write its table; `rows` are those of the stages."""
    if part == "chat":
        table = full_chat.compare(model, args.runs, **SHORT[args.full])
        keep("full_size chat", f"{about(model, args)}\n\n{table}", args)
        return
    rows.append(train_stage(model, folder, part, args))
    print(" | ".join(rows[-1]), flush=True)
    steps = f"{args.steps} steps of {args.batch} samples, {args.warm} of them to warm up"
    blocks = f"{steps}; blocks {'compiled' if args.compile else 'as they are'}."
    body = f"{about(model, args)} {blocks}\n\n{markdown_table(HEADER, rows)}"
    if args.full:
        body += f"\n\n{verdicts(rows, peak_rate(args))}"
    keep("full_size training", body, args)


SHORT: dict[bool, dict[str, int]] = {True: {}, False: {"text": 4, "before": 2}}


def about(model: AnyModal, args: argparse.Namespace) -> str:
    """The model that is measured, in a sentence."""

    def count(part: nn.Module) -> str:
        return f"{sum(p.numel() for p in part.parameters()) / 1e6:.4g} M"

    size = args.language if args.full else "tiny parts, a Llama"
    parts = {"projection": model.projection, "encoders": model.encoders, **model.decoders}
    sizes = ", ".join(f"{name} {count(part)}" for name, part in parts.items() if part is not None)
    return (
        f"{size} ({count(model.language)}) with random weights; {sizes}; "
        f"{args.projection} projection, {full_parts.SOFT_TOKENS} soft tokens."
    )


def verdicts(rows: Sequence[Sequence[str]], peak: float | None) -> str:
    """The figures beside what they should be."""
    peak_text = f"{peak / 1e12:.1f} TFLOP/s, dense bfloat16 by NVIDIA's data sheet" if peak else "?"
    sentences = [f"MFU is of {peak_text}."]
    for stage, rate, share in ((row[0], row[1], row[6]) for row in rows):
        if stage == "perceive":
            outcome = measure.verdict(float(rate) >= BAR)
            sentences.append(f"perceive: {rate} of {BAR} samples/s wanted on an H200, {outcome}.")
        if stage == "express" and share:
            outcome = measure.verdict(float(share) >= BOUND)
            sentences.append(f"express: MFU {share} % of {BOUND} % wanted, {outcome}.")
    return " ".join(sentences)


def keep(section: str, body: str, args: argparse.Namespace) -> None:
    """Write a section where a GPU has given its figures; print it anyway."""
    if args.full:
        measure.write_section(section, body)
    else:
        print(
            f"{body}\n\nThere is no GPU here: parts are tiny, these figures are not a GPU's, and "
            "nothing is compared with what is wanted or written to the results.\n",
            flush=True,
        )


if __name__ == "__main__":
    main()
