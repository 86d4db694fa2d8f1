"""Configurations with mistakes of every kind: each is taken, or refused in a line."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from anymodal.cli.validate import check_configuration
from anymodal.config import ConfigError, load_config
from anymodal.training.configuration import Run
from anymodal.training.run import read_run
from tests.support.paths import ROOT as REPOSITORY

ROOT = REPOSITORY / "configs"
FILES = sorted(ROOT.rglob("*.yaml"))
EACH = 4
"""Mutations of each file; `python -m tests.fuzz` tries 2,000 more."""

DEEP: dict[str, Any] = {"a": {"b": {"c": {"d": [[[["x"]]]]}}}}
WILD: list[Any] = [
    *(None, True, False, 0, -1, 1, 2.5, -0.0, 10**9, 10**30, 2**64, -(2**70), 1e-320),
    *(float("nan"), float("inf"), -float("inf"), "", "x", "5", "1e400", "..", "/", "a/b"),
    *("\u200b", "a\0b", "x" * 3000, "${here}", "${x}", "${", "${oc.env:HOME}", "???"),
    *([], [1], ["x"], [None], [[]], {}, {"a": 1}, DEEP, {1: 2}, {None: 3}, {True: 1}, {1.5: 2}),
    *({"_target_": "os.system"}, {"_target_": 3}, {"_target_": None}, {"_target_": "."}),
    *({"_target_": "anymodal"}, {"_target_": "anymodal..heads"}, {"_target_": "anymodal.heads."}),
    *({"_target_": "anymodal.heads.LinearHead"}, {"_target_": ["x"]}, {"_target_": "é" * 400}),
    *({"_part_": "x"}, {"_part_": None}, {"_part_": ["x"]}, {"_part_": {}}),
]
KEYS: list[Any] = [
    "zzz",
    "_target_",
    "_part_",
    "base",
    "trusted_packages",
    "parts",
    "",
    "a.b",
    3,
    None,
    True,
]


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to everything in a configuration."""
    if path:
        yield path
    held = (
        node if isinstance(node, dict) else dict(enumerate(node if isinstance(node, list) else ()))
    )
    for key, value in held.items():
        yield from places(value, (*path, key))


def mutated(config: dict[str, Any], drawn: random.Random) -> dict[str, Any]:
    """A configuration with up to three mistakes."""
    config = copy.deepcopy(config)
    for _ in range(drawn.choice([1, 1, 1, 2, 3])):
        if not (ways := list(places(config))):
            break
        *above, last = drawn.choice(ways)
        parent: Any = config
        for key in above:
            parent = parent[key]
        kind = drawn.choice(["value"] * 4 + ["gone", "renamed", "wrapped", "added"])
        if kind == "value":
            parent[last] = copy.deepcopy(drawn.choice(WILD))
        elif kind == "gone":
            del parent[last]
        elif kind == "wrapped":
            parent[last] = [parent[last]] if drawn.random() < 0.5 else {"x": parent[last]}
        elif isinstance(parent, dict):
            value = parent.pop(last) if kind == "renamed" else drawn.choice(WILD)
            parent[drawn.choice([f"{last}x", str(last)[:-1], *KEYS])] = copy.deepcopy(value)
    return config


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES])
def test_a_mistake_is_a_line(path: Path, tmp_path: Path) -> None:
    drawn = random.Random(str(path.relative_to(ROOT)))
    good = load_config(path)
    for _ in range(EACH):
        file = tmp_path / "mutated.yaml"
        file.write_text(yaml.safe_dump(mutated(good, drawn), sort_keys=False))
        try:
            check_configuration(file, data=False)
        except (ConfigError, FileNotFoundError) as error:
            assert "\n" not in str(error) and len(str(error)) < 2000, file.read_text()


GOOD = {"model": {}, "data": {}, "stage": {"losses": {"a": 1.0}}, "output_dir": "x", "steps": 3}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": "5"}, "steps must be int, not '5'"),
        ({"steps": 2.0}, "steps must be int, not 2.0"),
        ({"steps": True}, "steps must be int, not True"),
        ({"steps": None}, "steps must be int, not None"),
        ({"steps": 10**10}, "steps must be at least 1 and at most 1000000000"),
        ({"batch_size": -1}, "batch_size must be at least 1"),
        ({"batch_size": 2**30}, "batch_size must be at least 1 and at most"),
        ({"accumulate_grad_batches": 0}, "accumulate_grad_batches must be at least 1"),
        ({"workers": -1}, "workers must be at least 0"),
        ({"seed": 2**64}, "seed must be at least 0 and at most 2147483647"),
        ({"seed": -1}, "seed must be at least 0"),
        (
            {"feature_cache": {"max_gb": float("inf")}},
            "feature_cache.max_gb must be at least 0 and at",
        ),
        ({"feature_cache": {"max_gb": -1}}, "feature_cache.max_gb must be at least 0"),
        ({"ema": float("nan")}, "ema must be more than 0 and less than 1"),
        ({"ema": [0.9]}, "ema must be float or null"),
        ({"output_dir": ""}, "output_dir must be the name of a folder"),
        ({"output_dir": "a\0b"}, "output_dir must be the name of a folder"),
        ({"output_dir": ["x"]}, "output_dir must be str"),
        ({"feature_cache": {"dir": " "}}, "feature_cache.dir must be the name of a folder"),
        ({"trusted_packages": "torch"}, "trusted_packages must be list, not 'torch'"),
        ({"trusted_packages": [3]}, r"trusted_packages\[0\] must be str, not 3"),
        ({"parts": [1]}, "parts must be dict"),
        ({"parts": {3: 1}}, "parts has the key 3, which is no text; quote it"),
        ({"trainer": "cpu"}, "trainer must be dict"),
        ({"precision": "bf61"}, "no precision 'bf61'"),
        ({"packed": "yes"}, "packed must be .*not 'yes'"),
        ({"stage": []}, r"stage must be a mapping, not \[\]"),
        ({"stage": {"losses": {"a": 1}, "trainable": []}}, "stage.trainable is empty; give globs"),
        ({"stage": {"losses": {"a": 1}, "trainable": "*"}}, "stage.trainable must be list"),
        ({"stage": {"losses": {"a": "1"}}}, "stage.losses.a must be float, not '1'"),
        ({"stage": {"losses": {"a": float("nan")}}}, "stage.losses.a must be a finite number"),
        ({"stage": {"losses": {"a": -1}}}, "stage.losses.a must be a finite number of at least 0"),
        ({"stage": {"losses": {"a": None}}}, "stage.losses.a must be float, not None"),
        ({"stage": {"loses": {"a": 1}}}, "no key 'stage.loses'; did you mean 'losses'"),
        ({"optimizer": {"lr": float("nan")}}, "optimizer.lr must be more than 0, not nan"),
        ({"optimizer": {"lr": -1.0}}, "optimizer.lr must be more than 0"),
        ({"optimizer": {"betas": [0.9]}}, r"optimizer.betas must be two numbers, not \[0.9\]"),
        ({"optimizer": {"betas": [0.9, 1.0]}}, r"optimizer.betas\[1\] must be at least 0 and less"),
        ({"optimizer": {"betas": 0.9}}, "optimizer.betas must be list"),
        (
            {"optimizer": {"warmup_ratio": 2}},
            "optimizer.warmup_ratio must be at least 0 and at most 1",
        ),
        ({"optimizer": {"weight_decay": -1}}, "optimizer.weight_decay must be at least 0"),
        ({"optimizer": {"muon": {"lr": 0}}}, "optimizer.muon.lr must be more than 0"),
        ({"optimizer": 3}, "optimizer must be a mapping, not 3"),
        ({7: 1}, "there is no key '7'"),
    ],
)
def test_a_setting_of_the_wrong_type_or_range_is_told(
    changes: dict[Any, Any], message: str
) -> None:
    Run.from_config(GOOD)
    with pytest.raises(ConfigError, match=message):
        Run.from_config({**GOOD, **changes})


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("steps='5'", "steps must be int, not '5'"),
        ("steps=1e3", "steps must be int, not 1000.0"),
        ("optimizer.lr=fast", "optimizer.lr must be float, not 'fast'"),
        ("stage.trainable=[]", "stage.trainable is empty"),
        ("stage=3", "stage must be a mapping, not 3"),
        ("+optimiser.lr=3", "no key 'optimiser'; did you mean 'optimizer'"),
        ("optimizer.betas=[0.9]", "two numbers"),
        ("steps=[[[[", "not valid YAML"),
        ("steps=" + "[" * 100, "levels deep"),
        ("=3", "no key ''"),
    ],
)
def test_an_override_of_the_wrong_type_is_told(override: str, message: str) -> None:
    path = ROOT / "stages" / "nano" / "70-instruct.yaml"
    assert read_run(path, ["steps=7", "optimizer.lr=1"]).steps == 7
    with pytest.raises(ConfigError, match=message):
        read_run(path, [override])
