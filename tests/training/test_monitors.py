"""What a run tells of itself: losses as means, and that nothing, or not all, learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from anymodal.config import ConfigError
from anymodal.training.building import build
from anymodal.training.run import fit, read_run, train, train_model
from anymodal.types import Message
from tests.distributed.test_processes import TOY as TOGETHER
from tests.distributed.test_processes import write as write_together
from tests.support import composed, tiny
from tests.support.runs import TOY, assert_same, last, read_log, write
from tests.support.together import run_together


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return composed.write_model(tmp_path_factory.mktemp("parts"))


# ---- Losses ------------------------------------------------------------------------------------


def every_batch(folder: Path, **changes: Any) -> list[float]:
    """The loss of each batch of a run."""
    train(write(folder, "each", log_every=1, **changes))
    return read_log(folder / "each")


def means(values: list[float], size: int) -> list[float]:
    starts = range(0, len(values) - size + 1, size)
    return [sum(values[k : k + size]) / size for k in starts]


def test_a_line_is_the_mean_since_the_last(tmp_path: Path) -> None:
    each = every_batch(tmp_path, steps=12)
    train(write(tmp_path, "fours", steps=12, log_every=4))
    assert read_log(tmp_path / "fours") == pytest.approx(means(each, 4), rel=1e-5)
    assert read_log(tmp_path / "fours", "loss/square") == pytest.approx(means(each, 4), rel=1e-5)


def test_accumulated_batches_are_in_it(tmp_path: Path) -> None:
    """At a rate of zero, so that the same batches have the same losses."""
    still = {"optimizer": {"lr": 1e-12, "weight_decay": 0.0}}
    each = every_batch(tmp_path, steps=12, **still)
    train(write(tmp_path, "twos", steps=6, accumulate_grad_batches=2, log_every=3, **still))
    assert read_log(tmp_path / "twos") == pytest.approx(means(each, 6), rel=1e-5)


def test_skipped_batches_are_not_in_it(tmp_path: Path) -> None:
    data = {**TOY["data"], "count": 12, "bad": [0]}
    each = every_batch(tmp_path, steps=4, data=data)
    train(write(tmp_path, "four", steps=4, data=data, log_every=4))
    assert read_log(tmp_path / "four") == pytest.approx([sum(each) / len(each)], rel=1e-5)
    assert read_log(tmp_path / "four", "skipped") == [4 - len(each)] == [1]


@pytest.mark.parametrize("accumulate_grad_batches", [1, 2])
def test_a_run_that_was_cut_off_between_lines_tells_the_same(
    tmp_path: Path, accumulate_grad_batches: int
) -> None:
    more = {
        "steps": 8,
        "log_every": 4,
        "save_every": 3,
        "accumulate_grad_batches": accumulate_grad_batches,
    }
    train(write(tmp_path, "straight", **more))
    cut = write(
        tmp_path, "cut", **more, data={**TOY["data"], "cut": 3 * 3 * accumulate_grad_batches + 3}
    )
    with pytest.raises(OSError, match="the power is cut"):
        train(cut)
    train(cut, ["data.cut=null"])
    assert len(read_log(tmp_path / "straight")) == 2
    assert read_log(tmp_path / "cut") == read_log(tmp_path / "straight")


@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_it_is_over_all_processes(tmp_path: Path, strategy: str) -> None:
    more = {**TOGETHER, "log_every": 3}
    train(write_together(tmp_path, "one", **more), ["batch_size=8"])
    config = write_together(tmp_path, "two", **more)
    together = [f"+trainer.strategy={strategy}"]
    run_together(lambda rank: train(config, together), tmp_path / "said")
    assert len(read_log(tmp_path / "one")) == 2
    assert read_log(tmp_path / "two") == pytest.approx(read_log(tmp_path / "one"), rel=1e-4)


# ---- Nothing learned ---------------------------------------------------------------------------


class Talks(list[list[Message]]):
    """Conversations without media, with replies or without; then some with media."""

    def __init__(self, silent: bool = False, shown: int = 0) -> None:
        talks = composed.plain_conversations()
        if silent:
            talks = [talk[:1] for talk in talks]
        super().__init__([*talks, *composed.talks(shown)])


def composing(parts: Path, part: str, losses: list[str], **data: Any) -> dict[str, Any]:
    return {
        "model": {"_target_": "anymodal.AnyModal.compose", "config": str(parts)},
        "data": {"_target_": "tests.training.test_monitors.Talks", **data},
        "stage": {"trainable": [part], "losses": dict.fromkeys(losses, 1.0)},
        "batch_size": 2,
    }


@pytest.mark.parametrize("part", ["projection.*", "heads.*"])
@pytest.mark.parametrize("accumulate_grad_batches", [1, 2])
def test_a_run_that_learns_nothing_ends_before_its_first_checkpoint(
    parts: Path, tmp_path: Path, part: str, accumulate_grad_batches: int
) -> None:
    """As where a part for media trains alone on conversations without any."""
    run = composing(parts, part, ["text", "align"])
    path = write(
        tmp_path, **run, steps=9, save_every=2, accumulate_grad_batches=accumulate_grad_batches
    )
    with pytest.raises(
        ConfigError,
        match=rf"nothing was learned in 2 steps: no parameter that trains \({part[:-1]}\*\) got a "
        r"gradient from align: 0 captions, text: \d+ supervised positions; look at the data",
    ):
        train(path)
    assert not (tmp_path / "run" / "checkpoints").exists()
    assert not (tmp_path / "run" / "model").exists()


def test_a_short_run_that_learns_nothing_ends_so_too(parts: Path, tmp_path: Path) -> None:
    path = write(tmp_path, **composing(parts, "projection.*", ["text"]), steps=1, save_every=200)
    with pytest.raises(ConfigError, match="nothing was learned in 1 steps"):
        train(path)


def test_replies_without_words_are_told(parts: Path, tmp_path: Path) -> None:
    path = write(tmp_path, **composing(parts, "language.rows", ["text"], silent=True))
    with pytest.raises(
        ConfigError, match="text: 0 supervised positions; .*has anything to learn from"
    ):
        train(path)


def test_a_batch_that_teaches_nothing_is_a_batch(
    parts: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path, **composing(parts, "projection.*", ["text"], shown=4), steps=6)
    run = read_run(path, ["save_every=6"])
    before = {name: value.clone() for name, value in build(run)[0].model.state_dict().items()}
    _, module = fit(run)
    after = module.model.state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert "skipped" not in caplog.text


@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_processes_that_learn_nothing_end_together(
    parts: Path, tmp_path: Path, strategy: str
) -> None:
    run = composing(parts, "projection.*", ["text"])
    config = write_together(tmp_path, "run", **{**run, "steps": 2})

    def work(rank: int) -> None:
        with pytest.raises(ConfigError, match="nothing was learned in 2 steps"):
            train(config, [f"+trainer.strategy={strategy}"])

    run_together(work, tmp_path / "said")


# ---- Not all learned ---------------------------------------------------------------------------


class Halves(nn.Module):
    """Two layers, of which the second takes no part; it may only seem to."""

    def __init__(self, zero: bool = False) -> None:
        super().__init__()
        self.zero = zero
        self.first, self.second = nn.Linear(3, 1), nn.Linear(3, 1)

    def forward(self, batch: Tensor) -> Tensor:
        made: Tensor = self.first(batch)
        return made + 0.0 * self.second(batch) if self.zero else made


LEFT = "without a gradient in 2 steps, though they train: second.bias, second.weight"


@pytest.mark.parametrize("zero", [True, False])
def test_parameters_without_a_gradient_are_named(
    tmp_path: Path, zero: bool, caplog: pytest.LogCaptureFixture
) -> None:
    halves = {"_target_": "tests.training.test_monitors.Halves", "zero": zero}
    stage = {"losses": {"square": 1.0}}
    assert train(write(tmp_path, model=halves, stage=stage)) is not None
    told = caplog.text
    assert told.count("without a gradient") == 1 and "second.weight" in told
    assert "first" not in told


@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_they_are_named_once_by_processes(tmp_path: Path, strategy: str) -> None:
    halves = {"_target_": "tests.training.test_monitors.Halves"}
    run = {**TOGETHER, "model": halves, "stage": {"losses": {"square": 1.0}}, "steps": 2}
    config = write_together(tmp_path, "two", **run)
    said = run_together(
        lambda rank: train(config, [f"+trainer.strategy={strategy}"]), tmp_path / "said"
    )
    assert "second.weight" in said[0] and "first.weight" not in said[0]
    assert "without a gradient" not in said[1]


@pytest.mark.parametrize(
    "changes", [{}, {"compile": False, "activation_checkpointing": True}, {"ema": 0.5}]
)
def test_a_run_in_which_all_learns_says_nothing(
    tmp_path: Path, changes: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert train(write(tmp_path, **changes)) is not None
    assert "without a gradient" not in caplog.text


def test_adapters_that_begin_at_zero_learn_in_the_second_step(
    parts: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = tiny.compose()
    model.language.enable_lora(r=2, dropout=0.0)
    for steps in (1, 3):
        train_model(
            model,
            composed.plain_conversations(),
            losses={"text": 1.0},
            steps=steps,
            trainable=["*lora_*"],
            batch_size=4,
            trainer={"accelerator": "cpu", "enable_progress_bar": False},
        )
    assert "without a gradient" not in caplog.text


def test_a_run_that_stopped_before_the_check_goes_on_to_it(parts: Path, tmp_path: Path) -> None:
    import signal

    data = {**TOY["data"], "stop": [4, int(signal.SIGTERM)]}
    path = write(tmp_path, data=data, steps=6, save_every=5)
    assert train(path) is None
    state = last(tmp_path / "run")["callbacks"]["GradientCheck"]
    assert state["checked"] is False and state["learned"] is True and state["waiting"] == []
    assert train(path, ["data.stop=null"]) is not None
    assert_same(last(tmp_path / "run")["callbacks"]["GradientCheck"], {"checked": True})
