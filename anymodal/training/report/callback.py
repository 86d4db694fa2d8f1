"""A run's record, written as it goes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L

from anymodal.config.yaml_files import dump_yaml
from anymodal.data.mixture import Mixture, epoch_size
from anymodal.distributed import collectives
from anymodal.training.configuration import Run
from anymodal.training.left_out import LEFT_OUT, count_left_out
from anymodal.training.module import StageModule
from anymodal.training.report.environment import (
    ENVIRONMENT,
    add_session,
    read_sessions,
    settings_of,
    write_run_file,
)
from anymodal.training.report.history import History
from anymodal.training.report.page import write_report
from anymodal.training.validation.callback import Validation

_LOG = logging.getLogger("anymodal")


class RunReport(L.Callback):
    """Writes `run.yaml`, `environment.json` and `report.html` into a run's folder.

    The page is written at the start, with each checkpoint and validation, and at the end. A disk
    that has no room for it ends no run.

    Args:
        run: the run's settings.
        data: the training data.
        module: counts what was seen.
        validation: of the run, if it has one.
    """

    def __init__(
        self,
        run: Run,
        data: Sequence[Any],
        module: StageModule,
        validation: Validation | None = None,
    ) -> None:
        self.run, self.data = run, data
        self.module, self.validation = module, validation
        self.folder, self.last_step = Path(run.output_dir), -1
        self.has_warned = False

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.global_rank != 0:
            return
        for logger in trainer.loggers:
            logger.log_hyperparams(settings_of(self.run))
        self._attempt(lambda: self._begin(trainer.global_step))
        self._write(trainer)

    def _begin(self, step: int) -> None:
        if self.run.model is not None:  # else it was built in Python, and no file tells how
            write_run_file(self.run)
        add_session(self.folder, step)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, *args: object
    ) -> None:
        step = trainer.global_step
        validated = self.validation is not None and self.validation.last_step == step
        if step != self.last_step and (validated or step % self.run.save_every == 0):
            self._write(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._write(trainer)

    def _write(self, trainer: L.Trainer) -> None:
        self.last_step = trainer.global_step
        histories = [each for each in trainer.loggers if isinstance(each, History)]
        if trainer.global_rank != 0 or not histories:
            return
        lead = f"step {trainer.global_step} of {trainer.max_steps}"
        if self.validation is not None and self.validation.best.value is not None:
            best, monitor = self.validation.best, self.validation.settings.monitor
            lead += f"\nbest {monitor}: {best.value:.4g} at step {best.step}"
        self._attempt(
            lambda: write_report(
                self.folder, lead, histories[0].curves, self._data(), self._sections()
            )
        )

    def _attempt(self, write: Callable[[], object]) -> None:
        try:
            write()
        except OSError as error:
            if not self.has_warned:
                _LOG.warning("the run's report can't be written (%s); the run goes on", error)
            self.has_warned = True

    def _data(self) -> dict[str, Mapping[str, object]]:
        totals = self.module.throughput.totals
        run = self.run
        num_samples = self.module.progress.batches * run.batch_size * collectives.world_size()
        size = epoch_size(self.data)
        facts: dict[str, Mapping[str, object]] = {
            "training": {
                "samples": len(self.data),
                **({"samples of an epoch": size} if size != len(self.data) else {}),
                "epochs seen": f"{num_samples / size:.2f}",
                **{f"{name} seen in this session": count for name, count in totals.items()},
            }
        }
        if count := count_left_out(self.folder / LEFT_OUT):
            facts["training"] = {**facts["training"], "left out": f"{count}, see {LEFT_OUT}"}
        if isinstance(self.data, Mixture):
            facts |= {f"training {name}": each for name, each in self.data.shares().items()}
        if self.validation is not None:
            for name, source in self.validation.sources.items():
                facts[f"validation {name}".strip()] = {
                    "samples": len(source),
                    "left out": len(self.validation.errors.get(name, ())),
                }
        return facts

    def _sections(self) -> dict[str, str]:
        settings = settings_of(self.run)
        sessions = read_sessions(self.folder / ENVIRONMENT)
        last = sessions[-1] if sessions else {}
        plain = {key: value for key, value in last.items() if key != "packages"}
        packages: Mapping[str, str] = next(
            (s["packages"] for s in reversed(sessions) if s.get("packages")), {}
        )
        versions = "\n".join(f"{name} {version}" for name, version in packages.items())
        return {
            "Configuration": dump_yaml(settings),
            "Environment": dump_yaml(plain),
            "Packages": versions,
        }
