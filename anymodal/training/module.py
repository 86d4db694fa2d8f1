"""The one LightningModule that every stage runs in."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor

from anymodal.config import ConfigError
from anymodal.distributed import collectives
from anymodal.language.model import LanguageModel
from anymodal.training import strategies
from anymodal.training.batches import seed_all
from anymodal.training.callbacks import GradientCheck, MeanLosses, StopAndSave, Throughput
from anymodal.training.configuration import AUTO, Run
from anymodal.training.loader import MicroBatch
from anymodal.training.losses import WeightedLoss
from anymodal.training.objectives import Objective
from anymodal.training.optimizers import build_optimizer, schedule_of
from anymodal.training.precision import cast_weights
from anymodal.training.progress import Progress
from anymodal.training.steps import Step
from anymodal.training.trainable import (
    freeze_all_but,
    load_buffers,
    train_mode,
    trained_buffers,
)


class StageModule(L.LightningModule):
    """Train an objective's model on the losses of a stage.

    Checkpoints hold the trainable weights alone: what is frozen is read from where it came from.

    Args:
        objective: what to train; it computes the stage's losses.
        run: the run's settings.
    """

    objective: Objective[Any, Any]

    def __init__(self, objective: Objective[Any, Any], run: Run) -> None:
        super().__init__()
        self.model = objective.model
        # Not as a child: parameters are the model's, and have its names in checkpoints.
        vars(self)["objective"] = objective
        self.run = run
        self.trainable = freeze_all_but(self.model, run.stage.trainable)
        cast_weights(self.model, run.precision)
        objective.use_losses(run.stage.losses)
        objective.packed = None if run.packed == AUTO else bool(run.packed)
        # A block that is computed a second time, or compiled, would meet another attention then.
        plain = not (run.compile or run.activation_checkpointing)
        flat = plain and run.packed == AUTO
        objective.use_flat_rows(flat, run.frozen_prefix, run.shared_prefix)
        objective.feature_cache = run.feature_cache.open()
        for part in self.model.modules():
            if isinstance(part, LanguageModel):
                part.packs  # noqa: B018 (tried here, since workers can't use an accelerator)
        objective.remember_start()
        weights = {name: loss.weight for name, loss in objective.losses.items()}
        figures = {name: loss.figures for name, loss in objective.losses.items()}
        self.step = Step(weights, run.accumulate_grad_batches, figures)
        self.progress = Progress(run)
        self.gradients = GradientCheck(self.trainable, run, objective.losses, self.progress)
        self.trained_weights: dict[str, nn.Parameter] = {}
        self.throughput = Throughput(run.batch_size)
        self.means = MeanLosses(self.progress, self.throughput)
        self.stopping = StopAndSave(run.trainer.get("max_time"))
        self.strict_loading = False  # checkpoints lack the frozen weights

    def configure_callbacks(self) -> list[L.Callback]:
        """Lines of the log and the check of gradients, in a trainer that a run didn't make."""
        own: list[L.Callback] = [self.throughput, self.means, self.gradients]
        there = {id(each) for each in cast(Any, self.trainer).callbacks}
        return [each for each in own if id(each) not in there]

    def configure_model(self) -> None:
        if self.device_mesh is not None and not isinstance(self, FSDPModule):
            strategies.shard(self, self.device_mesh["data_parallel"])
            # All processes must run the pieces' blocks as often.
            self.objective.use_flat_rows(False)

    def on_train_start(self) -> None:
        train_mode(self.model)
        # Walked through once: a model has many modules, and most of them are frozen.
        weights = dict(self.model.named_parameters())
        self.trained_weights = {name: weights[name] for name in self.trainable}
        self.progress.check_alike()

    def transfer_batch_to_device(
        self, batch: MicroBatch, device: torch.device, dataloader_idx: int
    ) -> MicroBatch:
        return batch  # an objective moves what it needs

    def on_train_batch_start(self, batch: MicroBatch, batch_idx: int) -> None:
        # By the batch's number, so that a resumed run draws what a straight one drew.
        number = self.progress.batches * collectives.world_size() + collectives.rank()
        seed_all(self.run.seed, number)

    def training_step(self, batch: MicroBatch, batch_idx: int) -> Tensor | None:
        self.progress.batches += 1
        if batch.first:
            self.step.begin(batch.counts, self.device)
            self.gradients.see(batch.counts)
        total = self.step.add(self.objective(batch.batch), batch.sources)
        if collectives.world_size() > 1:
            return self._connected_loss(total)
        if total is not None and total.requires_grad:
            return total
        # Nothing here may train, as where a projection trains alone and nobody shows a medium.
        # Lightning does without a loss, but where it scales losses (fp16): there a step that ends
        # with a batch without one would lose its other batches.
        return self._connected_loss(None) if self._scales_losses else None

    @property
    def _scales_losses(self) -> bool:
        return getattr(self.trainer.precision_plugin, "scaler", None) is not None

    def losses_of(self, batch: Any) -> dict[str, list[WeightedLoss]]:
        """The losses of a collated batch."""
        return self.objective(batch)  # type: ignore[no-any-return]

    def _connected_loss(self, total: Tensor | None) -> Tensor:
        """A loss that every process can go backward from, in step with the others."""
        if not isinstance(self, FSDPModule) and total is not None and total.requires_grad:
            return total  # DDP itself fills in what a batch has no use for
        own = [p for p in self.parameters() if p.requires_grad and not isinstance(p, DTensor)]
        if not isinstance(self, FSDPModule):
            own = own[:1]
        # FSDP2 sums the gradients of all that is together now, so each needs one, if of zeros.
        zero = torch.stack([parameter.sum() for parameter in own]).sum() * 0.0  # in the graph
        return zero if total is None else total + zero

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        norm = nn.utils.clip_grad_norm_(
            list(self.trained_weights.values()), self.run.optimizer.max_grad_norm
        )
        if isinstance(norm, DTensor):
            norm = norm.full_tensor()
        waiting = self.gradients.flags(self.trained_weights, self.device)
        stop = torch.tensor([float(self.stopping.is_due)]).to(self.device, non_blocking=True)
        report = self.step.end(norm, torch.cat([stop, waiting]))
        self.stopping.any_stop = bool(report.flags[0])
        if self.progress.take(report):
            losses = {"loss": report.loss, "gradient_norm": report.norm}
            self.means.add(losses | {f"loss/{n}": v for n, v in report.figures.items()})
            self.means.add(report.side_figures)
            self.means.add_sums({f"loss/{n}": pair for n, pair in report.source_sums.items()})
            self.gradients.note(report.flags[1:], report.norm)
        else:
            # Lightning steps all the same; without gradients the step changes nothing.
            optimizer.zero_grad()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        settings = self.run.optimizer
        # A fused step would scale gradients back after they are clipped.
        if settings.fused is None and self._scales_losses:
            settings = dataclasses.replace(settings, fused=False)
        if settings.muon.params and isinstance(self, FSDPModule):
            raise ConfigError(
                f"optimizer.muon takes whole matrices, of which strategy {strategies.SHARDED!r} "
                "leaves a process pieces; choose strategy 'ddp', or AdamW alone"
            )
        optimizer = build_optimizer(self.model, settings, self.run.trusted)
        schedule = schedule_of(optimizer, settings, self.run.steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        names = {f"model.{name}" for name in self.trainable}
        checkpoint["state_dict"] = {k: v for k, v in checkpoint["state_dict"].items() if k in names}
        checkpoint["buffers"] = trained_buffers(self.model)
        checkpoint["optimizer"] = self.run.optimizer.name
        checkpoint["optimizer_arguments"] = self.run.optimizer.arguments
        self.progress.save(checkpoint)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        saved_names = set(checkpoint["state_dict"])
        names = {f"model.{name}" for name in self.trainable}
        if saved_names != names:
            raise ConfigError(
                f"the checkpoint trained other parameters than this run: only there "
                f"{sorted(saved_names - names)[:5]}, only here {sorted(names - saved_names)[:5]}; "
                f"choose another output_dir= folder or the old configuration"
            )
        before, now = checkpoint.get("optimizer"), self.run.optimizer.name
        if before not in (None, now):
            raise ConfigError(
                f"the checkpoint is of a run with {before} and this one has {now}; choose another "
                "output_dir= folder or the old optimizer"
            )
        given = self.run.optimizer.arguments
        before = checkpoint.get("optimizer_arguments", given)  # older ones don't tell
        if before != given:
            raise ConfigError(
                f"the checkpoint is of a run whose optimizer.algorithm had {before} and this one "
                f"has {given}; choose another output_dir= folder or the old arguments"
            )
        load_buffers(self.model, checkpoint.get("buffers", {}))
        self.progress.load(checkpoint)
