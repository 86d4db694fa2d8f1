"""Loggers, callbacks, optimizers and data of a user's own: taken where they are of their kind."""

from __future__ import annotations

import importlib.util
from collections import defaultdict
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch import callbacks as lightning_callbacks
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch import nn

from anymodal.config import ConfigError
from anymodal.tools.plan import training as training_memory
from anymodal.training.building import build
from anymodal.training.run import fit, read_run, train, train_model
from tests.distributed.test_processes import TOY as TOGETHER
from tests.distributed.test_processes import write as write_together
from tests.support import composed
from tests.support.runs import TOY, assert_same, last, read_log, stages, write
from tests.support.together import run_together

CPU = {"accelerator": "cpu", "enable_progress_bar": False}
HERE = "tests.training.test_extras"


class Steps(L.Callback):
    """Counts steps into a file, and over sessions."""

    def __init__(self, path: str, stop: int | None = None) -> None:
        self.path, self.stop, self.steps = path, stop, 0

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *args: Any) -> None:
        self.steps += 1
        Path(self.path).write_text(f"{self.steps}")
        if self.steps == self.stop:
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.steps = state_dict["steps"]


ODD = {
    "path": Path("x"),
    "float64": np.float64(1.0),  # a float too
    "defaultdict": defaultdict(int),
    "IntEnum": IntEnum("Kind", ["ONE"])(1),
}


class Odd(L.Callback):
    """Keeps in checkpoints what they can't hold, itself or beside its state."""

    def __init__(self, name: str, beside: bool = False) -> None:
        self.value, self.beside = ODD[name], beside

    def state_dict(self) -> dict[str, Any]:
        return {} if self.beside else {"inner": [self.value]}

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        if self.beside:
            checkpoint["mine"] = {"inner": (self.value,)}


class Twin(L.Callback):
    """One of several that would keep their states under one name."""

    def state_dict(self) -> dict[str, Any]:
        return {"a": 1}


class Unpacked(CSVLogger):
    """Needs a package that isn't there."""

    def __init__(self) -> None:
        raise ModuleNotFoundError("Requirement 'absent>=1' not met")


class Unsized:
    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.zeros(3)


class Stream(torch.utils.data.IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        yield torch.zeros(3)


def some_data() -> list[torch.Tensor]:
    return [torch.randn(3) for _ in range(6)]


def untold_data():  # type: ignore[no-untyped-def]
    return {"not": "samples"}


def rows(folder: Path) -> list[str]:
    return (folder / "version_0" / "metrics.csv").read_text().splitlines()


def test_a_run_names_its_loggers_and_callbacks(tmp_path: Path) -> None:
    csv = {"_target_": "lightning.pytorch.loggers.CSVLogger", "save_dir": str(tmp_path / "mine")}
    rates = {"_target_": "lightning.pytorch.callbacks.LearningRateMonitor"}
    count = {"_target_": f"{HERE}.Steps", "path": str(tmp_path / "count")}
    path = write(tmp_path, trainer=CPU, loggers=[csv], callbacks=[rates, count], steps=4)
    assert train(path) is not None
    assert (tmp_path / "count").read_text() == "4"
    assert last(tmp_path / "run")["callbacks"]["Steps"] == {"steps": 4}
    mine = rows(tmp_path / "mine" / "lightning_logs")
    assert "loss" in mine[0] and "lr-" in mine[0] and len(mine) > 4
    assert len(read_log(tmp_path / "run")) == 4, "the run's own log is there too"


def test_they_go_on_with_the_run(tmp_path: Path) -> None:
    count = {"_target_": f"{HERE}.Steps", "path": str(tmp_path / "count")}
    data = {**TOY["data"], "cut": 9}
    path = write(tmp_path, trainer=CPU, callbacks=[count], data=data)
    with pytest.raises(OSError, match="the power is cut"):
        train(path)
    train(path, ["data.cut=null"])
    assert (tmp_path / "count").read_text() == "4"


def test_a_callback_may_end_a_run_for_good(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "anymodal")
    count = {"_target_": f"{HERE}.Steps", "path": str(tmp_path / "count"), "stop": 2}
    finished = train(write(tmp_path, trainer=CPU, callbacks=[count], steps=9))
    assert finished is not None and last(tmp_path / "run")["global_step"] == 2
    assert "a callback ended it at step 2 of 9" in caplog.text


class FullDisk(L.Callback):
    """Has no room for what it writes at a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: Any, *args: Any) -> None:
        if trainer.global_step == self.step:
            with open("/dev/full", "w") as file:
                file.write("a line")


def test_a_run_that_finds_the_disk_full_says_how_to_go_on(tmp_path: Path) -> None:
    full = {"_target_": f"{HERE}.FullDisk", "step": 3}
    path = write(tmp_path, trainer=CPU, callbacks=[full], save_every=2)
    text = "No space left on device; make room on the disk of .*run, and run it again to go on"
    with pytest.raises(OSError, match=text):
        train(path)
    assert last(tmp_path / "run")["global_step"] == 2
    assert train(write(tmp_path, trainer=CPU, save_every=2)) is not None


def test_a_model_is_trained_with_a_users_objects(tmp_path: Path) -> None:
    steps = Steps(str(tmp_path / "count"))
    logger = CSVLogger(tmp_path / "mine")
    model = train_model(
        composed.Regression(composed.Toy()),
        composed.Numbers(),
        losses={"square": 1.0},
        steps=3,
        output_dir=tmp_path / "out",
        callbacks=[steps, LearningRateMonitor()],
        loggers=[logger],
        log_every=1,
        trainer=CPU,
    )
    assert steps.steps == 3 and isinstance(model, composed.Regression)
    assert len(rows(tmp_path / "mine" / "lightning_logs")) >= 4
    train_model(
        composed.Regression(composed.Toy()),
        composed.Numbers(),
        losses={"square": 1.0},
        steps=1,
        output_dir=tmp_path / "silent",
        loggers=False,
        callbacks=[Steps(str(tmp_path / "silent-count"))],
        trainer=CPU,
    )
    assert not (tmp_path / "silent" / "logs").exists()


@pytest.mark.parametrize(
    ("name", "more"),
    [("SGD", {"momentum": 0.9}), ("Adamax", {}), ("Adafactor", {"d": 2.0})],
)
def test_another_optimizer_trains_and_goes_on(
    tmp_path: Path, name: str, more: dict[str, Any]
) -> None:
    optimizer = {"lr": 0.01, "algorithm": {"_target_": f"torch.optim.{name}", **more}}
    train(write(tmp_path, "straight", optimizer=optimizer))
    cut = write(tmp_path, "cut", optimizer=optimizer, data={**TOY["data"], "cut": 9})
    with pytest.raises(OSError, match="the power is cut"):
        train(cut)
    train(cut, ["data.cut=null"])
    for key in ("state_dict", "optimizer_states", "lr_schedulers"):
        assert_same(last(tmp_path / "straight")[key], last(tmp_path / "cut")[key])
    run = read_run(cut)
    fresh = build(run)[0].model.layer.weight
    assert not torch.equal(fresh, last(tmp_path / "cut")["state_dict"]["model.layer.weight"])


def test_another_optimizer_in_half_precision_and_processes(tmp_path: Path) -> None:
    sgd = {"_target_": "torch.optim.SGD", "momentum": 0.9}
    run = {**TOGETHER, "precision": "bf16-true", "optimizer": {"algorithm": sgd, "lr": 0.01}}
    config = write_together(tmp_path, "two", **run)
    run_together(lambda rank: train(config, ["+trainer.strategy=fsdp2"]), tmp_path / "said")
    states = last(tmp_path / "two")["optimizer_states"][0]["state"]
    assert {v.dtype for held in states.values() for v in held.values()} == {torch.float32}


TIMER = "lightning.pytorch.callbacks.Timer"
WANDB = "lightning.pytorch.loggers.WandbLogger"
SAVER = "lightning.pytorch.callbacks.ModelCheckpoint"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"callbacks": [{"_target_": "torch.optim.SGD"}]}, "of class Callback, not"),
        ({"callbacks": [{"_target_": f"{HERE}.Unsized"}]}, "of class Callback, not"),
        ({"callbacks": ["Timer"]}, "must be of class Callback, as .*not 'Timer'"),
        ({"callbacks": 3}, "callbacks must be"),
        ({"callbacks": [{"_target_": TIMER, "durations": 1}]}, "mean 'duration'"),
        ({"callbacks": [{"_target_": SAVER}]}, "a run saves itself; give save_every"),
        ({"callbacks": [{"_target_": "os.system"}]}, "outside the allowed"),
        ({"loggers": [{"_target_": TIMER}]}, "must be of class Logger, not Timer"),
        ({"loggers": [True]}, "must be of class Logger, as"),
        (
            {"loggers": [{"_target_": WANDB, "log_model": "all"}]},
            "log_model uploads what .* a run saves itself",
        ),
        ({"loggers": "csv"}, "loggers must be a list of parts, or false"),
        (
            {"optimizer": {"algorithm": {"_target_": TIMER}}},
            "of class Optimizer, not Timer",
        ),
        ({"optimizer": {"algorithm": {"lr": 1}}}, "must be of class Optimizer, as"),
        (
            {"optimizer": {"algorithm": {"_target_": "torch.optim.SGD", "lr": 1}}},
            "is given 'lr' by the run",
        ),
        (
            {"optimizer": {"algorithm": {"_target_": "torch.optim.SGD", "momentun": 1}}},
            "takes no 'momentun'; did you mean 'momentum'",
        ),
        (
            {
                "optimizer": {
                    "algorithm": {"_target_": "torch.optim.SGD"},
                    "muon": {"params": ["layer.*"]},
                }
            },
            "takes the place of fused AdamW and of Muon",
        ),
        (
            {"data": {"_target_": f"{HERE}.Unsized"}},
            "data .* be of class Samples, not Unsized",
        ),
        ({"data": {"_target_": f"{HERE}.Stream"}}, "must be of class Samples, not Stream"),
        ({"data": [1, 2]}, r"data must be a part, .*, not \[1, 2\]"),
        ({"model": None}, "model must be a part"),
        ({"trainer": {"accelerator": 3}}, "trainer.accelerator must be"),
        ({"trainer": {"num_nodes": "many"}}, "trainer.num_nodes must be int"),
        (
            {"trainer": {"callbacks": []}},
            "trainer.callbacks is the run's own to say; give callbacks",
        ),
        ({"trainer": {"logger": False}}, "give loggers"),
        ({"trainer": {"precision": "32"}}, "trainer.precision is the run's own"),
    ],
)
def test_what_is_not_of_its_kind_is_refused_before_anything_is_built(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    explodes = {"_target_": "tests.support.composed.Explodes", "size": 1}
    with pytest.raises(ConfigError, match=message):
        train(write(tmp_path, **{"model": explodes, **changes}))
    assert not (tmp_path / "run").exists()


def test_what_a_function_gives_is_checked_when_it_is_built(tmp_path: Path) -> None:
    assert train(write(tmp_path, "good", data={"_target_": f"{HERE}.some_data"})) is not None
    with pytest.raises(ConfigError, match="data .* gives a dict, not samples by index"):
        train(write(tmp_path, data={"_target_": f"{HERE}.untold_data"}))


def test_objects_of_another_kind_are_refused() -> None:
    for given, message in (
        ({"callbacks": [nn.ReLU()]}, "callbacks must be of class Callback, not ReLU"),
        ({"loggers": [nn.ReLU()]}, "loggers must be of class Logger, not ReLU"),
        ({"loggers": ["csv"]}, "loggers must be of class Logger, not str"),
        ({"trainer": {"acelerator": "cpu"}}, "trainer takes no 'acelerator'"),
        ({"steps": "5"}, "steps must be int, not '5'"),
        ({"optimizer": {"lr": float("nan")}}, "optimizer.lr must be more than 0, not nan"),
    ):
        with pytest.raises(ConfigError, match=message):
            train_model(
                composed.Regression(composed.Toy()),
                composed.Numbers(),
                **{"losses": {"square": 1.0}, "steps": 1, **given},  # type: ignore[arg-type]
            )


def test_data_without_a_length_is_refused() -> None:
    with pytest.raises(ConfigError, match="data must be of class Samples, not Unsized"):
        train_model(composed.Regression(composed.Toy()), Unsized(), losses={"square": 1.0}, steps=1)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("beside", [False, True])
def test_a_state_that_no_checkpoint_holds_is_told(tmp_path: Path, name: str, beside: bool) -> None:
    odd = {"_target_": f"{HERE}.Odd", "name": name, "beside": beside}
    path = write(tmp_path, trainer=CPU, callbacks=[odd])
    kind = type(ODD[name]).__name__
    place = f"a {kind} is put .* 'mine'" if beside else f"callback Odd has a {kind} in its state"
    with pytest.raises(ConfigError, match=place):
        train(path)
    assert not (tmp_path / "run" / "checkpoints" / "last.ckpt").exists()


def test_callbacks_that_would_share_a_state_are_told(tmp_path: Path) -> None:
    twin = {"_target_": f"{HERE}.Twin"}
    with pytest.raises(ConfigError, match="more than one stateful callback of type `Twin`"):
        train(write(tmp_path, trainer=CPU, callbacks=[twin, twin]))


def test_a_callback_that_needs_a_logger_says_so(tmp_path: Path) -> None:
    rates = {"_target_": "lightning.pytorch.callbacks.LearningRateMonitor"}
    with pytest.raises(ConfigError, match="trainer: Cannot use `LearningRateMonitor`"):
        train(write(tmp_path, trainer=CPU, callbacks=[rates], loggers=False))


def test_a_logger_that_lacks_something_is_told(tmp_path: Path) -> None:
    logger = {"_target_": f"{HERE}.Unpacked"}
    with pytest.raises(ConfigError, match=r"loggers \(.*Unpacked\) can't be built: Requirement"):
        train(write(tmp_path, trainer=CPU, loggers=[logger]))


@pytest.mark.parametrize(
    ("name", "more", "way_out"),
    [
        ("EarlyStopping", {"monitor": "loss"}, "give validation.monitor and validation.patience"),
        ("EMAWeightAveraging", {}, "give ema"),
        ("StochasticWeightAveraging", {"swa_lrs": 1e-3}, "give ema"),
        ("GradientAccumulationScheduler", {"scheduling": {0: 2}}, "give accumulate_grad_batches"),
        ("LearningRateFinder", {}, "--find-rate"),
        ("BatchSizeFinder", {}, "give batch_size"),
        ("Timer", {"duration": "00:00:00:09"}, "give trainer.max_time"),
    ],
)
def test_callbacks_for_what_a_run_does_itself_are_refused(
    tmp_path: Path, name: str, more: dict[str, Any], way_out: str
) -> None:
    node = {"_target_": f"lightning.pytorch.callbacks.{name}", **more}
    with pytest.raises(ConfigError, match=f"callbacks names {name}, .*{way_out}"):
        read_run(write(tmp_path, callbacks=[node]))
    with pytest.raises(ConfigError, match=f"callbacks names {name}, .*{way_out}"):
        train_model(
            composed.Regression(composed.Toy()),
            composed.Numbers(),
            losses={"square": 1.0},
            steps=1,
            callbacks=[getattr(lightning_callbacks, name)(**more)],
            trainer=CPU,
        )


def test_plans_count_another_optimizer(tmp_path: Path) -> None:
    sgd = {"algorithm": {"_target_": "torch.optim.SGD", "momentum": 0.9}}
    run = read_run(write(tmp_path, optimizer=sgd, batch_size=2))
    objective, data = build(run)
    need = training_memory.training(objective, run, data)
    trained = sum(p.nbytes for p in objective.parameters() if p.requires_grad)
    assert need.of("optimizer") == trained
    assert fit(run)[0].global_step == run.steps


@pytest.mark.parametrize(
    ("name", "package"), [("WandbLogger", "wandb"), ("MLFlowLogger", "mlflow")]
)
def test_a_logger_without_its_package_is_refused_with_the_way_out(
    tmp_path: Path, name: str, package: str
) -> None:
    if importlib.util.find_spec(package) is not None:
        pytest.skip(f"{package} is installed")
    logger = {"_target_": f"lightning.pytorch.loggers.{name}"}
    with pytest.raises(ConfigError, match=rf"{name}, .* pip install 'anymodal\[{package}\]'"):
        read_run(write(tmp_path, loggers=[logger]))


def test_wandb_logs_offline(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    talk = {"_target_": "tests.support.composed.talks", "count": 4}
    stage = stages(composed.write_model(tmp_path / "parts"), tmp_path)["perceive"]
    logger = {"_target_": "lightning.pytorch.loggers.WandbLogger", "offline": True}
    validation = {"data": talk, "samples": 1, "settings": {"max_new_tokens": 4}, "every": 1}
    run = {**stage, "data": talk, "batch_size": 2, "steps": 1, "validation": validation}
    fit(read_run(write(tmp_path, **run, loggers=[{**logger, "save_dir": str(tmp_path / "wb")}])))
    pages = list((tmp_path / "wb").rglob("*.html"))
    assert len(pages) == 2 and "Reference" in pages[0].read_text()
    assert list((tmp_path / "wb").rglob("*.wandb"))


def test_tensorboard_has_the_replies_with_their_media(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from anymodal.metrics.samples import EvaluationSample
    from anymodal.training.validation.loggers import log_replies
    from anymodal.training.validation.replies import Replies
    from anymodal.types import Message
    from tests.support.tiny import felt, picture, sound

    logger = TensorBoardLogger(tmp_path, "", "")
    sample = EvaluationSample("a/1", (), references=("a ball",))
    reply = Message("assistant", ["Look:", picture(), sound(), felt()])
    asked = Message("user", [picture(1), "draw"])
    log_replies([logger], Replies([(sample, [asked], reply)]), 3)
    logger.experiment.close()
    events = EventAccumulator(str(tmp_path)).Reload()
    tags = events.Tags()
    place = f"validation/samples/{sample.name}"
    assert {tag.removeprefix(place).split("/")[1] for tag in tags["images"]} == {"0", "asked"}
    assert tags["audio"] == [f"{place}/1"] and tags["tensors"] == [f"{place}/text_summary"]
