"""The benchmark of what a model imagines, on a few pictures."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.paths import ROOT
from tests.support.tiny import picture


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    yield importlib.import_module("hallucination")
    for name in ("hallucination", "real_pictures", "measure"):
        sys.modules.pop(name, None)


def test_a_caption_s_own_noun_is_the_object(benchmark: ModuleType) -> None:
    captions = ["A red ball on it.", "Two big balls, and a bell", "A bell", "One bell.", "A cat"]
    nouns = [benchmark.noun_of(caption) for caption in captions]
    assert nouns == ["ball", "ball", "bell", "bell", "cat"]
    names = benchmark.object_names(captions)
    assert set(names.by_words.values()) == {"ball", "bell"}
    items = [benchmark.Item(f"{n}.png", caption, "x") for n, caption in enumerate(captions)]
    labels = [medium.labels for medium in benchmark.labelled(items, names)]
    assert labels == [("ball",), ("ball", "bell"), ("bell",), ("bell",)]


@pytest.mark.extended
def test_both_tables_are_printed(
    benchmark: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = tmp_path / "data" / "things"
    data.mkdir(parents=True)
    for number, caption in enumerate(["A red ball", "A big ball", "A bell", "A small bell"]):
        picture(number, 32).save(data / f"{number}.png")
        (data / f"{number}.txt").write_text(f"{caption}.\nit.utf8=x\n")
    arguments = [str(tmp_path / "data"), "--out", str(tmp_path / "out"), "--model", "nano"]
    monkeypatch.setattr(sys, "argv", ["hallucination.py", *arguments])
    benchmark.main()
    told = capsys.readouterr().out
    assert "4 of 4 pictures, 2 objects" in told and "chair_i" in told and "f1" in told
