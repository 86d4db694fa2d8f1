"""What frozen parts give is kept, in memory or in a folder, and never a stale result found."""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import shutil
import signal
import sys
import threading
import time
from collections import namedtuple
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from anymodal import cli
from anymodal.config import ConfigError
from anymodal.decoders.deferred import DeferredDecoder
from anymodal.io import tensor_store as shards
from anymodal.io.feature_cache import CacheKey, FeatureCache, _versions, hash_source
from anymodal.io.tensor_store import Shards
from anymodal.model import AnyModal
from anymodal.training.precompute import fill
from anymodal.training.run import build, fit, read_run
from tests.support.children import exit_code, start
from tests.support.composed import small_disk, write_model
from tests.support.together import add_many
from tests.training.test_training import logged

CPU = torch.device("cpu")
SIZE = 5
PART = "0" * 32


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("parts"))


def write(parts: Path, folder: Path, name: str, **changes: Any) -> Path:
    run = {
        "model": {"_target_": "anymodal.AnyModal.compose", "config": str(parts)},
        "data": {"_target_": "tests.support.tiny.conversations"},
        "stage": {
            "trainable": ["projection.*", "heads.*", "language.rows"],
            "losses": {"text": 1, "align": 1},
        },
        "output_dir": str(folder / name),
        "steps": 6,
        "batch_size": SIZE,
        "log_every": 1,
        "trusted_packages": ["tests"],
        "trainer": {"accelerator": "cpu", "enable_progress_bar": False},
        **changes,
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(run))
    return path


def losses_of(config: Path) -> list[float]:
    run = read_run(config)
    fit(run)
    return logged(Path(run.output_dir))


class Calls:
    """Counts the items that frozen parts are asked for, while they do their work."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from anymodal.decoders.diffusion import DiffusionDecoder
        from anymodal.encoders import ImageBindEncoder

        self.media = self.captions = self.latents = 0
        prepare, embed = ImageBindEncoder.prepare, DiffusionDecoder.embed_captions
        encode = DiffusionDecoder.encode

        def prepared(encoder: Any, media: Any) -> Tensor:
            self.media += 1
            return prepare(encoder, media)

        def embedded(decoder: Any, captions: Sequence[str]) -> Any:
            self.captions += len(captions)
            return embed(decoder, captions)

        def encoded(decoder: Any, batch: Tensor) -> Tensor:
            self.latents += len(batch)
            return encode(decoder, batch)

        monkeypatch.setattr(ImageBindEncoder, "prepare", prepared)
        monkeypatch.setattr(DiffusionDecoder, "embed_captions", embedded)
        monkeypatch.setattr(DiffusionDecoder, "encode", encoded)

    def taken(self) -> tuple[int, int, int]:
        found = self.media, self.captions, self.latents
        self.media = self.captions = self.latents = 0
        return found


def leave_free(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Let every disk have so many bytes free."""
    usage = namedtuple("usage", ["free"])
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(count))


def noting(readers: list[str]) -> Any:
    """`Shards.find` that notes which thread calls it."""
    find = Shards.find

    def noted(store: Shards, part: str, keys: Sequence[str]) -> Any:
        readers.append(threading.current_thread().name)
        return find(store, part, keys)

    return noted


# ---- Training ----------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_memory_a_cold_and_a_warm_folder_and_one_filled_ahead_train_alike(
    parts: Path, tmp_path: Path, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    same = {"precision": precision, "data": {"_target_": "tests.support.composed.talks"}}
    calls = Calls(monkeypatch)
    held = losses_of(write(parts, tmp_path, "memory", **same))
    assert len(held) == 6 and len(set(held)) == 6
    in_memory = calls.taken()
    own = 6  # captions by which the decoders measure their conditioning's scale
    assert in_memory == (2 * 13, 13 + own, 0)
    cache = {**same, "feature_cache": {"dir": str(tmp_path / "cache")}}
    assert losses_of(write(parts, tmp_path, "cold", **cache)) == held
    assert calls.taken() == in_memory
    assert losses_of(write(parts, tmp_path, "warm", **cache)) == held
    assert calls.taken() == (0, 0, 0)
    ahead = {**same, "feature_cache": {"dir": str(tmp_path / "ahead")}}
    config = write(parts, tmp_path, "ahead", **ahead)
    assert fill(config) == 15  # of 13 samples; the run draws 30
    assert calls.taken() == in_memory
    readers: list[str] = []
    monkeypatch.setattr(Shards, "find", noting(readers))
    assert losses_of(config) == held
    assert calls.taken() == (0, 0, 0)
    # Of the first two batches: the second is drawn before the first has told the parts.
    assert sum(name.startswith("reading ahead") for name in readers) >= 8
    assert sum(not name.startswith("reading ahead") for name in readers) <= 8


def test_an_autoencoder_s_latents_are_kept_too(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = "anymodal.decoders.DiffusionDecoder.from_pretrained"
    decoder = {"_target_": load, "folder": str(parts.parent / "image")}
    changes = {
        "model": {
            "_target_": "anymodal.training.objectives.CaptionedDiffusion",
            "decoder": decoder,
        },
        "data": {"_target_": "tests.support.composed.captioned"},
        "stage": {
            "trainable": ["decoder.parts.transformer.*", "decoder.parts.text_encoder.*"],
            "losses": {"denoise": 1},
        },
        "batch_size": 3,
        "steps": 3,
    }
    calls = Calls(monkeypatch)
    held = losses_of(write(parts, tmp_path, "memory", **changes))
    assert calls.taken()[2] == 4
    config = write(
        parts, tmp_path, "disk", **changes, feature_cache={"dir": str(tmp_path / "cache")}
    )
    fill(config)
    assert calls.taken()[2] == 4
    assert losses_of(config) == held
    assert calls.taken()[2] == 0


# ---- Decoders that stay on disk ----------------------------------------------------------------


def opened(model: Any) -> list[str]:
    """The decoders that are in memory, all or none of whose parameters are the model's."""
    found = {n for n, d in model.decoders.items() if not isinstance(d, DeferredDecoder) or d._held}
    return sorted(found)


def aligned(parts: Path, folder: Path, name: str, **changes: Any) -> Path:
    same = {
        "data": {"_target_": "tests.support.composed.talks"},
        "feature_cache": {"dir": str(folder / "cache")},
    }
    return write(parts, folder, name, **{**same, **changes})


def test_alignment_with_a_filled_cache_opens_no_decoder(parts: Path, tmp_path: Path) -> None:
    held = losses_of(aligned(parts, tmp_path, "memory", feature_cache={}))
    fill(aligned(parts, tmp_path, "ahead"))
    config = aligned(parts, tmp_path, "ahead")
    _, module = fit(read_run(config))
    assert logged(tmp_path / "ahead") == held
    model: Any = module.model
    assert opened(model) == [] and not list(model.decoders.parameters())
    model.save_pretrained(tmp_path / "model")
    whole = AnyModal.from_pretrained(tmp_path / "model")
    assert opened(whole) == ["audio", "image"]
    deferred, wanted = (m.modalities["image"].decoder for m in (model, whole))
    assert deferred.identity() == wanted.identity() and deferred.spec == wanted.spec
    assert torch.equal(deferred.embed_captions(["x"]).embeds, wanted.embed_captions(["x"]).embeds)
    assert opened(model) == ["image"], "what isn't known is asked of the decoder itself"


def test_a_glob_that_reaches_no_decoder_leaves_them_on_disk(parts: Path, tmp_path: Path) -> None:
    stage = {"trainable": ["heads.*", "*lora_*", "*q_proj*"], "losses": {"align": 1}}
    config = aligned(parts, tmp_path, "run", stage=stage)
    build(read_run(config))
    assert opened(build(read_run(config))[0]) == []


def test_a_caption_that_isn_t_kept_opens_its_decoder(parts: Path, tmp_path: Path) -> None:
    held = losses_of(aligned(parts, tmp_path, "memory", feature_cache={}))
    fill(aligned(parts, tmp_path, "ahead"), limit=SIZE)
    _, module = fit(read_run(aligned(parts, tmp_path, "ahead")))
    assert opened(module.model) == ["image"] and logged(tmp_path / "ahead") == held


def test_a_decoder_whose_files_or_code_changed_is_opened(parts: Path, tmp_path: Path) -> None:
    def built() -> list[str]:
        return opened(build(read_run(aligned(own, tmp_path, "run")))[0])

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
        known["sources"]["transformers.modeling_utils"] = "another release"
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
    model, _ = build(read_run(aligned(parts, tmp_path, "run", **changes)))
    assert opened(model) == ["audio", "image"] and list(model.decoders.parameters())


def test_a_decoder_that_a_stage_has_changed_is_opened(parts: Path, tmp_path: Path) -> None:
    model = AnyModal.compose(parts)
    weights = model.decoders["image"].parts["text_encoder"].requires_grad_()
    next(weights.parameters()).data += 1
    model.save_pretrained(tmp_path / "changed")
    target = {"_target_": "anymodal.AnyModal.from_pretrained", "path": str(tmp_path / "changed")}
    again, _ = build(read_run(aligned(parts, tmp_path, "run", model=target)))
    assert opened(again) == ["audio", "image"]
    wanted = model.decoders["image"].embed_captions(["x"]).embeds
    torch.testing.assert_close(again.decoders["image"].embed_captions(["x"]).embeds, wanted)


# ---- Keys --------------------------------------------------------------------------------------


class Part(nn.Module):
    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.scale = nn.Linear(2, 2), scale
        self.layer.requires_grad_(False)


def fingerprint(part: nn.Module, facts: Any = None, kept: FeatureCache | None = None) -> str:
    return (kept or FeatureCache()).fingerprint(CacheKey((part,), lambda: {"facts": facts}), CPU)


def test_a_part_is_known_by_what_decides_its_results() -> None:
    plain = fingerprint(Part())
    assert fingerprint(Part()) == plain
    changed = Part()
    changed.layer.weight[0, 0] += 1e-6
    buffered = Part()
    buffered.register_buffer("mean", torch.zeros(1))
    with torch.autocast("cpu", torch.bfloat16):
        cast = fingerprint(Part())
    hidden, told = Part(), Part()
    hidden._scale = 2.0
    told.settings = {"scale": 2.0}
    others = [
        fingerprint(changed),
        fingerprint(buffered),
        fingerprint(hidden),
        fingerprint(told),
        fingerprint(Part(scale=2.0)),
        fingerprint(Part().bfloat16()),
        fingerprint(Part(), facts={"size": 8}),
        fingerprint(nn.Sequential(Part())),
        cast,
    ]
    assert len({plain, *others}) == 10


def test_a_part_s_own_source_decides_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    found = []
    for level, more in ((1, 1), (2, 1), (1, 2), (1, 1)):
        (tmp_path / "own_part.py").write_text(
            "from torch import nn\nfrom own_helper import more\n"
            f"class Own(nn.Module):\n    def level(self): return {level} + more()\n"
        )
        (tmp_path / "own_helper.py").write_text(f"def more(): return {more}\n")
        for name in ("own_part", "own_helper"):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        hash_source.cache_clear()
        found.append(fingerprint(importlib.import_module("own_part").Own()))
    assert found[0] == found[3] and len(set(found)) == 3


def test_a_library_s_version_decides_too(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint(Part())
    found = {before}
    for name in ("pillow", "scipy", "av", "numpy", "soundfile", "torch", "timm"):
        monkeypatch.setattr(
            "anymodal.io.feature_cache._version",
            lambda asked, name=name: "0" if asked == name else "1",
        )
        _versions.cache_clear()
        found.add(fingerprint(Part()))
    _versions.cache_clear()
    assert len(found) == 8


def test_weights_that_change_under_way_are_noticed() -> None:
    kept, part = FeatureCache(), Part()
    before = fingerprint(part, kept=kept)
    assert fingerprint(part, kept=kept) == before and len(kept._hashed) == 1
    part.layer.bias += 1
    assert fingerprint(part, kept=kept) != before


def test_a_model_opened_again_is_the_same_and_its_parts_differ(parts: Path, tmp_path: Path) -> None:
    from anymodal.decoders import DiffusionDecoder

    def prints(model: AnyModal, kept: FeatureCache) -> list[str]:
        decoders = [model.decoders[name] for name in ("image", "audio")]
        made = [origin for d in decoders for origin in (d.captioning(), d.encoding())]
        read = [CacheKey((e,), e.identity) for e in model.encoders.values()]
        return [kept.fingerprint(origin, CPU) for origin in (*made, *read)]

    model, kept = AnyModal.compose(parts), FeatureCache()
    first = prints(model, kept)
    assert len(set(first)) == 7 and len(kept._hashed) < 7
    decoder = model.decoders["image"]
    decoder.embed_captions(["a ball", "a much longer caption"])  # sets the tokenizer's padding
    assert prints(model, kept) == prints(AnyModal.compose(parts), FeatureCache()) == first
    decoder.save_pretrained(tmp_path / "moved")
    moved = DiffusionDecoder.from_pretrained(tmp_path / "moved")
    assert FeatureCache().fingerprint(moved.captioning(), CPU) == first[0]
    moved.pipeline.vae.register_to_config(scaling_factor=0.5)
    assert FeatureCache().fingerprint(moved.encoding(), CPU) != first[1]


# ---- Values ------------------------------------------------------------------------------------

DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.bool, torch.int64, torch.float64]


@st.composite
def values(draw: st.DrawFn) -> tuple[Tensor, ...]:
    def tensor() -> Tensor:
        dtype = draw(st.sampled_from(DTYPES))
        shape = draw(st.lists(st.integers(0, 4), max_size=3))
        count = int(np.prod(shape, dtype=int))
        if dtype == torch.bool:
            return torch.tensor(
                draw(st.lists(st.booleans(), min_size=count, max_size=count)), dtype=dtype
            ).reshape(shape)
        data = draw(st.binary(min_size=count * dtype.itemsize, max_size=count * dtype.itemsize))
        raw = torch.tensor(list(data), dtype=torch.uint8)
        return raw.view(dtype).reshape(shape)

    return tuple(tensor() for _ in range(draw(st.integers(1, 3))))


def same(first: tuple[Tensor, ...], second: tuple[Tensor, ...]) -> bool:
    """Types, shapes and bits, NaN's included."""
    return all(
        a.dtype == b.dtype and a.shape == b.shape and shards.bytes_of(a) == shards.bytes_of(b)
        for a, b in zip(first, second, strict=True)
    )


@settings(max_examples=60)
@given(st.dictionaries(st.text(), values(), max_size=6), st.integers(0, 3))
def test_values_come_back_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, items: dict[str, Any], recent: int
) -> None:
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("FEW", "MANY"):  # so that some are sorted away
            patch.setattr(shards, name, recent)
        mine = Shards(folder)
        for key, value in items.items():
            mine.add(PART, {key: value})
        for store in (mine, Shards(folder)):
            found = store.find(PART, [*items, "another key"])
            assert found.keys() == items.keys()
            assert all(same(found[key], value) for key, value in items.items())
            assert not store.find("1" * 32, list(items))


@pytest.mark.parametrize("disk", [False, True])
def test_what_is_kept_is_asked_for_once(tmp_path: Path, disk: bool) -> None:
    kept, asked = FeatureCache(folder=tmp_path / "deep" / "cache" if disk else None), []
    origin = CacheKey((Part(),), dict)

    def compute(places: list[int]) -> list[Tensor]:
        asked.append(places)
        return [torch.stack([torch.full((2,), 1 / 3 + place) for place in places])]

    (first,) = kept.get_or_compute(origin, ["a", "b", "a"], compute, CPU)
    (second,) = kept.get_or_compute(origin, ["b", "c"], compute, CPU)
    assert asked == [[0, 1], [1]]
    assert torch.equal(first[0], first[2]) and torch.equal(first[1], second[0])
    kept.get_or_compute(CacheKey((Part(scale=2.0),), dict), ["a"], compute, CPU)
    assert asked == [[0, 1], [1], [0]], "another part's results are others"


def test_what_was_read_ahead_is_what_is_there_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers: list[str] = []
    monkeypatch.setattr(Shards, "find", noting(readers))
    part, asked = Part(), []

    def facts() -> dict[str, Any]:
        return {}

    def compute(places: list[int]) -> list[Tensor]:
        asked.append(places)
        return [torch.tensor([[1 / 3 + place] for place in places])]

    first, second = (FeatureCache(folder=tmp_path) for _ in range(2))
    origin = CacheKey((part,), facts)
    (held,) = first.get_or_compute(origin, ["a", "b"], compute, CPU)
    second.prefetch(origin, ["a", "b"])  # whose part isn't known yet
    assert len(readers) == 1
    second.get_or_compute(origin, ["a"], compute, CPU)
    second.prefetch(origin, ["a", "b", "c"])
    second.get_or_compute(origin, ["c"], compute, CPU)  # comes between
    del readers[:]
    (found,) = second.get_or_compute(origin, ["a", "b", "c"], compute, CPU)
    assert torch.equal(found[:2], held) and asked == [[0, 1], [0]]
    for number in range(200):  # nobody comes for these
        second.prefetch(origin, [str(number)])
    assert len(second._ahead) <= 64
    kept = FeatureCache()
    kept.get_or_compute(origin, ["a"], compute, CPU)
    kept.prefetch(origin, ["a"])
    assert not kept._ahead, "what is in memory needs no reading"


def test_beyond_the_limit_nothing_is_kept_and_nothing_changes() -> None:
    kept, origin = FeatureCache(limit=15), CacheKey((Part(),), dict)
    wide = [
        kept.get_or_compute(origin, ["a"], lambda _: [torch.ones(1, 4) / 3], CPU)[0]
        for _ in range(2)
    ]
    assert torch.equal(*wide) and not kept.store.values and kept.store.size == 0


# ---- Files -------------------------------------------------------------------------------------


def filled(folder: Path, count: int = 4) -> Shards:
    store = Shards(folder)
    store.add(PART, {str(i): (torch.full((3,), float(i)),) for i in range(count)})
    return store


def keys(folder: Path, count: int = 4) -> list[str]:
    found = Shards(folder).find(PART, [str(i) for i in range(count)])
    assert all(same(value, (torch.full((3,), float(key)),)) for key, value in found.items())
    return list(found)


def files(folder: Path) -> tuple[Path, Path]:
    (data,), (index,) = (folder.rglob(f"*.{kind}") for kind in ("data", "index"))
    return data, index


def test_torn_tails_are_ignored_and_written_anew(tmp_path: Path) -> None:
    for name, torn, left in (("data", 5, 3), ("data", 12, 3), ("index", 5, 3), ("index", 25, 2)):
        folder = tmp_path / f"{name}{torn}"
        filled(folder)
        path = files(folder)[name == "index"]
        os.truncate(path, path.stat().st_size - torn)
        assert keys(folder) == ["0", "1", "2"][:left]
        filled(folder)
        assert keys(folder) == ["0", "1", "2", "3"]


def test_a_spoiled_row_counts_as_missing(tmp_path: Path) -> None:
    filled(tmp_path)
    data, index = files(tmp_path)
    with open(data, "r+b") as file:
        file.seek(14)
        file.write(b"\xff")
    with open(index, "ab") as file:
        file.write(bytes(200))  # what a power cut leaves of a file that had just grown
    (tmp_path / PART / "notes.index").touch()
    (tmp_path / PART / "notes.data").touch()
    assert keys(tmp_path) == ["0", "2", "3"]
    filled(tmp_path)
    assert keys(tmp_path) == ["0", "1", "2", "3"]


def test_a_cache_deleted_under_way_is_no_harm(tmp_path: Path) -> None:
    store = filled(tmp_path)
    assert len(store.find(PART, ["0", "1"])) == 2
    shutil.rmtree(tmp_path)
    assert not store.find(PART, ["7"])
    tmp_path.mkdir()
    filled(tmp_path)
    assert store.find(PART, ["3"]).keys() == {"3"}


def test_a_full_shard_is_followed_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "SHARD", 20)
    monkeypatch.setattr(shards, "MAPS", 1)
    store = Shards(tmp_path)
    for i in range(6):
        store.add(PART, {str(i): (torch.full((3,), float(i)),)})
    assert len(list(tmp_path.rglob("*.data"))) == 3
    assert len(keys(tmp_path, 6)) == 6 and store.bytes_kept(PART) == 6 * 12


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_write_at_once_and_read_each_other(tmp_path: Path, method: str) -> None:
    context = multiprocessing.get_context(method)
    go = context.Barrier(3)
    workers = [
        context.Process(target=add_many, args=(tmp_path, PART, first, go)) for first in (0, 50, 150)
    ]
    mine = Shards(tmp_path)
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
        assert worker.exitcode == 0
    assert len(mine.find(PART, [str(i) for i in range(250)])) == 250
    assert len(keys(tmp_path, 250)) == 250
    assert len(list(tmp_path.rglob("*.data"))) == 3


def test_a_fork_writes_a_file_of_its_own(tmp_path: Path) -> None:
    store = filled(tmp_path, 1)
    child = multiprocessing.get_context("fork").Process(
        target=store.add, args=(PART, {"1": (torch.ones(3),)})
    )
    child.start()
    assert exit_code(child) == 0
    store.add(PART, {"2": (torch.full((3,), 2.0),)})
    assert len(list(tmp_path.rglob("*.data"))) == 2 and len(keys(tmp_path, 3)) == 3


def killed_while_writing(folder: Path) -> None:
    store = Shards(folder)
    for i in range(10**6):
        store.add(PART, {str(i): (torch.full((3,), float(i)),)})


def test_a_process_that_is_killed_leaves_what_it_had_written(tmp_path: Path) -> None:
    worker = start(killed_while_writing, tmp_path)
    until = time.monotonic() + 60
    while sum(path.stat().st_size for path in tmp_path.rglob("*.index")) < 2000:
        assert worker.is_alive() and time.monotonic() < until
    worker.kill()
    assert exit_code(worker) == -signal.SIGKILL
    count = files(tmp_path)[1].stat().st_size // shards.RECORD.itemsize
    assert count >= 100 and len(keys(tmp_path, count)) == count


# ---- What goes wrong ---------------------------------------------------------------------------


def test_a_disk_that_fills_up_ends_the_keeping_and_nothing_else(tmp_path: Path) -> None:
    kept, origin = FeatureCache(folder=tmp_path), CacheKey((Part(),), dict)

    def get(*names: str) -> Tensor:
        made = [torch.full((1000,), float(name)) for name in names]
        return kept.get_or_compute(origin, names, lambda places: [torch.stack(made)[places]], CPU)[
            0
        ]

    get("1")
    with small_disk(10_000):
        with pytest.warns(UserWarning, match="can't be written any more.*File too large"):
            assert get("1", "2", "3")[:, 0].tolist() == [1, 2, 3]
        assert get("2", "4")[:, 0].tolist() == [2, 4]
    assert files(tmp_path)[0].stat().st_size == 4000
    kept = FeatureCache(folder=tmp_path)
    again = kept.get_or_compute(
        origin, ["1", "2"], lambda places: [torch.zeros(len(places), 1000)], CPU
    )[0]
    assert again[:, 0].tolist() == [1, 0], "only what was whole is there"


def test_a_folder_takes_no_more_than_its_limit(parts: Path, tmp_path: Path) -> None:
    store = Shards(tmp_path / "store", limit=30)
    for number in range(2):
        store.add(PART, {str(number): (torch.full((3,), float(number)),)})
    assert store.free() == 6
    with pytest.warns(UserWarning, match="max_gb=.* is reached.: what is there stays in use"):
        store.add("1" * 32, {"2": (torch.full((3,), 2.0),)})
    assert keys(tmp_path / "store", 3) == ["0", "1"] and not store.find("1" * 32, ["2"])
    limited = {"dir": str(tmp_path / "cache"), "max_gb": 2**-20}
    with pytest.warns(UserWarning, match="is reached"):
        with pytest.raises(OSError, match="max_gb=9.54e-07 is reached.*make room"):
            fill(write(parts, tmp_path, "run", feature_cache=limited))


def test_a_folder_that_cant_be_written_is_told(parts: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    config = write(parts, tmp_path, "run", feature_cache={"dir": str(tmp_path / "file" / "cache")})
    with pytest.raises(
        ValueError, match="feature_cache.dir=.*can't be written .Not a directory.; name a fold"
    ):
        fit(read_run(config))


def test_a_disk_too_small_is_told_before_it_is_filled(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    config = write(parts, tmp_path, "run", feature_cache={"dir": str(tmp_path / "cache")})
    leave_free(monkeypatch, 1000)
    assert cli.main(["cache", str(config)]) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert "would take up to" in told and "has room for 0.0 MB; make room" in told


def test_what_another_data_set_left_there_is_not_taken_for_this_one_s(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    kept = str(tmp_path / "cache")
    fill(
        write(
            parts,
            tmp_path,
            "other",
            feature_cache={"dir": kept},
            data={"_target_": "tests.support.composed.talks"},
        )
    )
    config = write(parts, tmp_path, "run", feature_cache={"dir": kept})
    leave_free(monkeypatch, 1000)
    capsys.readouterr()
    assert cli.main(["cache", str(config)]) == 2
    assert "has room for 0.0 MB; make room" in capsys.readouterr().err


def test_a_filled_folder_needs_no_room(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write(parts, tmp_path, "run", feature_cache={"dir": str(tmp_path / "cache")})
    samples = fill(config)
    leave_free(monkeypatch, 0)
    assert fill(config) == samples


def test_each_process_of_the_run_has_batches_of_its_own(parts: Path, tmp_path: Path) -> None:
    data = {"_target_": "tests.support.composed.talks"}
    run = {"data": data, "steps": 1, "feature_cache": {"dir": str(tmp_path / "cache")}}
    config = write(parts, tmp_path, "run", **run)
    assert fill(config) == SIZE
    assert fill(config, processes=2) == 2 * SIZE
    assert fill(config, ["+trainer.devices=2"]) == 2 * SIZE
    assert fill(config, ["+trainer.devices=[0,1]", "+trainer.num_nodes=2"]) == 15, "all there are"


def test_a_disk_that_fills_up_ends_the_command(parts: Path, tmp_path: Path) -> None:
    data = {"_target_": "tests.support.composed.talks"}
    config = write(
        parts, tmp_path, "run", feature_cache={"dir": str(tmp_path / "cache")}, data=data
    )
    with small_disk(6000), pytest.warns(UserWarning, match="can't be written any more"):
        with pytest.raises(OSError, match="are kept and .* free; make room.*run it again to go on"):
            fill(config)
    assert fill(config) == 15


def test_the_command_names_what_it_lacks(parts: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no folder for its feature cache; name one"):
        fill(write(parts, tmp_path, "none"))
    with pytest.raises(ConfigError, match="did you mean 'feature_cache'"):
        fill(write(parts, tmp_path, "wrong", feature_cach="x"))
    toy = {
        "model": {"_target_": "tests.support.composed.Toy"},
        "data": {"_target_": "tests.support.composed.Numbers"},
        "stage": {"trainable": ["layer.*"], "losses": {"square": 1.0}},
    }
    with pytest.raises(ConfigError, match="Toy has no frozen part whose results are kept"):
        fill(write(parts, tmp_path, "toy", **toy, feature_cache={"dir": str(tmp_path / "cache")}))


@pytest.mark.parametrize("share", ["0/2", "3/2", "1", "a/b"])
def test_a_share_is_k_of_n(share: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["cache", "x.yaml", "--share", share]) == 2
    assert "is no share such as 1/4" in capsys.readouterr().err


# ---- The command -------------------------------------------------------------------------------


def test_the_command_goes_on_where_it_stopped(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    calls = Calls(monkeypatch)
    data = {"_target_": "tests.support.composed.CutTalks", "varied": True, "cut": 7}
    config = write(
        parts, tmp_path, "run", feature_cache={"dir": str(tmp_path / "cache")}, data=data
    )
    with pytest.raises(OSError, match="the power is cut"):
        fill(config)
    assert calls.taken()[0] == 2 * 5, "one batch of five"
    assert cli.main(["cache", str(config), "data.cut=100"]) == 0
    assert calls.taken()[0] == 2 * (13 - 5)
    assert "15 samples gone through" in capsys.readouterr().out
    assert cli.main(["cache", str(config), "data.cut=100"]) == 0
    assert calls.taken()[0] == 0


def test_shares_add_up_to_the_whole(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write(parts, tmp_path, "run", feature_cache={"dir": str(tmp_path / "cache")})
    assert cli.main(["cache", "--limit", "1", str(config), "workers=1"]) == 0
    for share in ("1/2", "2/2"):
        assert cli.main(["cache", str(config), "workers=1", "--share", share]) == 0
    calls = Calls(monkeypatch)
    losses_of(config)
    assert calls.taken()[0] == 0
