"""Low-rank adapters of a language model's linear layers (Hu et al. 2021, section 4.1)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TypedDict

from torch import nn
from transformers import PreTrainedModel


class LoraSettings(TypedDict, total=False):
    """Arguments of `LanguageModel.enable_lora`."""

    r: int
    alpha: int
    dropout: float
    target_modules: str | Sequence[str]


def inject_lora(
    model: PreTrainedModel,
    output: nn.Module,
    r: int,
    alpha: int,
    dropout: float,
    target_modules: str | Sequence[str],
    part: nn.Module | None = None,
    excluded: Sequence[nn.Module] = (),
) -> str | list[str]:
    """Put adapters on linear layers, which alone train afterwards.

    Args:
        model: changed in place.
        output: its output layer, which `all-linear` leaves out.
        r: the adapters' rank.
        alpha: their scale times `r`.
        dropout: of their inputs while they train.
        target_modules: names, a pattern of names, or `all-linear`.
        part: the part of the model whose linear layers `all-linear` means; None for all.
        excluded: parts of the model that `all-linear` doesn't mean, nor a name that others have.

    Returns:
        The targets as a folder's configuration says them: names, never a pattern.
    """
    # peft takes seconds to import.
    from peft import LoraConfig, inject_adapter_in_model
    from peft.tuners.lora import LoraLayer

    targets = target_modules if isinstance(target_modules, str) else list(target_modules)
    out = {id(module) for each in excluded for module in each.modules()}
    has_experts = any(parameter.ndim == 3 for parameter in (part or model).parameters())
    if targets == "all-linear" and (has_experts or part is not None):
        # All experts are one tensor, of which peft would make adapters without dropout that it
        # can't merge: a mixture of experts gets them on its linear layers alone.
        inside = {id(module) for module in (part or model).modules()} - out
        targets = [
            name
            for name, module in model.named_modules()
            if isinstance(module, nn.Linear) and module is not output and id(module) in inside
        ]
    elif out and not isinstance(targets, str):
        targets = [name for target in targets for name in _names_meant(model, target, out)]
    inject_adapter_in_model(
        LoraConfig(r=r, lora_alpha=alpha, lora_dropout=dropout, target_modules=targets), model
    )
    for module in model.modules():
        if isinstance(module, LoraLayer):
            _move_hooks(module.get_base_layer(), module)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in name)
        if "lora_" in name:  # in bfloat16 most of an optimizer's steps would round to nothing
            parameter.data = parameter.data.float()
    if target_modules == "all-linear":
        return "all-linear"
    if isinstance(target_modules, str):
        return [n for n, module in model.named_modules() if isinstance(module, LoraLayer)]
    return list(target_modules)


def _names_meant(model: nn.Module, target: str, out: Collection[int]) -> list[str]:
    """Modules that a name means: those that aren't `out`, by their ids, if there are such."""
    names = [
        name
        for name, module in model.named_modules()
        if id(module) not in out and f".{name}".endswith(f".{target}")
    ]
    return names or [target]


def merge_lora(model: PreTrainedModel) -> None:
    """Add the adapters to the weights they adapt, and leave a plain model."""
    from peft.tuners.lora import LoraLayer

    for name, module in list(model.named_modules()):
        if isinstance(module, LoraLayer):
            module.merge()
            _move_hooks(module, module.get_base_layer())
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, module.get_base_layer())
    if hasattr(model, "peft_config"):
        del model.peft_config
    # As transformers notes it where it loads adapters; it would save nothing else afterwards.
    model._hf_peft_config_loaded = False


def _move_hooks(source: nn.Module, target: nn.Module) -> None:
    """Let a module's hooks, such as a fusion's, be another's.

    They are of a layer with its adapters, whether those came first or later.
    """
    for name in ("_forward_hooks", "_forward_pre_hooks"):
        for suffix in ("", "_with_kwargs"):
            hooks = getattr(source, name + suffix)
            getattr(target, name + suffix).update(hooks)
            hooks.clear()
