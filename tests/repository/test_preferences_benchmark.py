"""The benchmark of preference training, at its smallest."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.paths import ROOT


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    yield importlib.import_module("preferences")
    for name in ("preferences", "measure"):
        sys.modules.pop(name, None)


def test_a_row_tells_what_was_lost(benchmark: ModuleType) -> None:
    before = benchmark.Figures([True, True, False, False], ["a"] * 6)
    now = benchmark.Figures([True, False, True, True], ["a"] * 5 + ["b"])
    assert benchmark.row("x", now, before) == ["x", "25.0", "50", "50.0", "5 of 6"]


@pytest.mark.extended
def test_all_is_trained_from_one_copy(
    benchmark: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    small = "--prompts 4 --replies 2 --temperature 2 --held-out 2 --steps 1 --batch 1"
    arguments = ["nano", "--out", str(tmp_path / "out"), *small.split(), "--max-new-tokens", "12"]
    monkeypatch.setattr(sys, "argv", ["preferences.py", *arguments])
    with pytest.raises(SystemExit, match="the comparison begins between"):
        benchmark.main()
    monkeypatch.setattr(sys, "argv", ["preferences.py", *arguments, "--any-share"])
    benchmark.main()
    told = capsys.readouterr().out
    assert told.count("sha256") == 2 and "| fine-tuning (text), oracle |" in told
