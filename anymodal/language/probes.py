"""Behaviour of language models that no configuration key tells alike, measured on the model.

Around the output layer, models scale hidden states (MiniCPM3), scale scores (Cohere, Granite,
HyperCLOVAX) or cap them (Gemma, RecurrentGemma, xLSTM), each by a configuration key of its own, and
one key (`logits_scaling`) divides in one model and multiplies in another. So no key is read: the
model's own forward pass runs once, with chosen values in place of hidden states and scores.
Whether rows may hold several sequences is tried as well.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.utils import ModelOutput

from anymodal.language.families.table import multimodal_family

SMALL = 2.0**-10
"""A score that no cap bends."""
HUGE = 1e30
"""One that reaches every cap."""


class Finish(NamedTuple):
    """Scale of hidden states before the output layer; scale and soft cap of scores after it.

    The soft cap is cap · tanh(score / cap), as in Gemma 2 (arXiv:2408.00118, section 2).
    """

    hidden_scale: float = 1.0
    scale: float = 1.0
    cap: float | None = None

    def hidden(self, hidden: Tensor) -> Tensor:
        """Scale hidden states as the output layer's input."""
        return hidden if self.hidden_scale == 1.0 else hidden * self.hidden_scale

    def scores(self, scores: Tensor) -> Tensor:
        """Scale and cap the output layer's scores."""
        if self.scale != 1.0:
            scores = scores * self.scale
        return scores if self.cap is None else torch.tanh(scores / self.cap) * self.cap


def backbone_of(model: PreTrainedModel) -> nn.Module:
    """A causal language model without its output layer, and without what reads media."""
    if (family := multimodal_family(model)) is not None:
        return family.backbone(model)
    backbone: nn.Module = model.base_model
    # Llama 4's has another name than the one that transformers looks for, and gives itself.
    words = model.get_input_embeddings()
    parts = (part for part in model.children() if part is not words and words in part.modules())
    return next(parts, backbone) if backbone is model else backbone


class Trial(NamedTuple):
    """One forward pass with values put in; None for what the model doesn't call as a module.

    Shapes: B rows, T tokens, D width, V ids.
    """

    hidden: Tensor | None  # the backbone's own (B, T, D)
    replacement: Tensor | None  # of those (B, T, D)
    output_input: Tensor | None  # the output layer's, after the replacement (B, T, D)
    scores: Tensor | None  # a replacement of the output layer's (B, T, V)
    logits: Tensor  # the model's result (B, T, V)


class UnsupportedError(Exception):
    """The model computes its scores in a way that isn't supported here."""


@torch.no_grad()
def measure_finish(
    model: PreTrainedModel, ids: Tensor, hidden_of: Callable[[Tensor], Tensor]
) -> Finish:
    """Measure how a causal language model of transformers turns last hidden states into scores.

    On the meta device, where hidden states have no values, only what stands around the output
    layer is measured; a model that can't run there is taken for one with nothing around it.

    Args:
        model: the model, in eval mode.
        ids: two rows of token ids (2, T) that differ in the last one alone.
        hidden_of: AnyModal's path from ids to the last hidden states (2, T, D), to compare.

    Raises:
        ValueError: if the model isn't causal, wants more than tokens, or computes what isn't known
            here, so that its scores would come out wrong.
    """
    refusal = f"{type(model).__name__} can't be a language model here: "
    try:
        trial = _run_trial(model, ids)
        finish = Finish(_scale_before(trial), *_scale_and_cap(trial))
        if not ids.is_meta:
            _compare(model, trial, finish, hidden_of(ids))
    except UnsupportedError as error:
        raise ValueError(f"{refusal}{error}") from None
    except Exception as error:
        if ids.is_meta:
            return Finish()
        raise ValueError(f"{refusal}it doesn't run on tokens alone ({error})") from error
    return finish


@torch.no_grad()
def can_pack(embedding: Tensor, run: Callable[[Tensor, Tensor], Tensor]) -> bool:
    """Try whether several sequences may share a row, parted by positions that start again.

    Models differ and say nothing: some (OPT) count positions on their own, some (BLOOM) take none,
    and a state (Mamba) or a part of the layers (Qwen3-Next) may run on from one sequence into the
    next. Two passes over eight positions.

    Args:
        embedding: the model's rows (V, D).
        run: embeddings (1, T, D) and positions (1, T) to hidden states (1, T, D).
    """
    embeds = embedding[:12].unflatten(0, (3, 4))  # (sequences, 4, D)
    positions = torch.arange(8, device=embedding.device)[None] % 4  # (1, 8)
    rows = [torch.cat([embeds[one], embeds[2]])[None] for one in (0, 1)]
    one, two = (run(row, positions)[0, 4:] for row in rows)
    return _relative_error(one, two) <= 1e-5


def same_results(
    embeds: Tensor,
    one: Callable[[Tensor], Tensor],
    other: Callable[[Tensor], Tensor],
    prefixes: Tensor,
) -> bool:
    """Return whether two ways of reading rows give the same hidden states and gradient.

    Args:
        embeds: input embeddings (R, T, D).
        one: gives their hidden states (R, T, D).
        other: likewise.
        prefixes: positions of each row (R,) that need no gradient; nor is one taken from them.
    """
    places = torch.arange(embeds.shape[1], device=embeds.device)
    behind = (places >= prefixes.to(embeds.device)[:, None])[..., None]  # (R, T, 1)
    results = []
    for read in (one, other):
        inputs = embeds.clone().requires_grad_()
        with torch.enable_grad():
            hidden = read(inputs)
            weights = torch.linspace(-1, 1, hidden.numel(), device=hidden.device)
            total = ((hidden * behind).float().flatten() * weights).sum()
        # Of the inputs alone: the model's own weights may train.
        (gradient,) = torch.autograd.grad(total, inputs)
        results.append((hidden.detach(), gradient * behind))
    (hidden_one, gradient_one), (hidden_other, gradient_other) = results
    limit = 10 * _rtol(hidden_one)
    return (
        _relative_error(hidden_other, hidden_one) <= limit
        # A gradient has gone through the layers twice, and lost digits each time.
        and _relative_error(gradient_other, gradient_one) <= 5 * limit
    )


def _run_trial(model: PreTrainedModel, ids: Tensor) -> Trial:
    """Run the model with hidden states and scores of our choice, as far as it lets itself."""
    tensors: dict[str, Tensor] = {}
    backbone, output = backbone_of(model), model.get_output_embeddings()
    device = torch.device("cpu") if ids.is_meta else ids.device

    def after_backbone(_module: nn.Module, _inputs: object, result: ModelOutput) -> object:
        tensors["hidden"] = result[0]
        # In float32 whatever the weights are, so that what is done to it shows exactly.
        flat = torch.linspace(1.0, 2.0, result[0].numel(), device=device, dtype=torch.float32)
        tensors["replacement"] = flat.reshape(result[0].shape)
        if isinstance(result, tuple):
            return (tensors["replacement"], *result[1:])
        result.last_hidden_state = tensors["replacement"]
        return result

    def before_output(_module: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
        tensors["output_input"] = inputs[0]
        kind = output.weight.dtype if output.weight.is_floating_point() else model.dtype
        place = output.weight.device if ids.is_meta else inputs[0].device
        return torch.zeros(inputs[0].shape, dtype=kind, device=place)

    def after_output(_module: nn.Module, _inputs: object, result: Tensor) -> Tensor:
        tensors["scores"] = _ramp(result.shape, device)
        return tensors["scores"]

    hooks = [
        backbone.register_forward_hook(after_backbone),
        output.register_forward_pre_hook(before_output),
        output.register_forward_hook(after_output),
    ]
    try:
        with _without_backbone(backbone, (*ids.shape, output.weight.shape[-1])):
            logits = model(input_ids=ids, use_cache=False).logits
    finally:
        for hook in hooks:
            hook.remove()
    return Trial(
        tensors.get("hidden"),
        tensors.get("replacement"),
        tensors.get("output_input"),
        tensors.get("scores"),
        logits,
    )


class _BackboneOutput:
    """A backbone's output with hidden states alone: whatever else is asked for is None."""

    def __init__(self, hidden: Tensor) -> None:
        self.last_hidden_state = hidden

    def __getitem__(self, index: int) -> Tensor:
        return (self.last_hidden_state,)[index]

    def __getattr__(self, name: str) -> None:
        return None


@contextlib.contextmanager
def _without_backbone(backbone: nn.Module, shape: tuple[int, ...]) -> Iterator[None]:
    """A block in which a backbone on the meta device, where masks can't be made, isn't run."""
    if not next(backbone.parameters()).is_meta:
        yield
        return
    hidden = torch.empty(shape, device="meta")
    backbone.forward = lambda *_, **__: _BackboneOutput(hidden)
    try:
        yield
    finally:
        del backbone.forward


def _ramp(shape: torch.Size, device: torch.device) -> Tensor:
    """Scores of both signs from 0.01 to 1,000, after three that tell scale and cap."""
    flat = torch.logspace(-2, 3, shape.numel(), device=device, dtype=torch.float32)
    flat[1::2] *= -1
    flat[:3] = torch.tensor([1.0, HUGE, SMALL], device=device)
    return flat.reshape(shape)


def _scale_before(trial: Trial) -> float:
    """The factor between the backbone's hidden states and what the output layer is given."""
    if trial.replacement is None or trial.output_input is None:
        return 1.0
    if trial.output_input.shape == trial.replacement.shape:
        output_input, replacement = trial.output_input.float(), trial.replacement
        factor = float(output_input.flatten()[0] / replacement.flatten()[0])
        if torch.allclose(
            output_input, replacement * factor, rtol=_rtol(trial.output_input), atol=0
        ):
            return factor
    raise UnsupportedError("it has more layers between its last hidden states and its output layer")


def _scale_and_cap(trial: Trial) -> tuple[float, float | None]:
    """Scale and cap of scores after the output layer."""
    if trial.scores is None:
        return 1.0, None
    if trial.logits.shape != trial.scores.shape:
        raise UnsupportedError("it drops or adds scores after its output layer")
    logits, scores = trial.logits.float(), trial.scores
    one, most, least = logits.flatten()[:3].tolist()
    scale, cap = one, None
    if abs(most) < 0.5 * abs(one) * HUGE:
        scale, cap = float(f"{least / SMALL:.6g}"), most
    capped = Finish(1.0, scale, cap).scores(scores)
    rtol = _rtol(trial.logits)
    if not torch.allclose(logits, capped, rtol=rtol, atol=rtol * SMALL):
        raise UnsupportedError(
            "it changes scores after its output layer in a way that isn't known here"
        )
    return scale, cap


def _compare(model: PreTrainedModel, trial: Trial, finish: Finish, hidden: Tensor) -> None:
    """Check that AnyModal's hidden states are the model's own, and that it doesn't look ahead."""
    output = model.get_output_embeddings()
    if hidden.ndim != 3 or hidden.shape[-1] != output.weight.shape[-1]:
        raise UnsupportedError("its last hidden states are of another width than its output layer")
    pairs = []
    if trial.hidden is not None:
        pairs.append((trial.hidden, hidden))
    elif trial.output_input is not None:
        pairs.append((trial.output_input, hidden))
    if trial.scores is None:  # then its scores are its own, of what it was given
        states = hidden if trial.replacement is None else trial.replacement
        pairs.append((trial.logits, output(states.to(model.dtype))))
    rtol = 10 * _rtol(hidden)
    for reference, value in pairs:
        if reference.shape != value.shape or _relative_error(value, reference) > rtol:
            raise UnsupportedError(
                "its hidden states or scores differ from those that are computed here"
            )
    if _relative_error(hidden[0, :-1], hidden[1, :-1]) > rtol:
        raise UnsupportedError("it looks at tokens to come, so it is no causal language model")


def _relative_error(left: Tensor, right: Tensor) -> float:
    """The largest difference, in parts of the second one's root mean square."""
    left, right = left.float(), right.float()
    return float((left - right).abs().max() / right.square().mean().sqrt().clamp(min=1e-30))


def _rtol(tensor: Tensor) -> float:
    """Relative tolerance at a tensor's precision."""
    return max(1e-5, 4 * torch.finfo(tensor.dtype).eps)
