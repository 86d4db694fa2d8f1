"""Caches of earlier requests' computations, by content; the least recently used goes first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping, Sequence

from torch import Tensor

from anymodal.language.kv_cache import PrefixCache, common_prefix
from anymodal.language.model import LanguageModel


class PrefixStore:
    """Keys and values of finished replies, for requests that begin alike.

    Args:
        language: the model that they are of.
        budget: the most bytes to keep.
    """

    def __init__(self, language: LanguageModel, budget: int) -> None:
        self.language, self.budget = language, budget
        self._caches: list[PrefixCache] = []  # the least recently used first
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes that are kept."""
        return sum(cache.nbytes for cache in self._caches)

    def find(self, keys: Sequence[Hashable]) -> PrefixCache:
        """A cache that begins like these keys, for the caller to go on with; an empty one else."""
        with self._lock:
            best, length = None, 0
            for cache in self._caches:
                if (common := common_prefix(cache.keys, keys)) > length:
                    best, length = cache, common
            if best is None:
                return PrefixCache(self.language)
            # To the end: the first of the list is the next to go.
            self._caches.remove(best)
            self._caches.append(best)
            # A fork, since several requests may go on from it at once.
            return best.fork()

    def put(self, cache: PrefixCache) -> None:
        """Keep a cache, in place of those that it goes on from."""
        if (size := cache.nbytes) > self.budget:
            return
        with self._lock:
            self._caches = [
                each
                for each in self._caches
                if common_prefix(each.keys, cache.keys) < len(each.keys)
            ]
            total = self.nbytes + size
            while total > self.budget:
                total -= self._caches.pop(0).nbytes
            self._caches.append(cache)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._caches = []


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
