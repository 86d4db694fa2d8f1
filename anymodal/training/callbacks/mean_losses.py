"""Loss lines of the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning as L

from anymodal.training.callbacks.throughput import Throughput
from anymodal.training.progress import Progress


class MeanLosses(L.Callback):
    """Log each loss as its mean over all steps since the last line, and how much was skipped.

    Losses of a mixture's data sets are means over their things in all of these steps.

    Args:
        progress: of the run.
        throughput: whose figures stand in the same lines.
    """

    def __init__(self, progress: Progress, throughput: Throughput) -> None:
        self.progress, self.throughput = progress, throughput
        self.sums: dict[str, list[float]] = {}  # of the values, and how many they are

    def add(self, values: Mapping[str, float]) -> None:
        """Add a step's losses."""
        self.add_sums({name: (value, 1) for name, value in values.items()})

    def add_sums(self, sums: Mapping[str, tuple[float, float]]) -> None:
        """Add sums of losses and what they count, as those of a mixture's data sets."""
        for name, (value, weight) in sums.items():
            total, count = self.sums.get(name, (0.0, 0))
            self.sums[name] = [total + value, count + weight]

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, *args: object
    ) -> None:
        if trainer.fit_loop._should_accumulate():
            return  # Lightning writes lines at the ends of steps
        if not trainer._logger_connector.should_update_logs:
            return
        means: dict[str, Any] = {name: total / count for name, (total, count) in self.sums.items()}
        self.sums = {}
        for name, mean in means.items():  # for the progress bar, and callbacks that watch
            pl_module.log(name, mean, prog_bar=name == "loss", logger=False, batch_size=1)
        # Not by `log`, which tells a loss that there was none of again, as it was in the last line.
        means["skipped"] = float(self.progress.skipped_in_all)
        means.update(self.throughput.take())
        trainer._logger_connector.log_metrics(means)

    def state_dict(self) -> dict[str, Any]:
        return {"sums": self.sums}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.sums = dict(state_dict["sums"])
