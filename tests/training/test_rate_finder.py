"""The learning-rate finder: its curve, its suggestion, and a run that is as if it had not been."""

from __future__ import annotations

import csv
import math
from itertools import pairwise
from pathlib import Path

import pytest

from anymodal import cli
from anymodal.config import ConfigError
from anymodal.training.rate_finder import RateCurve, find_rate
from anymodal.training.run import train
from tests.support.runs import assert_same, last, write


def test_a_curve_of_growing_rates_that_ends_where_the_loss_diverges(tmp_path: Path) -> None:
    config = write(
        tmp_path, batch_size=12, optimizer={"lr": 1e-3, "groups": {"layer.bias": {"lr": 1e-4}}}
    )
    curve = find_rate(config, ["optimizer.algorithm=SGD"], low=1e-6, high=1e6, steps=60)
    assert 20 < len(curve.rates) < 60, "it diverges before a rate of a million"
    ratios = [after / before for before, after in pairwise(curve.rates)]
    assert curve.rates[0] == pytest.approx(1e-6)
    assert ratios == pytest.approx([ratios[0]] * len(ratios))
    assert min(curve.smoothed) < curve.smoothed[5] < curve.smoothed[-1]
    assert curve.suggestion is not None and 1e-4 < curve.suggestion < 10
    assert curve.rates[-1] > curve.suggestion


def test_nothing_of_a_later_run_changes(tmp_path: Path) -> None:
    constant = {"schedule": "constant", "warmup_ratio": 0}
    cache = {"dir": str(tmp_path / "cache")}
    changes = {"optimizer": constant, "accumulate_grad_batches": 2, "feature_cache": cache}
    straight, other = (write(tmp_path, name, **changes) for name in ("straight", "other"))
    train(straight)
    curve = find_rate(other, steps=12)
    assert len(curve.rates) == 12 and not (tmp_path / "other").exists()
    train(other, ["steps=2"])
    find_rate(other, steps=12)
    (tmp_path / "other" / "model").rename(tmp_path / "model")
    train(other)
    for key in ("state_dict", "optimizer_states", "batches"):
        assert_same(last(tmp_path / "straight")[key], last(tmp_path / "other")[key])


def curve_of(smoothed: list[float]) -> RateCurve:
    return RateCurve([10.0 ** (n - 8) for n in range(len(smoothed))], smoothed, smoothed)


def test_the_suggestion_is_where_the_loss_falls_fastest() -> None:
    falls = [5.0, 5, 5, 5, 5, 4.9, 4.5, 3, 2.9, 2.8, 9, 1]
    assert curve_of(falls[:-1]).suggestion == 10.0 ** (6 - 8)
    assert curve_of([1.0] * 20).suggestion is None
    assert curve_of([float(n) for n in range(20)]).suggestion is None
    assert curve_of([]).suggestion is None


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"low": 1.0, "high": 1e-3}, "rates from 1 to 0.001 don't grow"),
        ({"low": 0.0}, "don't grow"),
        ({"high": math.inf}, "don't grow"),
        ({"steps": 3}, "3 steps make no curve; give at least 10"),
    ],
)
def test_no_curve_is_refused(tmp_path: Path, arguments: dict[str, float], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        find_rate(write(tmp_path), **arguments)  # type: ignore[arg-type]


def test_the_command_writes_a_curve_and_suggests(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, file = write(tmp_path, batch_size=12), tmp_path / "curves" / "rates.csv"
    arguments = ["--find-rate", str(file), "--rates", "1e-5:10", "--rate-steps", "30"]
    assert cli.main(["train", str(config), *arguments]) == 0
    text = capsys.readouterr().out
    assert "rates tried, the curve is in" in text and "optimizer.lr=" in text
    with file.open(newline="") as lines:
        rows = [*csv.DictReader(lines)]
    assert [*rows[0]] == ["rate", "loss", "smoothed"] and float(rows[0]["rate"]) == 1e-5
    for wrong, says in (
        ([str(config), "--find-rate", "rates.png"], "is no .csv"),
        ([str(config), str(config), "--find-rate", "a.csv"], "of one configuration"),
        ([str(config), "--find-rate", "a.csv", "--rates", "low"], "no rates such as 1e-7:1"),
    ):
        assert cli.main(["train", *wrong]) == 2
        assert says in capsys.readouterr().err
