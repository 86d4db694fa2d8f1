"""Feature cache: results of frozen parts, each computed once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, Protocol
from uuid import uuid4

import torch
from torch import Tensor, nn

from anymodal.io.code_versions import UNKNOWN, code_versions, library_versions
from anymodal.io.digests import keep_digests, read_digests
from anymodal.io.fingerprints import hash_json, hash_weights, named_weights
from anymodal.io.memory_store import MemoryStore
from anymodal.io.module_settings import hidden_modules, module_settings
from anymodal.io.segments import Value, size_of
from anymodal.io.tensor_store import TensorStore
from anymodal.media import Media


class CacheKey(NamedTuple):
    """Cache key: the modules, code and settings that determine a result.

    Attributes:
        result: which of a part's results it is, such as `features`.
        modules: with the weights that compute it.
        metadata: further settings, as JSON values. Asked for once where it is an object's own
            method, which equals itself each time.
        code: objects whose code computes it beside the modules.
        content: the hash of all of these (`FeatureCache.content`), where modules aren't in memory.
    """

    result: str
    modules: Sequence[nn.Module]
    metadata: Callable[[], Mapping[str, object]]
    code: Sequence[object] = ()
    content: str | None = None

    @property
    def place(self) -> Hashable:
        """The key within this process, while its modules live."""
        code = map(id, self.code)
        return self.result, self.metadata, self.content, *map(id, self.modules), *code


Tensors = list[Mapping[str, Tensor | None]]
"""Parameters, or buffers, of a module and all within it, as each has them."""


class KeyParts(NamedTuple):
    """A key, its modules, and the tensors of its own ones and of those that these hide."""

    key: CacheKey
    modules: list[nn.Module]
    own: Tensors
    hidden: Tensors


PENDING = 64
"""Prefetched batches that wait to be asked for, at most."""

MEMORY = 4 << 30
"""Bytes kept in memory where no limit is given."""


class ValueStore(Protocol):
    """A place for values, by section and key.

    Attributes:
        failure: why nothing more can be kept, if so.
    """

    failure: OSError | None

    def find(self, section: str, keys: Sequence[str]) -> dict[str, Value]:
        """The values there are."""

    def holds(self, section: str, keys: Sequence[str]) -> list[bool]:
        """Return whether there are values, without reading them."""

    def add(self, section: str, values: Mapping[str, Value]) -> None:
        """Keep values, as far as there is room."""


class FeatureCache:
    """Results of frozen parts in memory or in a folder, to the bit as they were computed.

    They are known by the content of what determines them (`fingerprint`) and a key for each item,
    such as a medium's digest.

    Args:
        limit: bytes that memory or the folder holds at most; what exceeds it is computed again each
            time. None for `MEMORY` in memory, and for as much as a folder's disk has room for.
        folder: where to keep them instead of in memory, for later runs and other processes too.

    Raises:
        ValueError: if nothing can be written to the folder.
    """

    def __init__(self, limit: int | None = None, folder: str | Path | None = None) -> None:
        in_memory = MEMORY if limit is None else limit
        self.store: ValueStore = (
            MemoryStore(in_memory) if folder is None else TensorStore(folder, limit)
        )
        notes = self.store.notes if isinstance(self.store, MemoryStore) else self.store
        assert isinstance(notes, TensorStore), "a folder was given"
        self.notes = notes  # what workers forked from this process can read
        self.sections: set[str] = set()  # asked for
        self.computed_bytes = 0
        self._session = uuid4().hex
        # By a key's place, with the key: an id belongs to another object once its own is gone.
        self._modules: dict[Hashable, KeyParts] = {}
        self._contents: dict[Hashable, tuple[Hashable, str]] = {}  # state of weights, and hash
        self._weights: dict[Hashable, str] = {}  # hashes by state: views of a model share them
        self._sections: dict[Hashable, str] = {}  # by a key's place, as of its last use
        self._futures: dict[Hashable, Future[dict[str, Value]]] = {}
        self._reader: ThreadPoolExecutor | None = None

    def __deepcopy__(self, memo: object) -> FeatureCache:
        """Itself: results are known by content, so a model's copy has the same use for them."""
        return self

    def prefetch(self, key: CacheKey, items: Sequence[str]) -> None:
        """Begin to read, in a thread, what a later `get_or_compute` of the same items will need.

        So that an accelerator doesn't wait while files are read. It changes no result: what isn't
        there yet is looked for again. Does nothing in memory, or before the key was asked for.
        """
        # Not computed here: a worker may prefetch, and hashing weights belongs to the first use.
        section = self._sections.get(key.place)
        if section is None or not isinstance(self.store, TensorStore):
            return
        if self._reader is None:
            self._reader = ThreadPoolExecutor(1, "prefetch")
        if len(self._futures) >= PENDING:  # a caller that stopped early left them
            self._futures.clear()
        future = self._reader.submit(self.store.find, section, list(dict.fromkeys(items)))
        self._futures[section, tuple(items)] = future

    def get_or_compute(
        self,
        key: CacheKey,
        items: Sequence[str],
        compute: Callable[[list[int]], Sequence[Tensor]],
        device: torch.device,
    ) -> Value:
        """Results for the items in order, stacked, on the device; shorter ones are padded with
        zeros, as features that their mask leaves out.

        Args:
            key: what determines the results.
            items: one text for each item, equal for equal items.
            compute: called with the positions of items that are missing, each once: tensors whose
                first dimension counts those positions. They are kept as they are.
            device: where results go, and where they are computed.
        """
        rows = self.get_or_compute_each(key, items, compute, device)
        return tuple(_stack(column) for column in zip(*rows, strict=True))

    def get_or_compute_each(
        self,
        key: CacheKey,
        items: Sequence[str],
        compute: Callable[[list[int]], Sequence[Iterable[Tensor]]],
        device: torch.device,
    ) -> list[Value]:
        """Results for each of the items, which may be of any shapes.

        Args:
            key, items, device: as of `get_or_compute`.
            compute: likewise; what it gives is one tensor, or one column, for each position.
        """
        section = self.open(key, device)
        values = self._find(section, items)
        misses: dict[str, int] = {}
        for position, item in enumerate(items):
            if item not in values:
                misses.setdefault(item, position)
        if misses:
            columns = [
                [row.detach() for row in column] for column in compute(list(misses.values()))
            ]
            # Columns to rows: each item's value has one tensor of every column.
            new: dict[str, Value] = dict(zip(misses, zip(*columns, strict=True), strict=True))
            self.store.add(section, new)
            self.computed_bytes += sum(map(size_of, new.values()))
            values.update(new)
        return [tuple(value.to(device) for value in values[item]) for item in items]

    def holds(self, key: CacheKey, items: Sequence[str | None]) -> list[bool]:
        """Return whether results of items are there, if the key has been opened; None is no item.

        Nothing is read. Workers may ask, if the key was opened before they were forked.
        """
        section = self._sections.get(key.place)
        names = [item for item in items if item is not None]
        if section is None or not names:
            return [False] * len(items)
        present = dict(zip(names, self.store.holds(section, names), strict=True))
        return [item is not None and present[item] for item in items]

    def read_digests(self, media: Iterable[Media]) -> None:
        """Give media of files the digests that are known by their stamps; nothing is decoded."""
        read_digests(self.notes, media)

    def keep_digests(self, media: Iterable[Media]) -> None:
        """Keep the digests of media by the stamps of their files."""
        keep_digests(self.notes, media)

    @property
    def is_folder(self) -> bool:
        """Return whether later runs and other processes find the results too."""
        return isinstance(self.store, TensorStore)

    @property
    def failure(self) -> OSError | None:
        """The error after which nothing more is kept, if any: a full disk, or the limit."""
        return self.store.failure

    def find(self, key: CacheKey, items: Sequence[str], device: torch.device) -> dict[str, Value]:
        """The results there are, by item."""
        return self.store.find(self.open(key, device), items)

    def add(self, key: CacheKey, values: Mapping[str, Value], device: torch.device) -> None:
        """Keep results that are known to be the key's."""
        self.store.add(self.open(key, device), values)

    def open(self, key: CacheKey, device: torch.device) -> str:
        """The section of a key, which workers forked from now on know too."""
        section = self._sections[key.place] = self.fingerprint(key, device)
        self.sections.add(section)
        return section

    def _find(self, section: str, items: Sequence[str]) -> dict[str, Value]:
        """The values there are, prefetched or now."""
        future = self._futures.pop((section, tuple(items)), None)
        values = {} if future is None else future.result()
        if misses := [item for item in dict.fromkeys(items) if item not in values]:
            values.update(self.store.find(section, misses))
        return values

    def fingerprint(self, key: CacheKey, device: torch.device) -> str:
        """The hash of all that determines results: the key's content, and what computes with it.

        That is the libraries' versions, and the precision that is chosen for the process: autocast
        and matrix products in float32.
        """
        # Of this very moment: a stage may compute the same part under autocast and without.
        autocast = torch.is_autocast_enabled(device.type) and torch.get_autocast_dtype(device.type)
        precision = [str(autocast), torch.get_float32_matmul_precision()]
        if autocast and device.type == "cpu":
            precision.append("media prepared in float32")  # once they were prepared under autocast
        return hash_json([library_versions(), precision, key.content or self.content(key)])

    def content(self, key: CacheKey) -> str:
        """The hash of a key: weights and buffers with their types, settings, versions of code.

        Weights are hashed once, at over a gigabyte a second, and again when they have changed; a
        change behind autograd's back, through `.data`, isn't noticed. Settings and code are read
        with them, so a part whose attributes are set afterwards needs a cache of its own.
        """
        parts = self._parts(key)
        # A tensor's version counts its changes in place, so that weights needn't be hashed to be
        # compared at every batch.
        version = tuple((w.data_ptr(), w._version) for w in _values([*parts.own, *parts.hidden]))
        if key.place not in self._contents or self._contents[key.place][0] != version:
            weights = tuple(named_weights(parts.modules))
            state = tuple((name, w.data_ptr(), w._version) for name, w in weights)
            if state not in self._weights:
                self._weights[state] = hash_weights(weights)
            code = code_versions([*parts.modules, *key.code])
            content = {
                "result": key.result,
                "metadata": key.metadata(),
                "weights": self._weights[state],
                "modules": module_settings(parts.modules),
                # Nobody can tell what changed in such code: its results are for this cache alone.
                "code": {k: self._session if v == UNKNOWN else v for k, v in code.items()},
            }
            self._contents[key.place] = (version, hash_json(content))
        return self._contents[key.place][1]

    def trains(self, key: CacheKey) -> bool:
        """Return whether any of a key's modules is being trained, so that no result may be kept."""
        return any(w.requires_grad for w in _values(self._parts(key).own))

    def _parts(self, key: CacheKey) -> KeyParts:
        """A key's modules, and where each of their sub-modules has its parameters and buffers.

        Walked through once, since a large encoder takes longer than a batch is let wait: its
        tensors may be others afterwards, its modules the same.
        """
        if key.place not in self._modules:
            hidden = hidden_modules(key.modules)
            self._modules[key.place] = KeyParts(
                key, [*key.modules, *hidden], _tensors_of(key.modules), _tensors_of(hidden)
            )
        return self._modules[key.place]


def _stack(values: Sequence[Tensor]) -> Tensor:
    """Tensors stacked, which may differ in their first size."""
    if len({value.shape for value in values}) == 1:
        return torch.stack([*values])
    return nn.utils.rnn.pad_sequence([*values], batch_first=True)


def _tensors_of(modules: Sequence[nn.Module]) -> Tensors:
    parts = [part for module in modules for part in module.modules()]
    return [tensors for part in parts for tensors in (part._parameters, part._buffers)]


def _values(tensors: Tensors) -> Iterator[Tensor]:
    return (value for each in tensors for value in each.values() if value is not None)
