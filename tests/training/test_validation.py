"""Validation: held-out losses, the best weights and an early end, and nothing of it in the run."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from anymodal.config import ConfigError
from anymodal.io import checkpoint
from anymodal.media import Image
from anymodal.metrics import Metric
from anymodal.metrics.samples import EvaluationSample
from anymodal.training.run import fit, read_run, train, train_model
from anymodal.training.validation.batches import HeldOutBatches
from anymodal.training.validation.best import check_monitor
from anymodal.types import Message
from tests.support import composed
from tests.support.composed import write_model
from tests.support.runs import TOY, assert_same, last, read_log, stages, write

HELD_OUT = {"_target_": "tests.support.composed.Numbers", "count": 5}
KEYS = ("state_dict", "optimizer_states", "lr_schedulers", "batches", "global_step")


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("parts"))


@pytest.mark.parametrize(
    "changes",
    [{}, {"ema": 0.5, "accumulate_grad_batches": 2}, {"workers": 1}],
    ids=lambda changes: "+".join(changes) or "plain",
)
def test_a_run_is_the_same_with_validation_and_without(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    data = {**TOY["data"], "count": 20, "drawing": True}
    held_out = {**HELD_OUT, "drawing": True}
    train(write(tmp_path, "plain", data=data, **changes))
    validation = {"data": held_out, "every": 1}
    train(write(tmp_path, "validated", data=data, validation=validation, **changes))
    cut = 3 * 3 * changes.get("accumulate_grad_batches", 1) - (3 if "workers" in changes else 0)
    stopped = write(
        tmp_path, "cut", data={**data, "cut": cut}, validation=validation, save_every=1, **changes
    )
    with pytest.raises(OSError, match="the power is cut"):
        train(stopped)
    assert 0 < last(tmp_path / "cut")["global_step"] < 4
    train(stopped, ["data.cut=null"])
    plain = last(tmp_path / "plain")
    for name in ("validated", "cut"):
        for key in KEYS:
            assert_same(plain[key], last(tmp_path / name)[key])
    assert read_log(tmp_path / "plain") == read_log(tmp_path / "validated")
    column = "validation/loss/square"
    straight, resumed = (read_log(tmp_path / n, column) for n in ("validated", "cut"))
    assert len(straight) == 5 and straight == resumed, "before the first step and after each"


@pytest.mark.parametrize("kind", ["instruct", "express", "bind", "autoencoder"])
def test_a_whole_model_is_the_same_with_validation(parts: Path, tmp_path: Path, kind: str) -> None:
    """Adapters with dropout, noise of a decoder, contrast, and latents scaled by a batch."""
    from anymodal.model import AnyModal

    AnyModal.compose(parts).save_pretrained(tmp_path / "saved")
    stage = {**stages(parts, tmp_path)[kind], "batch_size": 2, "steps": 2}
    if stage["data"]["_target_"].endswith("conversations"):
        stage["data"] = {"_target_": "tests.support.composed.talks", "count": 4}
    weights = {}
    for name, more in (("plain", {}), ("validated", {"data": stage["data"], "samples": 0})):
        validation = {"every": 1, **more} if more else None
        _, module = fit(read_run(write(tmp_path, name, **stage, validation=validation)))
        weights[name] = dict(module.model.state_dict())
        if kind == "autoencoder":
            weights[name]["last"] = module.objective.last_batch
    assert_same(weights["plain"], weights["validated"])
    losses = read_log(tmp_path / "validated", "validation/loss")
    assert len(losses) == 3 and losses[0] != losses[-1]


def test_losses_are_means_over_things_and_told_by_data_set(tmp_path: Path) -> None:
    """Over 5 and 2 samples in batches of 3, which have no noise here."""
    model = {"_target_": "tests.support.composed.Toy", "noise": 0.0}
    sources = {"near": HELD_OUT, "far": {**HELD_OUT, "count": 2}}
    validation = {"data": sources, "every": 100}
    _, module = fit(read_run(write(tmp_path, model=model, validation=validation)))
    with torch.no_grad():
        means = {
            name: module.model(composed.Numbers(count).values).square().mean().item()
            for name, count in (("near", 5), ("far", 2))
        }
    for name, mean in means.items():
        column = f"validation/{name}/loss/square"
        assert read_log(tmp_path / "run", column)[-1] == pytest.approx(mean, rel=1e-5)
    total = read_log(tmp_path / "run", "validation/loss")
    assert len(total) == 2 and total[-1] == pytest.approx(sum(means.values()) / 2, rel=1e-5)


def test_a_limit_takes_samples_from_all_over_the_data() -> None:
    batches = HeldOutBatches(range(100), list, 4, 3, seed=0)
    assert [i for batch in batches for i in batch.batch] == [i * 100 // 12 for i in range(12)]
    parts = [HeldOutBatches(range(10), list, 4, None, 0, rank, 2) for rank in (0, 1)]
    both = [[(b.batch, b.counts) for b in part] for part in parts]
    assert both[0] == [([0, 1, 2, 3], True), ([8, 9], True)]
    assert both[1] == [([4, 5, 6, 7], True), ([0, 1, 2, 3], False)]


class Broken(composed.Numbers):
    """Some samples can't be read, another doesn't collate."""

    def __getitem__(self, index: int) -> torch.Tensor:
        if index == 1:
            raise RuntimeError("the decoder of this file gave up")
        return super().__getitem__(index) if index != 3 else "not a tensor"  # type: ignore[return-value]


@pytest.mark.parametrize("workers", [0, 2])
def test_what_is_broken_stands_aside_with_a_count(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, workers: int
) -> None:
    broken = {"_target_": "tests.training.test_validation.Broken"}
    path = write(tmp_path, validation={"data": broken, "every": 2}, workers=workers)
    assert train(path) is not None
    assert read_log(tmp_path / "run", "validation/left_out") == [2.0] * 3
    assert "leaves out sample 1: RuntimeError: the decoder of this file gave up" in caplog.text
    assert caplog.text.count("leaves out") == 1 and "sample 3" in caplog.text


class Failing(composed.Square):
    def __call__(self, batch: Any, states: Any) -> Any:
        if not torch.is_grad_enabled():
            raise RuntimeError("out of memory")
        return super().__call__(batch, states)


class FailingRegression(composed.Regression):
    def __init__(self, model: Any) -> None:
        super(composed.Regression, self).__init__(model, {"square": Failing})


def test_a_validation_that_fails_ends_no_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    objective = {"_target_": "tests.training.test_validation.FailingRegression"}
    path = write(tmp_path, objective=objective, validation={"data": HELD_OUT, "every": 2})
    assert train(path) is not None
    assert read_log(tmp_path / "run", "validation/failed") == [1.0, 2.0, 3.0]
    assert "validation at step 2 failed (RuntimeError: out of memory)" in caplog.text


class Rising(composed.Regression):
    """Its held-out loss falls until step 2, and rises from there; training has no part in it."""

    def forward(self, batch: torch.Tensor) -> Any:
        from anymodal.training.losses import WeightedLoss

        if torch.is_grad_enabled():
            return super().forward(batch)
        self.calls = getattr(self, "calls", -1) + 1
        return {"square": [WeightedLoss(torch.tensor(float((self.calls - 2) ** 2)), 1)]}


def test_the_best_weights_are_kept_and_patience_ends_a_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "anymodal")
    rising = {"_target_": "tests.training.test_validation.Rising"}
    held_out = {**HELD_OUT, "count": 3}
    settings = {"data": held_out, "every": 1, "patience": 3, "restore_best": True}
    finished = train(write(tmp_path, objective=rising, steps=20, validation=settings))
    assert finished is not None and last(tmp_path / "run")["global_step"] == 5
    assert "no better loss than 0, of step 2, for 3 validations" in caplog.text
    best = torch.load(tmp_path / "run" / "checkpoints" / "best.ckpt", weights_only=True)
    assert (best["global_step"], best["value"]) == (2, 0.0)
    model = checkpoint.load_weights(finished / "toy.safetensors")
    train(
        write(
            tmp_path,
            "two",
            steps=20,
            trainer={"accelerator": "cpu", "max_time": None},
            save_every=1,
        )
    )
    for name, value in best["state_dict"].items():
        assert_same(model[name.removeprefix("model.")], value)
    # Its end was saved: another start trains no further.
    finished.rename(tmp_path / "gone")
    assert train(write(tmp_path, objective=rising, steps=20, validation=settings)) is not None
    assert last(tmp_path / "run")["global_step"] == 5


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"data": {**HELD_OUT, "count": 6}}, "validation.data changed"),
        ({"data": {**HELD_OUT, "bad": [2]}}, "validation.data changed"),
        ({"batches": 1}, "validation.batches changed"),
    ],
)
def test_the_same_figure_of_other_data_begins_anew(
    tmp_path: Path, changes: dict[str, Any], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The best loss until then was 0, so that nothing that is compared with it is better."""
    rising = {"_target_": "tests.training.test_validation.Rising"}
    settings: dict[str, Any] = {"data": {**HELD_OUT, "count": 5}, "every": 1, "batches": 9}
    train(write(tmp_path, objective=rising, steps=2, validation=settings))
    path = tmp_path / "run" / "checkpoints" / "best.ckpt"
    before = torch.load(path, weights_only=True)
    train(write(tmp_path, objective=rising, steps=4, validation={**settings, **changes}))
    assert f"{told}, so loss is no longer comparable" in caplog.text
    assert torch.load(path, weights_only=True)["global_step"] > 2 >= before["global_step"]


def test_the_same_data_elsewhere_stay_comparable(
    parts: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for number in range(5):
            pixels = np.full((8, 8, 3), 40 * number, np.uint8)
            Image(pixels).save(tmp_path / name / f"{number}.png")
            (tmp_path / name / f"{number}.txt").write_text(f"grey {number}")
    run = stages(parts, tmp_path)["perceive"]
    settings: dict[str, Any] = {"every": 1, "samples": 0}
    for name, steps in (("one", 1), ("two", 2)):
        data = {"path": str(tmp_path / name)}
        train(write(tmp_path, **run, steps=steps, validation={**settings, "data": data}))
    assert "no longer comparable" not in caplog.text
    pixels = np.full((8, 8, 3), 77, np.uint8)
    Image(pixels).save(tmp_path / "two" / "4.png")
    train(write(tmp_path, **run, steps=3, validation={**settings, "data": data}))
    assert "validation.data changed, so loss is no longer comparable" in caplog.text


def test_another_figure_that_decides_begins_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    held_out = {"one": {**HELD_OUT, "count": 3}, "two": {**HELD_OUT, "count": 5}}
    settings: dict[str, Any] = {"data": held_out, "every": 1, "restore_best": True}
    assert train(write(tmp_path, steps=2, validation=settings)) is not None
    best = tmp_path / "run" / "checkpoints" / "best.ckpt"
    assert torch.load(best, weights_only=True)["monitor"] == "loss"
    # The most of a loss, which is less at every step, so that what was best before would stay.
    most = {**settings, "monitor": "two/loss", "mode": "max", "patience": 9}
    finished = train(write(tmp_path, steps=4, validation=most))
    found = torch.load(best, weights_only=True)
    losses = read_log(tmp_path / "run", "validation/two/loss")[3:]
    assert found["monitor"] == "two/loss" and found["global_step"] > 2
    assert found["value"] == pytest.approx(max(losses), rel=1e-6)
    assert "until step" in caplog.text and "those by two/loss, max" in caplog.text
    assert finished is not None
    saved = checkpoint.load_weights(finished / "toy.safetensors")
    for name, value in found["state_dict"].items():
        assert_same(saved[name.removeprefix("model.")], value)


def test_averaged_weights_are_validated_and_the_runs_own_come_back(tmp_path: Path) -> None:
    model = {"_target_": "tests.support.composed.Toy", "noise": 0.0}
    validation = {"data": HELD_OUT, "every": 4}
    _, module = fit(read_run(write(tmp_path, model=model, ema=0.9, validation=validation)))
    with torch.no_grad():  # of the finished model, which is the average
        loss = module.model(composed.Numbers(5).values).square().mean().item()
    assert read_log(tmp_path / "run", "validation/loss")[-1] == pytest.approx(loss, rel=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"data": {"_target_": "builtins.dict"}}, "outside the allowed packages"),
        ({"data": HELD_OUT, "ever": 3}, "ever.*did you mean.*every"),
        ({"data": HELD_OUT, "every": 0}, r"validation\.every must be at least 1"),
        ({"data": HELD_OUT, "monitor": "bleu"}, "no loss; say with validation.mode"),
        ({"data": HELD_OUT, "mode": "mix"}, "did you mean.*mi|did you mean.*max"),
        ({"data": None}, "validation.data must be a part"),
        ({"data": {"one": HELD_OUT, "two": 3}}, "validation.data.two must be a part"),
    ],
)
def test_wrong_settings_are_refused(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_run(write(tmp_path, validation=settings))


def test_a_model_is_validated_from_python(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"losses": {"square": 1.0}, "steps": 2}
    train_model(
        composed.Regression(composed.Toy()),
        composed.Numbers(),
        **settings,
        output_dir=tmp_path / "out",
        validation_data={"a": composed.Numbers(3), "b": composed.Numbers(2)},
        validation={"every": 1},
    )
    assert len(read_log(tmp_path / "out", "validation/b/loss")) == 3
    with pytest.raises(ConfigError, match="validation needs validation_data"):
        train_model(
            composed.Regression(composed.Toy()), composed.Numbers(), **settings, validation={}
        )


def talk_run(parts: Path, tmp_path: Path, name: str, **validation: Any) -> Path:
    talk = {"_target_": "tests.support.composed.talks", "count": 4}
    stage = {**stages(parts, tmp_path)["perceive"], "data": talk, "batch_size": 2, "steps": 2}
    settings = {"data": talk, "every": 1, "settings": {"max_new_tokens": 8}, **validation}
    return write(tmp_path, name, **stage, validation=settings)


def test_held_out_questions_are_answered_measured_and_kept(parts: Path, tmp_path: Path) -> None:
    metrics = {
        "bleu": {"_target_": "anymodal.metrics.Bleu", "n_gram": 1},
        "words": {"_target_": "anymodal.metrics.WordErrorRate"},
    }
    path = talk_run(
        parts, tmp_path, "run", metrics=metrics, samples=3, shown=2, monitor="words", mode="min"
    )
    fit(read_run(path))
    out = tmp_path / "run"
    rates = read_log(out, "validation/words")
    assert len(rates) == 3 == len(read_log(out, "validation/bleu")) and all(r > 0 for r in rates)
    best = torch.load(out / "checkpoints" / "best.ckpt", weights_only=True)
    assert best["monitor"] == "words" and best["value"] == pytest.approx(min(rates), rel=1e-5)
    for step in (0, 1, 2):
        folder = out / "validation" / f"step-{step:08d}"
        lines = (folder / "replies.jsonl").read_text().splitlines()
        assert [json.loads(line)["id"] for line in lines] == ["0", "1"]
    page = (folder / "index.html").read_text()
    assert "Here is ball 0:" in page and page.count("data:image/png") >= 4
    assert "Reference" in page and "http" not in page.replace("http-equiv", "").replace(
        "http://www.w3.org/2000/svg", ""
    )


def test_a_run_validates_answers_among_choices(parts: Path, tmp_path: Path) -> None:
    replies = [f"Here is ball {number}: " for number in range(4)]
    path = talk_run(
        *(parts, tmp_path, "run"),
        metrics={"balls": {"_target_": "anymodal.metrics.ClassificationReport"}},
        settings={"choices": [text.strip() for text in replies]},
        samples=4,
        monitor="balls/log_loss",
        mode="min",
    )
    fit(read_run(path))
    out = tmp_path / "run"
    losses = read_log(out, "validation/balls/log_loss")
    assert len(losses) == 3 and 0 < min(losses) < 5
    assert all(0 <= each <= 1 for each in read_log(out, "validation/balls/accuracy"))
    best = torch.load(out / "checkpoints" / "best.ckpt", weights_only=True)
    assert best["value"] == pytest.approx(min(losses), rel=1e-5)


class NoNumber(Metric):
    """A metric of somebody's own: NaN, or with `fails` an error at its end or at a reply."""

    def __init__(self, fails: str = "") -> None:
        self.fails = fails

    def _update(self, sample: EvaluationSample, reply: Message) -> bool:
        if self.fails == "reply":
            raise IndexError("no such word")
        return True

    def _compute(self) -> dict[str, float]:
        return {"share": 1 / 0 if self.fails == "end" else math.nan}


def test_a_metric_of_ones_own_that_fails_takes_no_other_with_it(
    parts: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = {"_target_": "tests.training.test_validation.NoNumber"}
    bleu = {"_target_": "anymodal.metrics.Bleu", "n_gram": 1}
    metrics = {"end": {**own, "fails": "end"}, "bleu": bleu, "reply": {**own, "fails": "reply"}}
    fit(read_run(talk_run(parts, tmp_path, "run", samples=2, metrics=metrics)))
    out = tmp_path / "run"
    assert len(read_log(out, "validation/bleu")) == 3
    assert read_log(out, "validation/failed") == [1.0, 2.0, 3.0]
    text = "validation of metric 'end' at step 2 failed (ZeroDivisionError: division by zero)"
    assert text in caplog.text and "leaves out sample 0: reply: no such word" in caplog.text
    assert (out / "validation" / "step-00000002" / "index.html").is_file()


def test_a_figure_that_is_no_number_is_told_and_patience_ends(
    parts: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "anymodal")
    metrics = {"own": {"_target_": "tests.training.test_validation.NoNumber"}}
    decides = {"monitor": "own", "mode": "max", "patience": 2}
    fit(read_run(talk_run(parts, tmp_path, "run", samples=1, metrics=metrics, **decides)))
    assert "validation.monitor=own is nan at step 1, which is never the best" in caplog.text
    assert "own was no finite number for 2 validations" in caplog.text
    assert not (tmp_path / "run" / "checkpoints" / "best.ckpt").exists()


def test_a_run_with_replies_is_the_same_as_one_without(parts: Path, tmp_path: Path) -> None:
    for name, samples in (("asked", 2), ("silent", 0)):
        fit(read_run(talk_run(parts, tmp_path, name, samples=samples)))
    for key in KEYS:
        assert_same(last(tmp_path / "asked")[key], last(tmp_path / "silent")[key])


def test_samples_of_a_file_are_asked_and_a_broken_one_stands_aside(
    parts: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    lines = [
        {"prompt": "hello", "references": ["Hello!"], "id": "greeting"},
        {"prompt": [{"file": "broken.png"}, "what is this?"], "references": ["a ball"]},
    ]
    file = tmp_path / "samples.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    bleu = {"bleu": {"_target_": "anymodal.metrics.Bleu", "n_gram": 1}}
    fit(read_run(talk_run(parts, tmp_path, "run", samples=str(file), metrics=bleu)))
    assert read_log(tmp_path / "run", "validation/left_out") == [1.0] * 3
    assert caplog.text.count("leaves out sample 1: ") == 1 and "broken.png" in caplog.text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"settings": {"max_new_token": 3}}, r"validation\.settings: .*max_new_token"),
        ({"settings": {"choices": "any"}}, r"validation\.settings: choices='any'; give a list"),
        (
            {"metrics": {"right": {"_target_": "anymodal.metrics.Accuracy"}}},
            r"validation\.metrics\.right: needs 1 or more samples with `choices`",
        ),
        ({"samples": "missing.jsonl"}, "there are no samples at missing.jsonl"),
        ({"samples": True}, "validation.samples must be a number or a JSON Lines file"),
        ({"samples": 0, "metrics": {"a": HELD_OUT}}, "give validation.samples"),
        ({"metrics": {"a": HELD_OUT}}, "validation.metrics.a.*Metric"),
    ],
)
def test_wrong_questions_are_refused_before_the_run(
    parts: Path, tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        fit(read_run(talk_run(parts, tmp_path, "run", **settings)))
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_full_disk_leaves_the_figures(
    parts: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bleu = {"bleu": {"_target_": "anymodal.metrics.Bleu", "n_gram": 1}}
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "validation").write_text("a file where the folder would be")
    path = talk_run(parts, tmp_path, "run", samples=1, metrics=bleu, every=100)
    fit(read_run(path, ["precision=bf16-mixed"]))
    assert len(read_log(tmp_path / "run", "validation/bleu")) == 2
    assert read_log(tmp_path / "run", "validation/failed") == [1.0, 2.0]
    assert "validation of the replies' files at step 0 failed" in caplog.text


def test_a_loss_that_there_is_none_of_is_refused() -> None:
    figures = {"loss": 1.0, "loss/text": 1.0, "birds/loss": 1.0}
    for monitor in (*figures, "bleu", "birds/log_loss"):
        check_monitor(monitor, figures)
    check_monitor("loss/txt", {})
    with pytest.raises(
        ConfigError, match=r"'loss/txt' is no loss of this run; did you mean 'loss/"
    ):
        check_monitor("loss/txt", figures)
