"""Peak memory of a sketched model: answering, and training as a stage says."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from anymodal.decoders import DiffusionDecoder
from anymodal.language import LanguageModel
from anymodal.planning.activations import Load, kept
from anymodal.planning.parts import size_of, weights_of
from anymodal.training.optimizers import MuonAdamW, build_optimizer
from anymodal.training.stage import Run, freeze_all_but

FRAMES_AT_ONCE = 14
"""Frames of a clip that diffusers' pipelines decode together."""


@dataclass(frozen=True)
class Need:
    """What a use of a model takes, in bytes by purpose; what isn't estimated is named."""

    use: str
    bytes: dict[str, int]
    unknown: list[str] = field(default_factory=list)

    @property
    def peak(self) -> int:
        """All of it, which is needed at once."""
        return sum(self.bytes.values())


def inference(model: nn.Module, context: int) -> Need:
    """What answering takes: weights, the cache of a full context, and the largest pass at work.

    Args:
        model: composed, sketched or not.
        context: tokens of the conversation.
    """
    languages = [part for part in model.modules() if isinstance(part, LanguageModel)]
    decoders = [part for part in model.modules() if isinstance(part, DiffusionDecoder)]
    working = [_reading(part, context) for part in languages] + [_making(d) for d in decoders]
    needed = {
        "weights": weights_of(model),
        "cache": sum(cache_size(part, context) for part in languages),
        "activations": max(working, default=0),
    }
    return Need("inference", needed)


def cache_size(language: LanguageModel, context: int) -> int:
    """Bytes of keys and values: 2 for each layer, key head, its width and token."""
    config = language.model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    size = language.embedding.weight.element_size()
    return int(2 * config.num_hidden_layers * heads * width * context * size)


def _reading(language: LanguageModel, context: int) -> int:
    """The widest layer's input and output twice over, as a gated MLP holds them, for a context."""
    layers = [m for m in language.backbone.modules() if isinstance(m, nn.Linear)]
    widest = max((layer.in_features + layer.out_features for layer in layers), default=0)
    return 2 * widest * context * language.embedding.weight.element_size()


def _making(decoder: DiffusionDecoder) -> int:
    """The largest layer's input, output and residual while the autoencoder decodes one medium."""
    vae = decoder.pipeline.vae
    shape = tuple(decoder.family.latent_shape)
    if len(shape) == 4:  # (C, T, h, w): frames go through a picture's autoencoder
        shape = (min(shape[1], FRAMES_AT_ONCE), shape[0], *shape[2:])
    else:
        shape = (1, *shape)
    weight = next(vae.parameters())
    if not weight.is_meta:
        raise ValueError("what a decoder takes is read off a sketch of it; sketch the model first")
    with torch.no_grad(), _largest(vae) as found:
        vae.decode(torch.empty(shape, dtype=weight.dtype, device="meta"))
    return int(found[0])


@contextlib.contextmanager
def _largest(module: nn.Module) -> Iterator[list[int]]:
    """In place 0, the most bytes that a layer's input (twice) and output took."""
    found = [0]

    def note(_layer: nn.Module, given: tuple[Any, ...], made: Any) -> None:
        if given and isinstance(given[0], torch.Tensor) and isinstance(made, torch.Tensor):
            found[0] = max(found[0], 2 * given[0].nbytes + made.nbytes)

    layers = [m for m in module.modules() if not list(m.children())]
    hooks = [layer.register_forward_hook(note) for layer in layers]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def training(model: nn.Module, run: Run, tokens: int) -> Need:
    """What a stage takes: weights, gradients, optimizer, moving average, and activations.

    AdamW keeps two values for each one that it trains, Muon one; both take one more for a moment,
    when activations have gone, so that the larger of the two counts.

    Args:
        model: sketched; its `requires_grad` becomes the stage's.
        run: the stage.
        tokens: of one sample, in the language model.
    """
    freeze_all_but(model, run.stage.trainable)
    trained = [p for p in model.parameters() if p.requires_grad]
    states, moment = _states(model, run)
    longest = getattr(model, "max_length", tokens)
    load = Load(run.batch_size, min(tokens, longest), run.precision.endswith("mixed"))
    activations, unknown = kept(model, run.stage.losses, load)
    needed = {
        "weights": weights_of(model),
        "gradients": size_of(trained),
        "optimizer": states,
        "average": size_of(trained) if run.ema else 0,
        "activations": max(int(activations), moment),
    }
    return Need(run.out, needed, unknown)


def _states(model: nn.Module, run: Run) -> tuple[int, int]:
    """Bytes that the optimizer keeps, and those that a step takes for a moment."""
    optimizer = build_optimizer(model, run.optimizer)
    muon, adamw = (
        optimizer.parts if isinstance(optimizer, MuonAdamW) else (None, optimizer)
    )  # fmt: skip
    first = _sizes(muon) if muon else []
    second = _sizes(adamw)
    return sum(first) + 2 * sum(second), max([*first, *second], default=0)


def _sizes(optimizer: torch.optim.Optimizer) -> list[int]:
    return [p.nbytes for group in optimizer.param_groups for p in group["params"]]
