"""Advice that makes a plan fit: configuration changes, each tried on a copy of the model."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from anymodal import config as configuration
from anymodal.composition.shape import Config
from anymodal.decoders import DiffusionDecoder
from anymodal.language.model import LanguageModel
from anymodal.model import AnyModal
from anymodal.tools.plan.answering import Traces, inference
from anymodal.tools.plan.earlier_runs import copy_model
from anymodal.tools.plan.memory import Data, Need
from anymodal.tools.plan.parts import root
from anymodal.tools.plan.validation import HeldOutData
from anymodal.training.configuration import Run
from anymodal.training.objectives import Objective


@dataclass(frozen=True)
class Use:
    """A model in use: answering a context of `tokens`, or in an objective that trains it on `data`
    as `run` says, validated on `held_out`.
    """

    subject: nn.Module | Objective[Any, Any]
    tokens: int = 0
    run: Run | None = None
    data: Data = ()
    held_out: HeldOutData = field(default_factory=dict)
    traces: Traces = field(default_factory=dict)

    def need(self) -> Need:
        """Plan its peak memory."""
        if self.run is None:
            return inference(self.model, self.tokens, self.traces)
        assert isinstance(self.subject, Objective), "a run has one"
        from anymodal.tools.plan.training import training  # with lightning, for a run alone

        return training(self.subject, self.run, self.data, self.held_out)

    @property
    def model(self) -> nn.Module:
        """The model itself, or what holds the only part that a run trains."""
        return root(self.subject) if isinstance(self.subject, Objective) else self.subject

    def with_edit(self, edit: Callable[[nn.Module], None]) -> Use:
        """The use of a copy of the model that was edited."""
        use = dataclasses.replace(self, subject=copy_model(self.subject))
        edit(use.model)
        return use


@dataclass(frozen=True)
class Advice:
    """A change, the key of the configuration that makes it, and the bytes that it saves."""

    change: str
    key: str
    saving: int


@dataclass(frozen=True)
class _Change:
    change: str
    key: str
    apply: Callable[[Use], Use]


def advise(
    use: Use, room: int, trusted_packages: Sequence[str] = (), offload: bool = True
) -> tuple[list[Advice], int]:
    """Changes that save memory, the largest saving first, and the peak with all of them.

    Args:
        use: as it is.
        room: bytes that there are.
        trusted_packages: packages trusted beside AnyModal's own.
        offload: there is a processor's memory beside the device's, for weights to wait in.
    """
    peak = use.need().peak
    savings = []
    for change in _changes(use, room, trusted_packages, offload):
        saving = peak - change.apply(use).need().peak
        if saving > 0:
            savings.append((change, saving))
    savings.sort(key=lambda pair: -pair[1])
    combined = use
    # Together they save less than their sum, so the peak is planned again with all of them.
    for change, _ in savings:
        combined = change.apply(combined)
    advice = [Advice(change.change, change.key, saving) for change, saving in savings]
    return advice, combined.need().peak


def _changes(
    use: Use, room: int, trusted_packages: Sequence[str], offload: bool
) -> Iterator[_Change]:
    if use.run is not None:
        yield from _of_run(use, use.run, room)
    else:
        half = max(1, use.tokens // 2)
        change = f"conversations of {half} tokens, with fewer turns"
        yield _Change(change, "memory", lambda u: dataclasses.replace(u, tokens=half))
    if isinstance(use.model, AnyModal) and use.model.config is not None:
        yield from _of_model(use.model, use.model.config, trusted_packages)
        if offload:
            yield from _quantised(use.model, use.model.config, trusted_packages)
        if offload and use.run is None:
            yield from _offloads(use.model, use.model.config)


def _of_run(use: Use, run: Run, room: int) -> Iterator[_Change]:
    for batch in _halves(run.batch_size):
        accumulate = -(-run.batch_size * run.accumulate_grad_batches // batch)  # rounded up
        apply = _with_settings(batch_size=batch, accumulate_grad_batches=accumulate)
        if batch == 1 or apply(use).need().peak <= room:
            key = f"batch_size={batch} accumulate_grad_batches={accumulate}"
            yield _Change("fewer samples at once, as many for each step", key, apply)
            break
    if run.precision.startswith("32"):
        key = "precision=bf16-mixed"
        yield _Change("half precision in passes", key, _with_settings(precision="bf16-mixed"))
    if not run.activation_checkpointing:
        change = "what is inside of blocks is computed a second time, not kept"
        yield _Change(
            change, "activation_checkpointing=true", _with_settings(activation_checkpointing=True)
        )
    if run.validation is not None:
        change = "no replies while it validates"
        metrics = " validation.metrics={}" if run.validation.metrics else ""
        key = f"validation.samples=0{metrics}"
        yield _Change(change, key, _with_validation(samples=0, metrics={}))
    if run.ema:
        yield _Change("no moving average of the weights", "ema=null", _with_settings(ema=None))


def _halves(count: int) -> Iterator[int]:
    while count > 1:
        count //= 2
        yield count


def _with_settings(**settings: Any) -> Callable[[Use], Use]:
    """A use whose run has other settings."""

    def apply(use: Use) -> Use:
        assert use.run is not None
        return dataclasses.replace(use, run=dataclasses.replace(use.run, **settings))

    return apply


def _with_validation(**settings: Any) -> Callable[[Use], Use]:
    """A use whose validation has other settings."""

    def apply(use: Use) -> Use:
        assert use.run is not None and use.run.validation is not None
        validation = dataclasses.replace(use.run.validation, **settings)
        return dataclasses.replace(use, run=dataclasses.replace(use.run, validation=validation))

    return apply


def _of_model(
    model: AnyModal, config: Config, trusted_packages: Sequence[str]
) -> Iterator[_Change]:
    """Half precision for every part that is frozen, holds full precision and can be told so."""
    for path, key, node in _nodes(config):
        part = model.get_submodule(path)
        if "dtype" in _arguments(node, trusted_packages) and _can_halve(part):
            change = f"half precision for {type(part).__name__}"
            yield _Change(change, f"{key}.dtype=bfloat16", _halve(path))


def _quantised(
    model: AnyModal, config: Config, trusted_packages: Sequence[str]
) -> Iterator[_Change]:
    """A language model that is frozen, in 4 bits."""
    (_, key, node) = next(each for each in _nodes(config) if each[0] == "language")
    language = model.language
    is_frozen = not any(p.requires_grad for p in _old(language))
    if is_frozen and language.quantize is None and "quantize" in _arguments(node, trusted_packages):
        change = "the language model's linear layers in 4 bits"
        yield _Change(change, f"{key}.quantize=4bit", _in_4_bits)


def _in_4_bits(use: Use) -> Use:
    def edit(model: nn.Module) -> None:
        assert isinstance(model, AnyModal)
        model.language.quantize = "4bit"

    return use.with_edit(edit)


def _offloads(model: AnyModal, config: Config) -> Iterator[_Change]:
    """Decoders whose parts wait in the processor's memory until each is needed."""
    for path, key, _ in _nodes(config):
        part = model.get_submodule(path)
        if isinstance(part, DiffusionDecoder) and part.offload is None:
            change = f"{path} waits in the processor's memory"
            yield _Change(change, f"{key}.offload=model", _offload(path))


def _offload(path: str) -> Callable[[Use], Use]:
    def edit(model: nn.Module) -> None:
        decoder = model.get_submodule(path)
        assert isinstance(decoder, DiffusionDecoder)
        decoder.offload = "model"

    return lambda use: use.with_edit(edit)


def _nodes(config: Config) -> Iterator[tuple[str, str, Config]]:
    """Parts that may have settings, each once: name in the model, key and node in the file."""
    places = {"language": config["language"]}
    for modality, settings in config["modalities"].items():
        for kind in ("encoder", "decoder", "speaker"):
            if settings.get(kind):
                places[f"{kind}s.{modality}"] = settings[kind]
    keys = set()
    for path, node in places.items():
        key = path if path == "language" else _key(path)
        if "_part_" in node:
            key, node = f"parts.{node['_part_']}", config["parts"][node["_part_"]]
        if key not in keys:
            keys.add(key)
            yield path, key, node


def _key(path: str) -> str:
    """`decoders.a` of a model is `modalities.a.decoder` in its file."""
    kind, _, modality = path.partition(".")
    return f"modalities.{modality}.{kind.removesuffix('s')}"


def _arguments(node: Config, trusted_packages: Sequence[str]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(
        configuration.resolve_target(node["_target_"], trusted_packages)
    ).parameters


def _can_halve(part: nn.Module) -> bool:
    weights = _old(part)
    return any(p.dtype == torch.float32 for p in weights) and not any(
        p.requires_grad for p in weights
    )


def _old(part: nn.Module) -> list[nn.Parameter]:
    """The weights that a part's own files hold: neither adapters nor new rows."""
    if isinstance(part, LanguageModel):
        return [p for n, p in part.model.named_parameters() if "lora_" not in n]
    return list(part.parameters())


def _halve(path: str) -> Callable[[Use], Use]:
    def edit(model: nn.Module) -> None:
        for parameter in _old(model.get_submodule(path)):
            parameter.data = parameter.data.to(torch.bfloat16)

    return lambda use: use.with_edit(edit)
