"""Keep what frozen parts compute, so that it is computed once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import torch
from torch import Tensor


class Kept:
    """Tensors by key, in half precision on the CPU; what is missing is computed in one batch.

    Args:
        limit: bytes to keep at most; beyond it, results are computed again each time.
    """

    def __init__(self, limit: int = 4 << 30) -> None:
        self.limit, self.size = limit, 0
        self.tensors: dict[Hashable, Tensor] = {}

    def get(
        self, keys: Sequence[Hashable], compute: Callable[[list[int]], Sequence[Tensor]]
    ) -> list[Tensor]:
        """The tensors of the keys, in order; `compute` is asked for those at missing places."""
        places: dict[Hashable, int] = {}
        for place, key in enumerate(keys):
            if key not in self.tensors:
                places.setdefault(key, place)
        values = compute(list(places.values())) if places else []
        fresh = {
            key: value.detach().to(torch.float16) for key, value in zip(places, values, strict=True)
        }
        for key, value in fresh.items():
            self._keep(key, value)
        # Fresh ones rounded too: a run that resumes, with nothing kept, must see the same values.
        return [(fresh if key in fresh else self.tensors)[key].float() for key in keys]

    def _keep(self, key: Hashable, value: Tensor) -> None:
        kept = value.to("cpu")
        if self.size + kept.nbytes <= self.limit:
            self.tensors[key] = kept
            self.size += kept.nbytes
