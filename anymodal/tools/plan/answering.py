"""Peak memory of a model on the meta device that answers."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from anymodal.decoders import Decoder, DiffusionDecoder, Speaker
from anymodal.encoders import Encoder
from anymodal.encoders.transformers.encoder import BLANK
from anymodal.language.families.base import MediaReader
from anymodal.language.families.typical import typical_medium
from anymodal.language.model import LanguageModel
from anymodal.tools.plan.memory import (
    Need,
    Workload,
    blank_conditioning,
    largest_phase,
    offload_sizes_of,
    total_bytes,
    track,
    weights_of,
)
from anymodal.tools.plan.parts import names_by_module
from anymodal.tools.plan.tracing import BytesByPart, fake_tensors, outside_fake_mode

Traces = dict[tuple[str, torch.dtype, int], "dict[str, BytesByPart] | str"]
"""Bytes that parts hold at work, by name, precision and context, in each phase; or the reason why
that can't be measured.
"""


def inference(model: nn.Module, context: int, traces: Traces | None = None) -> Need:
    """Peak memory of answering: weights, the KV cache of a full context, the largest workload.

    Parts work one after the other: each encoder reads a medium, the language model what it reads by
    itself, then the whole context, each decoder makes a medium with guidance, each speaker says its
    longest text. A decoder that offloads holds weights only while it works, of the network at work.

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
    assumed = []
    for key, part in _workers(model, context):
        if isinstance(part, MediaReader) and (typical := typical_medium(part.media)) is not None:
            assumed.append(f"the language model reads {typical.size} at once")
        if isinstance(part, Speaker):
            assumed.append(f"{key[0]} speaks {part.max_seconds:g} s at once")
        if key not in traces:
            traces.update(_trace_all(model, context, traces))
        if isinstance(part, LanguageModel):
            sizes["cache", places[id(part)]] = cache_size(part, context)
        if isinstance(trace := traces[key], str):
            unknown.append(f"{key[0]} ({trace})")
            continue
        offload_sizes = offload_sizes_of(part, places) if isinstance(part, nn.Module) else {}
        for name in offload_sizes:
            sizes.pop(("weights", name), None)
        largest = max(largest, largest_phase(trace, offload_sizes), key=total_bytes)
    return Need("inference", {**sizes, **largest}, unknown, assumed)


def _left_out(model: nn.Module, context: int) -> Iterator[str]:
    """Parts whose work can't be measured here, each with the reason."""
    inside: set[int] = set()
    for name, part in model.named_modules():
        if id(part) in inside or not isinstance(part, Encoder | Decoder | Speaker):
            continue
        inside |= {id(inner) for inner in part.modules()}
        if next(workloads_of(part, context), None) is not None:
            continue
        if isinstance(part, Speaker):
            yield f"{name} (what it holds at work: nobody here knows it of its class)"
        else:
            kind = getattr(getattr(part, "media", None), "__name__", "medium")
            yield f"{name} (what it holds at work: there is no {kind} here to try it on)"


def _workers(
    model: nn.Module, context: int
) -> Iterator[tuple[tuple[str, torch.dtype, int], nn.Module | MediaReader]]:
    """What works while a model answers, each with what a trace of it is known by."""
    for name, part in model.named_modules():
        if next(workloads_of(part, context), None) is None:
            continue
        dtype = next((weight.dtype for weight in part.parameters()), torch.float32)
        yield (name, dtype, context), part
        for media, reader in part.readers.items() if isinstance(part, LanguageModel) else ():
            if next(workloads_of(reader, context), None) is not None:
                yield (f"{name}.{media.kind}", dtype, context), reader


def _trace_all(model: nn.Module, context: int, traces: Traces) -> Traces:
    """The traces that aren't known yet."""
    new_traces: Traces = {}
    with fake_tensors(model) as fake_model, torch.no_grad():
        places = names_by_module(fake_model)
        for key, part in _workers(fake_model, context):
            if key not in traces:
                (work,) = workloads_of(part, context)
                new_traces[key] = track(work, fake_model, places)
    return new_traces


def workloads_of(part: nn.Module | MediaReader, context: int) -> Iterator[Workload]:
    """The work of a part in one go while a model answers, as a function of the tracker."""
    if isinstance(part, LanguageModel):
        yield lambda _: part(part.embed(torch.zeros(1, context, dtype=torch.long)))
    elif isinstance(part, Decoder):
        yield lambda _: _make(part)
    elif isinstance(part, Speaker):
        if (speak := part.workload()) is not None:
            yield lambda _: speak()
    elif isinstance(part, MediaReader):
        if (typical := typical_medium(part.media)) is not None:
            prepare = outside_fake_mode(part.prepare)
            yield lambda _: part(part.collate([prepare(typical.medium)]))
    elif isinstance(part, Encoder) and part.media in BLANK:
        blank = BLANK[part.media]
        yield lambda _: part(torch.zeros(1, *part.prepare(blank).shape))


def _make(decoder: Decoder) -> None:
    conditioning = blank_conditioning(decoder.spec, [""])
    min_steps = decoder.family.min_steps if isinstance(decoder, DiffusionDecoder) else 1
    decoder.sample(conditioning, steps=max(2, min_steps), guidance=2.0)


def cache_size(language: LanguageModel, context: int) -> int:
    """Bytes of keys and values: 2 for each layer, key head, its width and token."""
    config = language.model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    size = language.embedding.weight.element_size()
    return int(2 * config.num_hidden_layers * heads * width * context * size)
