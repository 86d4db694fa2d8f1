"""Caches of conversations: keys and values, and the soft tokens of media."""

from __future__ import annotations

import copy
from collections.abc import Hashable, Sequence
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from anymodal.language.fused_media import FusedMedia, join_media
from anymodal.language.model import LanguageModel
from anymodal.language.positions import text_positions


class FusedCache(DynamicCache):  # type: ignore[misc]
    """Keys and values, and the media that modules around the blocks read beside them.

    Attributes:
        fused: the media of its rows; None where there are none.
    """

    fused: FusedMedia | None = None

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep some rows, in this order."""
        super().batch_select_indices(indices)
        if self.fused is not None:
            self.fused = self.fused.select(indices.tolist())


class PrefixCache:
    """Keys, values and soft tokens of a conversation, so that a turn computes only what is new.

    That is keys and values of the positions seen last, and the soft tokens of the media seen last
    by `MediaReference.key`: dropping early turns moves all positions, and media are the dear part
    of them.

    It belongs to the weights it was filled with: `clear()` it after training them.
    """

    def __init__(self, language: LanguageModel) -> None:
        self.language = language
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._forget_positions()
        self.offset = 0
        self.soft: dict[Hashable, Tensor] = {}

    def _forget_positions(self) -> None:
        self.keys: list[Hashable] = []
        self.past = new_cache(self.language)

    def reuse(self, keys: Sequence[Hashable], offset: int = 0) -> int:
        """Keep the longest common prefix with `keys` and return its length.

        At least the last position is left to compute, since its hidden state is wanted. Models
        whose state cannot be cut back (recurrent ones, full sliding windows) start anew.

        Args:
            keys: of a prompt.
            offset: from the place of what follows the prompt to its position.
        """
        self.offset = offset
        if self.past.get_seq_length() != len(self.keys):  # a forward pass was interrupted
            self._forget_positions()
        common = common_prefix(self.keys, keys[:-1])
        surplus = len(self.keys) - common
        if surplus:
            try:
                self.past.crop(-surplus)
            except (RuntimeError, NotImplementedError, AttributeError):
                self._forget_positions()
            del self.keys[common:]
        return len(self.keys)

    def feed(
        self, embeds: Tensor, keys: Sequence[Hashable], positions: Tensor | None = None
    ) -> Tensor:
        """Append positions (T, D) and return their hidden states (T, D).

        Args:
            embeds: of a prompt's end, or of tokens that follow it.
            keys: of these positions.
            positions: places and positions (1 + A, T) of a prompt's end, if they differ.
        """
        if positions is None:
            first = len(self.keys)
            places = torch.arange(first, first + len(embeds))[None]
            block = text_positions(places, [self.offset], embeds.device)
            keys = self._with_offset(keys)
        else:
            block = positions[:, None].to(embeds.device)
        hidden = self.language(embeds.unsqueeze(0), past_key_values=self.past, positions=block)[0]
        self.keys.extend(keys)
        return torch.as_tensor(hidden)

    def add_keys(self, tokens: Sequence[int]) -> None:
        """Add the keys of tokens whose keys and values a batch has."""
        self.keys.extend(self._with_offset(tokens))

    def _with_offset(self, tokens: Sequence[Hashable]) -> list[Hashable]:
        return [(token, self.offset) for token in tokens] if self.offset else [*tokens]

    def fork(self) -> Self:
        """A cache that begins with what this one has and grows on its own. Tensors are shared where
        they are only replaced, never written to.
        """
        twin = copy.copy(self)
        twin.keys, twin.soft, twin.past = list(self.keys), dict(self.soft), fork_cache(self.past)
        return twin

    @property
    def nbytes(self) -> int:
        """Bytes of the keys and values, or of what stands for them, and of media read beside."""
        values = (value for layer in self.past.layers for value in vars(layer).values())
        fused = 0 if self.past.fused is None else self.past.fused.nbytes
        return fused + sum(value.nbytes for value in values if isinstance(value, Tensor))


class BatchCache:
    """Keys and values of several rows, which join and leave between any two steps.

    Rows end at the same column and are padded on the left, so that a row's own positions stay in
    one piece, whatever the others do.
    """

    def __init__(self, language: LanguageModel) -> None:
        self.language = language
        self.past: FusedCache | None = None
        self.lengths: list[int] = []
        self.offsets: list[int] = []  # from places to positions

    @staticmethod
    def takes(past: DynamicCache) -> bool:
        """Return whether rows of such a cache can be batched. A recurrent state can't, since
        padding would run through it.
        """
        return all(type(each) in (DynamicLayer, DynamicSlidingWindowLayer) for each in past.layers)

    def join(self, past: FusedCache, offset: int = 0) -> None:
        """Add a cache of one row, as the last; its tokens' positions are `offset` behind places."""
        width, length = max(self.lengths, default=0), int(past.get_seq_length())
        if self.past is None:
            self.past = fork_cache(past)
        else:
            most = max(width, length)
            row = fork_cache(past)
            for layer, addition in zip(self.past.layers, row.layers, strict=True):
                if layer.is_initialized:
                    _resize(layer, most)
                    _resize(addition, most)
                    layer.keys = torch.cat([layer.keys, addition.keys])
                    layer.values = torch.cat([layer.values, addition.values])
            self.past.fused = join_media([(self.past.fused, len(self.lengths)), (row.fused, 1)])
        self.lengths.append(length)
        self.offsets.append(offset)

    def take(self, row: int) -> FusedCache:
        """A cache of one row, copied; the row stays."""
        assert self.past is not None, "there are rows"
        past = fork_cache(self.past)
        if past.fused is not None:
            past.fused = past.fused.select([row])
        for layer in past.layers:
            if layer.is_initialized:
                layer.keys, layer.values = layer.keys[row : row + 1], layer.values[row : row + 1]
                _resize(layer, self.lengths[row])
                # Cloned: a slice would hold the whole batch's memory after the row has left.
                layer.keys, layer.values = layer.keys.clone(), layer.values.clone()
        return past

    def keep(self, rows: Sequence[int]) -> None:
        """Drop all other rows, and the padding that they needed."""
        self.lengths = [self.lengths[row] for row in rows]
        self.offsets = [self.offsets[row] for row in rows]
        if not rows:
            self.past = None
            return
        indices = torch.tensor(list(rows), dtype=torch.long, device=self.language.device)
        assert self.past is not None, "there are rows"
        self.past.batch_select_indices(indices)
        for layer in self.past.layers:
            if layer.is_initialized:
                _resize(layer, max(self.lengths))

    def feed(self, embeds: Tensor) -> Tensor:
        """Append one position to every row, (B, D), and return their hidden states (B, D).

        Where it fails, as for want of memory, rows are as they were before.
        """
        assert self.past is not None, "there are rows"
        width = max(self.lengths)
        # The others can be cut back, so their old tensors needn't be held beside the new ones.
        copies = [copy.copy(layer) if layer.is_sliding else None for layer in self.past.layers]
        try:
            places = torch.tensor(self.lengths)[:, None]
            positions = text_positions(places, self.offsets, embeds.device)
            hidden = self.language(embeds.unsqueeze(1), self._mask(width), self.past, positions)
        except BaseException:
            for place, layer in enumerate(self.past.layers):
                if copies[place] is not None:
                    self.past.layers[place] = copies[place]
                elif layer.is_initialized:
                    layer.keys = layer.keys[..., :width, :]
                    layer.values = layer.values[..., :width, :]
            raise
        self.lengths = [length + 1 for length in self.lengths]
        return torch.as_tensor(hidden[:, 0])

    def _mask(self, width: int) -> Tensor | None:
        """Attention mask of columns without padding, (B, width + 1); None if all are so."""
        if min(self.lengths) == width:
            return None  # without a mask, faster attention kernels apply
        device = self.language.device
        padding = width - torch.tensor(self.lengths, device=device)
        return (torch.arange(width + 1, device=device) >= padding[:, None]).long()


def common_prefix(left: Sequence[Hashable], right: Sequence[Hashable]) -> int:
    """Length of the common prefix of two sequences of keys."""
    for place, (left_key, right_key) in enumerate(zip(left, right, strict=False)):
        if left_key != right_key:
            return place
    return min(len(left), len(right))


def fork_cache(past: FusedCache) -> FusedCache:
    """A cache with the same tensors, that grows on its own."""
    if not BatchCache.takes(past):
        return copy.deepcopy(past)  # a recurrent state is written to in place
    twin = copy.copy(past)
    twin.layers = [copy.copy(layer) for layer in past.layers]
    return twin


def _resize(layer: DynamicLayer, length: int) -> None:
    """Let a layer's rows have so many positions: cut or padded with zeros, on the left."""
    # transformers keeps one position less than the window; the next token fills it.
    columns = min(length, layer.sliding_window - 1) if layer.is_sliding else length
    num_new = columns - layer.keys.shape[-2]
    if num_new > 0:
        padding = (0, 0, num_new, 0)
        layer.keys, layer.values = F.pad(layer.keys, padding), F.pad(layer.values, padding)
    elif num_new < 0:
        layer.keys, layer.values = layer.keys[..., -num_new:, :], layer.values[..., -num_new:, :]
    if layer.is_sliding:
        layer.cumulative_length = length


def new_cache(language: LanguageModel) -> FusedCache:
    """An empty cache of the layers that a model has."""
    return FusedCache(config=language.model.config)
