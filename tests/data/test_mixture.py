"""Mixtures of data sets: an index's sample, shares of an epoch, refusals, and batches of a run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import ConcatDataset

from anymodal.config import ConfigError, load_config, validate_node
from anymodal.data.conversations import Conversations
from anymodal.data.mixture import Mixture, epoch_size
from anymodal.training.batches import Batches
from anymodal.training.configuration import Run
from tests.support.paths import ROOT

SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=5)


def letters(count: int, name: str) -> list[str]:
    return [f"{name}{index}" for index in range(count)]


def several(sizes: list[int]) -> list[list[str]]:
    return [letters(size, "abcdefgh"[place]) for place, size in enumerate(sizes)]


def epoch(mixture: Mixture[str], number: int = 0, seed: int = 0) -> list[str]:
    return [mixture[index] for index in mixture.draws(seed, number)]


class Measured(list[str]):
    """A data set that tells lengths."""

    def length(self, index: int) -> int:
        return int(self[index][1:])


class Table(list[str]):
    """A data set with columns."""

    def __init__(self, samples: Sequence[str], **columns: Sequence[Any]) -> None:
        super().__init__(samples)
        self.columns = columns

    def column(self, name: str) -> Sequence[Any]:
        return self.columns[name]


# ---- Shares --------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(SIZES)
def test_by_index_the_data_sets_follow_each_other(sizes: list[int]) -> None:
    data = several(sizes)
    mixture = Mixture(data)
    assert [mixture[index] for index in range(len(mixture))] == [x for part in data for x in part]
    assert mixture[-1] == data[-1][-1] and epoch_size(mixture) == len(mixture)
    assert epoch(mixture, 3) == [*mixture]
    for index in (len(mixture), -len(mixture) - 1):
        with pytest.raises(IndexError):
            mixture[index]


@settings(max_examples=30)
@given(SIZES, st.data())
def test_an_epoch_has_the_shares_and_every_sample_evenly(
    sizes: list[int], draw: st.DataObject
) -> None:
    weights = draw.draw(st.lists(st.floats(0.1, 10), min_size=len(sizes), max_size=len(sizes)))
    data = several(sizes)
    mixture = Mixture(data, weights)
    counts = Counter(epoch(mixture))
    for part, weight in zip(data, weights, strict=True):
        times = [counts[sample] for sample in part]
        assert min(times) >= 1 and max(times) - min(times) <= 1
        assert sum(times) == pytest.approx(
            mixture.epoch_size * weight / sum(weights), abs=len(sizes)
        )
    # One data set is the measure of the others, and none of its samples repeats.
    assert any({counts[sample] for sample in part} == {1} for part in data)


def test_shares_by_weight_by_temperature_and_with_limits() -> None:
    data = {"large": letters(100, "a"), "small": letters(10, "b")}

    def shares(**arguments: Any) -> dict[str, int]:
        return dict(Counter(sample[0] for sample in epoch(Mixture(data, **arguments))))

    assert shares() == {"a": 100, "b": 10}
    assert shares(weights={"small": 1, "large": 3}) == {"a": 100, "b": 33}
    assert shares(temperature=1) == {"a": 100, "b": 10}
    assert shares(temperature=2) == {"a": 100, "b": 32}  # √10 times as many
    assert shares(temperature=1e9) == {"a": 100, "b": 100}
    assert shares(repeat={"small": 4}) == {"a": 100, "b": 40}
    assert shares(repeat=[0.5, None]) == {"a": 50, "b": 10}
    assert shares(cap=30) == {"a": 30, "b": 10}
    assert shares(repeat={"small": 4}, cap={"large": 20}) == {"a": 20, "b": 40}
    # A cap keeps the shares, by a shorter epoch.
    assert shares(weights=[1, 1], cap={"large": 20}) == {"a": 20, "b": 20}
    assert shares(temperature=2, cap={"large": 40}) == {"a": 40, "b": 20}


@settings(max_examples=30)
@given(st.integers(1, 30), st.floats(0.05, 3), st.integers(0, 2**31 - 1))
def test_samples_come_equally_often_over_epochs_too(size: int, times: float, seed: int) -> None:
    mixture = Mixture([letters(size, "a")], repeat=times)
    counts = Counter(sample for number in range(7) for sample in epoch(mixture, number, seed))
    numbers = [counts[sample] for sample in mixture]
    assert sum(numbers) == 7 * mixture.epoch_size and max(numbers) - min(numbers) <= 1


# ---- Weights of samples --------------------------------------------------------------------------


def test_classes_come_equally_often() -> None:
    samples = letters(90, "a") + letters(9, "b") + letters(1, "c")
    data = Table(samples, label=[sample[0] for sample in samples])
    mixture = Mixture({"kinds": data, "others": letters(5, "z")}, balance={"kinds": "label"})
    for number in range(3):
        drawn = Counter(sample[0] for sample in epoch(mixture, number))
        assert drawn.pop("z") == 5 and drawn.keys() == {"a", "b", "c"}
        assert all(count in (33, 34) for count in drawn.values())
    over_epochs = Counter(sample for number in range(60) for sample in epoch(mixture, number))
    assert all(over_epochs[sample] for sample in samples), "rare draws come in some epoch"


@settings(max_examples=30)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=30).filter(any), st.integers(0, 99))
def test_samples_come_as_often_as_their_weights_say(weights: list[int], number: int) -> None:
    data = Table([str(place) for place in range(len(weights))], weight=[*map(str, weights)])
    drawn = Counter(epoch(Mixture([data], sample_weights="weight"), number))
    for sample, weight in zip(data, weights, strict=True):
        expected = len(weights) * weight / sum(weights)
        assert abs(drawn[sample] - expected) < 1 + 1e-9


def test_a_row_without_a_label_is_no_class_of_its_own(tmp_path: Path) -> None:
    """NaN differs from itself, so that each would have had the share of a whole class."""
    for value in ("NaN", "null", '""'):
        rows = ['{"label": "red"}', f'{{"label": {value}}}']
        (tmp_path / "a.jsonl").write_text("\n".join(rows))
        with pytest.raises(ConfigError, match="line 2 has nothing in column 'label'"):
            Mixture([Conversations(tmp_path / "a.jsonl")], balance="label")
    (tmp_path / "a.csv").write_text("label\n" + "1\n" * 2 + "1.0\n" * 2 + "2\n" * 4)
    mixture = Mixture([Conversations(tmp_path / "a.csv")], balance="label", repeat=10)
    assert sum(mixture.draws(0, 0) < 4) == 40, "1 and 1.0 are one"


def test_weights_within_balanced_classes() -> None:
    data = Table("abc", label=[0, 0, 1], weight=[3, 1, 7])
    mixture = Mixture([data], repeat=400, balance="label", sample_weights="weight")
    drawn = Counter(epoch(mixture))
    assert all(abs(drawn[s] - n) <= 1 for s, n in {"a": 450, "b": 150, "c": 600}.items())


def test_columns_of_rows_are_read_under_both_names(tmp_path: Path) -> None:
    rows = [{"kind": k, "caption": "x", "image": "x.png", "w": 1} for k in "aab"]
    lines = [*map(json.dumps, rows), "{broken", json.dumps(rows[0])]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    data = Conversations(tmp_path / "a.jsonl", columns={"label": "kind"}, ignore=["w"])
    assert data.column("label") == data.column("kind") == ["a", "a", "b", None, "a"]
    mixture = Mixture([data], repeat=20, balance="label", sample_weights="w")
    drawn = np.bincount(mixture.draws(0, 0), minlength=5)
    assert drawn[3] == 0 and drawn[2] in (49, 50, 51), "a row that can't be read has no share"
    with pytest.raises(ConfigError, match=r"datasets\.0: .*a\.jsonl.* has nothing in column 'knd'"):
        Mixture([data], balance="knd")


# ---- Refusals ------------------------------------------------------------------------------------

BAD: list[tuple[dict[str, Any], str]] = [
    ({"weights": []}, r"data\.weights has 0 values for 2 data sets; give one for each"),
    ({"weights": [1.0]}, r"data\.weights has 1 values for 2"),
    ({"weights": [1.0, 0.0]}, r"data\.weights\.b is 0\.0; .* above 0"),
    ({"weights": {"a": -1.0, "b": 1}}, r"data\.weights\.a is -1\.0; .* above 0"),
    ({"weights": [1.0, float("inf")]}, r"data\.weights\.b is inf"),
    ({"weights": [float("nan"), 1.0]}, r"data\.weights\.a is nan"),
    ({"weights": {"a": 1}}, r"data\.weights has none for 'b'; give each"),
    ({"weights": {"a": 1, "c": 1}}, r"data\.weights: there is no data set 'c'"),
    ({"weights": 3}, r"data\.weights is 3; give each data set its own"),
    ({"weights": [1, 2], "temperature": 2}, "both tell the shares; give one"),
    ({"temperature": 0.5}, r"data\.temperature is 0\.5; give at least 1"),
    ({"temperature": 2, "repeat": 2}, r"data\.repeat and data\.temperature both tell"),
    ({"repeat": {"a": 0}}, r"data\.repeat\.a is 0; a number of times"),
    ({"cap": 1.5}, r"data\.cap\.a is 1\.5; a number of samples must be whole"),
    ({"cap": {"b": True}}, r"data\.cap\.b is True; "),
    ({"balance": 3}, r"data\.balance\.a is 3; give the name of a column"),
    ({"sample_weights": ""}, r"data\.sample_weights\.a is ''; give the name"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_wrong_settings_are_refused_by_key_before_anything_is_opened(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        Mixture({"a": ["x"], "b": ["y"]}, **arguments)
    config = {
        "model": {"_target_": "anymodal.AnyModal"},
        "data": {"datasets": {"a": {"path": "nowhere"}, "b": {"path": "nowhere"}}, **arguments},
        "stage": {"losses": {"text": 1}},
        "output_dir": "x",
        "steps": 1,
    }
    with pytest.raises(ConfigError, match=message):
        Run.from_config(config)


@pytest.mark.parametrize(
    ("datasets", "arguments", "message"),
    [
        ([], {}, "needs data sets, by name or in a list"),
        ({"a/b": ["x"]}, {}, "'a/b' is no name of a data set"),
        ([["a"], []], {}, r"datasets\.1 is empty; check its path"),
        ([Mixture([["a"]])], {}, r"datasets\.0 is a mixture itself"),
        ([["a"]], {"balance": "label"}, r"datasets\.0, of class list, tells no column 'label'"),
        ([Table("ab", w=[1])], {"sample_weights": "w"}, "1 values for 2 samples"),
        ([Table("ab", w=[1, -1])], {"sample_weights": "w"}, "sample 1 in column 'w' is -1; give"),
        ([Table("ab", w=[1, "x"])], {"sample_weights": "w"}, "sample 1 in column 'w' is 'x'"),
        ([Table("ab", w=[0, 0])], {"sample_weights": "w"}, "all weights in column 'w' are 0"),
    ],
)
def test_no_mixture_is_refused(datasets: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Mixture(datasets, **arguments)


# ---- Batches of a run ----------------------------------------------------------------------------


def test_lengths_are_those_of_the_data_sets() -> None:
    mixture = Mixture([Measured(letters(3, "a")), Measured(letters(2, "b"))], weights=[1, 2])
    assert [mixture.length(index) for index in range(len(mixture))] == [0, 1, 2, 0, 1]
    partly = Mixture([Measured(letters(3, "a")), letters(2, "b")])
    assert not hasattr(partly, "length")
    with pytest.raises(ValueError, match="Mixture doesn't"):
        Batches(partly, list, 2, seed=0, length_group_batches=2)
    grouped = Batches(mixture, list, 2, seed=0, length_group_batches=4)
    drawn = Counter(x for batch, _ in zip(grouped, range(9), strict=False) for x in batch[:9])
    assert sum(drawn.values()) == 18 and {drawn[f"a{n}"] for n in range(3)} == {2}


@pytest.mark.parametrize("size", [1, 3])
def test_a_batch_of_a_mixture_is_a_function_of_seed_and_number(size: int) -> None:
    def batches(start: int) -> Batches:
        table = Table(letters(4, "b"), label=[0, 0, 0, 1])
        data = {"a": letters(7, "a"), "b": table}
        mixture = Mixture(data, weights={"a": 1, "b": 1}, balance={"b": "label"}, cap={"a": 5})
        return Batches(mixture, list, 3, seed=5, start=lambda: start, length_group_batches=1)

    whole = [batch for batch, _ in zip(batches(0), range(12), strict=False)]
    resumed = [batch for batch, _ in zip(batches(size), range(12 - size), strict=False)]
    assert resumed == whole[size:]
    samples = [sample for batch in whole for sample in batch]
    assert [Counter(x[0] for x in samples[n : n + 10]) for n in (0, 10)] == [{"a": 5, "b": 5}] * 2


class Broken(list[str]):
    """A data set whose first samples can't be read."""

    def __getitem__(self, index: Any) -> Any:
        if index < 2:
            raise ValueError("broken")
        return super().__getitem__(index)


def test_what_stands_in_for_a_sample_is_of_the_same_data_set() -> None:
    mixture = Mixture([letters(3, "a"), Broken(letters(3, "b")), letters(3, "c")])
    batches = Batches(mixture, list, 9, seed=0)
    (batch,) = [batch for batch, _ in zip(batches, range(1), strict=False)]
    numbers = mixture.source_numbers(batches.indices(0))
    assert ["abc"[number] for number in numbers] == [sample[0] for sample in batch]
    assert Counter(batch)["b2"] == 3


# ---- Shipped recipes -----------------------------------------------------------------------------


def recipes() -> list[str]:
    """Paths of recipes whose data sets follow each other, as they are; others say weights."""
    texts = {
        path: path.read_text("utf-8")
        for path in sorted((ROOT / "configs" / "systems").rglob("*.yaml"))
    }
    return [
        str(path.relative_to(ROOT))
        for path, text in texts.items()
        if "\n  datasets:" in text and "\n  weights:" not in text
    ]


@pytest.mark.parametrize("recipe", recipes())
def test_recipes_have_the_order_of_concatenated_data(recipe: str) -> None:
    config = load_config(ROOT / recipe)
    validate_node(config["data"], trusted_packages=["anymodal"])  # and no other
    data = several([5 + place for place in range(len(config["data"]["datasets"]))])
    orders = [
        Batches(whole, list, batch_size=4, seed=config.get("seed", 0))
        for whole in (Mixture(data), ConcatDataset(data))
    ]
    mixed, concatenated = ([batch for batch, _ in zip(o, range(20), strict=False)] for o in orders)
    assert mixed == concatenated


def test_recipes_of_several_data_sets_are_found() -> None:
    assert len(recipes()) == 9
