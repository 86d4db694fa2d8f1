"""Decoders stay on disk while a run asks nothing of them that the cache lacks."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from anymodal.decoders.deferred import DeferredDecoder
from anymodal.model import AnyModal
from anymodal.training.building import build
from anymodal.training.precompute import fill_feature_cache
from anymodal.training.run import fit, read_run
from tests.support.cached_runs import SIZE, losses_of, write
from tests.support.composed import write_model
from tests.support.runs import read_log


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("parts"))


def opened(model: Any) -> list[str]:
    """The decoders that are in memory, all or none of whose parameters are the model's."""
    found = {
        n for n, d in model.decoders.items() if not isinstance(d, DeferredDecoder) or d._decoders
    }
    return sorted(found)


def aligned(parts: Path, folder: Path, name: str, **changes: Any) -> Path:
    same = {
        "data": {"_target_": "tests.support.composed.talks"},
        "feature_cache": {"dir": str(folder / "cache")},
    }
    return write(parts, folder, name, **{**same, **changes})


def test_alignment_with_a_filled_cache_opens_no_decoder(parts: Path, tmp_path: Path) -> None:
    held = losses_of(aligned(parts, tmp_path, "memory", feature_cache={}))
    fill_feature_cache(aligned(parts, tmp_path, "ahead"))
    config = aligned(parts, tmp_path, "ahead")
    _, module = fit(read_run(config))
    assert read_log(tmp_path / "ahead") == held
    model: Any = module.model
    assert opened(model) == [] and not list(model.decoders.parameters())
    model.save_pretrained(tmp_path / "model")
    whole = AnyModal.from_pretrained(tmp_path / "model")
    assert opened(whole) == ["audio", "image"]
    deferred, wanted = (m.modalities["image"].decoder for m in (model, whole))
    assert deferred.metadata() == wanted.metadata() and deferred.spec == wanted.spec
    assert torch.equal(deferred.embed_captions(["x"]).embeds, wanted.embed_captions(["x"]).embeds)
    assert opened(model) == ["image"], "what isn't known is asked of the decoder itself"


def test_a_glob_that_reaches_no_decoder_leaves_them_on_disk(parts: Path, tmp_path: Path) -> None:
    stage = {"trainable": ["heads.*", "*lora_*", "*q_proj*"], "losses": {"align": 1}}
    config = aligned(parts, tmp_path, "run", stage=stage)
    build(read_run(config))
    assert opened(build(read_run(config))[0].model) == []


def test_a_caption_that_isn_t_kept_opens_its_decoder(parts: Path, tmp_path: Path) -> None:
    held = losses_of(aligned(parts, tmp_path, "memory", feature_cache={}))
    fill_feature_cache(aligned(parts, tmp_path, "ahead"), limit=SIZE)
    _, module = fit(read_run(aligned(parts, tmp_path, "ahead")))
    assert opened(module.model) == ["image"] and read_log(tmp_path / "ahead") == held


def test_a_decoder_whose_files_or_code_changed_is_opened(parts: Path, tmp_path: Path) -> None:
    def built() -> list[str]:
        return opened(build(read_run(aligned(own, tmp_path, "run")))[0].model)

    own = write_model(tmp_path / "own")
    assert built() == ["audio", "image"] and built() == []
    (weights,) = (own.parent / "image" / "text_encoder").glob("*.safetensors")
    before = weights.stat()
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))  # as a copy may have them
    assert built() == ["image"] and built() == []
    for note in (tmp_path / "cache").glob("*.decoder.json"):
        known = json.loads(note.read_text())
        known["code"]["transformers"] = "another release"
        note.write_text(json.dumps(known))
    assert built() == ["audio", "image"] and built() == []
    for note in (tmp_path / "cache").glob("*.decoder.json"):
        note.write_text(note.read_text()[:-9])
    assert built() == ["audio", "image"]


@pytest.mark.parametrize(
    "changes",
    [
        {"stage": {"trainable": ["heads.*"], "losses": {"denoise": 1}}},
        {"stage": {"trainable": ["decoders.image.*"], "losses": {"align": 1}}},
        {"stage": {"trainable": ["*.attn2.*"], "losses": {"text": 1}}},
        {"precision": "bf16-true"},
        {"feature_cache": {}},
    ],
)
def test_decoders_are_opened_where_more_is_wanted(
    parts: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    model = build(read_run(aligned(parts, tmp_path, "run", **changes)))[0].model
    assert opened(model) == ["audio", "image"] and list(model.decoders.parameters())


def test_a_decoder_that_a_stage_has_changed_is_opened(parts: Path, tmp_path: Path) -> None:
    model = AnyModal.compose(parts)
    weights = model.decoders["image"].parts["text_encoder"].requires_grad_()
    next(weights.parameters()).data += 1
    model.save_pretrained(tmp_path / "changed")
    target = {"_target_": "anymodal.AnyModal.from_pretrained", "path": str(tmp_path / "changed")}
    again = build(read_run(aligned(parts, tmp_path, "run", model=target)))[0].model
    assert opened(again) == ["audio", "image"]
    wanted = model.decoders["image"].embed_captions(["x"]).embeds
    torch.testing.assert_close(again.decoders["image"].embed_captions(["x"]).embeds, wanted)
