"""Mixtures in a run: losses by data set, averages by conversation, and going on exactly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Callback, LightningModule, Trainer

from anymodal.config import ConfigError
from anymodal.data.mixture import Mixture
from anymodal.training.batches import Batches
from anymodal.training.losses import build_losses
from anymodal.training.objectives import Dialogue, LanguageModeling
from anymodal.training.objectives.dialogue import DIALOGUE_LOSSES
from anymodal.training.precompute import samples_until_all
from anymodal.training.report.history import read_history
from anymodal.training.run import train_model
from anymodal.training.steps import Step, StepReport, sum_counts
from anymodal.types import Message, Target
from tests.support import composed, tiny
from tests.support.runs import assert_same, last, text_loss


class Words(list[list[Message]]):
    """Conversations of two classes."""

    def __init__(self) -> None:
        super().__init__(composed.plain_conversations())

    def column(self, name: str) -> Sequence[object]:
        assert name == "class"
        return ["short", *["long"] * (len(self) - 1)]


class Stop(Callback):
    """Cuts the power after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *args: object) -> None:
        if trainer.global_step == self.step:
            raise OSError("the power is cut")


def mixture(**settings: Any) -> Mixture[list[Message]]:
    data = {"talks": tiny.conversations(), "words": Words()}
    return Mixture(data, {"talks": 1, "words": 2}, balance={"words": "class"}, **settings)


def step_report(objective: Dialogue, batches: list[list[Any]], numbers: list[int]) -> StepReport:
    """The outcome of one step, which is cut into batches."""
    step = Step({name: loss.weight for name, loss in objective.losses.items()}, len(batches))
    step.sources = ("talks", "words")
    collated = [objective.collate(batch) for batch in batches]
    step.begin(sum_counts(map(objective.counts, collated)), torch.device("cpu"))
    for batch, samples in zip(collated, batches, strict=True):
        step.add(objective(batch), numbers[: len(samples)])
        numbers = numbers[len(samples) :]
    return step.end(torch.tensor(1.0), torch.zeros(1))


@pytest.mark.parametrize("losses", [{"text": 1, "align": 1}, {"text": {"average": "conversation"}}])
def test_losses_by_data_set_are_those_of_its_samples(losses: dict[str, Any]) -> None:
    """Whatever batches a step is cut into."""
    objective, data = Dialogue(tiny.tiny_model()), mixture()
    objective.use_losses(losses)
    indices = Batches(data, list, 12, 0).indices(0)
    numbers, samples = data.source_numbers(indices), [data[index] for index in indices]
    assert set(numbers) == {0, 1}
    whole = step_report(objective, [samples], numbers)
    cut = step_report(objective, [samples[:5], samples[5:6], samples[6:]], numbers)
    assert whole.source_sums.keys() == cut.source_sums.keys()
    for number, name in enumerate(data.sources):
        own = [sample for sample, n in zip(samples, numbers, strict=True) if n == number]
        batch = objective.collate(own)
        for loss, parts in objective(batch).items():
            for part in parts:
                key = "/".join(each for each in (loss, part.part, name) if each)
                for report in (whole, cut):
                    total, weight = report.source_sums[key]
                    assert weight == pytest.approx(part.over)
                    assert part.value is not None
                    assert total / weight == pytest.approx(part.value.item(), rel=1e-3, abs=1e-5)
    assert "text/words" in whole.source_sums


def test_denoising_losses_are_told_apart_by_data_set() -> None:
    """Each medium's, beside others that aren't there to be made."""
    model = tiny.tiny_model()
    objective = Dialogue(model)
    objective.use_losses({"denoise": 1})
    medium = tiny.picture()
    made = [Message("user", ["draw"]), Message("assistant", [Target("image", "red", medium)])]
    asked = [made[0], Message("assistant", [Target("image", "red")])]
    both = [*made, *made]
    batch = objective.collate([asked, made, tiny.conversations()[0], both])
    states = objective.states(batch)
    torch.manual_seed(0)
    (part,) = objective.losses["denoise"](batch, states)
    assert part.value is not None and part.items is not None
    assert part.items.samples.tolist() == [1, 3, 3] and part.over == 3
    torch.testing.assert_close(part.items.values.mean(), part.value.detach())
    step = Step({"denoise": 1.0}, 1)
    step.sources = ("talks", "words")
    step.begin(sum_counts([objective.counts(batch)]), torch.device("cpu"))
    step.add({"denoise": [part]}, [0, 0, 0, 1])
    sums = step.end(torch.tensor(1.0), torch.zeros(1)).source_sums
    first, *others = part.items.values.tolist()
    assert sums["denoise/image/talks"] == (pytest.approx(first), 1)
    assert sums["denoise/image/words"] == (pytest.approx(sum(others)), 2)


def test_a_mean_over_conversations_counts_each_alike() -> None:
    model = tiny.tiny_model()
    samples = tiny.conversations()[:4]
    each = torch.stack([text_loss(model, [sample]) for sample in samples])
    objective = Dialogue(model)
    objective.use_losses({"text": {"weight": 1, "average": "conversation"}})
    for packed in (True, False):
        objective.packed = packed
        batch = objective.collate([*samples[:2], [Message("user", ["hello"])], *samples[2:]])
        assert objective.counts(batch)["text"] == {"": 4}, "one has nothing to learn"
        value = objective.named_losses(batch)["text"]
        torch.testing.assert_close(value, each.mean(), rtol=1e-3, atol=1e-5)
    assert abs(text_loss(model, samples) - each.mean()) > 1e-4, "equal lengths would show nothing"


def test_an_average_of_another_name_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"average='tokens' is none.*did you mean 'token'"):
        build_losses({"text": {"average": "tokens"}}, DIALOGUE_LOSSES)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_run_on_a_mixture_goes_on_exactly(tmp_path: Path, workers: int) -> None:
    """Through several epochs of shares, balanced classes and limits."""

    def run(folder: str, **more: Any) -> None:
        torch.manual_seed(0)
        language = tiny.compose().language
        train_model(
            LanguageModeling(language),
            mixture(cap={"talks": 3}),
            losses={"text": {"average": "conversation"}},
            trainable=["model.*"],
            steps=6,
            batch_size=3,
            accumulate_grad_batches=2,
            save_every=2,
            log_every=4,
            workers=workers,
            output_dir=tmp_path / folder,
            trainer={"enable_progress_bar": False, "accelerator": "cpu"},
            **more,
        )

    run("straight")
    with pytest.raises(OSError, match="the power is cut"):
        run("cut", callbacks=[Stop(3)])
    assert last(tmp_path / "cut")["global_step"] == 2
    run("cut")
    first, second = last(tmp_path / "straight"), last(tmp_path / "cut")
    for key in ("state_dict", "optimizer_states", "batches", "samples"):
        assert_same(first[key], second[key])
    curves = [read_history(tmp_path / name / "history.jsonl") for name in ("straight", "cut")]
    for name in ("loss/text", "loss/text/talks", "loss/text/words"):
        assert curves[0][name] == curves[1][name] != {}, "lines of the log are of the same steps"


def test_epochs_are_those_of_the_mixture_and_the_report_tells_its_shares(tmp_path: Path) -> None:
    data = mixture(cap={"talks": 3})
    assert data.epoch_size == 9
    train_model(
        LanguageModeling(tiny.compose().language),
        data,
        losses={"text": 1},
        trainable=["model.*"],
        epochs=2,
        log_every=1,
        batch_size=6,
        output_dir=tmp_path,
        trainer={"enable_progress_bar": False, "accelerator": "cpu"},
    )
    assert last(tmp_path)["global_step"] == 3  # of 18 samples
    page = (tmp_path / "report.html").read_text("utf-8")
    for text in ("training words", "samples of an epoch", "66.7%", "loss/text/talks"):
        assert text in page


def test_a_cache_is_filled_until_every_sample_of_the_run_has_come() -> None:
    data = Mixture([list("abcdef"), list("vwxyz")], cap=[2, None])  # 7 an epoch
    batches = Batches(data, list, 3, 0)
    seen = [data[index] for epoch in range(3) for index in batches.order(epoch)]
    count = samples_until_all(batches, 10**9)
    assert 14 < count <= 21 and set(seen[:count]) == {*"abcdefvwxyz"} != set(seen[: count - 1])
    assert samples_until_all(batches, 5) == 5
    assert samples_until_all(Batches(list("abc"), list, 3, 0), 10**9) == 3
