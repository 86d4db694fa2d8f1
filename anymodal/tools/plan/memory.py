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
"""Batches of which a training's largest is planned for; looking at more takes longer."""

Data = Sequence[object] | str
"""Samples, or the reason why there are none."""

Workload = Callable[[MemoryTracker], object]
"""A piece of work, given the tracker that records it."""


@dataclass(frozen=True)
class Need:
    """A model's peak memory in one use, by purpose and part; what it leaves out and assumes."""

    use: str
    held: BytesByPart
    unknown: list[str] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)

    @property
    def peak(self) -> int:
        """All of it."""
        return sum(self.held.values())

    def of(self, purpose: str, part: str | None = None) -> int:
        """Bytes for a purpose, of one part or of all."""
        return sum(
            size for (why, who), size in self.held.items() if why == purpose and part in (None, who)
        )


BITS = {"8bit": 8.02, "4bit": 4.13}
"""Bits of a quantised weight with its scales: float32 for a row, or 8 bits for a block of 64 and
float32 for 256 of those (Dettmers et al. 2023, arXiv:2305.14314, section 3).
"""


def weights_of(model: nn.Module) -> BytesByPart:
    """Bytes of parameters and buffers by part, of what is to be quantised as it will be."""
    held: BytesByPart = {}
    names, bits = names_by_tensor(model), _quantised(model)
    for tensor in {id(t): t for t in [*model.parameters(), *model.buffers()]}.values():
        key = "weights", names.get(id(tensor), "")
        size = round(tensor.numel() * bits[id(tensor)] / 8) if id(tensor) in bits else tensor.nbytes
        held[key] = held.get(key, 0) + size
    return held


def _quantised(model: nn.Module) -> dict[int, float]:
    """Bits of the weights of linear layers that a language model is to quantise."""
    found = {}
    for part in model.modules():
        if not isinstance(part, LanguageModel) or part.quantize is None:
            continue
        output = part.model.get_output_embeddings()
        for name, layer in part.model.named_modules():
            linear = isinstance(layer, nn.Linear) and "lora_" not in name
            if linear and layer is not output and layer.weight.is_meta:
                found[id(layer.weight)] = BITS[part.quantize]
    return found


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
    held, unknown, places = (
        weights_of(model),
        list(_left_out(model, context)),
        names_by_module(model),
    )
    largest: BytesByPart = {}
    for key, part in _workers(model, context):
        if key not in traces:
            traces.update(_traced(model, context, traces))
        if isinstance(part, LanguageModel):
            held["cache", places[id(part)]] = cache_size(part, context)
        if isinstance(found := traces[key], str):
            unknown.append(f"{key[0]} ({found})")
            continue
        waiting = _waiting(part, places)
        for name in waiting:
            held.pop(("weights", name), None)
        largest = max(largest, _largest(found, waiting), key=_sum)
    return Need("inference", {**held, **largest}, unknown)


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


def _largest(found: Mapping[str, BytesByPart], waiting: Mapping[str, int]) -> BytesByPart:
    """The phase that holds most, with the weights that come to the device for it."""
    phases = [
        {**held, ("weights", phase): waiting[phase]} if phase in waiting else held
        for phase, held in found.items()
    ]
    return max(phases, key=_sum)


def _sum(held: BytesByPart) -> int:
    return sum(held.values())


def _waiting(model: nn.Module, places: Mapping[int, str]) -> dict[str, int]:
    """Names of the networks that wait in the processor's memory, and bytes that one brings."""
    return {
        places[id(network)]: brought(part, name)
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


def _traced(model: nn.Module, context: int, known: Traces) -> Traces:
    """The traces that aren't known yet."""
    found: Traces = {}
    with fake_tensors(model) as working, torch.no_grad():
        for key, part in _workers(working, context):
            if key not in known:
                (work,) = workloads_of(part, context)
                found[key] = _watched(work, working)
    return found


def brought(decoder: DiffusionDecoder, name: str) -> int:
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
        rest = _size(network) - sum(map(_size, stacks))
        largest = max(largest, rest + max((_size(b) for s in stacks for b in s), default=0))
    return largest


def _size(module: nn.Module) -> int:
    return sum(tensor.nbytes for tensor in [*module.parameters(), *module.buffers()])


def workloads_of(part: nn.Module, context: int) -> Iterator[Workload]:
    """What a part does in one go while a model answers; each is given what watches it."""
    if isinstance(part, LanguageModel):
        yield lambda _: part(part.embed(torch.zeros(1, context, dtype=torch.long)))
    elif isinstance(part, Decoder):
        yield lambda _: _make(part)
    elif isinstance(part, Encoder) and part.media in BLANK:
        shape = part.prepare(BLANK[part.media]).shape
        yield lambda _: part(torch.zeros(1, *shape))


def _make(decoder: Decoder) -> None:
    asked = _blank(decoder.spec, [""])
    fewest = decoder.family.min_steps if isinstance(decoder, DiffusionDecoder) else 1
    decoder.sample(asked, steps=max(2, fewest), guidance=2.0)


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
    held, waiting, assumed = weights_of(model), _waiting(model, names_by_module(model)), []
    if stays_on_disk(model, run):
        waiting = {}
        held = {(why, who): size for (why, who), size in held.items() if not _made_by(who)}
        assumed.append("decoders stay on disk, for `anymodal cache` has filled the run's cache")
    for name in waiting:
        held.pop(("weights", name), None)
    if run.ema:
        names = names_by_tensor(model)
        for parameter in model.parameters():
            if parameter.requires_grad:
                key = "average", names[id(parameter)]
                size = parameter.numel() * max(4, parameter.itemsize)
                held[key] = held.get(key, 0) + size
    unknown = [f"what passes leave ({data})"] if isinstance(data, str) else []
    batch = None if isinstance(data, str) else _large_batch(objective, run, data)
    idle = assumed or not objective.needs & {CAPTION_CONDITIONING, LATENTS}
    with (
        _set_aside(model, bool(idle) and isinstance(objective, Dialogue)),
        fake_tensors(objective) as working,
        transform_regions(working.model, compiled=False, checkpointed=run.activation_checkpointing),
    ):
        working.feature_cache = _Anew()
        if assumed:
            _skip_caption_encoders(working.model)
        found = _watched(lambda tracker: _steps(working, run, batch, tracker), root(working))
        if isinstance(found, str):
            unknown.append(f"what passes leave ({found})")
            found = _watched(lambda tracker: _steps(working, run, None, tracker), root(working))
    assert not isinstance(found, str), found
    return Need(run.output_dir, {**held, **_largest(found, waiting)}, unknown, assumed)


class _Anew(FeatureCache):
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
    """Whether a run leaves its decoders where they are (`DeferredDecoder`)."""
    decoders = getattr(model, "decoders", None)
    names = [name for name, _ in model.named_parameters() if _made_by(name)]
    reached = any(fnmatchcase(name, glob) for name in names for glob in run.stage.trainable)
    return bool(decoders and run.feature_cache.dir and defers_decoders(run) and not reached)


def _made_by(name: str) -> bool:
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
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = build_optimizer(model, run.optimizer, run.trusted)
    for step in (1, 2):
        if step == 2 and run.accumulate_grad_batches > 1:
            _fill_gradients(trained, names, tracker)
        if step == 2 and batch is not None:
            _backward(objective, run, batch)
        _fill_gradients(trained, names, tracker)
        nn.utils.clip_grad_norm_(trained, run.optimizer.max_grad_norm)
        optimizer.step()
        for weight, kept in kept_tensors(optimizer):
            tracker.own(kept, "optimizer", names[id(weight)])
        optimizer.zero_grad()


def _fill_gradients(
    trained: Sequence[nn.Parameter], names: Mapping[int, str], tracker: MemoryTracker
) -> None:
    """Have a gradient for every parameter, and say whose it is."""
    for parameter in trained:
        if parameter.grad is None:
            parameter.grad = torch.empty_like(parameter)
        tracker.own(parameter.grad, "gradients", names[id(parameter)])


def _backward(objective: Objective[Any, Any], run: Run, batch: object) -> None:
    half = torch.float16 if run.precision.startswith("16") else torch.bfloat16
    with torch.autocast("cpu", half, enabled=run.precision.endswith("mixed")):
        losses = objective.named_losses(batch)
    terms = [objective.losses[name].weight * value for name, value in losses.items()]
    if not terms:
        raise RuntimeError(f"a batch has none of the losses {', '.join(objective.losses)}")
    torch.stack(terms).sum().backward()


def _watched(work: Workload, model: nn.Module) -> dict[str, BytesByPart] | str:
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
