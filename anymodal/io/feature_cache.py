"""Keep what frozen parts compute, so that it is computed once."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from anymodal import __version__
from anymodal.io.tensor_store import Shards, Value, bytes_of, size_of


class CacheKey(NamedTuple):
    """Cache key: the modules and settings (JSON values) that determine a result.

    `facts` are asked for once if they are an object's own method, which equals itself each time.
    `content` is the hash of both (`FeatureCache.content`), where modules aren't in memory.
    """

    modules: Sequence[nn.Module]
    facts: Callable[[], Mapping[str, Any]]
    content: str | None = None

    @property
    def trains(self) -> bool:
        """Whether any of it is being trained, so that nothing it gives may be kept."""
        return any(p.requires_grad for module in self.modules for p in module.parameters())


AHEAD = 64
"""Reads ahead that wait to be asked for, at most."""


MEMORY = 4 << 30
"""Bytes kept in memory where no limit is given."""


class Memory:
    """Values of parts in memory, up to `limit` bytes; what comes later isn't kept."""

    def __init__(self, limit: int) -> None:
        self.limit, self.size = limit, 0
        self.values: dict[tuple[str, str], Value] = {}

    def find(self, part: str, keys: Sequence[str]) -> dict[str, Value]:
        """The values there are."""
        return {key: self.values[part, key] for key in keys if (part, key) in self.values}

    def add(self, part: str, values: Mapping[str, Value]) -> None:
        """Keep values."""
        for key, value in values.items():
            if self.size + size_of(value) <= self.limit:
                self.values[part, key] = tuple(tensor.to("cpu", copy=True) for tensor in value)
                self.size += size_of(value)


class FeatureCache:
    """Results of frozen parts by part and item, in memory or in a folder, exactly as they came.

    A part is known by the content of what decides its results (`fingerprint`), an item by a key
    of its own, such as a medium's digest.

    Args:
        limit: bytes that memory or the folder holds at most; what exceeds it is computed again each
            time. None for `MEMORY` in memory, and for all that a folder's disk has room for.
        folder: where to keep them instead of in memory, for later runs and other processes too.

    Raises:
        ValueError: if nothing can be written to the folder.
    """

    def __init__(self, limit: int | None = None, folder: str | Path | None = None) -> None:
        in_memory = MEMORY if limit is None else limit
        self.store = Memory(in_memory) if folder is None else Shards(folder, limit)
        self.parts: set[str] = set()  # asked for
        self.fresh = 0  # bytes computed, since they weren't there
        self._known: dict[Any, tuple[Any, str, CacheKey]] = {}
        self._hashed: dict[Any, str] = {}
        self._last: dict[Any, str] = {}  # the part that an origin was, when last asked for
        self._ahead: dict[Any, Future[dict[str, Value]]] = {}
        self._reader: ThreadPoolExecutor | None = None

    def __deepcopy__(self, memo: Any) -> FeatureCache:
        """Itself: what is kept is known by content, so a model's copy has the same use for it."""
        return self

    def prefetch(self, origin: CacheKey, keys: Sequence[str]) -> None:
        """Begin to read, in a thread, what a later `get_or_compute` of the same keys will want.

        So that an accelerator doesn't wait while files are read. It changes no result: what isn't
        there yet is looked for again. Does nothing in memory, or before the key was asked for.
        """
        part = self._last.get(_place(origin))
        if part is None or not isinstance(self.store, Shards):
            return
        if self._reader is None:
            self._reader = ThreadPoolExecutor(1, "reading ahead")
        if len(self._ahead) >= AHEAD:  # nobody came for them
            self._ahead.clear()
        read = self._reader.submit(self.store.find, part, list(dict.fromkeys(keys)))
        self._ahead[part, tuple(keys)] = read

    def get_or_compute(
        self,
        origin: CacheKey,
        keys: Sequence[str],
        compute: Callable[[list[int]], Sequence[Tensor]],
        device: torch.device,
    ) -> Value:
        """Results of the keys in order, stacked, on the device.

        Args:
            origin: what the results come from.
            keys: one for each item.
            compute: asked for the batch at the places whose keys are missing: tensors whose first
                dimension counts those places. What it gives is kept as it is.
            device: where results go, and where they are computed.
        """
        part = self.fingerprint(origin, device)
        self._last[_place(origin)] = part
        found = self._find(part, keys)
        missing: dict[str, int] = {}
        for place, key in enumerate(keys):
            if key not in found:
                missing.setdefault(key, place)
        if missing:
            computed = [column.detach() for column in compute(list(missing.values()))]
            fresh: dict[str, Value] = dict(zip(missing, zip(*computed, strict=True), strict=True))
            self.store.add(part, fresh)
            self.fresh += sum(map(size_of, fresh.values()))
            found.update(fresh)
        self.parts.add(part)
        columns = zip(*(found[key] for key in keys), strict=True)
        return tuple(torch.stack([value.to(device) for value in column]) for column in columns)

    def _find(self, part: str, keys: Sequence[str]) -> dict[str, Value]:
        """The values there are, read ahead or now."""
        read = self._ahead.pop((part, tuple(keys)), None)
        found = {} if read is None else read.result()
        if rest := [key for key in dict.fromkeys(keys) if key not in found]:
            found.update(self.store.find(part, rest))
        return found

    def fingerprint(self, origin: CacheKey, device: torch.device) -> str:
        """The hash of all that decides a part's results, under the autocast that is on.

        That is its content, the versions of AnyModal and of the libraries that compute, and the
        source of AnyModal's encoders, decoders and media.
        """
        cast = torch.is_autocast_enabled(device.type) and torch.get_autocast_dtype(device.type)
        content = origin.content or self.content(origin)
        return _hash_json([__version__, _versions(), hash_own_code(), str(cast), content])

    def content(self, origin: CacheKey) -> str:
        """The hash of an origin: facts, weights and buffers with their types, settings, source.

        Weights are hashed once, at over a gigabyte a second, and again when they have changed; a
        change behind autograd's back, through `.data`, isn't noticed.
        """
        weights = tuple(_weights(origin.modules))
        state = tuple((name, w.data_ptr(), w._version) for name, w in weights)
        place = _place(origin)
        if place not in self._known or self._known[place][0] != state:
            if state not in self._hashed:  # views of one model share its weights
                self._hashed[state] = _hash_weights(weights)
            what = {
                "facts": origin.facts(),
                "weights": self._hashed[state],
                "modules": [_plain(module) for top in origin.modules for module in top.modules()],
                "sources": hash_sources(origin.modules),
            }
            # With the modules themselves: an id is another's once its object is gone.
            self._known[place] = (state, _hash_json(what), origin)
        return self._known[place][1]


def _place(origin: CacheKey) -> Any:
    """What an origin is known by in this process."""
    return origin.facts, origin.content, *map(id, origin.modules)


def _hash_json(what: Any) -> str:
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:32]


def _weights(modules: Sequence[nn.Module]) -> Iterator[tuple[str, Tensor]]:
    for module in modules:
        yield from module.named_parameters()
        yield from module.named_buffers()


def _hash_weights(weights: Sequence[tuple[str, Tensor]]) -> str:
    state = hashlib.sha256()
    for name, tensor in weights:
        state.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        state.update(bytes_of(tensor))
    return state.hexdigest()


_BESIDE = ("training", "name_or_path")
"""Attributes that decide no result of a frozen part: a folder that was moved is the same."""


def _plain(module: nn.Module) -> list[Any]:
    """A module's class, and its numbers and texts, but those that its library keeps to itself."""
    hidden = _of_library(sys.modules.get(type(module).__module__))
    settings = {
        name: str(value)
        for name, value in vars(module).items()
        if not (name[0] == "_" and (hidden or name in _TORCH_S))
        and name not in _BESIDE
        and _is_plain(value)
    }
    return [f"{type(module).__module__}.{type(module).__qualname__}", settings]


_TORCH_S = frozenset(vars(nn.Module()))


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(map(_is_plain, value.keys())) and all(map(_is_plain, value.values()))
    return value is None or isinstance(value, bool | int | float | str)


def hash_sources(modules: Sequence[nn.Module]) -> dict[str, str]:
    """The hash of each file that defines a class of the modules, by its module's name.

    Of files that are no library's, what they import of their own kind is with them.
    """
    classes = {type(module) for top in modules for module in top.modules()}
    todo = [kind.__module__ for each in classes for kind in each.__mro__]
    names: set[str] = set()
    while todo:
        name = todo.pop()
        if name in names or name.split(".")[0] in ("torch", "builtins"):
            continue
        names.add(name)
        if not _of_library(sys.modules.get(name)):
            todo += _imported(name)
    return {name: hash_source(name) for name in sorted(names)}


def _imported(name: str) -> Iterator[str]:
    """Modules of no library that a module has, or has something of."""
    for value in vars(sys.modules[name]).values():
        found = (
            value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", "")
        )
        if isinstance(found, str) and not _of_library(sys.modules.get(found)):
            yield found


_LIBRARIES = tuple(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))


def _of_library(module: ModuleType | None) -> bool:
    """Whether a module is installed, built in or AnyModal's: its version or source is known."""
    path = getattr(module, "__file__", None)
    return path is None or path.startswith((*_LIBRARIES, str(Path(__file__).parents[1])))


LIBRARIES = (
    *("torch", "torchaudio", "transformers", "diffusers", "tokenizers"),
    *("numpy", "scipy", "pillow", "soundfile", "av", "torchvision", "timm"),
)
"""What computes what is kept, and what decodes and prepares the media that it is computed of."""


@cache
def _versions() -> list[str]:
    """Of `LIBRARIES`, and of what isn't installed, as torchvision, that it isn't."""
    return [f"{name} {_version(name)}" for name in LIBRARIES]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


@cache
def hash_source(name: str) -> str:
    """The hash of a Python module's file, which isn't run for it; its name where it has none."""
    path = getattr(sys.modules.get(name), "__file__", None)
    if path is None:
        with contextlib.suppress(ImportError, ValueError):  # of no such module, or of __main__
            path = getattr(importlib.util.find_spec(name), "origin", None)
    if path is None or not Path(path).is_file():  # built in, or typed into a notebook
        return name
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@cache
def hash_own_code() -> str:
    """The hash of AnyModal's own source that results come from, helpers of its classes included."""
    root, state = Path(__file__).parents[1], hashlib.sha256()
    for folder in ("decoders", "encoders", "media"):
        for path in sorted((root / folder).rglob("*.py")):
            state.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return state.hexdigest()
