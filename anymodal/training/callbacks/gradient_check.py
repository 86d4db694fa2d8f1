"""Check of gradients: that a run learns, and that every trained parameter gets one."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from anymodal.config import ConfigError
from anymodal.distributed import collectives
from anymodal.training.configuration import Run
from anymodal.training.losses import Loss
from anymodal.training.progress import Progress
from anymodal.training.steps import Counts

_LOG = logging.getLogger("anymodal")

MAX_NAMES = 8
"""The most parameter names in a message."""


class GradientCheck(L.Callback):
    """End a run that has learned nothing by its first checkpoint, before that is written.

    A batch that teaches nothing is a batch; a run of nothing else is a mistake in what it is given.

    Args:
        names: of the parameters that train.
        run: the run's settings.
        losses: what is trained on.
        progress: of the run.
    """

    def __init__(
        self,
        names: Iterable[str],
        run: Run,
        losses: Mapping[str, Loss[Any, Any]],
        progress: Progress,
    ) -> None:
        self.progress = progress
        self.names = list(names)
        self.waiting = list(self.names)  # that have had no gradient yet
        self.patterns = run.stage.trainable
        self.units = {name: loss.unit for name, loss in losses.items()}
        self.first = min(run.save_every, run.steps)  # checkpoint
        self.any_good_step = False  # whether a step was good, if by nothing
        self.any_gradient = False
        self.is_done = False
        self.counts = dict.fromkeys(self.units, 0)  # things that each loss was a mean over

    def see(self, counts: Counts) -> None:
        """Count a step, and what it has to learn from in this process."""
        for name, parts in counts.items():
            self.counts[name] += sum(parts.values())

    @torch.no_grad()
    def flags(self, parameters: Mapping[str, nn.Parameter], device: torch.device) -> Tensor:
        """Flags (waiting,) on the device: which of the waiting parameters have a gradient."""
        none = torch.zeros((), dtype=torch.bool, device=device)
        flags = []
        for name in () if self.is_done else self.waiting:
            gradient = parameters[name].grad
            # In pieces (FSDP2) each process sees its own of a gradient.
            own = gradient.to_local() if isinstance(gradient, DTensor) else gradient
            flags.append(none if own is None else own.ne(0).any())
        return torch.stack(flags) if flags else none.new_zeros(0)

    def note(self, flags: Sequence[float], norm: float) -> None:
        """Take in a good step: sums of all processes' flags, and the gradient's norm."""
        if not self.is_done:
            self.any_good_step, self.any_gradient = True, self.any_gradient or norm > 0
            pairs = zip(self.waiting, flags, strict=True)
            self.waiting = [name for name, flag in pairs if not flag]

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.global_step >= self.first:  # resumed, and earlier steps are unknown
            self.first += trainer.global_step

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, *args: object
    ) -> None:
        at_end = trainer.global_step >= trainer.max_steps
        # Steps that were all bad are for `max_skipped` to judge, as long as others may come.
        if self.is_done or not (
            at_end or (self.any_good_step and trainer.global_step >= self.first)
        ):
            return
        self.is_done = True
        # All processes decide alike here: the norm is of the whole gradient.
        if not self.any_gradient:
            raise ConfigError(self._no_gradient_text(trainer.global_step, self.progress.last_bad))
        if self.waiting and trainer.global_step > 1 and collectives.rank() == 0:
            _LOG.warning("%s", self._left_out_text(self.waiting, trainer.global_step))

    def _no_gradient_text(self, steps: int, last_bad: str) -> str:
        counts = torch.tensor(list(self.counts.values()))
        totals = collectives.all_reduce_sum(counts).tolist()
        pairs = zip(self.units.items(), totals, strict=True)
        losses = ", ".join(f"{name}: {total} {unit}" for (name, unit), total in pairs)
        text = (
            f"nothing was learned in {steps} steps: no parameter that trains "
            f"({', '.join(self.patterns)}) got a gradient from {losses}"
        )
        text += f"; the last batch skipped was {last_bad}" if last_bad else ""
        return f"{text}; look at the data, stage.losses and stage.trainable"

    def _left_out_text(self, names: Sequence[str], steps: int) -> str:
        text = ", ".join(names[:MAX_NAMES])
        more = f" and {len(names) - MAX_NAMES} more" if names[MAX_NAMES:] else ""
        return f"without a gradient in {steps} steps, though they train: {text}{more}"

    def state_dict(self) -> dict[str, Any]:
        if self.is_done:
            return {"checked": True}
        return {"checked": False, "learned": self.any_gradient, "waiting": sorted(self.waiting)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.is_done = state_dict["checked"]
        self.any_gradient = state_dict.get("learned", True)
        waiting = set(state_dict.get("waiting", ()))
        self.waiting = [name for name in self.names if name in waiting]
