"""How the next token is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen.

    Args:
        max_new_tokens: the longest reply; a span counts whole, and is not begun if it won't fit.
        temperature: 0 always takes the likeliest.
        top_p: keep the likeliest tokens that together have this probability.
        top_k: keep this many of the likeliest tokens; 0 keeps all.
        repetition_penalty: divide the scores of text tokens that the reply has already.
            Source: Keskar et al. 2019 (CTRL), section 4.1.
        max_spans: the most spans in a reply; None for no limit.

    Raises:
        ValueError: for a value out of its range.
    """

    max_new_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    max_spans: int | None = None

    def __post_init__(self) -> None:
        for name, good, wanted in (
            ("max_new_tokens", self.max_new_tokens >= 1, "at least 1"),
            ("temperature", 0 <= self.temperature < float("inf"), "0 (greedy) or above"),
            ("top_p", 0 < self.top_p <= 1, "above 0 and at most 1"),
            ("top_k", self.top_k >= 0, "0 (all) or above"),
            ("repetition_penalty", self.repetition_penalty > 0, "above 0, 1 for none"),
            ("max_spans", self.max_spans is None or self.max_spans >= 0, "0 or above"),
        ):
            if not good:
                raise ValueError(f"{name}={getattr(self, name)}; it must be {wanted}")

    def pick(self, logits: Tensor, said: Sequence[int], generator: torch.Generator | None) -> int:
        """The next id from scores (V,); the nucleus is Holtzman et al. 2019, section 3.1."""
        if self.temperature == 0 and not (self.repetition_penalty != 1.0 and said):
            return int(logits.argmax())  # where they are: of the likeliest, the first
        # On the CPU, so that a seed means the same on every device.
        logits = logits.float().cpu()
        if self.repetition_penalty != 1.0 and said:
            seen = torch.tensor(sorted(set(said)))
            scores = logits[seen]
            penalty = torch.where(scores > 0, 1 / self.repetition_penalty, self.repetition_penalty)
            logits[seen] = scores * penalty
        if self.temperature == 0:
            return int(logits.argmax())
        scores, ids = logits.sort(descending=True)
        if self.top_k:
            scores, ids = scores[: self.top_k], ids[: self.top_k]
        shares = (scores / self.temperature).softmax(-1)
        before = shares.cumsum(-1) - shares
        shares = shares.masked_fill(before >= self.top_p, 0.0)
        return int(ids[torch.multinomial(shares, 1, generator=generator)])
