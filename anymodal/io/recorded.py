"""Parts that know how they were built, so that a model put together in Python can be saved."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
from torch import nn

from anymodal.io.fingerprints import weights_fingerprint, weights_fingerprints

OPENS = "from_pretrained"
"""The classmethod by which a class opens files of its own; `save_pretrained` writes them."""


class UnknownArgument(NamedTuple):
    """Stands for an argument that no configuration can say."""

    type: str


class Construction(NamedTuple):
    """Recipe of a part: its class, the arguments by name, and the classmethod, if any.

    `fingerprints` are those of the weights that its files hold, first as they were opened, then in
    each precision that they may be cast to; nothing for a part that wasn't opened from files.
    """

    owner: type
    arguments: dict[str, Any]
    method: str | None = None
    fingerprints: tuple[str, ...] = ()


class Recorded:
    """A part that records how it was built: by its constructor, or by a `from_pretrained`.

    Arguments are kept as far as a configuration can say them: plain values and other such parts.

    Attributes:
        of_published: arguments of `from_pretrained` that mean published files, and nothing of those
            that the part itself saves.
    """

    of_published: ClassVar[tuple[str, ...]] = ("revision",)

    def __new__(cls, *args: object, **kwargs: object) -> Self:
        part = super().__new__(cls)
        # In `vars`: a torch module takes attributes only after its own __init__.
        vars(part)["_construction"] = (None, _bind(cls.__init__, part, args, kwargs))
        return part

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        opens = vars(cls).get(OPENS)
        if isinstance(opens, classmethod):
            setattr(cls, OPENS, classmethod(_record_calls(opens.__func__)))


def _record_calls(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(cls: object, *args: object, **kwargs: object) -> Any:
        part = function(cls, *args, **kwargs)
        if isinstance(part, Recorded):
            arguments = _bind(function, cls, args, kwargs)
            vars(part)["_construction"] = (OPENS, arguments, _fingerprints(part))
        return part

    return wrapper


def _bind(
    function: Callable[..., object], owner: object, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """Arguments by name, without the first; nothing where they don't fit, which the call tells."""
    signature = inspect.signature(function)
    # The call that follows raises the same error, with a better message.
    try:
        bindings = signature.bind(owner, *args, **kwargs).arguments
    except TypeError:
        return {}
    arguments: dict[str, Any] = {}
    for name, value in list(bindings.items())[1:]:
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            arguments |= {key: _plain(inner) for key, inner in value.items()}
        elif kind is inspect.Parameter.VAR_POSITIONAL:
            arguments[name] = UnknownArgument("arguments without a name")
        else:
            arguments[name] = _plain(value)
    return arguments


def _plain(value: object) -> Any:
    """A value as a configuration says it; other recorded parts stay themselves."""
    if value is None or isinstance(value, bool | Recorded):
        return value
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, int | float):
        return int(value) if isinstance(value, int) else float(value)
    if isinstance(value, str | Path):
        # A folder is meant from where one works now, and opened from anywhere later.
        return os.path.abspath(value) if str(value) and os.path.isdir(value) else str(value)
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _plain(item) for key, item in value.items()}
    return UnknownArgument(type(value).__qualname__)


def _fingerprints(part: object) -> tuple[str, ...]:
    if not isinstance(part, nn.Module) or any(weight.is_meta for weight in part.parameters()):
        return ()
    return tuple(weights_fingerprints(part, (None, torch.bfloat16, torch.float16)))


def construction_of(part: object) -> Construction | None:
    """The recipe of a part; None for one that doesn't record it."""
    if not isinstance(part, Recorded) or "_construction" not in vars(part):
        return None
    method, arguments, *fingerprints = vars(part)["_construction"]
    return Construction(type(part), arguments, method, *fingerprints)


def drop_published(part: object, arguments: dict[str, Any]) -> None:
    """Leave out what a part's own files, once it has saved them, aren't opened with."""
    for name in getattr(part, "of_published", Recorded.of_published):
        arguments.pop(name, None)


def is_opened(part: object) -> bool:
    """Return whether a part was opened from files, which hold its weights as they were then."""
    construction = construction_of(part)
    return construction is not None and construction.method is not None


def is_changed(part: nn.Module) -> bool:
    """Return whether the weights of a part that was opened differ from those of its files.

    What it holds in another precision now is unchanged: that is how it was opened, not what it is.
    """
    prints = _prints(part)
    return bool(prints) and weights_fingerprint(part) not in prints


def is_cast(part: nn.Module) -> bool:
    """Return whether a part that was opened holds its files' weights in another precision."""
    prints = _prints(part)
    return (
        bool(prints)
        and weights_fingerprint(part) in prints[1:]
        and weights_fingerprint(part) != prints[0]
    )


def _prints(part: nn.Module) -> tuple[str, ...]:
    construction = construction_of(part)
    meta = any(weight.is_meta for weight in part.parameters())
    return () if meta or construction is None else construction.fingerprints
