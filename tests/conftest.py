"""What holds for all tests: nothing is fetched, and wild inputs are the same in every run."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest
import torch
from hypothesis import HealthCheck, settings

# What is imported, and the tests themselves, stay to the end: no collection walks through them.
gc.disable()

# Read by huggingface_hub and transformers when they are imported, which is after this.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# Examples don't depend on the day, and a busy machine is no failure.
settings.register_profile(
    "ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ci")

LONGEST = (
    "repository/test_examples.py",
    "training/test_resume.py",
    "distributed/test_processes.py",
    "composition/test_shipped.py",
    "tools/test_cards.py",
    "composition/test_systems.py",
    "training/test_real_files.py",
    "training/test_validation.py",
    "training/test_switches.py",
    "training/test_precision.py",
    "decoders/test_sampling.py",
    "decoders/test_decoders.py",
    "composition/test_saving.py",
    "chat/test_threads.py",
    "config/test_config_mutations.py",
    "repository/test_benchmarks.py",
    "repository/test_new_modality.py",
)
"""Files that take longest; a file is run by one worker from its beginning to its end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files, or one worker runs the last of them while the others idle."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get("/".join(item.path.parts[-2:]), len(LONGEST)))


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def _same_precision() -> Iterator[None]:
    """A training chooses the precision of its whole process, which tests share."""
    before = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(before)
