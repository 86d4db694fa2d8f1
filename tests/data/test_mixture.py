"""Mixtures of data sets: what an index means, shares, refusals, and batches of a run."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import ConcatDataset

from anymodal.config import load_config, validate_node
from anymodal.data.mixture import Mixture
from anymodal.training.batches import Batches
from tests.support.paths import ROOT

SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=5)


def letters(count: int, name: str) -> list[str]:
    return [f"{name}{index}" for index in range(count)]


def several(sizes: list[int]) -> list[list[str]]:
    return [letters(size, "abcdefgh"[place]) for place, size in enumerate(sizes)]


class Measured(list[str]):
    """A data set that tells lengths."""

    def length(self, index: int) -> int:
        return int(self[index][1:])


@given(SIZES)
def test_without_weights_the_data_sets_follow_each_other(sizes: list[int]) -> None:
    data = several(sizes)
    mixture = Mixture(data)
    assert [mixture[index] for index in range(len(mixture))] == [x for part in data for x in part]
    assert mixture[-1] == data[-1][-1]
    for index in (len(mixture), -len(mixture) - 1):
        with pytest.raises(IndexError):
            mixture[index]


@given(SIZES, st.data())
def test_an_epoch_has_the_shares_and_every_sample_evenly(
    sizes: list[int], draw: st.DataObject
) -> None:
    weights = draw.draw(st.lists(st.floats(0.1, 10), min_size=len(sizes), max_size=len(sizes)))
    data = several(sizes)
    mixture = Mixture(data, weights)
    counts = Counter(mixture[index] for index in range(len(mixture)))
    for part, weight in zip(data, weights, strict=True):
        times = [counts[sample] for sample in part]
        assert min(times) >= 1 and max(times) - min(times) <= 1
        assert sum(times) == pytest.approx(len(mixture) * weight / sum(weights), abs=len(sizes))
    # One data set is the measure of the others, and none of its samples repeats.
    assert any({counts[sample] for sample in part} == {1} for part in data)


def test_shares_of_a_small_and_a_large_data_set() -> None:
    mixture = Mixture([letters(100, "a"), letters(10, "b")], weights=[3, 1])
    samples = [mixture[index] for index in range(len(mixture))]
    assert Counter(sample[0] for sample in samples) == {"a": 100, "b": 33}
    assert samples[100:121] == [*letters(10, "b"), *letters(10, "b"), "b0"]


@pytest.mark.parametrize(
    ("datasets", "weights", "message"),
    [
        ([], None, "no data sets"),
        ([["a"], []], None, r"datasets\[1\] is empty"),
        ([["a"], ["b"]], [], "0 weights for 2 data sets"),
        ([["a"], ["b"]], [1.0], "1 weights for 2"),
        ([["a"], ["b"]], [1.0, 0.0], r"weights\[1\]=0.0; .* above 0"),
        ([["a"], ["b"]], [-1.0, 1.0], r"weights\[0\]=-1.0; .* above 0"),
        ([["a"], ["b"]], [1.0, float("inf")], r"weights\[1\]=inf"),
        ([["a"], ["b"]], [float("nan"), 1.0], r"weights\[0\]=nan"),
    ],
)
def test_what_is_no_mixture_is_refused(
    datasets: list[list[str]], weights: list[float] | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Mixture(datasets, weights)


def test_lengths_are_those_of_the_data_sets() -> None:
    mixture = Mixture([Measured(letters(3, "a")), Measured(letters(2, "b"))], weights=[1, 2])
    assert [mixture.length(index) for index in range(len(mixture))] == [0, 1, 2, 0, 1, 0, 1, 0, 1]
    partly = Mixture([Measured(letters(3, "a")), letters(2, "b")])
    assert not hasattr(partly, "length")
    with pytest.raises(ValueError, match="Mixture doesn't"):
        Batches(partly, list, 2, seed=0, length_group_batches=2)


def test_a_batch_of_a_mixture_is_a_function_of_seed_and_number() -> None:
    def batches(start: int) -> Batches:
        mixture = Mixture([letters(7, "a"), letters(4, "b")], weights=[1, 1])
        return Batches(mixture, list, 3, seed=5, start=lambda: start)

    whole = [batch for batch, _ in zip(batches(0), range(12), strict=False)]
    resumed = [batch for batch, _ in zip(batches(5), range(7), strict=False)]
    assert resumed == whole[5:]
    epoch = [sample for batch in whole for sample in batch][:14]
    assert Counter(sample[0] for sample in epoch) == {"a": 7, "b": 7}


def recipes() -> list[str]:
    paths = sorted((ROOT / "configs" / "systems").rglob("*.yaml"))
    return [str(path.relative_to(ROOT)) for path in paths if "Mixture" in path.read_text("utf-8")]


@pytest.mark.parametrize("recipe", recipes())
def test_recipes_have_the_order_of_concatenated_data(recipe: str) -> None:
    config = load_config(ROOT / recipe)
    validate_node(config["data"], trusted_packages=["anymodal"])  # and no other
    assert "weights" not in config["data"]
    data = several([5 + place for place in range(len(config["data"]["datasets"]))])
    orders = [
        Batches(whole, list, batch_size=4, seed=config.get("seed", 0))
        for whole in (Mixture(data), ConcatDataset(data))
    ]
    mixed, concatenated = ([batch for batch, _ in zip(o, range(20), strict=False)] for o in orders)
    assert mixed == concatenated


def test_recipes_of_several_data_sets_are_found() -> None:
    assert len(recipes()) == 6
