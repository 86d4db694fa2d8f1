"""Signal tokens, with which a language model asks for media, and placeholders of given media."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from anymodal.language.token_names import token_names

if TYPE_CHECKING:
    from anymodal.language.model import LanguageModel


class Signals:
    """Ids of signal tokens: a span of `counts[name]` per output, and a placeholder per input.

    A span's tokens are `<|name_0|>`, `<|name_1|>`, …, a placeholder is `<|name|>`. Only a span's
    first token is ever sampled, and the others follow by themselves in the same pass. So a broken
    span can't occur, and nothing counts them.

    A pointer `<|pointer_n|>` stands before the placeholders of a conversation's nth medium, counted
    around where there are more, and before a span that is to be made from that medium.

    Source: Koh et al. 2023 (GILL), section 3.2. A pointer is copied from its place in the context,
    as in Vinyals et al. 2015 (arXiv:1506.03134), here by the scores of tokens like any other.

    Args:
        counts: signals per output name.
        inputs: names of inputs.
        first_id: the id of the first token; the others follow in the order of `names`.
        pointers: number of pointers.
        own_placeholders: ids that the model's vocabulary has for inputs which it reads by itself.

    Raises:
        ValueError: for a name that is no word, a count below 1, or two names that collide.
    """

    def __init__(
        self,
        counts: Mapping[str, int],
        inputs: Iterable[str],
        first_id: int,
        pointers: int = 0,
        own_placeholders: Mapping[str, int] | None = None,
    ) -> None:
        self.counts, self.inputs, self.pointers = dict(counts), list(inputs), pointers
        self.names = token_names(self.counts, self.inputs, pointers)
        self.first_id = first_id
        self.stop_id = first_id + len(self.names)
        self._excluded: dict[tuple[frozenset[int], torch.device], Tensor] = {}
        self._spans: dict[str, list[int]] = {}
        at = first_id
        for name, count in self.counts.items():
            self._spans[name] = list(range(at, at + count))
            at += count
        self._first_pointer = at
        at += pointers
        self.placeholders = {name: at + index for index, name in enumerate(self.inputs)}
        self.placeholders |= own_placeholders or {}
        self.starts = {span[0]: name for name, span in self._spans.items()}

    @classmethod
    def add_to(
        cls,
        language: LanguageModel,
        counts: Mapping[str, int],
        inputs: Iterable[str],
        pointers: int = 0,
        own_placeholders: Mapping[str, int] | None = None,
    ) -> Signals:
        """Add the tokens to a language model."""
        inputs = list(inputs)
        first_id = language.vocab_size
        language.add_tokens(token_names(counts, inputs, pointers))
        return cls(counts, inputs, first_id, pointers, own_placeholders)

    def span(self, name: str) -> list[int]:
        """The ids of a whole span.

        Raises:
            ValueError: if there is no such output.
        """
        if name not in self._spans:
            raise ValueError(f"no output is called {name!r}; there are: {', '.join(self._spans)}")
        return list(self._spans[name])

    def placeholder(self, name: str) -> int:
        """The id that holds the place of an input's soft tokens.

        Raises:
            ValueError: if there is no such input.
        """
        if name not in self.placeholders:
            names = ", ".join(self.placeholders)
            raise ValueError(f"no input is called {name!r}; there are: {names}")
        return self.placeholders[name]

    def pointer(self, number: int) -> int:
        """The id of a conversation's medium by its number, from 0."""
        return self._first_pointer + number % self.pointers

    def is_pointer(self, token: int) -> bool:
        """Return whether an id names a medium."""
        return self._first_pointer <= token < self._first_pointer + self.pointers

    def is_signal(self, token: int) -> bool:
        """Return whether an id belongs to a span, at any place of it."""
        return self.first_id <= token < self._first_pointer

    def constrain(
        self, logits: Tensor, names: Collection[str], pointers: Iterable[int] = ()
    ) -> Tensor:
        """Scores (…, V) in which, of all tokens here, only the first of allowed spans and allowed
        pointers remain.
        """
        allowed = frozenset((*(self._spans[n][0] for n in names if n in self.counts), *pointers))
        key = allowed, logits.device
        if key not in self._excluded:  # sent to the device once, not with every token
            ids = [n for n in range(self.first_id, self.stop_id) if n not in allowed]
            # An inference tensor couldn't be used where a gradient is computed later.
            with torch.inference_mode(False):
                self._excluded[key] = torch.tensor(ids, dtype=torch.long, device=logits.device)
        return logits.index_fill(-1, self._excluded[key], float("-inf"))

    def restrict(self, logits: Tensor, names: Collection[str], pointers: Iterable[int]) -> Tensor:
        """Scores (…, V) in which nothing but the first of allowed spans and pointers remains."""
        ids = [*(self._spans[name][0] for name in names), *pointers]
        allowed = torch.tensor(ids, dtype=torch.long, device=logits.device)
        lowest = torch.full_like(logits, float("-inf"))
        return lowest.index_copy(-1, allowed, logits.index_select(-1, allowed))
