"""Peak memory of a model on the meta device: answering, and training as a stage says."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from anymodal.decoders import Decoder, DiffusionDecoder
from anymodal.encoders import Encoder
from anymodal.encoders.transformers.encoder import BLANK
from anymodal.io.feature_cache import CacheKey, FeatureCache
from anymodal.language.model import LanguageModel
from anymodal.tools.plan.earlier_runs import detach_computed
from anymodal.tools.plan.parts import names_by_module, names_by_tensor, root
from anymodal.tools.plan.tracing import BytesByPart, MemoryTracker, fake_tensors
from anymodal.training.batches import Batches
from anymodal.training.configuration import Run
from anymodal.training.losses import CAPTION_CONDITIONING, LATENTS
from anymodal.training.module import StageModule
from anymodal.training.objectives import Dialogue, Objective
from anymodal.training.optimizers import build_optimizer, kept_tensors
from anymodal.training.regional import transform_regions
from anymodal.training.run import defers_decoders
from anymodal.types import Conditioning, ConditioningSpec

LOOK = 4
"""First batches of a training, of which the largest is planned for; more would take longer."""

Data = Sequence[object] | str
"""Samples, or the reason why there are none."""

Workload = Callable[[MemoryTracker], object]
"""A piece of work, given the tracker that records it."""


@dataclass(frozen=True)
class Need:
    """A model's peak memory in one use, by purpose and part; what it leaves out and assumes."""

    use: str
    sizes: BytesByPart
    unknown: list[str] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)

    @property
    def peak(self) -> int:
        """All of it."""
        return sum(self.sizes.values())

    def of(self, purpose: str, part: str | None = None) -> int:
        """Bytes for a purpose, of one part or of all."""
        keys = [key for key in self.sizes if key[0] == purpose and part in (None, key[1])]
        return sum(self.sizes[key] for key in keys)


BITS = {"8bit": 8.02, "4bit": 4.13}
"""Bits of a quantised weight with its scales: float32 for a row, or 8 bits for a block of 64 and
float32 for 256 of those (Dettmers et al. 2023, arXiv:2305.14314, section 3).
"""


def weights_of(model: nn.Module) -> BytesByPart:
    """Bytes of parameters and buffers by part, of what is to be quantised as it will be."""
    sizes: BytesByPart = {}
    names, bits = names_by_tensor(model), _quantization_bits(model)
    for tensor in {id(t): t for t in [*model.parameters(), *model.buffers()]}.values():
        key = "weights", names.get(id(tensor), "")
        size = round(tensor.numel() * bits[id(tensor)] / 8) if id(tensor) in bits else tensor.nbytes
        sizes[key] = sizes.get(key, 0) + size
    return sizes


def _quantization_bits(model: nn.Module) -> dict[int, float]:
    """Bits of the weights of linear layers that a language model is to quantise."""
    bits = {}
    for part in model.modules():
        if not isinstance(part, LanguageModel) or part.quantize is None:
            continue
        output = part.model.get_output_embeddings()
        for name, layer in part.model.named_modules():
            linear = isinstance(layer, nn.Linear) and "lora_" not in name
            if linear and layer is not output and layer.weight.is_meta:
                bits[id(layer.weight)] = BITS[part.quantize]
    return bits


# ---- Answering -----------------------------------------------------------------------------------


Traces = dict[tuple[str, torch.dtype, int], "dict[str, BytesByPart] | str"]
"""Bytes that parts hold at work, by name, precision and context, in each phase; or the reason why
that can't be measured.
"""


def inference(model: nn.Module, context: int, traces: Traces | None = None) -> Need:
    """Peak memory of answering: weights, the KV cache of a full context, the largest workload.

    Parts work one after the other: each encoder reads a medium, the language model reads the whole
    context, each decoder makes a medium with guidance. A decoder that offloads holds weights only
    while it works, of the network at work.

    Args:
        model: composed, on the meta device.
        context: tokens of the conversation.
        traces: those of earlier calls; new ones are added.
    """
    traces = {} if traces is None else traces
    sizes, unknown, places = (
        weights_of(model),
        list(_left_out(model, context)),
        names_by_module(model),
    )
    largest: BytesByPart = {}
    for key, part in _workers(model, context):
        if key not in traces:
            traces.update(_trace_all(model, context, traces))
        if isinstance(part, LanguageModel):
            sizes["cache", places[id(part)]] = cache_size(part, context)
        if isinstance(trace := traces[key], str):
            unknown.append(f"{key[0]} ({trace})")
            continue
        offload_sizes = _offload_sizes(part, places)
        for name in offload_sizes:
            sizes.pop(("weights", name), None)
        largest = max(largest, _largest(trace, offload_sizes), key=_sum)
    return Need("inference", {**sizes, **largest}, unknown)


def _left_out(model: nn.Module, context: int) -> Iterator[str]:
    """Encoders and decoders whose work can't be measured here, each with the reason."""
    inside: set[int] = set()
    for name, part in model.named_modules():
        if id(part) in inside or not isinstance(part, Encoder | Decoder):
            continue
        inside |= {id(inner) for inner in part.modules()}
        if next(workloads_of(part, context), None) is None:
            kind = getattr(getattr(part, "media", None), "__name__", "medium")
            yield f"{name} (what it holds at work: there is no {kind} here to try it on)"


def _largest(trace: Mapping[str, BytesByPart], offload_sizes: Mapping[str, int]) -> BytesByPart:
    """The phase that holds most, with the weights that come to the device for it."""
    phases = [
        {**sizes, ("weights", phase): offload_sizes[phase]} if phase in offload_sizes else sizes
        for phase, sizes in trace.items()
    ]
    return max(phases, key=_sum)


def _sum(sizes: BytesByPart) -> int:
    return sum(sizes.values())


def _offload_sizes(model: nn.Module, places: Mapping[int, str]) -> dict[str, int]:
    """Names of the networks that wait in the processor's memory, and bytes that one brings."""
    return {
        places[id(network)]: resident_bytes(part, name)
        for part in model.modules()
        if isinstance(part, DiffusionDecoder) and part.offload is not None
        for name, network in part.parts.items()
    }


def _workers(
    model: nn.Module, context: int
) -> Iterator[tuple[tuple[str, torch.dtype, int], nn.Module]]:
    for name, part in model.named_modules():
        if next(workloads_of(part, context), None) is not None:
            dtype = next((weight.dtype for weight in part.parameters()), torch.float32)
            yield (name, dtype, context), part


def _trace_all(model: nn.Module, context: int, traces: Traces) -> Traces:
    """The traces that aren't known yet."""
    new_traces: Traces = {}
    with fake_tensors(model) as fake_model, torch.no_grad():
        for key, part in _workers(fake_model, context):
            if key not in traces:
                (work,) = workloads_of(part, context)
                new_traces[key] = _track(work, fake_model)
    return new_traces


def resident_bytes(decoder: DiffusionDecoder, name: str) -> int:
    """Bytes of weights that a network of a decoder which offloads has on the device at once.

    All of them (`model`), of a denoiser the largest block with what is in no block (`group`), or
    those of the largest layer (`leaf`, and `group` elsewhere).
    """
    network = decoder.parts[name]
    if decoder.offload == "model":
        return _size(network)
    layers = [module for module in network.modules() if not list(module.children())]
    largest = max(map(_size, layers))
    if decoder.offload == "group" and name in ("transformer", "unet"):
        stacks = [child for child in network.children() if isinstance(child, nn.ModuleList)]
        remainder = _size(network) - sum(map(_size, stacks))
        largest = max(largest, remainder + max((_size(b) for s in stacks for b in s), default=0))
    return largest


def _size(module: nn.Module) -> int:
    return sum(tensor.nbytes for tensor in [*module.parameters(), *module.buffers()])


def workloads_of(part: nn.Module, context: int) -> Iterator[Workload]:
    """The work of a part in one go while a model answers, as a function of the tracker."""
    if isinstance(part, LanguageModel):
        yield lambda _: part(part.embed(torch.zeros(1, context, dtype=torch.long)))
    elif isinstance(part, Decoder):
        yield lambda _: _make(part)
    elif isinstance(part, Encoder) and part.media in BLANK:
        shape = part.prepare(BLANK[part.media]).shape
        yield lambda _: part(torch.zeros(1, *shape))


def _make(decoder: Decoder) -> None:
    conditioning = _blank(decoder.spec, [""])
    min_steps = decoder.family.min_steps if isinstance(decoder, DiffusionDecoder) else 1
    decoder.sample(conditioning, steps=max(2, min_steps), guidance=2.0)


def cache_size(language: LanguageModel, context: int) -> int:
    """Bytes of keys and values: 2 for each layer, key head, its width and token."""
    config = language.model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    size = language.embedding.weight.element_size()
    return int(2 * config.num_hidden_layers * heads * width * context * size)


# ---- Training ------------------------------------------------------------------------------------


def training(objective: Objective[Any, Any], run: Run, data: Data) -> Need:
    """Peak memory of a training stage: steps on its own samples, on tensors without values.

    Args:
        objective: around a model on the meta device, whose `requires_grad` becomes the stage's.
        run: the stage.
        data: its samples; without any, activations are left out.
    """
    StageModule(objective, run)  # tells the model what trains, and the objective its losses
    model = root(objective)
    sizes, offload_sizes = weights_of(model), _offload_sizes(model, names_by_module(model))
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
    batch = None if isinstance(data, str) else _large_batch(objective, run, data)
    idle = assumed or not objective.needs & {CAPTION_CONDITIONING, LATENTS}
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
        trace = _track(
            lambda tracker: _steps(fake_objective, run, batch, tracker), root(fake_objective)
        )
        if isinstance(trace, str):
            unknown.append(f"what passes leave ({trace})")
            trace = _track(
                lambda tracker: _steps(fake_objective, run, None, tracker), root(fake_objective)
            )
    assert not isinstance(trace, str), trace
    return Need(run.output_dir, {**sizes, **_largest(trace, offload_sizes)}, unknown, assumed)


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
        setattr(decoder, "embed_captions", partial(_blank, decoder.spec))  # noqa: B010


def _blank(spec: ConditioningSpec, captions: Sequence[str]) -> Conditioning:
    count = len(captions)
    pooled = None if spec.pooled is None else torch.zeros(count, spec.pooled)
    mask = torch.ones(count, spec.length, dtype=torch.bool)
    return Conditioning(torch.zeros(count, spec.length, spec.width), mask, pooled)


def _large_batch(objective: Objective[Any, Any], run: Run, data: Sequence[Any]) -> object:
    """The largest of a run's first batches, by the values in its tensors."""
    batches = Batches(data, objective.collate, run.batch_size, run.seed)

    def size(batch: object) -> int:
        return sum(leaf.numel() for leaf in tree_leaves(batch) if isinstance(leaf, Tensor))

    return max(itertools.islice(batches, LOOK), key=size)


def _steps(objective: Objective[Any, Any], run: Run, batch: object, tracker: MemoryTracker) -> None:
    """Two optimiser steps, of which the second has a batch: it stands on the states that the first
    made, and where batches accumulate on the gradients of an earlier one.
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


def _track(work: Workload, model: nn.Module) -> dict[str, BytesByPart] | str:
    """Bytes that a workload holds at its peak in each phase, or the reason why it can't run here.

    A phase is the time from when a network of a decoder begins to work to when the next one does.
    """
    places = names_by_module(model)
    networks = [
        network
        for part in model.modules()
        if isinstance(part, DiffusionDecoder)
        for network in part.parts.values()
    ]
    phases = {id(m): places[id(m)] for network in networks for m in network.modules()}
    tracker = MemoryTracker(model, places, phases)
    try:
        with tracker.tracking():
            work(tracker)
    except Exception as error:  # of code that wasn't written to run without values
        return str(error).splitlines()[0] if str(error) else type(error).__name__
    return tracker.peaks()
