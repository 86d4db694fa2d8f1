"""A cache key tells apart whatever changes a result, so that nothing stale is found."""

from __future__ import annotations

import importlib
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from anymodal.decoders import DiffusionDecoder
from anymodal.io import code_versions, part_versions
from anymodal.io.code_versions import UNKNOWN, library_versions
from anymodal.io.feature_cache import CacheKey, FeatureCache
from anymodal.model import AnyModal
from tests.support.composed import write_model

CPU = torch.device("cpu")


class Part(nn.Module):
    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.scale = nn.Linear(2, 2), scale
        self.layer.requires_grad_(False)


class Crop:
    """What a part may hold to prepare media by."""

    def __init__(self, size: int) -> None:
        self.size = size


class Slotted:
    __slots__ = "size"

    def __init__(self, size: int) -> None:
        self.size = size


def double(x: float) -> float:
    return 2 * x


def triple(x: float) -> float:
    return 3 * x


def fingerprint(part: nn.Module, result: str = "features", **metadata: Any) -> str:
    return FeatureCache().fingerprint(CacheKey(result, (part,), lambda: metadata), CPU)


def having(**attributes: Any) -> Part:
    part = Part()
    for name, value in attributes.items():
        setattr(part, name, value)
    return part


def changed(part: Part, change: Callable[[Part], object]) -> Part:
    with torch.no_grad():
        change(part)
    return part


# ---- Weights and settings ------------------------------------------------------------------------

OTHERS: dict[str, Callable[[], Part | nn.Module]] = {
    "a weight": lambda: changed(Part(), lambda part: part.layer.weight[0, 0].add_(1e-6)),
    "a buffer": lambda: changed(Part(), lambda part: part.register_buffer("mean", torch.zeros(1))),
    "a type": lambda: Part().bfloat16(),
    "an argument": lambda: Part(scale=2.0),
    "a hidden setting": lambda: having(_scale=2.0),
    "a mapping": lambda: having(settings={"scale": 2.0}),
    "a nested mapping": lambda: having(settings={"scale": {"x": 2.0}}),
    "an object": lambda: having(crop=Crop(4)),
    "an object's setting": lambda: having(crop=Crop(5)),
    "an object in a list": lambda: having(crop=[Crop(4)]),
    "an object in a list, another": lambda: having(crop=[Crop(5)]),
    "a slot": lambda: having(crop=Slotted(4)),
    "a slot's value": lambda: having(crop=Slotted(5)),
    "an array": lambda: having(mean=np.zeros(3)),
    "an array's value": lambda: having(mean=np.ones(3)),
    "a tensor that is no buffer": lambda: having(mean=(torch.zeros(3),)),
    "its value": lambda: having(mean=(torch.ones(3),)),
    "a function": lambda: having(step=double),
    "another function": lambda: having(step=triple),
    "a partial function": lambda: having(step=partial(double, 1)),
    "its argument": lambda: having(step=partial(double, 2)),
    "a hidden module": lambda: having(held=[Part()]),
    "a hidden module's weight": lambda: having(
        held=[changed(Part(), lambda part: part.layer.bias.add_(1))]
    ),
    "a hidden module of an object": lambda: having(crop=Crop(Part(3.0))),  # type: ignore[arg-type]
    "a module around it": lambda: nn.Sequential(Part()),
}


def test_whatever_a_part_consists_of_decides() -> None:
    prints = {name: fingerprint(make()) for name, make in OTHERS.items()}
    assert len({fingerprint(Part()), *prints.values()}) == 1 + len(OTHERS)
    assert prints == {name: fingerprint(make()) for name, make in OTHERS.items()}


def test_the_result_its_metadata_and_the_precision_decide() -> None:
    plain = fingerprint(Part())
    with torch.autocast("cpu", torch.bfloat16):
        cast = fingerprint(Part())
    torch.set_float32_matmul_precision("high")
    try:
        rounded = fingerprint(Part())
    finally:
        torch.set_float32_matmul_precision("highest")
    others = [fingerprint(Part(), "embeddings"), fingerprint(Part(), size=8), cast, rounded]
    assert len({plain, *others}) == 5


def test_weights_that_change_under_way_are_noticed() -> None:
    cache, part = FeatureCache(), Part()
    key = CacheKey("features", (part,), dict)
    before = cache.fingerprint(key, CPU)
    assert cache.fingerprint(key, CPU) == before and len(cache._weights) == 1
    part.layer.bias += 1
    assert cache.fingerprint(key, CPU) != before


# ---- Code ----------------------------------------------------------------------------------------


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Write a user's part and what it imports, import it anew, and give its fingerprint."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(code_versions, "_STARTED", 2**63)  # files are older than the process
    # By whose second and size Python takes a file that was written anew for the one before.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(**files: str) -> str:
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(text)
        for name in ("own_part", "own_helper", "own_lazy"):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        code_versions.is_library.cache_clear()
        return fingerprint(importlib.import_module("own_part").Own())

    yield write
    for name in ("own_part", "own_helper", "own_lazy"):
        sys.modules.pop(name, None)


PART = """
from torch import nn
import own_helper
class Own(nn.Module):
    {version}
    def level(self):
        from own_lazy import less
        return {level} + own_helper.more() - less()
"""
FILES = {
    "own_part": PART.format(level=1, version=""),
    "own_helper": "def more(): return 1\n",
    "own_lazy": "def less(): return 1\n",
}


def test_a_users_source_and_what_it_imports_decide(own: Callable[..., str]) -> None:
    plain = own(**FILES)
    others = [
        own(**FILES | {"own_part": PART.format(level=2, version="")}),
        own(**FILES | {"own_helper": "def more(): return 2\n"}),
        own(**FILES | {"own_lazy": "def less(): return 2\n"}),
    ]
    assert own(**FILES) == plain and len({plain, *others}) == 4


def test_a_stated_version_stands_for_a_users_source(own: Callable[..., str]) -> None:
    stated = own(**FILES | {"own_part": PART.format(level=1, version="cache_version = 1")})
    same = own(**FILES | {"own_part": PART.format(level=2, version="cache_version = 1")})
    raised = own(**FILES | {"own_part": PART.format(level=2, version="cache_version = 2")})
    assert stated == same != raised


def test_a_stated_version_is_no_subclass_s(own: Callable[..., str]) -> None:
    text = PART.format(level=1, version="cache_version = 1").replace("class Own", "class Base")
    below = "class Own(Base):\n    def level(self): return {}\n"
    found = {own(**FILES | {"own_part": text + below.format(level)}) for level in (1, 2)}
    assert len(found) == 2


def test_code_that_may_be_older_than_its_file_is_for_one_cache_alone(
    own: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own(**FILES)
    part = sys.modules["own_part"].Own()
    monkeypatch.setattr(code_versions, "_STARTED", 0)  # files are younger than the process
    assert code_versions.code_versions([part])["own_part"] == UNKNOWN
    assert fingerprint(part) != fingerprint(part)
    cache, key = FeatureCache(), CacheKey("features", (part,), dict)
    assert cache.fingerprint(key, CPU) == cache.fingerprint(key, CPU)


def test_code_without_a_file_is_for_one_cache_alone() -> None:
    module = types.ModuleType("own_notebook")
    exec("from torch import nn\nclass Own(nn.Module): pass\n", vars(module))
    sys.modules["own_notebook"] = module
    try:
        part = module.Own()
        assert fingerprint(part) != fingerprint(part)
    finally:
        del sys.modules["own_notebook"]


@pytest.mark.parametrize("part", ["anymodal.encoders.imagebind", "anymodal.media"])
def test_a_raised_version_of_an_own_part_decides(
    parts: Path, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = AnyModal.compose(parts).encoders["image"]
    before = FeatureCache().fingerprint(encoder.cache_key("features"), CPU)
    table = part_versions.PART_VERSIONS
    monkeypatch.setitem(table, "anymodal.encoders.universal", table[part]._replace(version=9))
    assert FeatureCache().fingerprint(encoder.cache_key("features"), CPU) == before, "not in use"
    monkeypatch.setitem(table, part, table[part]._replace(version=9))
    assert FeatureCache().fingerprint(encoder.cache_key("features"), CPU) != before


def test_a_decoders_code_decides_beside_its_autoencoders(parts: Path) -> None:
    decoder = AnyModal.compose(parts).decoders["image"]

    class Own(DiffusionDecoder):
        cache_version = 1

    before = [
        FeatureCache().fingerprint(k, CPU) for k in (decoder.captioning(), decoder.encoding())
    ]
    decoder.__class__ = Own
    after = [FeatureCache().fingerprint(k, CPU) for k in (decoder.captioning(), decoder.encoding())]
    Own.cache_version = 2
    raised = [
        FeatureCache().fingerprint(k, CPU) for k in (decoder.captioning(), decoder.encoding())
    ]
    assert len({*before, *after, *raised}) == 6


def test_every_librarys_version_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {fingerprint(Part())}
    for name in code_versions.LIBRARIES:
        monkeypatch.setattr(
            code_versions, "_version", lambda asked, name=name: "0" if asked == name else "1"
        )
        library_versions.cache_clear()
        found.add(fingerprint(Part()))
    library_versions.cache_clear()
    assert len(found) == 1 + len(code_versions.LIBRARIES)


def test_a_library_installed_from_a_folder_counts_by_its_source(tmp_path: Path) -> None:
    """As a user's own: its version says nothing of what is in the folder."""
    site = tmp_path / "site"
    (site / "own_lib-1.0.dist-info").mkdir(parents=True)
    (site / "own_lib-1.0.dist-info" / "METADATA").write_text("Name: own-lib\nVersion: 1.0\n")
    (site / "own_lib-1.0.dist-info" / "top_level.txt").write_text("own_lib\n")
    told = site / "own_lib-1.0.dist-info" / "direct_url.json"

    # A process of its own reads each; they are forked, so that torch is imported once.
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); sys.dont_write_bytecode = True\n"
        "from pathlib import Path\n"
        "from anymodal.io import code_versions as c\n"
        "c._SITES, c._STARTED = (sys.argv[1],), 2**63\n"
        "for name in ('own-lib', 'own_lib'):\n"
        "    for level in (1, 2):\n"
        "        Path(sys.argv[1], 'own_lib.py').write_text(f'def level(): return {level}')\n"
        "        if not os.fork():\n"
        "            import own_lib\n"
        "            print(c.code_versions([own_lib.level])[name], flush=True)\n"
        "            os._exit(0)\n"
        "        os.wait()\n"
        '    Path(sys.argv[2]).write_text(\'{"url": "file:///own", "dir_info": {}}\')\n'
    )
    command = [sys.executable, "-c", code, str(site), str(told)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    first, second, *from_source = done.stdout.split()
    assert first == second == "1.0"
    assert len(from_source) == len(set(from_source)) == 2


# ---- Parts that are opened -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("parts"))


def test_a_model_opened_again_is_the_same_and_its_parts_differ(parts: Path, tmp_path: Path) -> None:
    def prints(model: AnyModal, cache: FeatureCache) -> list[str]:
        decoders = [model.decoders[name] for name in ("image", "audio")]
        made = [key for d in decoders for key in (d.captioning(), d.encoding())]
        read = [encoder.cache_key("features") for encoder in model.encoders.values()]
        return [cache.fingerprint(key, CPU) for key in (*made, *read)]

    model, cache = AnyModal.compose(parts), FeatureCache()
    first = prints(model, cache)
    assert len(set(first)) == 7 and len(cache._weights) < 7
    decoder = model.decoders["image"]
    decoder.embed_captions(["a ball", "a much longer caption"])  # sets the tokenizer's padding
    assert prints(model, cache) == prints(AnyModal.compose(parts), FeatureCache()) == first
    decoder.save_pretrained(tmp_path / "moved")
    moved = DiffusionDecoder.from_pretrained(tmp_path / "moved")
    assert FeatureCache().fingerprint(moved.captioning(), CPU) == first[0]
    moved.pipeline.vae.register_to_config(scaling_factor=0.5)
    assert FeatureCache().fingerprint(moved.encoding(), CPU) != first[1]


def test_a_tokenizers_steps_and_options_decide(parts: Path) -> None:
    def print_with(change: Callable[[Any], object]) -> str:
        decoder = DiffusionDecoder.from_pretrained(parts.parent / "image")
        change(decoder.pipeline.tokenizer)
        return FeatureCache().fingerprint(decoder.captioning(), CPU)

    from tokenizers.normalizers import Lowercase

    changes: list[Callable[[Any], object]] = [
        lambda tokenizer: None,
        lambda tokenizer: tokenizer.add_tokens(["anew"]),
        lambda tokenizer: setattr(tokenizer.backend_tokenizer, "normalizer", Lowercase()),
        lambda tokenizer: setattr(tokenizer, "model_max_length", 5),
        lambda tokenizer: setattr(tokenizer, "chat_template", "{{ messages }}"),
        lambda tokenizer: setattr(tokenizer.backend_tokenizer.model, "unk_token", "a"),
    ]
    assert len({print_with(change) for change in changes}) == len(changes)
    assert print_with(lambda tokenizer: tokenizer(["a b"], padding="max_length", max_length=9)) == (
        print_with(changes[0])
    )
