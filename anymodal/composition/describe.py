"""A model's complete configuration, from the one it has and from how its parts were built."""

from __future__ import annotations

import copy
import inspect
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from anymodal.composition.shape import Config
from anymodal.io.recorded import (
    OPENS,
    Recorded,
    UnknownArgument,
    construction_of,
    drop_published,
    is_opened,
)

if TYPE_CHECKING:
    from anymodal.core import ComposedModel

Node = dict[str, Any]

_FRAMEWORK_ARGUMENTS = {
    "projection": ("widths", "output_width"),
    "fusion": ("widths",),
    "head": ("input_width", "num_signal_tokens", "spec"),
}
"""Arguments that composing fills in, by kind of part."""


class Description:
    """A model's configuration, complete: parts that it doesn't name yet tell how they were built.

    Attributes:
        config: the configuration.
        unsaved: parts by label that have no files and can't be built anew, so that their files
            must be written beside the configuration.

    Raises:
        ValueError: for a part that knows nothing of how it was built.
    """

    def __init__(self, model: ComposedModel) -> None:
        self.model = model
        self.config: Node = copy.deepcopy(dict(model.config or {}))
        self.unsaved: dict[str, object] = {}
        # Of parts, by the object's id.
        self._nodes: dict[int, Node] = {}
        self._labels: dict[int, str] = {}
        for label, node, part in nodes(model, self.config):
            self._nodes[id(part)] = node
            opens = str(node.get("_target_")).endswith(f".{OPENS}")
            is_built = isinstance(part, Recorded) and has_files(type(part)) and not is_opened(part)
            if opens and is_built:  # it was given beside a configuration that opens files
                self.unsaved[label] = part
        self._describe()
        self._describe_adapters()

    def _describe(self) -> None:
        model, config = self.model, self.config
        config.setdefault("parts", {})
        if not config.get("language"):
            config["language"] = self._node(model.language, "language")
        if not config.get("projection") and model.projection is not None:
            config["projection"] = self._node(model.projection, "projection")
        if not config.get("fusion") and model.fusion is not None:
            config["fusion"] = self._node(model.fusion, "fusion")
        nodes_by_name = config.setdefault("modalities", {})
        for name, modality in model.modalities.items():
            node = nodes_by_name.setdefault(name, {})
            parts: dict[str, object] = {"encoder": modality.encoder, "decoder": modality.decoder}
            parts["speaker"] = modality.speaker
            for key, part in parts.items():
                if not node.get(key) and part is not None:
                    node[key] = self._node(part, f"{name}-{key}")
            if not node.get("head") and modality.head is not None:
                node["head"] = self._node(modality.head, f"{name}-head", "head")
            if modality.decoder is not None:
                node["num_signal_tokens"] = modality.num_signal_tokens
            if modality.decoder is not None or modality.speaker is not None:
                node["sampling"] = copy.deepcopy(dict(modality.sampling))
                node["null_request"] = modality.null_request
            nodes_by_name[name] = {key: value for key, value in node.items() if value is not None}
        if model.history_turns is not None:
            config["history_turns"] = model.history_turns
        if model.history_notice:
            config["history_notice"] = model.history_notice
        if model.media_first:
            config["media_first"] = True
        if model.signals.pointers:
            config["num_pointers"] = model.signals.pointers
        outside = {key: value for key, value in config.items() if key != "parts"}
        names = _references(outside, config["parts"])
        config["parts"] = {name: node for name, node in config["parts"].items() if name in names}
        if not config["parts"]:
            del config["parts"]

    def _describe_adapters(self) -> None:
        """The adapters that there are now, whoever put them there, or none."""
        config = self.config
        node = config["language"]
        if "_part_" in node:
            node = config["parts"][node["_part_"]]
        node.pop("lora", None)
        config.pop("lora", None)
        if self.model.language.lora is not None:
            config["lora"] = copy.deepcopy(self.model.language.lora)

    def _node(self, part: object, label: str, kind: str | None = None) -> Node:
        if id(part) in self._nodes:
            return self._share(part, label)
        construction = construction_of(part)
        owner = type(part)
        path = _dotted(owner, label)
        arguments = construction.arguments if construction is not None else {}
        plain = {
            k: v
            for k, v in arguments.items()
            if k not in _FRAMEWORK_ARGUMENTS.get(kind or label, ())
        }
        if construction is not None and construction.method is not None:
            node = {"_target_": f"{path}.{OPENS}", **self._arguments(plain, label, part)}
        elif has_files(owner):
            node = opening_node(part, label)
            self.unsaved[label] = part
        elif construction is not None:
            node = {"_target_": path, **self._arguments(plain, label, part)}
        else:
            raise ValueError(_knows_nothing(label, owner, "how it was built"))
        self._nodes[id(part)], self._labels[id(part)] = node, label
        return node

    def _share(self, part: object, label: str) -> Node:
        """A reference to what stands elsewhere, which moves under `parts`."""
        node, parts = self._nodes[id(part)], self.config["parts"]
        for name, value in parts.items():
            if value is node:
                return {"_part_": name}
        label = self._labels.get(id(part), label)
        name = label if label not in parts else f"{label}-{len(parts)}"
        parts[name] = dict(node)
        if (old_label := next((k for k, v in self.unsaved.items() if v is part), None)) is not None:
            del self.unsaved[old_label]
            self.unsaved[name] = part
        # In place: the node stands in the configuration already.
        node.clear()
        node["_part_"] = name
        self._nodes[id(part)] = parts[name]
        return {"_part_": name}

    def _arguments(self, arguments: Mapping[str, object], label: str, part: object) -> Node:
        return {key: self._value(value, f"{label}-{key}", part) for key, value in arguments.items()}

    def _value(self, value: object, label: str, part: object) -> object:
        if isinstance(value, UnknownArgument):
            argument = label.rpartition("-")[2]
            lacks = f"its argument {argument!r}, a {value.type},"
            raise ValueError(_knows_nothing(label.rpartition("-")[0], type(part), lacks))
        if isinstance(value, Recorded):
            return self._node(value, label)
        if isinstance(value, list):
            return [self._value(item, label, part) for item in value]
        if isinstance(value, dict):
            return {key: self._value(item, label, part) for key, item in value.items()}
        return value


def _references(node: object, parts: Mapping[str, Node]) -> set[str]:
    """The shared parts that a node stands on, itself or through others."""
    if isinstance(node, list):
        return {name for item in node for name in _references(item, parts)}
    if not isinstance(node, Mapping):
        return set()
    if node.get("_part_") in parts:
        name = node["_part_"]
        return {name} | _references(parts[name], parts)
    return {name for item in node.values() for name in _references(item, parts)}


def has_files(owner: type) -> bool:
    """Return whether a class writes files of its own and opens them again."""
    return hasattr(owner, OPENS) and hasattr(owner, "save_pretrained")


def _dotted(owner: type, label: str) -> str:
    """The path by which a configuration names a class, the public one where there is one."""
    if "<locals>" in owner.__qualname__:
        raise ValueError(
            f"{label} is a {owner.__qualname__}, a class within a function, which nothing can find "
            "again; move it to the top of a module, and save then"
        )
    package = ".".join(owner.__module__.split(".")[:2])
    public = getattr(sys.modules.get(package), owner.__name__, None)
    home = package if public is owner else owner.__module__
    return f"{home}.{owner.__qualname__}"


def opening_node(part: object, label: str) -> Node:
    """The node by which a configuration opens a part's own files, but for their folder.

    Of the constructor's arguments those that its `from_pretrained` takes too, and the precision.
    """
    construction = construction_of(part)
    parameters = inspect.signature(getattr(type(part), OPENS)).parameters
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    arguments = {
        key: value
        for key, value in (construction.arguments if construction is not None else {}).items()
        if (key in parameters or (anything and value is not None))
        and not isinstance(value, UnknownArgument | Recorded)
    }
    drop_published(part, arguments)
    arguments.pop(next(iter(parameters)), None)
    if "dtype" in parameters and isinstance(part, nn.Module):
        kinds = {weight.dtype for weight in part.parameters() if weight.is_floating_point()}
        if len(kinds) == 1 and (kind := kinds.pop()) is not torch.float32:
            arguments["dtype"] = str(kind).removeprefix("torch.")
    return {"_target_": f"{_dotted(type(part), label)}.{OPENS}", **arguments}


def _knows_nothing(label: str, owner: type, lacks: str) -> str:
    return (
        f"{label} is a {owner.__qualname__} of which no configuration can say {lacks} so the model "
        "can't be saved; give it a save_pretrained and a from_pretrained, build it from plain "
        "values, compose the model from a configuration (AnyModal.compose), or give AnyModal "
        "config=… (add_modality encoder=…) that says how it is built"
    )


def nodes(model: ComposedModel, config: Config) -> Iterator[tuple[str, Node, object]]:
    """Objects that a configuration builds, each with its label and its node.

    A shared object's label is its name under `parts`, and it comes as often as it is named.
    """
    parts = config.get("parts") or {}
    if config.get("language"):
        yield from _with_inner("language", config["language"], model.language, parts)
    if model.projection is not None and config.get("projection"):
        yield from _with_inner("projection", config["projection"], model.projection, parts)
    if model.fusion is not None and config.get("fusion"):
        yield from _with_inner("fusion", config["fusion"], model.fusion, parts)
    for name, settings in config.get("modalities", {}).items():
        kinds = {"encoder": model.encoders, "decoder": model.decoders, "speaker": model.speakers}
        for key, parts_by_name in kinds.items():
            if settings.get(key) and name in parts_by_name:
                yield from _with_inner(f"{name}-{key}", settings[key], parts_by_name[name], parts)


def _with_inner(
    label: str, node: Node, part: object, parts: Mapping[str, Node]
) -> Iterator[tuple[str, Node, object]]:
    """A part, and its arguments that are objects themselves."""
    if "_part_" in node:
        label, node = node["_part_"], parts[node["_part_"]]
    yield label, node, part
    construction = construction_of(part)
    for argument, inner in node.items():
        if isinstance(inner, dict) and inner.keys() & {"_part_", "_target_"}:
            default = None if construction is None else construction.arguments.get(argument)
            yield from _with_inner(
                f"{label}-{argument}", inner, getattr(part, argument, default), parts
            )
