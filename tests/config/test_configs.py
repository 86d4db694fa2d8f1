"""Every configuration that ships can work: bound against signatures, with nothing built."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from anymodal.cli.validate import check_configuration
from anymodal.config import ConfigError, load_config
from anymodal.evaluation.schema import Evaluation
from anymodal.training.run import read_run
from tests.support.paths import ROOT as REPOSITORY

ROOT = REPOSITORY / "configs"
ALL = sorted(ROOT.rglob("*.yaml"))


@cache
def loaded(path: Path) -> dict[str, Any]:
    """A configuration's contents, read once for all tests."""
    return load_config(path)


def with_key(key: str) -> list[Path]:
    """Configurations with a key at the top, their own or a base's; reading all takes seconds."""

    def has_key(path: Path) -> bool:
        text = path.read_text("utf-8")
        base = re.search(r"^base: (.+)$", text, re.MULTILINE)
        if base is not None and has_key(path.parent / base[1]):
            return True
        return re.search(rf"^{key}:", text, re.MULTILINE) is not None

    return [path for path in ALL if has_key(path)]


@pytest.mark.parametrize("key", ["stage", "metrics"])
def test_keys_are_found_without_reading(key: str) -> None:
    assert with_key(key) == [path for path in ALL if key in loaded(path)]


def test_there_are_some() -> None:
    assert {path.parent.name for path in ALL} >= {"models", "nano", "evaluation"}


@pytest.mark.parametrize("path", ALL, ids=[str(path.relative_to(ROOT)) for path in ALL])
def test_a_shipped_configuration_can_work(path: Path) -> None:
    check_configuration(path, data=False)


STAGES = with_key("stage")


@pytest.mark.parametrize("path", STAGES)
def test_a_run_takes_overrides_and_its_data_no_typos(path: Path) -> None:
    with pytest.raises(ConfigError, match="takes no 'sizes'"):
        read_run(path, ["steps=7", "optimizer.lr=0.5", "+data.sizes=3"])


@pytest.mark.parametrize("path", {path.parent.name: path for path in STAGES}.values())
def test_a_run_refuses_typos(path: Path) -> None:
    run = read_run(path, ["steps=7", "optimizer.lr=0.5"])
    assert run.steps == 7 and run.optimizer.lr == 0.5
    for override in ("stepz=7", "optimizer.lt=1", "model._target=x"):
        with pytest.raises(ConfigError, match="has no key"):
            read_run(path, [override])


@pytest.mark.parametrize("path", with_key("metrics"))
def test_an_evaluation_takes_overrides_and_refuses_typos(path: Path) -> None:
    job = Evaluation.read(path, ["data=mine.jsonl", "+settings.max_new_tokens=9"])
    assert job.data == "mine.jsonl" and job.settings["max_new_tokens"] == 9
    for override in ("modle=x", "metrics.blue=1"):
        with pytest.raises(ConfigError, match="has no key"):
            Evaluation.read(path, [override])


UNPINNED = {
    "cvssp/audioldm-l-full",
    "gradium/phonon-31m-en",
    "mtgv/MobileLLaMA-1.4B-Chat",
    "togethercomputer/RedPajama-INCITE-Base-3B-v1",
    "vibevoice/VibeVoice-1.5B-hf",
}
"""Of these no commit is known here."""


def named(node: Any) -> Iterator[tuple[str, str | None]]:
    """Names and revisions of all parts that a configuration opens."""
    if isinstance(node, dict):
        if str(node.get("_target_", "")).endswith(".from_pretrained"):
            name = node.get("path_or_name") or node.get("folder")
            if name:
                yield str(name), node.get("revision")
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from named(item)


def test_parts_on_the_hub_are_pinned_to_a_commit() -> None:
    parts = {part for path in ALL for part in named(loaded(path))}
    local = {name for name, _ in parts if name.split("/")[0] in ("", "weights", "runs")}
    assert all(revision is None for name, revision in parts if name in local)
    pinned = {
        name
        for name, revision in parts
        if name not in local and re.fullmatch("[0-9a-f]{40}", revision or "")
    }
    assert {name for name, _ in parts} - local - pinned == UNPINNED
    assert len({(name, rev) for name, rev in parts if name in pinned}) == len(pinned), "one each"
    assert len(pinned) >= 20


def test_no_two_runs_share_a_folder() -> None:
    folders = [loaded(path)["output_dir"] for path in ALL if "output_dir" in loaded(path)]
    assert len(folders) == len(set(folders))
