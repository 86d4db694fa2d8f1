"""The settings of torch modules, as far as their attributes tell them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from enum import Enum
from functools import partial
from pathlib import PurePath
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from anymodal.io.code_versions import is_library
from anymodal.io.fingerprints import (
    hash_settings,
    hash_weights,
    tokenizer_fingerprint,
)
from anymodal.io.protocols import TextTokenizer

_IGNORED = {"training", "name_or_path"}
"""Attributes that decide no result of a frozen part: a folder that was moved is the same."""

_OF_TORCH = frozenset(vars(nn.Module()))


def module_settings(modules: Iterable[nn.Module]) -> list[object]:
    """Of each module and sub-module its class and settings, as JSON values.

    Settings are numbers, texts and arrays among the attributes, and those of objects among them; of
    a library's object, what it writes into its configuration.
    """
    memo: dict[int, object] = {}
    return [_describe(each, memo) for top in modules for each in top.modules()]


def hidden_modules(modules: Iterable[nn.Module]) -> list[nn.Module]:
    """Modules that objects among the attributes hold, which torch takes for no sub-modules."""
    modules_by_id = {id(each): each for top in modules for each in top.modules()}
    hidden: list[nn.Module] = []
    # A list, or an object of one's own, hides its modules from torch, not from forward().
    todo = [value for each in modules_by_id.values() for value in _attributes(each).values()]
    visited: set[int] = set()
    while todo:
        value = todo.pop()
        if id(value) in modules_by_id or id(value) in visited:
            continue
        visited.add(id(value))
        if isinstance(value, nn.Module):
            hidden.append(value)
            modules_by_id |= {id(each): each for each in value.modules()}
            todo += [v for each in value.modules() for v in _attributes(each).values()]
        else:
            todo += _inner(value)
    return hidden


def _inner(value: object) -> Iterable[object]:
    """The values of a container, or the attributes of an object of no library."""
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, list | tuple | set | frozenset):
        return value
    return _attributes(value).values()


def _attributes(value: object) -> dict[str, object]:
    """An object's attributes, but those that its library keeps to itself.

    AnyModal's own parts tell their settings in their metadata.
    """
    library = is_library(type(value).__module__)
    if library and not isinstance(value, nn.Module):
        return {}
    inner_values = dict(getattr(value, "__dict__", {}))
    for kind in type(value).__mro__:
        slots = vars(kind).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if not name.startswith("__") and hasattr(value, name):
                inner_values[name] = getattr(value, name)
    return {
        name: inner
        for name, inner in inner_values.items()
        if not (library and name.startswith("_"))
        and name not in _IGNORED
        and not (isinstance(value, nn.Module) and name in _OF_TORCH)
    }


def _describe(value: object, memo: dict[int, object]) -> object:
    """A value as JSON: itself, a hash of what is large, or its class and attributes."""
    if value is None or isinstance(value, bool | int | float | str | bytes | np.generic):
        return repr(value)
    if isinstance(value, torch.dtype | torch.device | Enum | PurePath):
        # A folder that was moved is the same.
        return type(value).__name__ if isinstance(value, PurePath) else str(value)
    if id(value) not in memo:
        # Before its attributes: an object may refer back to itself.
        memo[id(value)] = _name_of(type(value))  # for what refers back to it
        memo[id(value)] = _describe_object(value, memo)
    return memo[id(value)]


def _describe_object(value: object, memo: dict[int, object]) -> object:
    if isinstance(value, Tensor):
        return "meta" if value.is_meta else hash_weights([("", value)])
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        state = hashlib.sha256(f"{value.dtype}{value.shape}".encode())
        state.update(np.ascontiguousarray(value).data)
        return state.hexdigest()
    if isinstance(value, dict):
        return {repr(key): _describe(inner, memo) for key, inner in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(str(_describe(inner, memo)) for inner in value)
    if isinstance(value, list | tuple):
        return [_describe(inner, memo) for inner in value]
    if isinstance(value, partial):
        inner = [value.func, value.args, value.keywords]
        return [_describe(each, memo) for each in inner]
    if hasattr(value, "__qualname__"):
        return _name_of(value)
    return [_name_of(type(value)), _settings_of(value, memo)]


def _settings_of(value: object, memo: dict[int, object]) -> object:
    """An object's settings: a tokenizer's, a configuration's, or its attributes."""
    if hasattr(value, "get_vocab") and hasattr(value, "model_max_length"):
        return tokenizer_fingerprint(cast(TextTokenizer, value), options=True)
    to_dict = getattr(value, "to_dict", None)
    # A library's attributes are its own affair and change with releases; its configuration lasts.
    if to_dict is not None and is_library(type(value).__module__):
        return hash_settings(to_dict())
    return {name: _describe(inner, memo) for name, inner in _attributes(value).items()}


def _name_of(kind: object) -> str:
    return f"{getattr(kind, '__module__', '')}.{getattr(kind, '__qualname__', '')}"
