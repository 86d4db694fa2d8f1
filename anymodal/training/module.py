"""The one LightningModule that every stage runs in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from torch.optim.lr_scheduler import LambdaLR

from anymodal.config import ConfigError, suggest
from anymodal.distributed import collectives
from anymodal.language.model import LanguageModel
from anymodal.training import strategies
from anymodal.training.batches import seed_all
from anymodal.training.configuration import Run, freeze_all_but, train_mode
from anymodal.training.monitors import GradientCheck, MeanLosses
from anymodal.training.optimizers import build_optimizer
from anymodal.training.precision import PRECISIONS, cast


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
        cast(model, run.precision)
        self.known: Sequence[str] = getattr(model, "loss_names", ())
        for name in run.stage.losses:
            if self.known and name not in self.known:
                raise ConfigError(f"the model has no loss {name!r}{suggest(name, self.known)}")
        if hasattr(model, "wanted"):
            setattr(model, "wanted", tuple(run.stage.losses))  # noqa: B010 (no Module declares it)
        if hasattr(model, "packed"):
            setattr(model, "packed", run.packed)  # noqa: B010
        for part in model.modules():
            if isinstance(part, LanguageModel):
                part.packs  # noqa: B018 (tried here, since workers can't use an accelerator)
        if hasattr(model, "feature_cache"):
            setattr(model, "feature_cache", run.feature_cache.open())  # noqa: B010
        first = min(run.save_every, run.steps)
        self.gradients = GradientCheck(self.trainable, run.stage.trainable, run.stage.losses, first)
        self.means = MeanLosses()
        self.batches = 0  # batches consumed by each process, over all resumed sessions
        self.skipped = 0  # optimiser steps in a row that changed nothing
        self.skipped_in_all = 0  # batches that changed nothing
        self.good = 0  # batches of the step under way that weren't skipped
        self.blamed = ""  # the last bad batches, and why
        self.samples_of: Callable[[int], Sequence[int]] | None = None  # of a batch, by number
        self.strict_loading = False

    def configure_model(self) -> None:
        if self.device_mesh is not None and not isinstance(self, FSDPModule):
            strategies.shard(self, self.device_mesh["data_parallel"])

    def on_train_start(self) -> None:
        train_mode(self.model)
        if (
            collectives.all_reduce_sum(torch.tensor(self.batches))
            != collectives.world_size() * self.batches
        ):
            raise ConfigError(
                f"process {collectives.rank()} goes on at batch {self.batches} and others "
                f"elsewhere; output_dir={self.run.output_dir} must be a folder that all nodes share"
            )

    def transfer_batch_to_device(
        self, batch: Any, device: torch.device, dataloader_idx: int
    ) -> Any:
        if isinstance(batch, Tensor | dict):
            batch = super().transfer_batch_to_device(batch, device, dataloader_idx)
            return _of_type(batch, PRECISIONS[self.run.precision])
        return batch  # conversations with media: the model moves what it needs

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        # By the batch's number, so that a resumed run draws what a straight one drew.
        seed_all(self.run.seed, self.batches * collectives.world_size() + collectives.rank())

    def training_step(self, batch: Any, batch_idx: int) -> Tensor | None:
        self.batches += 1
        self.gradients.see(batch)
        losses = self.model(batch)
        total = self.weigh(losses)
        values, bad = self._compare(losses, total)
        if not values:
            wanted = list(self.run.stage.losses)
            everywhere = range(collectives.world_size())
            return self._skip(f"no loss of {wanted}, only {list(losses)}", everywhere)
        mean = self.weigh(values)
        assert mean is not None, "there are values"
        if bad:
            return self._skip(f"loss {mean}", bad)
        self.good += 1
        self.means.add({"loss": mean, **{f"loss/{name}": v for name, v in values.items()}})
        if collectives.world_size() > 1:
            return self._tied(total)
        assert total is not None, "there are values"
        # Nothing here may train, as where a projection trains alone and nobody shows a medium.
        return total if total.requires_grad else self._nothing()

    def _compare(
        self, losses: Mapping[str, Tensor], total: Tensor | None
    ) -> tuple[dict[str, Tensor], list[int]]:
        """The named losses over all processes, and which processes have one that isn't finite."""
        weights, count = self.run.stage.losses, collectives.world_size()
        table = torch.zeros(2 * len(weights) + count, device=self.device)
        for place, name in enumerate(weights):
            if name in losses:
                table[2 * place] = losses[name].detach()
                table[2 * place + 1] = 1
        if total is not None and not torch.isfinite(total):
            table[2 * len(weights) + collectives.rank()] = 1
        table = collectives.all_reduce_sum(table)
        pairs, bad = table[: 2 * len(weights)].reshape(-1, 2), table[2 * len(weights) :]
        values = {n: v / count for n, (v, there) in zip(weights, pairs, strict=True) if there}
        return values, bad.nonzero().flatten().tolist()

    def _tied(self, total: Tensor | None) -> Tensor:
        """A loss that every process can go backward from, in step with the others."""
        if not isinstance(self, FSDPModule) and total is not None and total.requires_grad:
            return total  # DDP itself fills in what a batch has no use for
        own = [p for p in self.parameters() if p.requires_grad and not isinstance(p, DTensor)]
        if not isinstance(self, FSDPModule):
            own = own[:1]
        # FSDP2 sums the gradients of all that is together now, so each needs one, if of zeros.
        zero = torch.stack([parameter.sum() for parameter in own]).sum() * 0.0
        return zero if total is None else total + zero

    def weigh(self, losses: Mapping[str, Tensor]) -> Tensor | None:
        """The weighted sum of the stage's losses; a batch may lack some, None if it lacks all."""
        weights = self.run.stage.losses
        for name in weights:
            if name not in losses and not self.known:
                raise ConfigError(f"the model has no loss {name!r}{suggest(name, losses)}")
        terms = [weight * losses[name] for name, weight in weights.items() if name in losses]
        return torch.stack(terms).sum() if terms else None

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        good, self.good = self.good, 0
        if good:
            parameters = [p for p in self.parameters() if p.grad is not None]
            norm = strategies.full_tensor(
                nn.utils.clip_grad_norm_(parameters, self.run.optimizer.max_grad_norm)
            )
            if torch.isfinite(norm):
                if not self.gradients.checked:
                    self.gradients.step(dict(self.model.named_parameters()), norm)
                self.skipped = 0
                return
            last = min(self.run.accumulate_grad_batches, self.batches)
            why = f"gradient norm {norm.item()}"
            self._blame(why, range(collectives.world_size()), batches=last, lost=good)
        self.skipped += 1
        if self.skipped >= self.run.max_skipped:
            raise FloatingPointError(
                f"{self.skipped} bad steps in a row, the last at {self.blamed}; "
                f"lower optimizer.lr (now {self.run.optimizer.lr}) or look at those samples"
            )
        optimizer.zero_grad()

    def _skip(self, why: str, where: Sequence[int]) -> Tensor | None:
        """Leave a batch out of its step; the loss that it gets instead."""
        self._blame(why, where)
        return self._nothing()

    def _nothing(self) -> Tensor | None:
        """The loss of a batch that changes nothing: none, where Lightning can do without one.

        It wants one of each of several processes; and where it scales losses (fp16), a step that
        ends with a batch without one would lose its other batches.
        """
        scales = getattr(self.trainer.precision_plugin, "scaler", None) is not None
        return self._tied(None) if scales or collectives.world_size() > 1 else None

    def _blame(self, why: str, where: Sequence[int], batches: int = 1, lost: int = 1) -> None:
        """Name the last batches of some processes, and count those that change nothing by it."""
        self.skipped_in_all += lost
        first = self.batches - batches + 1
        name = f"batch {first}" if batches == 1 else f"batches {first} to {self.batches}"
        if self.samples_of is not None:
            count = collectives.world_size()
            numbers = [n * count + k for n in range(first - 1, self.batches) for k in where]
            samples = [index for number in numbers for index in self.samples_of(number)]
            name += f" (samples {', '.join(map(str, samples))})"
        self.blamed = f"{name}: {why}"
        self.print(f"{self.blamed}, skipped")

    def configure_optimizers(self) -> Any:
        settings = self.run.optimizer
        if settings.muon.params and isinstance(self, FSDPModule):
            raise ConfigError(
                f"optimizer.muon takes whole matrices, of which strategy {strategies.SHARDED!r} "
                "leaves a process pieces; choose strategy 'ddp', or AdamW alone"
            )
        optimizer = build_optimizer(self.model, settings, self.run.trusted)
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
        checkpoint["optimizer"] = self.run.optimizer.name
        checkpoint["batches"] = self.batches
        checkpoint["samples"] = self.batches * self._drawn_at_once
        checkpoint["skipped"] = [self.skipped, self.skipped_in_all]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        saved = set(checkpoint["state_dict"])
        wanted = {f"model.{name}" for name in self.trainable}
        if saved != wanted:
            raise ConfigError(
                f"the checkpoint trained other parameters than this run: only there "
                f"{sorted(saved - wanted)[:5]}, only here {sorted(wanted - saved)[:5]}; "
                f"choose another output_dir= folder or the old configuration"
            )
        before, now = checkpoint.get("optimizer"), self.run.optimizer.name
        if before not in (None, now):
            raise ConfigError(
                f"the checkpoint is of a run with {before} and this one has {now}; choose another "
                "output_dir= folder or the old optimizer"
            )
        # Files from before `samples` and `skipped` were of one process, which had skipped nothing.
        samples = checkpoint.get("samples", checkpoint["batches"] * self.run.batch_size)
        if samples % self._drawn_at_once:
            raise ConfigError(
                f"the checkpoint has seen {samples} samples, which are no whole number of batches "
                f"of {self.run.batch_size} in each of {collectives.world_size()} processes; choose "
                "batch_size so that all processes together draw as many as before"
            )
        self.batches = samples // self._drawn_at_once
        self.skipped, self.skipped_in_all = checkpoint.get("skipped", [0, 0])
        if self.batches != checkpoint["batches"] or self.batches % self.run.accumulate_grad_batches:
            # Lightning counts them too, to know where an optimiser step ends.
            step = checkpoint["global_step"] * self.run.accumulate_grad_batches
            progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
            for counts in (progress["total"], progress["current"]):
                counts.update(dict.fromkeys(counts, step))

    @property
    def _drawn_at_once(self) -> int:
        """Samples in the batches that all processes draw at a time."""
        return self.run.batch_size * collectives.world_size()


def _of_type(batch: Any, kind: torch.dtype | None) -> Any:
    """A batch whose fractions are of the type that the model's are."""
    if isinstance(batch, Tensor):
        return batch.to(kind) if kind is not None and batch.is_floating_point() else batch
    if isinstance(batch, dict):
        return {key: _of_type(value, kind) for key, value in batch.items()}
    if type(batch) in (list, tuple):
        return type(batch)(_of_type(value, kind) for value in batch)
    return batch
