"""What the benchmarks share: fair order, medians, memory, and results written to their place."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from anymodal import AnyModal
from tests.support.paths import ROOT as REPOSITORY
from tests.support.together import run_together

BENCHMARKS = REPOSITORY / "benchmarks"


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


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_both_clocks_tell_waiting_from_working(measure: ModuleType, one_thread: None) -> None:
    sleep = {"sleep": lambda: time.sleep(0.05)}
    slept = measure.alternating(sleep, runs=1, warm=0)["sleep"][0]
    assert slept.clock >= 0.05 > slept.work
    torch.set_num_threads(2)  # whose times would add up
    slept = measure.alternating(sleep, runs=1, warm=0)["sleep"][0]
    assert min(slept) >= 0.05
    told = measure.alternating({"own": lambda: measure.Elapsed(1.0, 2.0)}, runs=2)["own"]
    assert told == [(1.0, 2.0)] * 2


def test_medians_and_ratios_by_hand(measure: ModuleType) -> None:
    assert measure.quartiles([1, 2, 3, 4, 5]) == (2, 3, 4)
    assert measure.quartiles([7]) == (7, 7, 7)
    ours = [measure.Elapsed(1, 0.2), measure.Elapsed(8, 0.6), measure.Elapsed(3, 0.4)]
    theirs = [measure.Elapsed(1, 0.1), measure.Elapsed(2, 0.2), measure.Elapsed(1, 0.4)]
    assert measure.milliseconds(ours) == "400 (300–500)"
    assert measure.ratio(ours, theirs) == "2.000 (1.500–2.500)"
    assert measure.ratio(ours, theirs, clock=True) == "3.000 (2.000–3.500)"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_peak_memory_is_that_of_the_work(measure: ModuleType) -> None:
    before = measure.peak_memory(lambda: None)
    assert measure.peak_memory(lambda: np.ones(16 << 20)) > before + 100  # 128 MiB
    assert measure.peak_memory(lambda: None) < before + 100


def test_a_section_is_replaced_and_the_rest_stays(
    measure: ModuleType, tmp_path: Path, one_thread: None
) -> None:
    page = tmp_path / "page.md"
    page.write_text("head\n<!-- a -->\nold\n<!-- /a -->\nmiddle\n<!-- b -->\n<!-- /b -->\n")
    measure.write_section("a", "| new |", page)
    text = page.read_text()
    assert text.startswith("head\n<!-- a -->\n| new |\n\n") and "old" not in text
    assert text.endswith("<!-- /a -->\nmiddle\n<!-- b -->\n<!-- /b -->\n") and "torch" in text
    with pytest.raises(ValueError, match="no section <!-- c -->"):
        measure.write_section("c", "", page)
    torch.set_num_threads(2)
    for body in ("| first |", "| two |"):
        measure.write_section("a", body, page)
    text = page.read_text()
    assert "| new |" in text and "| two |" in text and "| first |" not in text
    assert text.index("<!-- /a -->") < text.index("<!-- a, 2 threads -->") < text.index("middle")
    assert "1 thread," in text and "2 threads," in text


@pytest.mark.parametrize(("document", "least"), [("README.md", 3), ("docs/measured.md", 7)])
def test_figures_are_those_that_commands_have_written(document: str, least: int) -> None:
    page = (BENCHMARKS / "README.md").read_text("utf-8")
    text = (BENCHMARKS.parent / document).read_text("utf-8")
    rows = re.findall(r"^\| .* \| (.*) \| `python benchmarks/(\w+)\.py.*` \|$", text, re.M)
    assert len(rows) >= least
    for figures, script in rows:
        start = page.index(f"python benchmarks/{script}.py")
        written = (
            page[start : page.index("\n## ", start)] if "\n## " in page[start:] else page[start:]
        )
        for figure in re.findall(r"\d+\.\d+", figures):
            assert re.search(rf"(?<![\d.]){re.escape(figure)}(?![\d.])", written), (script, figure)


def test_every_benchmark_that_writes_has_its_place() -> None:
    page = (BENCHMARKS / "README.md").read_text("utf-8")
    for script in BENCHMARKS.glob("*.py"):
        if 'measure.write_section("' in (text := script.read_text("utf-8")):
            name = text.partition('measure.write_section("')[2].partition('"')[0]
            assert f"<!-- {name} -->" in page and f"python benchmarks/{script.name}" in page


SMALLEST = {
    "alignment.py": "--size large-lm --runs 1 --steps 4 --batch 1",
    "containers.py": "--rows 200 --lines 300",
    "costs.py": "--widths 64 128 --runs 1",
    "dataset_growth.py": "--runs 1 --steps 8 --sizes 64 128 --segments 2 20",
    "embedding.py": "--runs 1 --clips 2 --batch 1",
    "first_token.py": "--runs 1 --turns 7 --memory 4",
    "fusions.py": "{folder}/out --steps 2 --n 1 --only splicing cross-attention",
    "grouping.py": "--runs 1 --steps 4 --batch 1 --held-out 4 --groups 1 2",
    "growth.py": "--runs 1 --sizes 1 2 --lists 1 2 --drawings 1 2",
    "heads.py": "--steps 1 --n 2 --only 'linear, 4 signals'",
    "memory.py": "nano",
    "processor.py": "--tiny --only smollm2-135m --steps 5 --runs 1",
    "real_files.py": "--runs 1 --steps 1 --kinds image imu",
    "rows.py": "--runs 1 --batches 1",
    "serving.py": "--runs 1 --warm 0",
    "serving_soak.py": "--count 40",
    "shared_prefix.py": "--runs 1 --layers 1 --rows 2",
    "startup.py": "--runs 1 --warm 0",
    "turn.py": "--runs 1",
}
"""How each benchmark is called here. `full_size.py` and those of WITH_TOOLS are below; `cards.py`
wants the hub's files, `cluster.py` Ray; `real_pictures.py`, `real_fusions.py`, `hallucination.py`
and `preferences.py` have tests of their own, and so have those of nano's training
(`test_nano_training.py`).
"""
WITH_TOOLS = {
    "serving_load.py": ("locust", "--runs 1 --requests 2 --mixed 20"),
    "serving_fuzz.py": ("schemathesis", "--examples 1"),
}
"""The program that a benchmark runs, from an environment of its own, and how it is called here."""

SLOW = {
    "alignment.py",
    "costs.py",
    "embedding.py",
    "first_token.py",
    "fusions.py",
    "grouping.py",
    "growth.py",
    "heads.py",
    "memory.py",
    "processor.py",
    "real_files.py",
    "rows.py",
    "serving.py",
    "serving_soak.py",
    "startup.py",
    "turn.py",
}
"""Those that take long even at their smallest."""


@pytest.fixture(scope="module")
def imported() -> None:
    """What nearly all of them import, once."""
    AnyModal.from_pretrained("nano")


def test_every_command_is_among_those_run_here() -> None:
    commands = {p.name for p in BENCHMARKS.glob("*.py") if "__main__" in p.read_text("utf-8")}
    elsewhere = {"full_size.py", "cards.py", "real_pictures.py", "real_fusions.py", "cluster.py"}
    elsewhere |= {"nano_log.py", "contact_sheet.py", "hallucination.py", "preferences.py"}
    assert commands == {*SMALLEST, *WITH_TOOLS, *elsewhere}


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize(
    "script",
    [pytest.param(each, marks=[pytest.mark.extended] * (each in SLOW)) for each in SMALLEST],
)
def test_a_benchmark_runs_at_its_smallest_and_writes_its_table(
    script: str, tmp_path: Path, imported: None
) -> None:
    page, mine = BENCHMARKS / "README.md", tmp_path / "page.md"
    before = page.read_text("utf-8")
    emptied = re.sub(r"(<!-- ([^/].*) -->\n)(?s:.*?)(<!-- /\2 -->)", r"\1\3", before)
    mine.write_text(emptied, "utf-8")
    writes = "measure.write_section" in (BENCHMARKS / script).read_text("utf-8")

    def work(rank: int) -> None:
        torch.set_num_threads(1)
        sys.path.insert(0, str(BENCHMARKS))
        sys.argv = [
            script,
            *shlex.split(SMALLEST[script].format(folder=tmp_path)),
            *(["--page", str(mine)] if writes else []),
        ]
        runpy.run_path(str(BENCHMARKS / script), run_name="__main__")

    (said,) = run_together(work, tmp_path / "said", count=1)
    written = mine.read_text("utf-8") if writes else said
    assert "\n| :--" in written and " 1 thread, " in written
    assert page.read_text("utf-8") == before


@pytest.mark.extended
@pytest.mark.parametrize("script", list(WITH_TOOLS))
def test_a_benchmark_with_a_tool_runs(script: str, tmp_path: Path) -> None:
    program, arguments = WITH_TOOLS[script]
    path = os.environ.get(f"ANYMODAL_{program.upper()}", program)
    if shutil.which(path) is None:
        pytest.skip(f"there is no {program}; ANYMODAL_{program.upper()} may name it")
    page = tmp_path / "page.md"
    page.write_text((BENCHMARKS / "README.md").read_text("utf-8"), "utf-8")
    command = [sys.executable, str(BENCHMARKS / script), f"--{program}", path]
    env = {**os.environ, "PYTHONPATH": str(BENCHMARKS.parent), "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        [*command, *shlex.split(arguments), "--page", str(page)],
        env=env, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-4000:]
    assert "\n| :--" in ran.stdout and " 1 thread, " in ran.stdout


def test_full_size_figures_are_judged_by_their_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    full_size, full_chat = (importlib.import_module(name) for name in ("full_size", "full_chat"))

    def row(stage: str, rate: str, share: str) -> list[str]:
        return [stage, rate, "", "", "", "", share, "", ""]

    said = full_size.verdicts(
        [row("perceive", "189.9", "44.9"), row("express", "80.0", "46.2")], 989.4e12
    )
    assert "989.4 TFLOP/s" in said
    assert "perceive: 189.9 of 190 samples/s wanted on an H200, missed." in said
    assert "express: MFU 46.2 % of 45 % wanted, met." in said
    assert "met" not in full_size.verdicts([row("instruct", "9.0", "30.0")], None)
    turns = [["text", "1", "1", "1.031 (1.020–1.040)"], ["image", "1", "1", "0.998 (0.990–1.010)"]]
    assert full_chat.verdicts(turns) == (
        "Over the turn by hand, of 3 % at most: text +3.1 % (missed), image -0.2 % (met)."
    )


@pytest.mark.extended
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
    assert told.count("There is no GPU here") == 4, "a table after each part"
    assert not re.search(r"\b(met|missed)\b", told), "tiny parts aren't judged"
    assert {path.name for path in tmp_path.glob("*.txt")} >= {"perceive.txt", "instruct.txt"}
    assert page.read_text("utf-8") == before
    assert "<!-- full_size training -->" in before and "<!-- full_size chat -->" in before
