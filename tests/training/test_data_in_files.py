"""Runs whose data are named by a path: any container, stopped and resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from anymodal.config import ConfigError
from anymodal.data.containers.spans import SpanRows
from anymodal.training.run import fit, read_run
from tests.support.composed import write_model
from tests.support.data_sets import CONTAINERS
from tests.support.runs import assert_same, last, stages, write


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("parts"))


def test_a_run_on_shards_goes_on_to_the_bit(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    path = CONTAINERS["shards"](tmp_path / "data")
    settings: dict[str, Any] = {**stages(parts, tmp_path)["perceive"], "data": {"path": path}}
    cache = {"dir": str(tmp_path / "cache")}  # in memory, results differ in a last bit
    settings |= {"steps": 4, "batch_size": 3, "feature_cache": cache}
    fit(read_run(write(tmp_path, "straight", **settings)))
    read, left = SpanRows.read, [10]

    def cut(self: SpanRows, index: int) -> dict[str, Any]:
        left[0] -= 1
        if left[0] < 0:
            raise OSError("the power is cut")
        return read(self, index)

    other = write(tmp_path, "other", **settings)
    with monkeypatch.context() as patch:
        patch.setattr(SpanRows, "read", cut)
        with pytest.raises(OSError, match="the power is cut"):
            fit(read_run(other))
    fit(read_run(other))
    first, second = last(tmp_path / "straight"), last(tmp_path / "other")
    for key in ("state_dict", "optimizer_states", "batches"):
        assert_same(first[key], second[key])


def test_arguments_beside_a_path_are_checked(parts: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = stages(parts, tmp_path)["perceive"]
    for data, says in (
        ({"path": "d.jsonl", "colums": {}}, "did you mean 'columns'"),
        ({"path": 3}, "path"),
        ({"folder": "d"}, r"data must be a part"),
    ):
        with pytest.raises(ConfigError, match=says):
            read_run(write(tmp_path, **{**settings, "data": data}))
    run = read_run(write(tmp_path, **{**settings, "data": {"path": ["a.jsonl", "b.jsonl"]}}))
    assert run.data["_target_"].endswith("Conversations")
    mixed = {"_target_": "anymodal.data.mixture.Mixture", "datasets": [{"path": "a.jsonl"}]}
    run = read_run(write(tmp_path, **{**settings, "data": mixed}))
    assert run.data["datasets"] == [{**run.data["datasets"][0], "path": "a.jsonl"}]
    assert run.data["datasets"][0]["_target_"].endswith("Conversations")
