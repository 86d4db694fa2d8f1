"""Memory of a run's validations: held-out losses, and replies."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from anymodal.core import ComposedModel
from anymodal.language.chat_prompt import ChatPrompt
from anymodal.tools.plan.answering import inference
from anymodal.tools.plan.memory import Need
from anymodal.tools.plan.parts import names_by_tensor, root
from anymodal.tools.plan.tracing import BytesByPart, MemoryTracker
from anymodal.training.configuration import Run
from anymodal.training.objectives import Objective
from anymodal.training.validation.batches import HeldOutBatches
from anymodal.training.validation.configuration import SAMPLES

HeldOutData = Mapping[str, Sequence[Any]] | str
"""Held-out data sets by name, or the reason why there are none."""

LOOK = 4
"""First batches of each data set, of which the largest is planned for."""
NEW_TOKENS = 256
"""Of a reply, where the run names no number; see `TextSettings`."""


def largest_batch(objective: Objective[Any, Any], run: Run, data: HeldOutData) -> object | None:
    """The largest of the first held-out batches, by the values in its tensors; None without any."""
    if run.validation is None or isinstance(data, str):
        return None
    batches = [
        each.batch
        for source in data.values()
        for each in itertools.islice(
            HeldOutBatches(
                source, objective.collate, run.batch_size, run.validation.batches, run.seed
            ),
            LOOK,
        )
        if each.batch is not None
    ]
    return max(batches, key=tensor_size, default=None)


def tensor_size(batch: object) -> int:
    """The number of values in a batch's tensors."""
    return sum(leaf.numel() for leaf in tree_leaves(batch) if isinstance(leaf, Tensor))


@torch.no_grad()
def validate(
    objective: Objective[Any, Any], run: Run, batch: object, tracker: MemoryTracker
) -> None:
    """The losses of a held-out batch; with a moving average, beside a copy of the own weights."""
    copies = []
    if run.ema:
        names = names_by_tensor(root(objective))
        for weight in objective.model.parameters():
            if weight.requires_grad:
                copies.append(weight.detach().clone())
                tracker.assign(copies[-1], "average", names[id(weight)])
    half = torch.float16 if run.precision.startswith("16") else torch.bfloat16
    with torch.autocast("cpu", half, enabled=run.precision.endswith("mixed")):
        objective.named_losses(batch)


def asks(objective: Objective[Any, Any], run: Run) -> bool:
    """Return whether a run's validations ask the model for replies."""
    if run.validation is None or run.validation.samples == 0:
        return False
    return isinstance(objective.model, ComposedModel)


def reply_need(
    objective: Objective[Any, Any], run: Run, batch: object, static: BytesByPart
) -> Need:
    """Memory while replies are given: what training keeps, and what answering holds.

    Args:
        objective: of the run, on the meta device.
        run: with its validation.
        batch: the largest held-out one, whose longest conversation is taken for the question.
        static: what stays meanwhile: weights, states of the optimizer, averages.
    """
    assert run.validation is not None, "it validates"
    prompts: Sequence[ChatPrompt] = getattr(batch, "prompts", ())
    asked = max((len(prompt.ids) for prompt in prompts), default=0)
    tokens = asked + int(run.validation.settings.get("max_new_tokens", NEW_TOKENS))
    need = inference(objective.model, tokens)
    samples = run.validation.samples
    count = min(run.batch_size, samples if isinstance(samples, int) else SAMPLES)
    sizes = dict(static)
    if run.ema:
        names = names_by_tensor(root(objective))
        for weight in filter(lambda each: each.requires_grad, objective.model.parameters()):
            key = "average", names[id(weight)]
            sizes[key] = sizes.get(key, 0) + weight.nbytes  # the own weights, put aside
    for (purpose, part), size in need.sizes.items():
        if purpose == "cache":  # of all conversations that are answered together
            sizes[purpose, part] = size * count
        elif purpose == "activations":
            sizes[purpose, part] = size
    return Need(need.use, sizes, need.unknown)
