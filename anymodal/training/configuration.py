"""A training run as data: what trains, on which losses, how."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from anymodal.config import ConfigError, shorten, structured, suggest
from anymodal.data.mixture_settings import check_mixture
from anymodal.io.feature_cache import FeatureCache
from anymodal.training.losses.base import check_weight
from anymodal.training.optimizer_configuration import HUGE, TINY, OptimizerConfig
from anymodal.training.precision import PRECISIONS, automatic_precision
from anymodal.training.validation.configuration import ValidationConfig, is_source


@dataclass
class StageConfig:
    """A stage's trainable parameters and losses.

    Args:
        trainable: globs over parameter names, such as `projection.*`; all else is frozen.
        losses: by name, a weight or a mapping with `weight` and more settings of the loss, such as
            `{text: 1, align: {weight: 0.5, kind: l2}}`.
    """

    trainable: list[str] = field(default_factory=lambda: ["*"])
    losses: dict[str, Any] = MISSING


@dataclass
class FeatureCacheConfig:
    """The store of results of frozen parts, so that each is computed once.

    Args:
        dir: a folder, for later runs and other processes too; null for memory. Decoders of which
            only the conditioning of captions is needed then stay on disk.
        max_gb: the most that memory or the folder holds; what exceeds it is computed again each
            time. null for 4 in memory, and for as much as a folder's disk has room for.
    """

    dir: str | None = None
    max_gb: float | None = None

    def open(self, subfolder: str = "") -> FeatureCache:
        """The cache, empty in memory or with what its folder, or a folder in that, holds.

        Raises:
            ValueError: if nothing can be written to the folder.
        """
        limit = None if self.max_gb is None else int(self.max_gb * 2**30)
        folder = str(Path(self.dir, subfolder)) if self.dir and subfolder else self.dir
        return FeatureCache(limit, folder)


AUTO = "auto"

RUN_KEYS = {
    "accumulate_grad_batches": "give it beside `trainer`",
    "callbacks": "give callbacks",
    "default_root_dir": "give output_dir",
    "log_every_n_steps": "give log_every",
    "logger": "give loggers",
    "max_epochs": "give steps",
    "max_steps": "give steps",
    "precision": "give precision",
}
"""Arguments of a trainer that a run gives it, and what to give the run instead."""


@dataclass
class Run:
    """One training run.

    Args:
        model: a part: a composed model, or what the objective trains; for an objective that takes
            several, parts by name.
        data: a part with `__len__` and `__getitem__(index) -> sample`; `{path: …}`, with more
            arguments of `Conversations`, which reads data sets in files; or `{datasets: …}`, with
            more arguments of `Mixture`, of several such.
        stage: what trains, and on which losses.
        objective: a part, how the model is trained; it is given the model. Null for `Dialogue`,
            which trains a composed model on conversations.
        output_dir: folder for checkpoints, logs and the finished model.
        steps: optimiser steps; 0 where `epochs` says how many.
        epochs: how often each sample is drawn, in place of `steps`.
        batch_size: samples of a batch, in each process.
        accumulate_grad_batches: batches per optimiser step.
        packed: several conversations in a row of a batch; false for one in each, which is padded.
            `auto` for neither: attention alone sees them apart, and nothing is padded; where the
            language model or another switch doesn't go with that, for the cheaper of both. Where
            the model can't tell conversations apart in a row, each has its own anyway.
        length_group_batches: so many batches have their samples dealt to them by length, so that
            each pads little; needs data with `length(index)`. Batches are then alike inside, and
            learn less of what differs with length.
        frozen_prefix: with `packed: auto` and a frozen language model, compute what stands before
            the first input that trains without a gradient.
        shared_prefix: with `packed: auto` and a frozen language model, compute what the
            conversations of a batch begin with, such as a system prompt, once for all batches.
        compile: compile the blocks that a model repeats, where it is trained through them.
        activation_checkpointing: keep the inputs of those blocks alone, and compute the rest a
            second time in the backward pass.
        optimizer: learning rate, schedule, and the like.
        ema: decay of the weights' moving average that becomes the finished model; null for none.
        precision: Lightning's name for it: `32-true`, `bf16-mixed`, `16-mixed`, `bf16-true`, …; or
            `auto`, which is `bf16-mixed` where the device computes in bfloat16, and else `32-true`.
        seed: of the order of samples, of new weights, and of all that is drawn.
        workers: processes that read and prepare samples; 0 for the training's own. null for as many
            as the machine has processors to spare, up to 8, where data decode files, else 0.
        save_every: optimiser steps between checkpoints.
        log_every: optimiser steps between lines of the log.
        validation: figures on held-out data while the run trains; null for none.
        feature_cache: where results of frozen parts are kept, in memory or in a folder.
        loggers: parts, Lightning's or of your own, beside the run's own (TensorBoard, CSV and
            `history.jsonl`); false for none at all.
        callbacks: parts, Lightning's or of your own.
        max_skipped: bad optimiser steps in a row before the run gives up. A batch whose loss isn't
            finite is left out of its step; a step is bad if no batch is left, or its gradient isn't
            finite, and changes nothing.
        trainer: further arguments of `lightning.Trainer`, such as `strategy: ddp`.
        parts: objects that several places share, named by `_part_`.
        trusted_packages: packages beside AnyModal whose classes this run may build.
    """

    model: Any = MISSING
    data: Any = MISSING
    stage: StageConfig = MISSING
    output_dir: str = MISSING
    steps: int = 0
    epochs: float | None = None
    objective: Any = None
    batch_size: int = 32
    accumulate_grad_batches: int = 1
    packed: bool | str = AUTO
    length_group_batches: int = 1
    frozen_prefix: bool = True
    shared_prefix: bool = True
    compile: bool = False
    activation_checkpointing: bool = False
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    ema: float | None = None
    precision: str = "32-true"
    seed: int = 0
    workers: int | None = None
    save_every: int = 200
    log_every: int = 20
    validation: ValidationConfig | None = None
    feature_cache: FeatureCacheConfig = field(default_factory=FeatureCacheConfig)
    loggers: Any = field(default_factory=list)
    callbacks: list[Any] = field(default_factory=list)
    max_skipped: int = 10
    trainer: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, Any] = field(default_factory=dict)
    trusted_packages: list[str] = field(default_factory=list)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Run:
        """Check a configuration against the schema.

        Raises:
            ConfigError: for an unknown key (with a suggestion), a missing one or a wrong type.
        """
        run = structured(cls, config, "training configuration")
        run.data = _data_part(run.data)
        if run.validation is not None:
            node = run.validation.data
            several = isinstance(node, Mapping) and not is_source(node)
            run.validation.data = (
                {name: _data_part(each) for name, each in node.items()}
                if several
                else _data_part(node)
            )
        run._check()
        return run

    @property
    def trusted(self) -> list[str]:
        """Packages whose parts this run may name; it is the user's own, unlike a model's folder."""
        return ["anymodal", *self.trusted_packages]

    def _check(self) -> None:
        if (self.steps == 0) == (self.epochs is None):
            raise ConfigError(
                "give steps or epochs, one of them: how long the run is; epochs=N steps=0 takes "
                "the place of a file's steps"
            )
        for name, value, least, most in self._ranges():
            if not least <= value <= most:  # as NaN is not
                limits, hint = _range(least, most), _HINTS.get(name, "")
                raise ConfigError(f"{name} must be {limits}, not {shorten(value)}{hint}")
        for name in self.trainer:
            if name in RUN_KEYS:
                raise ConfigError(f"trainer.{name} is the run's own to say; {RUN_KEYS[name]}")
        if self.loggers is not False and not isinstance(self.loggers, list):
            raise ConfigError(
                f"loggers must be a list of parts, or false, not {shorten(self.loggers)}"
            )
        for name, entries in (("losses", self.stage.losses), ("trainable", self.stage.trainable)):
            if not entries:
                raise ConfigError(f"stage.{name} is empty; {_EMPTY[name]}")
        for name, setting in self.stage.losses.items():
            if not isinstance(setting, Mapping):
                check_weight(setting, f"stage.losses.{name}")
        for name, folder in (
            ("output_dir", self.output_dir),
            ("feature_cache.dir", self.feature_cache.dir),
        ):
            if folder is not None and (not folder.strip() or "\0" in folder):
                raise ConfigError(f"{name} must be the name of a folder, not {folder!r}")
        if self.packed not in (True, False, AUTO):
            raise ConfigError(f"packed must be true, false or {AUTO}, not {shorten(self.packed)}")
        if self.precision == AUTO:
            self.precision = automatic_precision(self.trainer.get("accelerator", AUTO))
        if self.precision not in PRECISIONS:
            hint = suggest(self.precision, [AUTO, *PRECISIONS])
            raise ConfigError(f"no precision {shorten(self.precision)}{hint}")
        self.optimizer.check(self.precision)
        if self.validation is not None:
            self.validation.check()

    def _ranges(self) -> Iterator[tuple[str, float, float, float]]:
        """Settings, by name, with their least and most."""
        if self.epochs is None:
            yield "steps", self.steps, 1, MOST
        else:
            yield "epochs", self.epochs, TINY, MOST
        for name in (
            "accumulate_grad_batches",
            "length_group_batches",
            "save_every",
            "log_every",
            "max_skipped",
        ):
            yield name, getattr(self, name), 1, MOST
        yield "batch_size", self.batch_size, 1, 2**20
        yield "workers", self.workers or 0, 0, 1024
        yield "seed", self.seed, 0, 2**31 - 1  # beside a batch's number it is torch's 64 bits
        if self.feature_cache.max_gb is not None:
            yield "feature_cache.max_gb", self.feature_cache.max_gb, 0, 2**20
        if self.ema is not None:
            yield "ema", self.ema, TINY, 1 - TINY
        for name, value, least, most in self.optimizer.ranges():
            yield f"optimizer.{name}", value, least, most
        if self.validation is not None:
            for name, value, least, most in self.validation.ranges():
                yield f"validation.{name}", value, least, most


def _data_part(node: object) -> object:
    """The part that `data` is: conversations in files where it names a path and no part, a mixture
    where it names data sets; so are the data sets of a mixture.

    Raises:
        ConfigError: for settings of a mixture that don't fit.
    """
    if not isinstance(node, Mapping):
        return node
    is_part = bool(node.keys() & {"_target_", "_part_"})
    if "path" in node and not is_part:
        return {"_target_": "anymodal.data.conversations.Conversations", **node}
    several = node.get("datasets")
    if several is None:
        return node
    mixture = {} if is_part else {"_target_": MIXTURE}
    if {**mixture, **node}.get("_target_") == MIXTURE:
        check_mixture({name: each for name, each in node.items() if name != "_target_"})
    if isinstance(several, Mapping):
        parts: object = {name: _data_part(each) for name, each in several.items()}
    else:
        parts = [*map(_data_part, several)] if isinstance(several, list) else several
    return {**mixture, **node, "datasets": parts}


MIXTURE = "anymodal.data.mixture.Mixture"
MOST = 10**9
"""Steps of a run, and whatever counts some of them."""


def _range(least: float, most: float) -> str:
    low = "more than 0" if least == TINY else f"at least {least}"
    high = "less than 1" if most == 1 - TINY else f"at most {most}"
    return low if most >= HUGE else f"{low} and {high}"


_HINTS = {
    "optimizer.max_grad_norm": "; a large one, such as 1e9, clips nothing",
    "ema": "; null switches it off",
}
_EMPTY = {
    "losses": "name at least one loss and its weight",
    "trainable": 'give globs over the names of parameters, such as "*" for all',
}
