"""The benchmark of real pictures and sounds, on files and parts made here."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
import torch

from anymodal.media import Image
from anymodal.types import Features
from tests.support import huggingface_models as tiny
from tests.support.composed import write_model
from tests.support.paths import ROOT


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("real_pictures")


def write_data(folder: Path, count: int = 6) -> None:
    """Red and blue pictures in folders of these names, low and high sounds beside them."""
    for place, kind in enumerate(("red", "blue")):
        (folder / kind).mkdir(parents=True)
        for number in range(count):
            pixels = np.full((40, 40, 3), 10 * number, np.uint8)
            pixels[..., 2 * place] = 250
            wave = np.sin(np.arange(8000) * (0.05 + 0.5 * place)).astype(np.float32)
            file = folder / kind / f"{number}.png"
            Image(pixels).save(file)
            soundfile.write(file.with_suffix(".ogg"), wave, 16_000)
            file.with_suffix(".txt").write_text(f"A {kind} thing {number}.\nfr.utf8=Une chose.\n")
    Image(pixels).save(folder / "red" / "without-caption.png")


def test_items_have_a_caption_and_the_kind_of_their_folder(
    script: ModuleType, tmp_path: Path
) -> None:
    write_data(tmp_path, 2)
    items = script.read_items(tmp_path, "audio")
    assert [item.path for item in items] == ["blue/0.ogg", "blue/1.ogg", "red/0.ogg", "red/1.ogg"]
    assert items[2] == script.Item("red/0.ogg", "A red thing 0.", "red")
    assert len(script.read_items(tmp_path, "image")) == 4


def test_every_fold_has_its_share_of_each_kind(script: ModuleType) -> None:
    kinds = torch.tensor([0] * 23 + [1] * 7 + [2] * 4)
    dealt = script.deal(kinds, 5)
    for kind in range(3):
        counts = dealt[kinds == kind].bincount(minlength=5)
        assert counts.max() - counts.min() <= 1
    assert dealt.bincount().tolist() == [7, 7, 7, 7, 6]
    assert torch.equal(dealt, script.deal(kinds, 5)), "the same for every side that is compared"


def test_a_probe_finds_what_is_linear(script: ModuleType) -> None:
    generator = torch.Generator().manual_seed(0)
    kinds = torch.arange(60) % 3
    features = torch.randn(60, 8, generator=generator) + 4 * torch.eye(3, 8)[kinds]
    probe = script.LinearProbe.chosen(features[:45], kinds[:45], 3)
    assert (probe.predict(features[45:]) == kinds[45:]).float().mean() > 0.9


def test_class_tokens_stand_beside_the_mean_of_real_ones(script: ModuleType) -> None:
    values = torch.arange(8.0).view(1, 4, 2)
    mask = torch.tensor([[True, True, True, False]])
    assert script.pooled(Features(values, mask), 1).tolist() == [[0, 1, 3, 4]]
    assert script.pooled(Features(values, mask), 0).tolist() == [[2, 3]]


def write_parts(models: Path) -> None:
    """Tiny parts by the names that the benchmark looks for."""
    models.mkdir()
    write_model(models)
    (models / "lm").rename(models / "smollm2-135m")
    tiny.write(tiny.dinov2, models / "dinov2-small")
    tiny.write(tiny.whisper, models / "whisper-tiny.en")


@pytest.mark.extended
def test_ways_in_are_compared_on_the_same_folds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    fusions = importlib.import_module("real_fusions")
    data, models = tmp_path / "data", tmp_path / "models"
    write_data(data)
    write_parts(models)
    overrides = ["steps=2", "workers=0", "batch_size=4"]
    small = {"every": 1, "heads": 2}
    for way in ("splicing-2", "cross-attention"):
        parts = {name: dict(part) for name, part in fusions.WAYS[way][1].items()}
        if "fusion" in parts:
            parts["fusion"] |= small
        study = fusions.FusionStudy(way, data, tmp_path / "out", models, 2, overrides, parts)
        label, weights, context, kinds, captions = fusions.row(study, way, [0])
        assert label == way and weights.endswith(" M") and "(" in kinds and "(" in captions
        assert int(context) > 3
    assert torch.equal(study.dealt, fusions.Study(data, "image", tmp_path, models, 2).dealt)


@pytest.mark.extended
def test_a_study_of_tiny_parts_goes_on_where_it_stopped(script: ModuleType, tmp_path: Path) -> None:
    data, models, out = tmp_path / "data", tmp_path / "models", tmp_path / "out"
    write_data(data)
    write_parts(models)
    overrides = ["steps=2", "workers=0", "batch_size=4"]
    for modality in ("image", "audio"):
        study = script.Study(data, modality, out, models, 2, overrides)
        text = script.table(study, [0])
        assert f"| {modality}" in text and "12 files of 2 kinds, 1 of 2 folds." in text
        assert "a linear probe" in text and "trained on both" in text and "CIDEr" in text
        replies = out / modality / "fold-0" / "kinds-and-captions.json"
        before = replies.stat().st_mtime_ns
        assert "trained on" not in script.table(study, [0], ())
        assert script.table(study, [0]) == text and replies.stat().st_mtime_ns == before
