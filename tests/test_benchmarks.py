"""What the benchmarks share: fair order, medians, memory, and results written to their place."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def measure() -> ModuleType:
    spec = importlib.util.spec_from_file_location("measure", BENCHMARKS / "measure.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_round_runs_every_side_and_turns_the_order(measure: ModuleType) -> None:
    order: list[str] = []
    sides = {name: lambda name=name: order.append(name) for name in "ab"}
    found = measure.alternating(sides, runs=3, warm=1)
    assert "".join(order) == "ba" + "ab" + "ba" + "ab"
    assert {name: len(times) for name, times in found.items()} == {"a": 3, "b": 3}


def test_both_clocks_tell_waiting_from_working(measure: ModuleType) -> None:
    slept = measure.alternating({"sleep": lambda: time.sleep(0.05)}, runs=1, warm=0)["sleep"][0]
    assert slept.clock >= 0.05 > slept.processor
    told = measure.alternating({"own": lambda: measure.Taken(1.0, 2.0)}, runs=2)["own"]
    assert told == [(1.0, 2.0)] * 2


def test_medians_and_ratios_by_hand(measure: ModuleType) -> None:
    assert measure.quartiles([1, 2, 3, 4, 5]) == (2, 3, 4)
    assert measure.quartiles([7]) == (7, 7, 7)
    ours = [measure.Taken(1, 0.2), measure.Taken(8, 0.6), measure.Taken(3, 0.4)]
    theirs = [measure.Taken(1, 0.1), measure.Taken(2, 0.2), measure.Taken(1, 0.4)]
    assert measure.milliseconds(ours) == "400 (300–500)"
    assert measure.ratio(ours, theirs) == "2.000 (1.500–2.500)"
    assert measure.ratio(ours, theirs, clock=True) == "3.000 (2.000–3.500)"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_peak_memory_is_that_of_the_work(measure: ModuleType) -> None:
    before = measure.peak_memory(lambda: None)
    assert measure.peak_memory(lambda: np.ones(16 << 20)) > before + 100  # 128 MiB
    assert measure.peak_memory(lambda: None) < before + 100


def test_a_section_is_replaced_and_the_rest_stays(measure: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("head\n<!-- a -->\nold\n<!-- /a -->\nmiddle\n<!-- b -->\n<!-- /b -->\n")
    measure.write_section("a", "| new |", page)
    text = page.read_text()
    assert text.startswith("head\n<!-- a -->\n| new |\n\n") and "old" not in text
    assert text.endswith("<!-- /a -->\nmiddle\n<!-- b -->\n<!-- /b -->\n") and "torch" in text
    with pytest.raises(ValueError, match="no section <!-- c -->"):
        measure.write_section("c", "", page)


def test_every_benchmark_that_writes_has_its_place() -> None:
    page = (BENCHMARKS / "README.md").read_text("utf-8")
    for script in BENCHMARKS.glob("*.py"):
        if 'measure.write_section("' in (text := script.read_text("utf-8")):
            name = text.partition('measure.write_section("')[2].partition('"')[0]
            assert f"<!-- {name} -->" in page and f"python benchmarks/{script.name}" in page


def test_full_size_runs_with_tiny_parts_and_says_so(tmp_path: Path) -> None:
    page = BENCHMARKS / "README.md"
    before = page.read_text("utf-8")
    command = [sys.executable, str(BENCHMARKS / "full_size.py"), "--steps", "3"]
    # Without a GPU, so that it is tiny wherever tests run.
    env = {**os.environ, "PYTHONPATH": str(BENCHMARKS.parent), "CUDA_VISIBLE_DEVICES": ""}
    more = ["--profile", str(tmp_path)]
    ran = subprocess.run(
        [*command, *more], env=env, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    told = ran.stdout
    for name in ("perceive", "express", "instruct", "text", "image", "audio", "video"):
        assert f"\n| {name} " in told
    assert told.count("There is no GPU here") == 2
    assert {path.name for path in tmp_path.glob("*.txt")} >= {"perceive.txt", "instruct.txt"}
    assert page.read_text("utf-8") == before
    assert "<!-- full_size training -->" in before and "<!-- full_size chat -->" in before
