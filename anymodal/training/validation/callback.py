"""Validation while a run trains, which changes nothing of what the run computes."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import lightning as L

from anymodal.core import ComposedModel
from anymodal.data.workers import Loader, num_workers
from anymodal.distributed import collectives
from anymodal.io.checkpoint import replacing
from anymodal.training.callbacks.moving_average import MovingAverage
from anymodal.training.configuration import Run
from anymodal.training.objectives import Objective
from anymodal.training.report.page import FRAGMENT
from anymodal.training.strategies import forward_of
from anymodal.training.validation.batches import HeldOutBatches
from anymodal.training.validation.best import BEST, BestWeights, check_monitor
from anymodal.training.validation.configuration import ValidationConfig
from anymodal.training.validation.held_out import HeldOut
from anymodal.training.validation.identity import measure_of
from anymodal.training.validation.loggers import log_replies
from anymodal.training.validation.losses import held_out_losses, validating
from anymodal.training.validation.replies import Questions, Replies, replies_html, write_replies

_LOG = logging.getLogger("anymodal")

PREFIX = "validation/"
SAMPLES_PLACE = "samples"
MAX_ERRORS = 5
"""The most samples left out that a message names."""


class Validation(L.Callback):
    """Compute held-out figures, keep the best weights, and end a run that gets no better.

    With a moving average the figures are of the averaged weights, which the finished model has.

    Args:
        run: the run's settings.
        objective: what is trained.
        held_out: data sets, and what the model is asked.
        names: of the parameters that train.
        average: of the weights, if the run has one.

    Attributes:
        best: the best weights so far.
        failures: validations, or data sets of them, that failed.
        figures: of the last validation.
    """

    def __init__(
        self,
        run: Run,
        objective: Objective[Any, Any],
        held_out: HeldOut,
        names: Sequence[str],
        average: MovingAverage | None = None,
    ) -> None:
        self.run, self.objective = run, objective
        self.settings = settings = run.validation or ValidationConfig()
        self.sources, self.questions = dict(held_out.sources), held_out.questions
        self.average = average
        self.folder = Path(run.output_dir) / "validation"
        # Once, and not before a checkpoint asks for it: samples are read for it.
        measure = cache(lambda: measure_of(settings, held_out, run.batch_size, run.seed))
        path = Path(run.output_dir) / "checkpoints" / BEST
        self.best = BestWeights(settings, path, list(names), measure)
        self.cache = run.feature_cache.open("validation")
        self.failures, self.last_step = 0, -1
        self.figures: dict[str, float] = {}
        self.errors: dict[str, dict[int, str]] = {}  # by data set, of samples left out

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.global_step == 0 and self.last_step < 0:
            self._validate(trainer, pl_module)
            if not self.failures:
                check_monitor(self.settings.monitor, self.figures)
        if self.best.is_exhausted:  # as it was when the run's end was saved
            trainer.should_stop = True

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, *args: object
    ) -> None:
        step = trainer.global_step
        due = step % self.settings.every == 0 or step >= trainer.max_steps
        if not due or step == self.last_step:
            return
        self._validate(trainer, pl_module)
        for name, value in self.figures.items():  # for callbacks that watch
            pl_module.log(PREFIX + name, value, logger=False, batch_size=1)
        if self.best.is_exhausted:
            trainer.should_stop = True
            if collectives.rank() == 0:
                _LOG.info("validation: %s", self.best.reason_to_stop())

    def finish(self, module: L.LightningModule) -> None:
        """Give the module the best weights, where the run wants those."""
        if self.settings.restore_best:
            self.best.restore(self.objective.model)

    def _validate(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.last_step = step = trainer.global_step
        average = self.average.applied(module) if self.average else nullcontext()
        with average, validating(self.objective, self.cache):
            with trainer.precision_plugin.forward_context():
                self.objective.open_cache()
            self.figures = self._losses(trainer, module)
            self.figures |= self._reply_figures(trainer)
            self._keep_best(step)
        left_out = sum(map(len, self.errors.values()))
        counts = {"left_out": float(left_out), "failed": float(self.failures)}
        figures = self.figures | {name: value for name, value in counts.items() if value}
        line: dict[str, Any] = {PREFIX + name: value for name, value in figures.items()}
        trainer._logger_connector.log_metrics(line, step=step)
        if collectives.rank() == 0:
            text = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
            _LOG.info("validation at step %d: %s", step, text or "nothing")

    def _keep_best(self, step: int) -> None:
        if not self.figures:
            return
        try:
            self.best.take(self.figures, step, self.objective.model)
        except OSError as error:  # as on a full disk
            self._note_failure(BEST, error, step)

    def _losses(self, trainer: L.Trainer, module: Any) -> dict[str, float]:
        """The losses of all data sets, and of each by its name where there are several."""
        by_source: dict[str, dict[str, float]] = {}
        for name in self.sources:
            try:
                by_source[name] = self._losses_of(name, trainer, module)
            except Exception as error:  # whatever it is: the run goes on
                self._note_failure(name, error, trainer.global_step)
        figures = mean_figures([each for each in by_source.values() if each])
        if len(self.sources) > 1:
            for source, losses in by_source.items():
                figures |= {f"{source}/{name}": value for name, value in losses.items()}
        return figures

    def _losses_of(self, name: str, trainer: L.Trainer, module: Any) -> dict[str, float]:
        batches = HeldOutBatches(
            self.sources[name],
            self.objective.collate,
            self.run.batch_size,
            self.settings.batches,
            self.run.seed,
            trainer.global_rank,
            trainer.world_size,
        )
        alone = trainer.world_size == 1  # else the others would wait
        figures, errors = held_out_losses(
            self.objective,
            Loader(batches, num_workers(self.run.workers, batches.data, trainer.num_devices)),
            self.run.seed,
            trainer.precision_plugin.forward_context,
            lambda: alone and module.stopping.has_signal,
            forward_of(trainer.strategy, module, "losses_of"),
        )
        self._note_errors(name, errors)
        return figures

    def _reply_figures(self, trainer: L.Trainer) -> dict[str, float]:
        """The metrics' figures of replies, which the first process gives and all learn."""
        if self.questions is None:
            return {}
        figures: dict[str, float] = {}
        if trainer.global_rank == 0:
            try:
                figures = self._ask(self.questions, trainer)
            except Exception as error:  # whatever it is: the run goes on
                self._note_failure(SAMPLES_PLACE, error, trainer.global_step)
        figures = trainer.strategy.broadcast(figures)
        return figures

    def _ask(self, questions: Questions, trainer: L.Trainer) -> dict[str, float]:
        step, model = trainer.global_step, self.objective.model
        assert isinstance(model, ComposedModel), "it is asked, so it chats"
        with trainer.precision_plugin.forward_context():
            replies = questions.ask(model, str(self.objective.device))
        self._note_errors(SAMPLES_PLACE, replies.errors)
        for name, failure in replies.failed.items():
            self._note_failure(f"metric {name!r}", failure, step)
        if replies.shown:
            try:
                self._show(replies, trainer)
            except Exception as error:  # as of a full disk or a service; the figures stand
                self._note_failure("the replies' files", error, step)
        return replies.figures

    def _show(self, replies: Replies, trainer: L.Trainer) -> None:
        step = trainer.global_step
        write_replies(self.folder / f"step-{step:08d}", replies, step)
        with replacing(Path(self.run.output_dir) / FRAGMENT) as path:
            path.write_text("\n".join(replies_html(replies)), "utf-8")
        log_replies(trainer.loggers, replies, step)

    def _note_errors(self, name: str, errors: dict[int, str]) -> None:
        before = self.errors.get(name, {})
        self.errors[name] = {**before, **errors}
        new = [f"sample {i}: {text}" for i, text in errors.items() if i not in before]
        if new:
            sources = [*self.sources] == [""] and name == ""
            place = "validation.data" if sources else f"validation of {name}"
            more = f" and {len(new) - MAX_ERRORS} more" if new[MAX_ERRORS:] else ""
            _LOG.warning("%s leaves out %s%s", place, "; ".join(new[:MAX_ERRORS]), more)

    def _note_failure(self, name: str, error: Exception, step: int) -> None:
        self.failures += 1
        place = f" of {name}" if name else ""
        kind = type(error).__name__
        _LOG.warning("validation%s at step %d failed (%s: %s)", place, step, kind, error)

    def state_dict(self) -> dict[str, Any]:
        return {"last_step": self.last_step, "failures": self.failures, **self.best.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.last_step, self.failures = state_dict["last_step"], state_dict["failures"]
        self.best.load_state_dict(state_dict)


def mean_figures(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each figure over the rows that have it; each data set counts alike."""
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row[name] for row in rows if name in row] for name in names}
    return {name: sum(values) / len(values) for name, values in columns.items()}
