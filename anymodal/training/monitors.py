"""What a run looks at in itself: the means of its losses, and whether it learns anything."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from anymodal.config import ConfigError
from anymodal.distributed import collectives
from anymodal.language.model import supervised

_LOG = logging.getLogger("anymodal")
SHOWN = 8
"""Parameters that a message names."""


class MeanLosses(L.Callback):
    """Log each loss as its mean over all batches since the last line."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}  # (2,): of the values, and how many they are

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Add a batch's losses, without waiting for them to be computed."""
        for name, value in values.items():
            pair = torch.stack([value.detach().float(), torch.ones((), device=value.device)])
            known = self.sums.get(name)
            self.sums[name] = pair if known is None else known.to(pair.device) + pair

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, *args: Any
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
        means["skipped"] = float(getattr(pl_module, "skipped_in_all", 0))
        trainer._logger_connector.log_metrics(means)

    def state_dict(self) -> dict[str, Any]:
        return {"sums": {name: pair.cpu() for name, pair in self.sums.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.sums = dict(state_dict["sums"])


class GradientCheck(L.Callback):
    """End a run that has learned nothing by its first checkpoint, before that is written.

    A batch that teaches nothing is a batch; a run of nothing else is a mistake in what it is given.

    Args:
        names: of the parameters that train.
        patterns: the globs that chose them.
        losses: what is trained on.
        first: the step of the first checkpoint, or the last step where that is earlier.
    """

    def __init__(
        self, names: Iterable[str], patterns: Iterable[str], losses: Iterable[str], first: int
    ) -> None:
        self.names = list(names)
        self.waiting = set(self.names)  # that have had no gradient yet
        self.patterns, self.losses, self.first = list(patterns), list(losses), first
        self.tried = False  # whether a step was good, if by nothing
        self.learned = False
        self.checked = False
        self.batches = 0
        self.labelled = False  # whether batches tell which positions are supervised
        self.supervised = 0

    def see(self, batch: Any) -> None:
        """Count a batch, and the positions in it that a language model learns."""
        self.batches += 1
        labels = getattr(getattr(batch, "packed", batch), "labels", None)
        if not self.checked and isinstance(labels, Tensor) and labels.ndim == 2:
            self.labelled = True
            self.supervised += supervised(labels)

    @torch.no_grad()
    def step(self, parameters: Mapping[str, nn.Parameter], norm: Tensor) -> None:
        """Look at the gradients of a step, whose norm is known and finite."""
        if self.checked:
            return
        self.tried, self.learned = True, self.learned or bool(norm > 0)
        given = {
            n: p.grad for n, p in parameters.items() if n in self.waiting and p.grad is not None
        }
        if given:
            own = (g.to_local() if isinstance(g, DTensor) else g for g in given.values())
            found = torch.stack([gradient.ne(0).any() for gradient in own]).tolist()
            self.waiting -= {name for name, there in zip(given, found, strict=True) if there}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.global_step >= self.first:  # it went on, and what was before isn't known
            self.first += trainer.global_step

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, *args: Any
    ) -> None:
        at_end = trainer.global_step >= trainer.max_steps
        # Steps that were all bad are for `max_skipped` to judge, as long as others may come.
        if self.checked or not (at_end or (self.tried and trainer.global_step >= self.first)):
            return
        self.checked = True
        if not self.learned:  # which all processes find alike, by the norm of the whole gradient
            raise ConfigError(self._nothing(trainer.global_step, getattr(pl_module, "blamed", "")))
        # In pieces (FSDP2) each process sees its own of a gradient.
        flags = collectives.all_reduce_sum(
            torch.tensor([float(n not in self.waiting) for n in self.names])
        )
        names = [name for name, flag in zip(self.names, flags.tolist(), strict=True) if not flag]
        if names and collectives.is_rank_zero() and trainer.global_step > 1:
            _LOG.warning(self._left_out(names, trainer.global_step))

    def _nothing(self, steps: int, blamed: str) -> str:
        count = int(collectives.all_reduce_sum(torch.tensor(self.supervised)))
        batches = int(collectives.all_reduce_sum(torch.tensor(self.batches)))
        text = (
            f"nothing was learned in {batches} batches, {steps} steps: no parameter that trains "
            f"({', '.join(self.patterns)}) got a gradient from the losses {', '.join(self.losses)}"
        )
        if self.labelled:
            text += f"; {count} positions were supervised"
            if not count:
                text += ", so no reply held anything to learn"
        text += f"; the last batch skipped was {blamed}" if blamed else ""
        return f"{text}; look at the data, stage.losses and stage.trainable"

    def _left_out(self, names: list[str], steps: int) -> str:
        shown = ", ".join(names[:SHOWN])
        more = f" and {len(names) - SHOWN} more" if names[SHOWN:] else ""
        return f"without a gradient in {steps} steps, though they train: {shown}{more}"

    def state_dict(self) -> dict[str, Any]:
        if self.checked:
            return {"checked": True}
        return {"checked": False, "learned": self.learned, "waiting": sorted(self.waiting)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.checked = state_dict["checked"]
        self.learned = state_dict.get("learned", True)
        self.waiting = set(state_dict.get("waiting", ()))
