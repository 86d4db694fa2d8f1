"""Caches of earlier requests' computations, by content; the least recently used goes first."""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping, Sequence

from torch import Tensor

from anymodal.language.kv_cache import PrefixCache, common_prefix
from anymodal.language.model import LanguageModel

_Hashes = tuple[int, ...]
"""Of a cache's keys, which have no order of their own."""


class PrefixStore:
    """Keys and values of finished replies, for requests that begin alike.

    None of them is the beginning of another.

    Args:
        language: the model that they are of.
        budget: the most bytes to keep.
    """

    def __init__(self, language: LanguageModel, budget: int) -> None:
        self.language, self.budget = language, budget
        self.nbytes = 0
        self._caches: OrderedDict[_Hashes, PrefixCache] = OrderedDict()  # the next to go first
        self._sizes: dict[_Hashes, int] = {}  # as counted, since media that forks share may grow
        # In order, in which what begins alike stands side by side: many are searched in no time.
        self._order: list[_Hashes] = []
        self._lock = threading.Lock()

    def find(self, keys: Sequence[Hashable]) -> PrefixCache:
        """A cache that begins like these keys, for the caller to go on with; an empty one else."""
        with self._lock:
            hashes = tuple(map(hash, keys))
            place = bisect_left(self._order, hashes)
            neighbours = self._order[max(0, place - 1) : place + 1]
            best = max(neighbours, key=lambda each: common_prefix(each, hashes), default=None)
            if best is None or not common_prefix(self._caches[best].keys, keys):
                return PrefixCache(self.language)
            self._caches.move_to_end(best)
            # A fork, since several requests may go on from it at once.
            return self._caches[best].fork()

    def put(self, cache: PrefixCache) -> None:
        """Keep a cache, in place of the one that it goes on from."""
        size = cache.nbytes
        if size > self.budget:
            return
        with self._lock:
            hashes = tuple(map(hash, cache.keys))
            place = bisect_left(self._order, hashes)
            if place < len(self._order) and self._order[place][: len(hashes)] == hashes:
                self._caches.move_to_end(self._order[place])  # what is kept goes on from it
                return
            if place and self._order[place - 1] == hashes[: len(self._order[place - 1])]:
                self._drop(self._order[place - 1])
            while self.nbytes + size > self.budget:
                self._drop(next(iter(self._caches)))
            self._caches[hashes], self._sizes[hashes] = cache, size
            insort(self._order, hashes)
            self.nbytes += size

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._caches.clear()
            self._sizes.clear()
            self._order.clear()
            self.nbytes = 0

    def _drop(self, hashes: _Hashes) -> None:
        del self._caches[hashes]
        self.nbytes -= self._sizes.pop(hashes)
        del self._order[bisect_left(self._order, hashes)]


class SoftTokenStore:
    """Soft tokens of media, by what they depend on.

    Args:
        budget: the most bytes to keep.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._tokens: OrderedDict[Hashable, Tensor] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, keys: Iterable[Hashable]) -> dict[Hashable, Tensor]:
        """Those of these keys that are known."""
        with self._lock:
            tokens = {key: self._tokens[key] for key in keys if key in self._tokens}
            for key in tokens:
                self._tokens.move_to_end(key)
            return tokens

    def put(self, tokens: Mapping[Hashable, Tensor]) -> None:
        """Keep soft tokens."""
        with self._lock:
            for key, value in tokens.items():
                if key not in self._tokens:  # a copy, since it may be a row of a large batch
                    self._tokens[key] = value.clone()
            total = sum(value.nbytes for value in self._tokens.values())
            while total > self.budget:
                total -= self._tokens.popitem(last=False)[1].nbytes

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._tokens.clear()
