"""Planned and measured memory side by side: answering with a model, and stages of training.

Measured is the most that torch's allocator gave out at once, beside the weights: a chat turn that
makes every medium, or a few steps of a stage. The plan is told how many tokens those had.

    python benchmarks/memory.py nano configs/stages/nano/*.yaml
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import itertools
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import measure
import torch
from torch.profiler import ProfilerActivity, profile

from anymodal import AnyModal
from anymodal import config as configuration
from anymodal.io.results import markdown_table
from anymodal.tools.plan.answering import cache_size, workloads_of
from anymodal.tools.plan.budget import MemoryBudget
from anymodal.tools.plan.memory import weights_of
from anymodal.tools.plan.plan import is_model, make_plans
from anymodal.tools.plan.training import LOOK
from anymodal.training.building import objective_of
from anymodal.training.run import read_run, train_model

CONTEXT = 1024


def peak_of(work: Callable[[], Any]) -> int:
    """The most bytes that torch gave out at once for a piece of work of this thread."""
    gc.collect()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as watch:
        work()
    events = [e for e in watch.profiler.kineto_results.events() if e.name() == "[memory]"]
    sizes = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
    return max(itertools.accumulate(sizes), default=0)


def answer(name: str) -> int:
    """Bytes at most while the parts of a model do what they do in a chat, one after the other."""
    model = AnyModal.from_pretrained(name)
    weights = sum(weights_of(model).values())
    cache = cache_size(model.language, CONTEXT)
    with torch.inference_mode():
        works = [work for part in model.modules() for work in workloads_of(part, CONTEXT)]
        most = max(peak_of(partial(work, None)) for work in works)
    return weights + cache + most


def train(name: str) -> int:
    """Bytes at most of a stage's first steps, over the batches that a plan looks at."""
    run = read_run(name)
    parts = configuration.build_parts(run.parts, run.trusted)
    model = configuration.instantiate(run.model, parts=parts, trusted_packages=run.trusted)
    data = configuration.instantiate(run.data, parts=parts, trusted_packages=run.trusted)
    objective = objective_of(run, model, parts)
    weights = sum(weights_of(objective.model).values())
    same = ("batch_size", "accumulate_grad_batches", "ema", "precision", "seed")
    settings = {name: getattr(run, name) for name in same}
    optimizer = dataclasses.asdict(run.optimizer)
    quiet = {"enable_progress_bar": False, "accelerator": "cpu"}
    return weights + peak_of(
        lambda: train_model(
            objective, data, losses=run.stage.losses, trainable=run.stage.trainable, steps=LOOK,
            save_every=LOOK + 1, optimizer=optimizer, trainer=quiet, loggers=False, **settings,
        )
    )  # fmt: skip


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("configs", nargs="+")
    rows = []
    for name in parser.parse_args().configs:
        peak = answer(name) if is_model(name) else train(name)
        (plan,) = make_plans([name], [], MemoryBudget("any", 10**15), context=CONTEXT)
        planned_peak = plan.need.peak
        cells = [f"{planned_peak / 1e6:.1f}", f"{peak / 1e6:.1f}"]
        rows.append([Path(name).stem, *cells, f"{100 * (planned_peak / peak - 1):+.1f}"])
        print(rows[-1], flush=True)
    head = ["configuration", "planned MB", "measured MB", "difference %"]
    print(f"{markdown_table(head, rows)}\n\n{measure.environment()}")


if __name__ == "__main__":
    main()
