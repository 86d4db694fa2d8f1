"""The one LightningModule that every stage runs in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from anymodal.config import ConfigError, suggest
from anymodal.keep import Kept
from anymodal.training.optimizers import build_optimizer
from anymodal.training.stage import Run, freeze_all_but, train_mode


class StageModule(L.LightningModule):
    """Train a model on its named losses.

    Checkpoints hold the trainable weights alone: what is frozen is read from where it came from.

    Args:
        model: `forward(batch)` gives named losses.
        run: the run's settings.
    """

    def __init__(self, model: nn.Module, run: Run) -> None:
        super().__init__()
        self.model = model
        self.run = run
        self.trainable = freeze_all_but(model, run.stage.trainable)
        self.known: Sequence[str] = getattr(model, "loss_names", ())
        for name in run.stage.losses:
            if self.known and name not in self.known:
                raise ConfigError(f"the model has no loss {name!r}{suggest(name, self.known)}")
        if hasattr(model, "wanted"):
            setattr(model, "wanted", tuple(run.stage.losses))  # noqa: B010 (no Module declares it)
        if hasattr(model, "kept"):
            setattr(model, "kept", Kept(int(run.keep_gb * 2**30), run.cache))  # noqa: B010
        self.batches = 0  # batches consumed, over all resumed sessions
        self.skipped = 0  # bad steps in a row
        self.strict_loading = False

    def on_train_start(self) -> None:
        train_mode(self.model)

    def transfer_batch_to_device(
        self, batch: Any, device: torch.device, dataloader_idx: int
    ) -> Any:
        if isinstance(batch, Tensor | dict):
            return super().transfer_batch_to_device(batch, device, dataloader_idx)
        return batch  # conversations with media: the model moves what it needs

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        # Seeded by the count of batches, so that a resumed run draws what a straight one drew.
        torch.manual_seed((self.run.seed << 32) + self.batches)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor | None:
        self.batches += 1
        losses = self.model(batch)
        total = self.weigh(losses)
        if total is None:
            self._skip(f"no loss of {list(self.run.stage.losses)}, only {list(losses)}")
            return None
        if not torch.isfinite(total):
            self._skip(f"loss {total.item()}")
            return None
        values = {f"loss/{name}": value.detach() for name, value in losses.items()}
        self.log_dict(values, batch_size=self.run.batch_size)
        self.log("loss", total.detach(), prog_bar=True, batch_size=self.run.batch_size)
        return total

    def weigh(self, losses: Mapping[str, Tensor]) -> Tensor | None:
        """The weighted sum of the stage's losses; a batch may lack some, None if it lacks all."""
        weights = self.run.stage.losses
        for name in weights:
            if name not in losses and not self.known:
                raise ConfigError(f"the model has no loss {name!r}{suggest(name, losses)}")
        terms = [weight * losses[name] for name, weight in weights.items() if name in losses]
        return torch.stack(terms).sum() if terms else None

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        parameters = [p for p in self.parameters() if p.grad is not None]
        if not parameters:
            return  # every batch of this step was skipped
        norm = nn.utils.clip_grad_norm_(parameters, self.run.optimizer.clip)
        if torch.isfinite(norm):
            self.skipped = 0
        else:
            self._skip(f"gradient norm {norm.item()}")
            optimizer.zero_grad()

    def _skip(self, why: str) -> None:
        self.skipped += 1
        self.print(f"batch {self.batches}: {why}, step skipped")
        if self.skipped >= self.run.max_skipped:
            raise FloatingPointError(
                f"{self.skipped} bad steps in a row, the last at batch {self.batches} ({why}); "
                f"lower optimizer.lr (now {self.run.optimizer.lr}) or look at that batch"
            )

    def configure_optimizers(self) -> Any:
        settings = self.run.optimizer
        optimizer = build_optimizer(self.model, settings)
        schedule = LambdaLR(optimizer, lambda step: settings.rate(step, self.run.steps))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        wanted = {f"model.{name}" for name in self.trainable}
        checkpoint["state_dict"] = {
            k: v for k, v in checkpoint["state_dict"].items() if k in wanted
        }
        checkpoint["batches"] = self.batches

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        saved = set(checkpoint["state_dict"])
        wanted = {f"model.{name}" for name in self.trainable}
        if saved != wanted:
            raise ConfigError(
                f"the checkpoint trained other parameters than this run: only there "
                f"{sorted(saved - wanted)[:5]}, only here {sorted(wanted - saved)[:5]}; "
                f"choose another out= folder or the old configuration"
            )
        self.batches = checkpoint["batches"]
