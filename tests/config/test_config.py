"""Configuration: reading, overriding, checking before building, and whom to trust."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anymodal import config
from anymodal.config import ConfigError
from anymodal.training.configuration import Run
from tests.support import composed

EXPLODES = "tests.support.composed.Explodes"


@dataclass
class Inner:
    rate: float = 0.5


@dataclass
class Schema:
    steps: int = "???"  # type: ignore[assignment]
    inner: Inner = field(default_factory=Inner)
    anything: Any = None
    base: Any = None


def write(folder: Path, text: str, name: str = "a.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_file_lies_over_its_bases_and_overrides_over_it(tmp_path: Path) -> None:
    write(tmp_path, "a: 1\nb: {c: 2, d: 3}\nhome: ${here}/x", "first.yaml")
    write(tmp_path, "b: {d: 4}", "second.yaml")
    path = write(tmp_path, "base: [first.yaml, second.yaml]\nb: {c: 5}\ncopy: ${b.c}")
    found = config.load_config(path, ["a=7", "+new.deep=[1, two]", "b.d=2e-3"])
    assert found["b"] == {"c": 5, "d": 0.002}
    assert (found["a"], found["copy"], found["new"]) == (7, 5, {"deep": [1, "two"]})
    assert found["home"] == f"{tmp_path.resolve()}/x"
    assert config.load_config(write(tmp_path, "base: first.yaml", "b.yaml"))["a"] == 1


def test_here_is_the_folder_of_the_file_that_says_it(tmp_path: Path) -> None:
    theirs, mine = tmp_path / "their's $1", tmp_path / "mine"
    theirs.mkdir()
    mine.mkdir()
    base = write(theirs, "parts: [{folder: '${here}/eye'}]\nname: eye\nother: ${here}/${name}")
    path = write(mine, f"base: {json.dumps(str(base))}\nhead: ${{here}}/head\nname: ear")
    found = config.load_config(path, ["+tail=${here}/tail"])
    assert found["parts"] == [{"folder": f"{theirs}/eye"}] and found["other"] == f"{theirs}/ear"
    assert found["head"] == f"{mine}/head" and found["tail"] == f"{mine}/tail"
    assert "here" not in found


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        ("a: {b: 1}", ["a.c=2"], r"a has no key 'c'; known: b \(write \+a.c"),
        ("steps: 1", ["stepz=2"], "did you mean 'steps'"),
        ("steps: 1", ["steps"], "key=value"),
        ("steps: 1", ["steps=[1,"], "not valid YAML"),
        ("a: [1", [], "not valid YAML"),
        ("- 1", [], "must hold a mapping"),
        ("a: ${missing}", [], "missing"),
        ("base: nowhere.yaml", [], "no configuration file"),
        ("base: a.yaml", [], "its own base"),
    ],
)
def test_what_cannot_be_read_is_told(
    tmp_path: Path, text: str, overrides: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        config.load_config(write(tmp_path, text), overrides)


def test_a_missing_file_has_its_neighbour_suggested(tmp_path: Path) -> None:
    write(tmp_path, "a: 1", "perceive.yaml")
    with pytest.raises(ConfigError, match=r"did you mean perceive\.yaml"):
        config.load_config(tmp_path / "percieve.yaml")


def test_a_schema_gives_types_and_defaults(tmp_path: Path) -> None:
    path = write(tmp_path, "anything: {x: 1}")
    found = config.load_config(path, ["steps=3", "inner.rate=1", "anything.x=two"], Schema)
    assert found["steps"] == 3 and found["inner"] == {"rate": 1.0}
    assert found["anything"] == {"x": "two"}


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        ("stepz: 3", [], "no key 'stepz'; did you mean 'steps'"),
        ("steps: 3\ninner: {rat: 1}", [], "no key 'inner.rat'; did you mean 'rate'"),
        ("steps: 3", ["inner.rat=1"], "did you mean 'rate'"),
        ("steps: 3", ["+innr=1"], "no key 'innr'; did you mean 'inner'"),
        ("steps: many", [], "steps must be int, not 'many'"),
        ("steps: 3", ["inner.rate=fast"], "rate.*fast"),
        ("anything: 1", [], "steps"),
    ],
)
def test_what_breaks_a_schema_is_told(
    tmp_path: Path, text: str, overrides: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        config.load_config(write(tmp_path, text), overrides, Schema)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stepz": 3}, "no key 'stepz'; did you mean 'steps'"),
        ({"optimizer": {"learning": 1}}, "no key 'optimizer.learning'"),
        ({"steps": -1}, "steps must be at least 1 and at most 1000000000, not -1"),
        ({"steps": 0}, "give steps or epochs"),
        ({"ema": 1.5}, "ema must be more than 0 and less than 1, not 1.5; null switches"),
        ({"optimizer": {"schedule": "cosin"}}, "no schedule 'cosin'; did you mean 'cosine'"),
        ({"stage": {"losses": {}}}, "losses is empty"),
        ({"batch_size": "big"}, "batch_size"),
    ],
)
def test_a_run_that_cannot_work_is_told(changes: dict[str, Any], message: str) -> None:
    good = {"model": {}, "data": {}, "stage": {"losses": {"a": 1}}, "output_dir": "x", "steps": 3}
    assert Run.from_config(good).optimizer.lr == 1e-3
    with pytest.raises(ConfigError, match=message):
        Run.from_config({**good, **changes})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "needs size"),
        ({"size": 1, "nam": "x"}, "takes no 'nam'; did you mean 'name'"),
        ({"size": "big"}, r"size must be int, not 'big'"),
        ({"size": 1.5}, "size must be int"),
        ({"size": True}, "size must be int"),
        ({"size": None}, "size must be int"),
        ({"size": [1]}, "size must be int"),
        ({"size": 1, "way": True}, "way must be .*, not True"),
        ({"size": 1, "way": 2.0}, "way must be .*, not 2.0"),
        ({"size": 1, "pair": [True, 1]}, r"pair\[0\] must be int, not True"),
        ({"size": 1, "pair": [1, 2, 3]}, "pair must have 2 items"),
        ({"size": 1, "several": [1.0, True]}, r"several\[1\] must be float, not True"),
        ({"size": 1, "name": 3}, "name must be str or null, not 3"),
        ({"size": 1, "share": "half"}, "share must be float"),
        ({"size": 1, "flag": 1}, "flag must be bool"),
        ({"size": 1, "where": 1}, "where must be a path or null"),
        ({"size": 1, "parts": "one"}, "parts must be list"),
        ({"size": 1, "module": "torch"}, "module must be Module"),
        ({"size": 1, "options": 3}, "options must be dict"),
        ({"size": 1, "options": [1.0]}, "options must be dict"),
        ({"size": 1, "options": {"a": "x"}}, r"options\.a must be float, not 'x'"),
        ({"size": 1, "parts": {"a": 1}}, "parts must be list"),
        ({"size": 1, "name": {"_target_": EXPLODES}}, r"top.name \(.*needs size"),
        ({"size": 1, "parts": [{"_target_": EXPLODES}]}, r"parts\[0\] .*needs size"),
        ({"size": 1, "module": {"_part_": "x"}}, "'x' is not under `parts`"),
        ({"size": 1, "module": {"_part_": "m", "size": 2}}, "takes no arguments"),
    ],
)
def test_arguments_are_bound_before_anything_is_built(
    arguments: dict[str, Any], message: str
) -> None:
    node = {"_target_": EXPLODES, **arguments}
    with pytest.raises(ConfigError, match=message):
        config.validate_node(node, trusted_packages=["tests"], place="top", parts=["m"])


@pytest.mark.parametrize(
    "node",
    [
        {"_target_": EXPLODES, "size": 1, "share": 1, "where": "x", "parts": [1], "options": {}},
        {"_target_": EXPLODES, "size": 1, "name": None, "module": {"_part_": "m"}},
        {"_target_": EXPLODES, "size": {"_target_": EXPLODES, "size": 1}},
        {"_target_": f"{EXPLODES}.quietly", "size": 1, "anything": "goes"},
    ],
)
def test_good_arguments_pass_and_nothing_is_built(node: dict[str, Any]) -> None:
    config.validate_node(node, trusted_packages=["tests"], parts=["m"])
    with pytest.raises(AssertionError, match="built"):
        config.instantiate(node, trusted_packages=["tests"], parts={"m": None})


def test_the_framework_may_fill_arguments_in() -> None:
    config.validate_node({"_target_": EXPLODES}, provided=["size"], trusted_packages=["tests"])
    made = config.instantiate(
        {"_target_": "tests.support.composed.Shared"}, trusted_packages=["tests"], inner=4
    )
    assert made.inner == 4


def test_a_shared_part_is_built_once_and_may_use_earlier_ones() -> None:
    shared = {"_target_": "tests.support.composed.Shared"}
    parts = {"one": shared, "two": {**shared, "inner": {"_part_": "one"}}}
    assert config.validate_parts(parts, ["tests"]) == ["one", "two"]
    composed.Shared.num_built = 0
    built = config.build_parts(parts, ["tests"])
    node = {"a": {"_part_": "one"}, "b": [{"_part_": "one"}, {"_part_": "two"}]}
    made = config.instantiate(node, parts=built, trusted_packages=["tests"])
    assert type(built["one"]).num_built == 2
    assert made["a"] is made["b"][0] is made["b"][1].inner is built["one"]
    with pytest.raises(ConfigError, match=r"parts\.two\.inner: 'three' is not under `parts`"):
        config.validate_parts({"two": {**shared, "inner": {"_part_": "three"}}}, ["tests"])


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.eval",
        "anymodalx.heads.LinearHead",
        "anymodal.config.instantiate",  # parts alone are trusted, not what could read more
        "anymodal.AnyModal.compose",
        "anymodal.training.run.train",
        "anymodal.language.sampling.math.sqrt",  # through a module
        "anymodal.heads.linear.F.linear",
        "anymodal.encoders.imagebind.encoder.torch.load",
        "anymodal.encoders.imagebind.encoder.save_file",  # re-exported
        "anymodal.encoders.imagebind.encoder.Image.load",
        "anymodal.language.pretrained.AutoTokenizer.from_pretrained",
        "anymodal.language.model.Path",
        "anymodal.heads.__builtins__",
        "anymodal.heads.LinearHead.__init__",
        "anymodal.heads.LinearHead.forward",  # a method of objects
        "anymodal.encoders.ImageBind.save_pretrained",
        "anymodal.heads.LinearHed",
        "anymodal.heads",
        "anymodal.language.model.IGNORED",
        "",
        "..heads",
        3,
        None,
    ],
)
def test_a_target_outside_the_trusted_parts_is_refused(target: Any) -> None:
    with pytest.raises(ConfigError, match="_target_"):
        config.validate_node({"_target_": target})
    with pytest.raises(ConfigError, match="_target_"):
        config.instantiate({"_target_": target})


def test_refusals_say_the_way_out() -> None:
    with pytest.raises(ConfigError, match="add its package to `trusted_packages:`"):
        config.resolve_target("os.system")
    with pytest.raises(ConfigError, match="did you mean 'LinearHead'"):
        config.resolve_target("anymodal.heads.LinearHed")
    with pytest.raises(ConfigError, match="no module"):
        config.resolve_target("nowhere.at.all", ["nowhere"])


def test_what_is_allowed_resolves() -> None:
    from anymodal.heads import LinearHead

    assert config.resolve_target("anymodal.heads.LinearHead") is LinearHead
    made = config.resolve_target("anymodal.decoders.DiffusionDecoder.from_pretrained")
    assert made.__name__ == "from_pretrained"
    assert config.resolve_target("collections.OrderedDict", ["collections"])


@given(st.text(max_size=20), st.sampled_from(["", "anymodal.", "anymodal.heads."]))
def test_wild_targets_are_refused_in_order(text: str, root: str) -> None:
    with pytest.raises(ConfigError):
        config.resolve_target(root + text + "?")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=8,
    )
)
def test_plain_values_come_out_as_they_went_in(value: Any) -> None:
    config.validate_node(value)
    assert config.instantiate(value) == value
