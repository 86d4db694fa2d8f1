"""Every configuration that ships can work: bound against signatures, with nothing built."""

from __future__ import annotations

from pathlib import Path

import pytest

from anymodal.commands.validate import check
from anymodal.config import ConfigError, load
from anymodal.evaluation.schema import read_evaluation
from anymodal.training.run import read_run

ROOT = Path(__file__).parents[1] / "configs"
ALL = sorted(ROOT.rglob("*.yaml"))


def test_there_are_some() -> None:
    assert {path.parent.name for path in ALL} >= {"models", "nano", "evaluation"}


@pytest.mark.parametrize("path", ALL, ids=[str(path.relative_to(ROOT)) for path in ALL])
def test_a_shipped_configuration_can_work(path: Path) -> None:
    check(path)


@pytest.mark.parametrize("path", [p for p in ALL if "stage" in load(p)])
def test_a_run_takes_overrides_and_refuses_typos(path: Path) -> None:
    run = read_run(path, ["steps=7", "optimizer.lr=0.5"])
    assert run.steps == 7 and run.optimizer.lr == 0.5
    for override in ("stepz=7", "optimizer.lt=1", "model._target=x"):
        with pytest.raises(ConfigError, match="has no key"):
            read_run(path, [override])
    with pytest.raises(ConfigError, match="takes no 'sizes'"):
        read_run(path, ["+data.sizes=3"])


@pytest.mark.parametrize("path", [p for p in ALL if "metrics" in load(p)])
def test_an_evaluation_takes_overrides_and_refuses_typos(path: Path) -> None:
    job = read_evaluation(path, ["data=mine.jsonl", "+settings.max_new_tokens=9"])
    assert job.data == "mine.jsonl" and job.settings["max_new_tokens"] == 9
    for override in ("modle=x", "metrics.blue=1"):
        with pytest.raises(ConfigError, match="has no key"):
            read_evaluation(path, [override])


def test_no_two_runs_share_a_folder() -> None:
    folders = [load(path)["out"] for path in ALL if "out" in load(path)]
    assert len(folders) == len(set(folders))
