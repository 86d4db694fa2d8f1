"""Data parallelism: whole models (DDP), or one that is sharded (FSDP2).

The file of a checkpoint is the same for both and for one process, so that any of them can go on
from it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import lightning as L
import torch
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy, ParallelStrategy
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from anymodal.language.model import LanguageModel

ValueT = TypeVar("ValueT")

SHARDED = "fsdp2"


def trainer_arguments(settings: Mapping[str, Any], *plugins: object) -> dict[str, Any]:
    """Arguments of a `lightning.Trainer`, completed from how this process was launched.

    torchrun, Ray and srun tell each process how many there are, so a configuration need not.
    """
    own = settings.get("plugins") or ()
    own = own if isinstance(own, list | tuple) else (own,)
    arguments = {**settings, "plugins": [*plugins, *own]}
    if arguments.get("strategy") == SHARDED:
        arguments["strategy"] = FSDP2Strategy()
    if {"RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"} <= os.environ.keys():
        here, everywhere = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
        arguments.setdefault("devices", here)
        arguments.setdefault("num_nodes", everywhere // here)
        arguments["plugins"].append(TorchElasticEnvironment())
    elif SLURMEnvironment.detect():
        for name, variable in (("devices", "SLURM_NTASKS_PER_NODE"), ("num_nodes", "SLURM_NNODES")):
            if variable in os.environ:
                arguments.setdefault(name, int(os.environ[variable]))
        # Lightning's own checkpoint, made at any moment, isn't where a run can go on exactly.
        arguments["plugins"].append(SLURMEnvironment(auto_requeue=False))
    return arguments


def find_unused_parameters(strategy: object) -> None:
    """Let a process' batch lack what some parameters are for, such as a modality."""
    if isinstance(strategy, DDPStrategy):
        strategy._ddp_kwargs.setdefault("find_unused_parameters", True)


class FSDP2Strategy(ModelParallelStrategy):
    """FSDP2: each process keeps a piece of every weight that is sharded, see `shard`."""

    def setup_environment(self) -> None:
        self._data_parallel_size = self.num_nodes * self.num_processes
        self._tensor_parallel_size = 1
        super().setup_environment()

    def training_step(self, *args: object, **kwargs: object) -> STEP_OUTPUT:
        # Through the module's own forward, around which FSDP2 puts weights together.
        with self.precision_plugin.train_step_context():
            module = self.lightning_module
            assert module is not None
            return self._forward_redirection(module, module, "training_step", *args, **kwargs)

    @property
    def lightning_restore_optimizer(self) -> bool:
        return True

    def lightning_module_state_dict(self) -> dict[str, Any]:
        return {n: full_tensor(p) for n, p in self._parameters().items() if p.requires_grad}

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        parameters = self._parameters()
        with torch.no_grad():
            for name, value in checkpoint["state_dict"].items():
                parameters[name].copy_(distribute_like(value, parameters[name]))

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        state: dict[str, Any] = optimizer.state_dict()
        states = {
            place: {key: full_tensor(value) for key, value in values.items()}
            for place, values in state["state"].items()
        }
        return {**state, "state": states}

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            states = {
                place: {
                    key: distribute_like(value, parameters[place]) for key, value in values.items()
                }
                for place, values in state["state"].items()
            }
            optimizer.load_state_dict({**state, "state": states})

    # One file, written and read as by every other strategy.
    save_checkpoint = ParallelStrategy.save_checkpoint
    load_checkpoint = ParallelStrategy.load_checkpoint

    def _parameters(self) -> dict[str, nn.Parameter]:
        assert self.lightning_module is not None
        return dict(self.lightning_module.named_parameters())


def shard(module: nn.Module, mesh: DeviceMesh) -> None:
    """Cut what trains, and the blocks of the language model, into pieces over the processes.

    Blocks are put together one at a time, when their turn comes, which must be the same in every
    process. Parts that a batch may not need, such as a modality's, therefore aren't blocks: what
    trains of them is put together with the rest, once a step. What is frozen elsewhere stays whole.
    """
    languages = [part for part in module.modules() if isinstance(part, LanguageModel)]
    blocks = [block for language in languages for block in language.blocks]
    inside = {parameter for block in blocks for parameter in block.parameters()}
    for block in blocks:
        fully_shard(block, mesh=mesh)
    frozen = {p for p in module.parameters() if not p.requires_grad and p not in inside}
    fully_shard(module, mesh=mesh, ignored_params=frozen)


@contextmanager
def unsharded(module: nn.Module) -> Iterator[None]:
    """Put a sharded module's weights together in every process, which must all take part."""
    parts = [part for part in module.modules() if isinstance(part, FSDPModule)]
    for part in parts:
        part.unshard()
    try:
        yield
    finally:
        for part in parts:
            part.reshard()


def forward_of(strategy: object, module: L.LightningModule, name: str) -> Callable[[Any], Any]:
    """A method of a module, as called through its own forward where weights are in pieces.

    Args:
        strategy: of the trainer.
        module: the module that it trains.
        name: of the method, which takes one argument.
    """
    if not isinstance(strategy, FSDP2Strategy):
        call: Callable[[Any], Any] = getattr(module, name)
        return call

    def forward(argument: object) -> object:
        try:
            return strategy._forward_redirection(module, module, name, argument)
        finally:
            # As a backward pass would leave it: what follows reads weights in pieces.
            for part in (part for part in module.modules() if isinstance(part, FSDPModule)):
                part.reshard()

    return forward


def full_tensor(value: ValueT) -> ValueT | Tensor:
    """A tensor put together from its pieces, on the CPU; anything else as it is."""
    if not isinstance(value, DTensor):
        return value
    full: Tensor = value.full_tensor()
    return full.detach().cpu()


def distribute_like(value: ValueT, like: Tensor) -> ValueT | DTensor:
    """A tensor cut as another of its shape is, in its own type; anything else as it is."""
    if not isinstance(like, DTensor) or not isinstance(value, Tensor) or value.shape != like.shape:
        return value
    # Every process has read the whole file, so none needs rank 0 to send its piece.
    return distribute_tensor(
        value.to(like.device), like.device_mesh, like.placements, src_data_rank=None
    )
