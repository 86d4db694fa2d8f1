"""Each result is computed once, in memory or in a folder, and read ahead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from anymodal.io.feature_cache import CacheKey, FeatureCache, MemoryStore
from anymodal.io.tensor_store import TensorStore
from tests.support.cached_runs import noting
from tests.support.composed import small_disk

CPU = torch.device("cpu")


class Part(nn.Module):
    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.scale = nn.Linear(2, 2), scale
        self.layer.requires_grad_(False)


@pytest.mark.parametrize("disk", [False, True])
def test_what_is_kept_is_asked_for_once(tmp_path: Path, disk: bool) -> None:
    kept, asked = FeatureCache(folder=tmp_path / "deep" / "cache" if disk else None), []
    key = CacheKey("features", (Part(),), dict)

    def compute(places: list[int]) -> list[Tensor]:
        asked.append(places)
        return [torch.stack([torch.full((2,), 1 / 3 + place) for place in places])]

    (first,) = kept.get_or_compute(key, ["a", "b", "a"], compute, CPU)
    (second,) = kept.get_or_compute(key, ["b", "c"], compute, CPU)
    assert asked == [[0, 1], [1]]
    assert torch.equal(first[0], first[2]) and torch.equal(first[1], second[0])
    kept.get_or_compute(CacheKey("features", (Part(scale=2.0),), dict), ["a"], compute, CPU)
    assert asked == [[0, 1], [1], [0]], "another part's results are others"


def test_what_was_read_pending_is_what_is_there_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers: list[str] = []
    monkeypatch.setattr(TensorStore, "find", noting(readers))
    part, asked = Part(), []

    def metadata() -> dict[str, Any]:
        return {}

    def compute(places: list[int]) -> list[Tensor]:
        asked.append(places)
        return [torch.tensor([[1 / 3 + place] for place in places])]

    first, second = (FeatureCache(folder=tmp_path) for _ in range(2))
    key = CacheKey("features", (part,), metadata)
    (held,) = first.get_or_compute(key, ["a", "b"], compute, CPU)
    second.prefetch(key, ["a", "b"])  # whose part isn't known yet
    assert len(readers) == 1
    second.get_or_compute(key, ["a"], compute, CPU)
    second.prefetch(key, ["a", "b", "c"])
    second.get_or_compute(key, ["c"], compute, CPU)  # comes between
    del readers[:]
    (found,) = second.get_or_compute(key, ["a", "b", "c"], compute, CPU)
    assert torch.equal(found[:2], held) and asked == [[0, 1], [0]]
    for number in range(200):  # nobody comes for these
        second.prefetch(key, [str(number)])
    assert len(second._futures) <= 64
    kept = FeatureCache()
    kept.get_or_compute(key, ["a"], compute, CPU)
    kept.prefetch(key, ["a"])
    assert not kept._futures, "what is in memory needs no reading"


def test_beyond_the_limit_nothing_is_kept_and_nothing_changes() -> None:
    kept, key = FeatureCache(limit=15), CacheKey("features", (Part(),), dict)
    wide = [
        kept.get_or_compute(key, ["a"], lambda _: [torch.ones(1, 4) / 3], CPU)[0] for _ in range(2)
    ]
    store = kept.store
    assert isinstance(store, MemoryStore)
    assert torch.equal(*wide) and not store.values and store.size == 0


def test_a_disk_that_fills_up_ends_the_keeping_and_nothing_else(tmp_path: Path) -> None:
    kept, key = FeatureCache(folder=tmp_path), CacheKey("features", (Part(),), dict)

    def get(*names: str) -> Tensor:
        made = [torch.full((1000,), float(name)) for name in names]
        return kept.get_or_compute(key, names, lambda places: [torch.stack(made)[places]], CPU)[0]

    get("1")
    with small_disk(10_000):
        with pytest.warns(UserWarning, match="can't be written any more.*File too large"):
            assert get("1", "2", "3")[:, 0].tolist() == [1, 2, 3]
        assert get("2", "4")[:, 0].tolist() == [2, 4]
    assert next(tmp_path.rglob("*.data")).stat().st_size == 4000
    kept = FeatureCache(folder=tmp_path)
    again = kept.get_or_compute(
        key, ["1", "2"], lambda places: [torch.zeros(len(places), 1000)], CPU
    )[0]
    assert again[:, 0].tolist() == [1, 0], "only what was whole is there"
