"""What makes a plan fit: changes of a configuration, each tried on the sketch."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from anymodal import config as configuration
from anymodal.language import LanguageModel
from anymodal.model import AnyModal
from anymodal.planning.memory import Data, Need, inference, training
from anymodal.planning.sketch import copied
from anymodal.training.stage import Run


@dataclass(frozen=True)
class Use:
    """A model in use: answering a context of `tokens`, or training on `data` as `run` says."""

    model: nn.Module
    tokens: int = 0
    run: Run | None = None
    data: Data = ()

    def need(self) -> Need:
        """What it takes."""
        if self.run is None:
            return inference(self.model, self.tokens)
        return training(self.model, self.run, self.data)


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


def advise(use: Use, room: int, allow: Sequence[str] = ()) -> tuple[list[Advice], int]:
    """Changes that save memory, the largest saving first, and the peak with all of them.

    Args:
        use: as it is.
        room: bytes that there are.
        allow: packages trusted beside AnyModal's own.
    """
    before = use.need().peak
    tried = []
    for change in _changes(use, room, allow):
        saving = before - change.apply(use).need().peak
        if saving > 0:
            tried.append((change, saving))
    tried.sort(key=lambda pair: -pair[1])
    together = use
    for change, _ in tried:
        together = change.apply(together)
    advice = [Advice(change.change, change.key, saving) for change, saving in tried]
    return advice, together.need().peak


def _changes(use: Use, room: int, allow: Sequence[str]) -> Iterator[_Change]:
    if use.run is not None:
        yield from _of_run(use, use.run, room)
    else:
        half = max(1, use.tokens // 2)
        shorter = f"conversations of {half} tokens, with fewer turns"
        yield _Change(shorter, "memory", lambda u: dataclasses.replace(u, tokens=half))
    if isinstance(use.model, AnyModal) and use.model.config is not None:
        yield from _of_model(use.model, use.model.config, allow)


def _of_run(use: Use, run: Run, room: int) -> Iterator[_Change]:
    for batch in _halves(run.batch_size):
        accumulate = -(-run.batch_size * run.accumulate // batch)  # rounded up
        fewer = _changed(batch_size=batch, accumulate=accumulate)
        if batch == 1 or fewer(use).need().peak <= room:
            key = f"batch_size={batch} accumulate={accumulate}"
            yield _Change("fewer samples at once, as many for each step", key, fewer)
            break
    if run.precision.startswith("32"):
        key = "precision=bf16-mixed"
        yield _Change("half precision in passes", key, _changed(precision="bf16-mixed"))
    if run.ema:
        yield _Change("no moving average of the weights", "ema=null", _changed(ema=None))


def _halves(count: int) -> Iterator[int]:
    while count > 1:
        count //= 2
        yield count


def _changed(**settings: Any) -> Callable[[Use], Use]:
    """A use whose run has other settings."""

    def apply(use: Use) -> Use:
        assert use.run is not None
        return dataclasses.replace(use, run=dataclasses.replace(use.run, **settings))

    return apply


def _of_model(
    model: AnyModal, config: Mapping[str, Any], allow: Sequence[str]
) -> Iterator[_Change]:
    """Half precision for every part that is frozen, holds full precision and can be told so."""
    offered = set()
    for path, node in _nodes(config):
        key, named = path, node
        if "_part_" in node:
            key, named = f"parts.{node['_part_']}", config["parts"][node["_part_"]]
        if key in offered or "dtype" not in _arguments(named, allow):
            continue
        offered.add(key)
        if _can_halve(model.get_submodule(path)):
            name = type(model.get_submodule(path)).__name__
            yield _Change(f"half precision for {name}", f"{key}.dtype=bfloat16", _halved(path))


def _nodes(config: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The parts that may have a precision: their names in the model, and their nodes."""
    yield "language", config["language"]
    for modality, node in config["modalities"].items():
        for key in ("encoder", "decoder"):
            if node.get(key):
                yield f"{key}s.{modality}", node[key]


def _arguments(node: Mapping[str, Any], allow: Sequence[str]) -> Mapping[str, Any]:
    return inspect.signature(configuration.resolve_target(node["_target_"], allow)).parameters


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


def _halved(path: str) -> Callable[[Use], Use]:
    def apply(use: Use) -> Use:
        model = copied(use.model)
        for parameter in _old(model.get_submodule(path)):
            parameter.data = parameter.data.to(torch.bfloat16)
        return dataclasses.replace(use, model=model)

    return apply
