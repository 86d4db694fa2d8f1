"""Peak memory of a model on the meta device that is trained as a stage says."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from anymodal.decoders import Decoder, DiffusionDecoder
from anymodal.io.feature_cache import CacheKey, FeatureCache
from anymodal.tools.plan.earlier_runs import detach_computed
from anymodal.tools.plan.memory import (
    Data,
    Need,
    blank_conditioning,
    largest_phase,
    offload_sizes_of,
    track,
    weights_of,
)
from anymodal.tools.plan.parts import names_by_module, names_by_tensor, root
from anymodal.tools.plan.tracing import MemoryTracker, fake_tensors
from anymodal.tools.plan.validation import (
    HeldOutData,
    asks,
    largest_batch,
    reply_need,
    tensor_size,
    validate,
)
from anymodal.training.batches import Batches
from anymodal.training.building import defers_decoders
from anymodal.training.configuration import Run
from anymodal.training.losses import CAPTION_CONDITIONING, CHOICES, LATENTS
from anymodal.training.module import StageModule
from anymodal.training.objectives import Dialogue, Objective
from anymodal.training.optimizers import build_optimizer, kept_tensors
from anymodal.training.regional import transform_regions

LOOK = 4
"""First batches of a training, of which the largest is planned for; more would take longer."""


def training(
    objective: Objective[Any, Any],
    run: Run,
    data: Data,
    held_out: HeldOutData = MappingProxyType({}),
) -> Need:
    """Peak memory of a training stage: steps on its own samples and validations between them, on
    tensors without values.

    Args:
        objective: around a model on the meta device, whose `requires_grad` becomes the stage's.
        run: the stage.
        data: its samples; without any, activations are left out.
        held_out: its held-out samples by data set.
    """
    StageModule(objective, run)  # tells the model what trains, and the objective its losses
    model = root(objective)
    sizes, offload_sizes = weights_of(model), offload_sizes_of(model, names_by_module(model))
    assumed = []
    if stays_on_disk(model, run):
        offload_sizes = {}
        sizes = {key: size for key, size in sizes.items() if not _is_decoder_name(key[1])}
        assumed.append("decoders stay on disk, for `anymodal cache` has filled the run's cache")
    for name in offload_sizes:
        sizes.pop(("weights", name), None)
    if run.ema:
        names = names_by_tensor(model)
        for parameter in model.parameters():
            if parameter.requires_grad:
                # A moving average is in float32 at least, whatever the weights are.
                key = "average", names[id(parameter)]
                size = parameter.numel() * max(4, parameter.itemsize)
                sizes[key] = sizes.get(key, 0) + size
    unknown = [f"what passes leave ({data})"] if isinstance(data, str) else []
    if isinstance(held_out, str):
        unknown.append(f"what validation holds ({held_out})")
    batch = None if isinstance(data, str) else _large_batch(objective, run, data)
    held_out_batch = largest_batch(objective, run, held_out)
    idle = assumed or not objective.needs & {CAPTION_CONDITIONING, CHOICES, LATENTS}
    with (
        _set_aside(model, bool(idle) and isinstance(objective, Dialogue)),
        fake_tensors(objective) as fake_objective,
        transform_regions(
            fake_objective.model, compiled=False, checkpointed=run.activation_checkpointing
        ),
    ):
        fake_objective.feature_cache = _NoCache()
        if assumed:
            _skip_caption_encoders(fake_objective.model)
        fake_model = root(fake_objective)
        places = names_by_module(fake_model)
        trace = track(partial(_steps, fake_objective, run, batch, None), fake_model, places)
        if isinstance(trace, str):
            unknown.append(f"what passes leave ({trace})")
            trace = track(partial(_steps, fake_objective, run, None, None), fake_model, places)
        losses = track(
            partial(_steps, fake_objective, run, None, held_out_batch), fake_model, places
        )
    assert not isinstance(trace, str), trace
    if isinstance(losses, str):
        unknown.append(f"what held-out losses hold ({losses})")
        losses = trace
    needs = [Need(run.output_dir, {**sizes, **largest_phase(trace, offload_sizes)})]
    between = {**sizes, **largest_phase(losses, offload_sizes)}
    needs.append(Need(run.output_dir, between, phase="computes held-out losses"))
    if asks(objective, run):
        optimizer = {key: size for key, size in between.items() if key[0] == "optimizer"}
        replies = reply_need(objective, run, held_out_batch, {**sizes, **optimizer})
        needs.append(replace(replies, use=run.output_dir, phase="answers held-out questions"))
    peak = max(needs, key=lambda need: need.peak)
    unknown += [reason for need in needs for reason in need.unknown]
    return replace(peak, unknown=unknown, assumed=assumed)


class _NoCache(FeatureCache):
    """Keeps nothing: every medium is met for the first time, and no two are alike."""

    def get_or_compute(
        self,
        origin: CacheKey,
        keys: Sequence[str],
        compute: Callable[[list[int]], Sequence[Tensor]],
        device: torch.device,
    ) -> tuple[Tensor, ...]:
        return tuple(compute(list(range(len(keys)))))


def stays_on_disk(model: nn.Module, run: Run) -> bool:
    """Return whether a run leaves its decoders on disk (`DeferredDecoder`)."""
    decoders = getattr(model, "decoders", None)
    names = [name for name, _ in model.named_parameters() if _is_decoder_name(name)]
    trains_decoders = any(fnmatchcase(name, glob) for name in names for glob in run.stage.trainable)
    return bool(decoders and run.feature_cache.dir and defers_decoders(run) and not trains_decoders)


def _is_decoder_name(name: str) -> bool:
    return name.startswith("decoders.")


@contextlib.contextmanager
def _set_aside(model: nn.Module, idle: bool) -> Iterator[None]:
    """Take the networks out of a model's decoders where they are idle, for a block that is then
    quicker; their specs stay known.
    """
    decoders = getattr(model, "decoders", {}).values() if idle else ()
    networks = {each: each.parts for each in decoders if isinstance(each, DiffusionDecoder)}
    for decoder in networks:
        decoder.spec  # noqa: B018 (computed once, while it has its networks)
        detach_computed(decoder)  # its pipeline has them still
        decoder.parts = nn.ModuleDict()
    try:
        yield
    finally:
        for decoder, parts in networks.items():
            decoder.parts = parts


def _skip_caption_encoders(model: nn.Module) -> None:
    """Give decoders a caption's conditioning without computing it, as a filled cache does."""
    for decoder in model.get_submodule("decoders").children():
        assert isinstance(decoder, Decoder)
        setattr(decoder, "embed_captions", partial(blank_conditioning, decoder.spec))  # noqa: B010


def _large_batch(objective: Objective[Any, Any], run: Run, data: Sequence[Any]) -> object:
    """The largest of a run's first batches, by the values in its tensors."""
    batches = Batches(data, objective.collate, run.batch_size, run.seed)
    return max(itertools.islice(batches, LOOK), key=tensor_size)


def _steps(
    objective: Objective[Any, Any],
    run: Run,
    batch: object,
    held_out_batch: object,
    tracker: MemoryTracker,
) -> None:
    """Two optimiser steps, of which the second has a batch: it stands on the states that the first
    made, and where batches accumulate on the gradients of an earlier one; then a validation.
    """
    model = objective.model
    names = names_by_tensor(root(objective))
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = build_optimizer(model, run.optimizer, run.trusted)
    for step in (1, 2):
        if step == 2 and run.accumulate_grad_batches > 1:
            _fill_gradients(parameters, names, tracker)
        if step == 2 and batch is not None:
            _backward(objective, run, batch)
        _fill_gradients(parameters, names, tracker)
        # Its temporary norms count at the peak, as in a run.
        nn.utils.clip_grad_norm_(parameters, run.optimizer.max_grad_norm)
        optimizer.step()
        for weight, state in kept_tensors(optimizer):
            tracker.assign(state, "optimizer", names[id(weight)])
        optimizer.zero_grad()
    if held_out_batch is not None:
        validate(objective, run, held_out_batch, tracker)


def _fill_gradients(
    parameters: Sequence[nn.Parameter], names: Mapping[int, str], tracker: MemoryTracker
) -> None:
    """Have a gradient for every parameter, and say whose it is."""
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.empty_like(parameter)
        tracker.assign(parameter.grad, "gradients", names[id(parameter)])


def _backward(objective: Objective[Any, Any], run: Run, batch: object) -> None:
    half = torch.float16 if run.precision.startswith("16") else torch.bfloat16
    # The fake tensors are a CPU's, so its autocast stands for the device's.
    with torch.autocast("cpu", half, enabled=run.precision.endswith("mixed")):
        losses = objective.named_losses(batch)
    terms = [objective.losses[name].weight * value for name, value in losses.items()]
    if not terms:
        raise RuntimeError(f"a batch has none of the losses {', '.join(objective.losses)}")
    torch.stack(terms).sum().backward()
