"""Peak memory of a sketched model: answering, and training as a stage says."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from anymodal.decoders import DiffusionDecoder
from anymodal.encoders import Encoder
from anymodal.encoders.huggingface import BLANK
from anymodal.keep import Kept
from anymodal.language import LanguageModel
from anymodal.planning.parts import homes, owners
from anymodal.planning.tracing import Held, Watch, pretending
from anymodal.training.data import Batches
from anymodal.training.module import StageModule
from anymodal.training.optimizers import build_optimizer
from anymodal.training.stage import Run
from anymodal.types import Conditioning

LOOK = 4
"""Batches of which a training's largest is planned for; looking at more takes longer."""

Data = Sequence[Any] | str
"""Samples, or why there are none."""


@dataclass(frozen=True)
class Need:
    """What a use of a model holds at its peak, in bytes by purpose and part; what isn't in it."""

    use: str
    held: Held
    unknown: list[str] = field(default_factory=list)

    @property
    def peak(self) -> int:
        """All of it."""
        return sum(self.held.values())

    def of(self, purpose: str, part: str | None = None) -> int:
        """Bytes for a purpose, of one part or of all."""
        return sum(
            size for (why, who), size in self.held.items() if why == purpose and part in (None, who)
        )


def weights_of(model: nn.Module) -> Held:
    """Bytes of parameters and buffers by part."""
    held: Held = {}
    names = owners(model)
    for tensor in {id(t): t for t in [*model.parameters(), *model.buffers()]}.values():
        key = "weights", names.get(id(tensor), "")
        held[key] = held.get(key, 0) + tensor.nbytes
    return held


# ---- Answering -----------------------------------------------------------------------------------


Traces = dict[tuple[str, torch.dtype, int], "Held | str"]
"""What parts held at work, by name, precision and context; or why that can't be told."""


def inference(model: nn.Module, context: int, traces: Traces | None = None) -> Need:
    """What answering holds: weights, the cache of a full context, and the largest work at hand.

    Parts work one after the other: each encoder reads a medium, the language model reads the whole
    context, each decoder makes a medium with guidance. A decoder that offloads holds weights only
    while it works.

    Args:
        model: composed and sketched.
        context: tokens of the conversation.
        traces: what is known already, and what gets known.
    """
    traces = {} if traces is None else traces
    held, unknown, places = weights_of(model), [], homes(model)
    largest: Held = {}
    for key, part in _workers(model, context):
        if key not in traces:
            traces.update(_traced(model, context, traces))
        if isinstance(part, LanguageModel):
            held["cache", places[id(part)]] = cache_size(part, context)
        if isinstance(found := traces[key], str):
            unknown.append(f"{key[0]} ({found})")
            continue
        if isinstance(part, DiffusionDecoder) and part.offload is not None:
            for owner in {places[id(network)] for network in part.parts.values()}:
                held.pop(("weights", owner), None)
            found = {**found, ("weights", key[0]): brought(part)}
        if sum(found.values()) > sum(largest.values()):
            largest = found
    return Need("inference", {**held, **largest}, unknown)


def _workers(
    model: nn.Module, context: int
) -> Iterator[tuple[tuple[str, torch.dtype, int], nn.Module]]:
    for name, part in model.named_modules():
        if next(works_of(part, context), None) is not None:
            yield (name, next(part.parameters()).dtype, context), part


def _traced(model: nn.Module, context: int, known: Traces) -> Traces:
    """What those parts hold at work that nothing is known of yet."""
    found: Traces = {}
    with pretending(model) as working, torch.no_grad():
        for key, part in _workers(working, context):
            if key not in known:
                (work,) = works_of(part, context)
                found[key] = _watched(work, working)
    return found


def brought(decoder: DiffusionDecoder) -> int:
    """Bytes of weights that a decoder which offloads has on the device at once.

    As a whole part (`model`), as a denoiser's largest block with what is in no block (`group`), or
    as the largest layer (`leaf`).
    """
    parts = [part for part in decoder.parts.values() if isinstance(part, nn.Module)]
    if decoder.offload == "model":
        return max(map(_size, parts))
    leaves = [module for part in parts for module in part.modules() if not list(module.children())]
    largest = max(map(_size, leaves))
    if decoder.offload == "group":
        denoiser = getattr(decoder.pipeline, "transformer", None) or decoder.pipeline.unet
        stacks = [child for child in denoiser.children() if isinstance(child, nn.ModuleList)]
        rest = _size(denoiser) - sum(map(_size, stacks))
        largest = max(largest, rest + max((_size(b) for s in stacks for b in s), default=0))
    return largest


def _size(module: nn.Module) -> int:
    return sum(tensor.nbytes for tensor in [*module.parameters(), *module.buffers()])


def works_of(part: nn.Module, context: int) -> Iterator[Callable[[Watch], Any]]:
    """What a part does in one go while a model answers; each is given what watches it."""
    if isinstance(part, LanguageModel):
        yield lambda _: part(part.embed(torch.zeros(1, context, dtype=torch.long)))
    elif isinstance(part, DiffusionDecoder):
        yield lambda _: _make(part)
    elif isinstance(part, Encoder) and part.media in BLANK:
        shape = part.prepare(BLANK[part.media]).shape
        yield lambda _: part(torch.zeros(1, *shape))


def _make(decoder: DiffusionDecoder) -> None:
    spec = decoder.spec
    pooled = None if spec.pooled is None else torch.zeros(1, spec.pooled)
    mask = torch.ones(1, spec.length, dtype=torch.bool)
    asked = Conditioning(torch.zeros(1, spec.length, spec.width), mask, pooled)
    decoder.sample(asked, steps=max(2, decoder.family.fewest), guidance=2.0)


def cache_size(language: LanguageModel, context: int) -> int:
    """Bytes of keys and values: 2 for each layer, key head, its width and token."""
    config = language.model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    size = language.embedding.weight.element_size()
    return int(2 * config.num_hidden_layers * heads * width * context * size)


# ---- Training ------------------------------------------------------------------------------------


def training(model: nn.Module, run: Run, data: Data) -> Need:
    """What a stage holds: its steps are run on tensors without values, on its own samples.

    Args:
        model: sketched; its `requires_grad` becomes the stage's.
        run: the stage.
        data: its samples; without any, what passes leave isn't in it.
    """
    StageModule(model, run)  # tells the model what trains and which losses are wanted
    held = weights_of(model)
    if run.ema:
        names = owners(model)
        for parameter in model.parameters():
            if parameter.requires_grad:
                key = "average", names[id(parameter)]
                held[key] = held.get(key, 0) + parameter.nbytes
    unknown = [f"what passes leave ({data})"] if isinstance(data, str) else []
    batch = None if isinstance(data, str) else _large_batch(model, run, data)
    with pretending(model) as working:
        if hasattr(working, "kept"):
            # Nothing, so that each step computes it anew, as it does for media it hasn't seen.
            setattr(working, "kept", Kept(0))  # noqa: B010
        found = _watched(lambda watch: _steps(working, run, batch, watch), working)
        if isinstance(found, str):
            unknown.append(f"what passes leave ({found})")
            found = _watched(lambda watch: _steps(working, run, None, watch), working)
    assert not isinstance(found, str), found
    return Need(run.out, {**held, **found}, unknown)


def _large_batch(model: Any, run: Run, data: Sequence[Any]) -> Any:
    """The largest of a run's first batches, by the values in its tensors."""
    batches = Batches(data, model.collate, run.batch_size, run.seed)

    def size(batch: Any) -> int:
        return sum(leaf.numel() for leaf in tree_leaves(batch) if isinstance(leaf, Tensor))

    return max(itertools.islice(batches, LOOK), key=size)


def _steps(model: nn.Module, run: Run, batch: Any, watch: Watch) -> None:
    """Two optimiser steps: the second stands on the states that the first made."""
    names = owners(model)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = build_optimizer(model, run.optimizer)
    for _ in range(2):
        for _ in range(min(run.accumulate, 2)):
            if batch is not None:
                _backward(model, run, batch)
            for parameter in trained:
                if parameter.grad is None:
                    parameter.grad = torch.empty_like(parameter)
                watch.own(parameter.grad, "gradients", names[id(parameter)])
        nn.utils.clip_grad_norm_(trained, run.optimizer.clip)
        optimizer.step()
        for trains, states in optimizer.state.items():
            for state in states.values():
                if isinstance(state, Tensor):
                    watch.own(state, "optimizer", names[id(trains)])
        optimizer.zero_grad()


def _backward(model: nn.Module, run: Run, batch: Any) -> None:
    half = torch.float16 if run.precision.startswith("16") else torch.bfloat16
    with torch.autocast("cpu", half, enabled=run.precision.endswith("mixed")):
        losses = model(batch)
    weights = run.stage.losses
    terms = [weight * losses[name] for name, weight in weights.items() if name in losses]
    if not terms:
        raise RuntimeError(f"a batch has none of the losses {', '.join(weights)}")
    torch.stack(terms).sum().backward()


def _watched(work: Callable[[Watch], Any], model: nn.Module) -> Held | str:
    """What a piece of work held at its peak, or why it can't be done without values."""
    watch = Watch(model, homes(model))
    try:
        with watch.watching():
            work(watch)
    except (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError) as error:
        return str(error).splitlines()[0] if str(error) else type(error).__name__
    return watch.peak()
