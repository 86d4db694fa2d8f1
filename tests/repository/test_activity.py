"""The example of a new modality, from tables to answers and intervals, at tiny size."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from anymodal.config import load_config
from anymodal.data.windows import Interval
from anymodal.training.objectives import Classifier
from anymodal.training.run import read_run, train
from tests.support.composed import write_model
from tests.support.paths import ROOT

EXAMPLE = ROOT / "examples" / "activity"
MODULES = ("hapt", "movement", "augmentation", "evaluate", "start", "when")
LINES = 40  # of an encoder of one's own


@pytest.fixture(autouse=True)
def modules(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The example's own modules can be imported, and are forgotten afterwards."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    yield
    for name in MODULES:
        sys.modules.pop(name, None)


def write_raw(folder: Path) -> None:
    """Three people as the archive has them: they walk, sit down and sit."""
    (folder / "RawData").mkdir(parents=True)
    rng, lines = np.random.default_rng(0), []
    for experiment, person in ((1, 1), (2, 5), (3, 2)):
        acc, gyro = rng.normal(0, 0.02, (900, 3)), rng.normal(0, 0.02, (900, 3))
        acc[:, 0] += 1
        acc[:400, 0] += np.sin(np.arange(400) / 4)
        acc[400:, 2] += 0.5
        name = f"exp{experiment:02d}_user{person:02d}.txt"
        np.savetxt(folder / "RawData" / f"acc_{name}", acc)
        np.savetxt(folder / "RawData" / f"gyro_{name}", gyro)
        parts = ((1, 1, 400), (7, 401, 600), (4, 601, 880))
        lines += [f"{experiment} {person} {label} {start} {end}" for label, start, end in parts]
    (folder / "RawData" / "labels.txt").write_text("\n".join(lines) + "\n")


def write_run(folder: Path, name: str, **changes: Any) -> Path:
    """A stage of the example, of two steps."""
    config = load_config(EXAMPLE / f"{name}.yaml")
    config.pop("epochs", None)
    config |= {"steps": 2, "batch_size": 6, "workers": 0, "loggers": False}
    config |= {"trainer": {"accelerator": "cpu", "enable_progress_bar": False}, **changes}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def test_the_recipe_runs_from_the_archive_to_answers_and_intervals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import evaluate
    import hapt
    import start as start_module
    import when
    from movement import MovementEncoder

    monkeypatch.chdir(tmp_path)
    write_raw(tmp_path / "raw")
    monkeypatch.setattr(sys, "argv", ["hapt.py", "data/hapt", "--raw", "raw"])
    hapt.main()
    rows = (tmp_path / "data" / "hapt" / "person05-01.csv").read_text().splitlines()[1:]
    assert [row.rsplit(",", 1)[1] for row in rows] == ["1"] * 400 + ["7"] * 200 + ["4"] * 280 + [
        "-1"
    ] * 20
    encoder = train(write_run(tmp_path, "encoder"))
    assert encoder is not None
    figures = evaluate.measure(
        evaluate.head_scorer(str(encoder)), hapt.LABELS, "data/hapt/held-out.jsonl", 1
    )
    confusion = np.array(figures["confusion"])
    assert confusion[:, :].sum(1)[[0, 3, 6]].min() > 0, "all that happens has windows"
    assert confusion.sum() == figures["windows"]
    parts = write_model(tmp_path / "parts")
    config = load_config(EXAMPLE / "model.yaml")
    config["language"] = {
        "_target_": "anymodal.language.LanguageModel.from_pretrained",
        "path_or_name": str(parts.parent / "lm"),
    }
    (tmp_path / "model.yaml").write_text(yaml.safe_dump(config))
    monkeypatch.setattr(sys, "argv", ["start.py", "--config", "model.yaml"])
    start_module.main()
    aligned = write_run(
        tmp_path,
        "align",
        model={"_target_": "anymodal.AnyModal.compose", "config": str(tmp_path / "model.yaml")},
    )
    assert train(aligned) is not None
    classifier = Classifier.from_pretrained(encoder, MovementEncoder())
    ((recording, start, truth),) = when.minutes("data/hapt/held-out.jsonl", 1, seconds=16.0)
    assert [each.label for each in truth] == ["walking", "standing to sitting", "sitting"]
    answers = when.timeline(evaluate.head_scorer(str(encoder)), recording, start, 1.28, 2.0, 16.0)
    assert answers[0].start == start and answers[-1].end == start + 16
    assert {each.label for each in answers} <= set(classifier.labels)


def test_a_projection_starts_by_least_squares() -> None:
    from start import solve

    draw = torch.Generator().manual_seed(0)
    features, expected = (torch.randn(*shape, generator=draw) for shape in ((50, 4), (3, 4)))
    weight, bias = solve(features, features @ expected.T + 2, ridge=1e-9)
    torch.testing.assert_close(weight, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(bias, torch.full((3,), 2.0), rtol=1e-4, atol=1e-4)


def test_an_encoder_of_ones_own_is_short() -> None:
    text = (EXAMPLE / "movement.py").read_text()
    assert len(text[text.index("class MovementEncoder") :].splitlines()) <= LINES


def test_shipped_stages_are_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for name in ("encoder", "align"):
        assert read_run(EXAMPLE / f"{name}.yaml").validation is not None


def test_varied_movements_keep_their_size_and_stay_without_variation() -> None:
    from augmentation import VaryMovement

    batch = torch.randn(4, 6, 128, generator=torch.Generator().manual_seed(0)) + 5
    torch.testing.assert_close(VaryMovement(0, 0, 0, 0)(batch), batch)
    turned = VaryMovement(tilt=0.5).turn(batch)
    assert (turned - batch).abs().max() > 0.1
    for part in (slice(3), slice(3, 6)):
        torch.testing.assert_close(turned[:, part].norm(dim=1), batch[:, part].norm(dim=1))
    stretched = VaryMovement(pace=0.3).stretch(batch)
    assert stretched.min() >= batch.min() and stretched.max() <= batch.max()


@settings(max_examples=10)
@given(st.integers(0, 2**31), st.floats(0, 3))
def test_the_path_is_the_likeliest_of_all(seed: int, change: float) -> None:
    from when import likeliest_path

    scores = np.random.default_rng(seed).normal(size=(4, 3))

    def value(path: tuple[int, ...]) -> float:
        changes = sum(a != b for a, b in itertools.pairwise(path))
        return float(sum(row[place] for row, place in zip(scores, path, strict=True))) - (
            change * changes
        )

    best = max(itertools.product(range(3), repeat=4), key=value)
    assert value(tuple(likeliest_path(scores, change))) == pytest.approx(value(best))


def test_intervals_match_by_label_and_overlap() -> None:
    from when import count_matches, labelled

    truth = [Interval(0, 10, "walking"), Interval(12, 20, "sitting")]
    answers = labelled([Interval(0, 15, "walking"), Interval(15, 20, "sitting")], truth)
    assert answers == [
        Interval(0, 10, "walking"),
        Interval(12, 15, "walking"),
        Interval(15, 20, "sitting"),
    ]
    assert count_matches(answers, truth) == (2, 3, 2)
    assert count_matches([], truth) == (0, 0, 2)
