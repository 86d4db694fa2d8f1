"""Load a language model and train it for two steps; print the memory each took at most, in bytes.

Run as a program of its own: its peak is the process's. A tiny model goes first, so that what is
imported and allocated once isn't counted.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from anymodal.language.model import LanguageModel
from anymodal.training.objectives import LanguageModeling
from anymodal.training.objectives.language_modeling import TokenBatch
from anymodal.training.run import train_model

TOKENS, BATCH = 64, 2
SAMPLES = [list(range(TOKENS))] * 4


class Reciting(LanguageModeling):
    """Language modelling of ids as they are."""

    def collate(self, samples: Sequence[Any]) -> TokenBatch:
        return self.batch_of(samples, samples)


def answer(folder: str) -> LanguageModel:
    language = LanguageModel.from_pretrained(folder)
    with torch.inference_mode():
        language(language.embed(torch.arange(TOKENS)[None]))
    return language


def train(language: LanguageModel) -> None:
    quiet = {"enable_progress_bar": False, "accelerator": "cpu"}
    train_model(Reciting(language), SAMPLES, losses={"text": 1}, steps=2, batch_size=BATCH,
                trainable=["model.*"], save_every=9, trainer=quiet, loggers=False)  # fmt: skip


def status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


def main(tiny: str, large: str) -> None:
    train(answer(tiny))
    gc.collect()
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts anew
    language = answer(large)
    loaded = status("VmHWM") - before
    train(language)
    print("took", loaded, status("VmHWM") - before)


if __name__ == "__main__":
    main(*sys.argv[1:])
