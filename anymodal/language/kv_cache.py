"""What is kept from turn to turn: keys and values, and the soft tokens of media."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor
from transformers import DynamicCache

from anymodal.language.model import LanguageModel


class PrefixCache:
    """What was computed of a conversation, so that a next turn computes only what is new.

    That is keys and values of the positions seen last, and the soft tokens of the media seen last
    by `Item.key`: dropping early turns moves all positions, and media are the dear part of them.

    It belongs to the weights it was filled with: `clear()` it after training them.
    """

    def __init__(self, language: LanguageModel) -> None:
        self.language = language
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._forget_positions()
        self.soft: dict[Hashable, Tensor] = {}

    def _forget_positions(self) -> None:
        self.keys: list[Hashable] = []
        self.past = new_cache(self.language)

    def reuse(self, keys: Sequence[Hashable]) -> int:
        """Keep the longest common prefix with `keys` and return its length.

        At least the last position is left to compute, since its hidden state is wanted. Models
        whose state cannot be cut back (recurrent ones, full sliding windows) start anew.
        """
        if self.past.get_seq_length() != len(self.keys):  # a forward pass was interrupted
            self._forget_positions()
        common = 0
        for mine, theirs in zip(self.keys, keys[:-1], strict=False):
            if mine != theirs:
                break
            common += 1
        surplus = len(self.keys) - common
        if surplus:
            try:
                self.past.crop(-surplus)
            except (RuntimeError, NotImplementedError, AttributeError):
                self._forget_positions()
            del self.keys[common:]
        return len(self.keys)

    def feed(self, embeds: Tensor, keys: Sequence[Hashable]) -> Tensor:
        """Append positions (T, D) and return their hidden states (T, D)."""
        hidden = self.language(embeds.unsqueeze(0), past_key_values=self.past)[0]
        self.keys.extend(keys)
        return torch.as_tensor(hidden)


def new_cache(language: LanguageModel) -> DynamicCache:
    """An empty cache of the layers that a model has."""
    return DynamicCache(config=language.model.config)
