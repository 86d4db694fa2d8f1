"""Published benchmarks: their files as their authors publish them, their prompts and figures.

What this exports loads on first use, so that the command line can name them all.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from anymodal.config import ConfigError, nearest

if TYPE_CHECKING:
    from anymodal.evaluation.benchmarks.base import Benchmark

BENCHMARKS = {
    "vqav2": "vqav2.VqaV2",
    "scienceqa": "scienceqa.ScienceQa",
    "mme": "mme.Mme",
    "mmbench": "mmbench.MmBench",
    "nocaps": "nocaps.NoCaps",
    "pope": "pope.Pope",
    "imgedit": "imgedit.ImgEdit",
}
"""Modules and classes here by the benchmark's name."""


def benchmark_class(name: str) -> type[Benchmark]:
    """The class of a benchmark.

    Raises:
        ConfigError: if there is none of that name.
    """
    if name not in BENCHMARKS:
        raise ConfigError(
            f"there is no benchmark {name!r}{nearest(name, BENCHMARKS)}; known are "
            f"{', '.join(BENCHMARKS)}"
        )
    module, class_name = BENCHMARKS[name].split(".")
    cls: type[Benchmark] = getattr(importlib.import_module(f"{__name__}.{module}"), class_name)
    return cls
