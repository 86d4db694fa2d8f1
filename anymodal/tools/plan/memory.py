"""Memory of a model on the meta device: its weights, and its peak while it works."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from anymodal.decoders import DiffusionDecoder
from anymodal.decoders.pipeline import DENOISERS
from anymodal.language.model import LanguageModel
from anymodal.tools.plan.parts import names_by_tensor
from anymodal.tools.plan.replay import replayed
from anymodal.tools.plan.tracing import BytesByPart, MemoryTracker
from anymodal.types import Conditioning, ConditioningSpec

Data = Sequence[object] | str
"""Samples, or the reason why there are none."""

Workload = Callable[[MemoryTracker], object]
"""A piece of work, given the tracker that records it."""


@dataclass(frozen=True)
class Need:
    """A model's peak memory in one use, by purpose and part; what it leaves out and assumes.

    Of a run's peak that isn't a step's, `phase` says when it comes.
    """

    use: str
    sizes: BytesByPart
    unknown: list[str] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)
    phase: str = ""

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


def largest_phase(
    trace: Mapping[str, BytesByPart], offload_sizes: Mapping[str, int]
) -> BytesByPart:
    """The phase that holds most, with the weights that come to the device for it."""
    phases = [
        {**sizes, ("weights", phase): offload_sizes[phase]} if phase in offload_sizes else sizes
        for phase, sizes in trace.items()
    ]
    return max(phases, key=total_bytes)


def total_bytes(sizes: BytesByPart) -> int:
    return sum(sizes.values())


def offload_sizes_of(model: nn.Module, places: Mapping[int, str]) -> dict[str, int]:
    """Names of the networks that wait in the processor's memory, and bytes that one brings."""
    return {
        places[id(network)]: resident_bytes(part, name)
        for part in model.modules()
        if isinstance(part, DiffusionDecoder) and part.offload is not None
        for name, network in part.parts.items()
    }


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
    if decoder.offload == "group" and name in DENOISERS:
        stacks = [child for child in network.children() if isinstance(child, nn.ModuleList)]
        remainder = _size(network) - sum(map(_size, stacks))
        largest = max(largest, remainder + max((_size(b) for s in stacks for b in s), default=0))
    return largest


def _size(module: nn.Module) -> int:
    return sum(tensor.nbytes for tensor in [*module.parameters(), *module.buffers()])


def blank_conditioning(
    spec: ConditioningSpec, captions: Sequence[str], _references: object = None
) -> Conditioning:
    count = len(captions)
    pooled = None if spec.pooled is None else torch.zeros(count, spec.pooled)
    mask = torch.ones(count, spec.length, dtype=torch.bool)
    return Conditioning(torch.zeros(count, spec.length, spec.width), mask, pooled)


def track(
    work: Workload, model: nn.Module, places: Mapping[int, str]
) -> dict[str, BytesByPart] | str:
    """Bytes that a workload holds at its peak in each phase, or the reason why it can't run here.

    A phase is the time from when a network of a decoder begins to work to when the next one does.

    Args:
        work: the workload.
        model: on fake tensors.
        places: its `names_by_module`.
    """
    networks = [
        network
        for part in model.modules()
        if isinstance(part, DiffusionDecoder)
        for network in part.parts.values()
    ]
    phases = {id(m): places[id(m)] for network in networks for m in network.modules()}
    tracker = MemoryTracker(model, places, phases)
    try:
        with tracker.tracking(), replayed(networks, tracker):
            work(tracker)
    except Exception as error:  # of code that wasn't written to run without values
        return str(error).splitlines()[0] if str(error) else type(error).__name__
    return tracker.peaks()
