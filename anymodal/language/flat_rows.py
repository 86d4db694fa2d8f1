"""Rows through a language model with no padding, and no graph where no gradient goes.

All positions that losses depend on stand in one flat row, through which a model's matrices go; its
attention alone sees rows apart, by a function of transformers' own interface for attention. Where
the model is frozen, what stands before a row's first input that trains, such as the request before
a signal span, goes ahead without a graph and leaves its keys and values. What all rows begin with,
such as a system prompt, is computed once for all batches.

Shapes: R rows of one sequence each, T positions, D width, N flat positions, H heads, d their width.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from transformers import AttentionInterface

from anymodal.language.attention import attention
from anymodal.language.costs import device_costs
from anymodal.language.model import IGNORED, LanguageModel
from anymodal.language.packing import Packed
from anymodal.language.probes import same_results
from anymodal.language.shared_prefix import shared_beginning
from anymodal.language.signal_tokens import Signals

Counts = npt.NDArray[np.int64]
"""One for each row (R,); made on the CPU, so that no device is waited for."""

KeysAndValues = dict[nn.Module, tuple[Tensor, Tensor]]
"""Of each attention module, (R, H, T, d) both."""


class UnknownAttentionError(Exception):
    """The model's attention does more than is known here."""


class RowPass:
    """Attention of one pass over a flat row, with keys and values of an earlier pass.

    Args:
        counts: positions of each row in this pass (R,).
        before: positions of each row in the earlier pass (R,).
        earlier: the keys and values that it left.
        device: where the pass is computed.
    """

    def __init__(
        self, counts: Counts, before: Counts, earlier: KeysAndValues, device: torch.device
    ) -> None:
        self.earlier, self.device = earlier, device
        self.kept: KeysAndValues = {}
        columns = np.arange(counts.max())
        inside = columns < counts[:, None]  # (R, T)
        flat = (counts.cumsum(0) - counts)[:, None] + columns
        self.shape = inside.shape
        self.padded = self._move(np.where(inside, flat, 0).ravel())
        self.flat = self._move(np.flatnonzero(inside))
        past = np.arange(before.max() if earlier else 0)
        self.queries = self._move(before[:, None] + columns)  # positions (R, T)
        # Behind a row's real keys of the earlier pass is none; T is beyond every query.
        beyond = before.max() + len(columns)
        past = np.where(past < before[:, None], past, beyond)
        self.keys = torch.cat([self._move(past), self.queries], 1)
        self.longest = int((before + counts).max())
        self._masks: dict[int | None, Tensor | None] = {}

    def _move(self, numbers: Counts) -> Tensor:
        return torch.from_numpy(numbers).to(self.device, non_blocking=True)

    def mask(self, window: int | None) -> Tensor | None:
        """The mask of keys that a query sees (R, 1, T, K), None for all up to its own."""
        if window is not None and window >= self.longest:
            window = None
        if window not in self._masks:
            distance = self.queries[:, None, :, None] - self.keys[:, None, None]
            visible = distance >= 0 if window is None else (distance >= 0) & (distance < window)
            alone = window is None and not self.earlier
            self._masks[window] = None if alone else visible
        return self._masks[window]

    def attend(
        self,
        module: nn.Module,
        states: tuple[Tensor, Tensor, Tensor],
        dropout: float,
        scaling: float | None,
        window: int | None,
    ) -> Tensor:
        """Attention of flat queries, keys and values (1, H, N, d) -> (1, N, H, d)."""
        query, key, value = (
            each[0].transpose(0, 1).index_select(0, self.padded).unflatten(0, self.shape)
            for each in states
        )  # (R, T, H, d)
        query, key, value = (each.transpose(1, 2) for each in (query, key, value))
        if self.earlier:
            key, value = (
                torch.cat(pair, 2) for pair in zip(self.earlier[module], (key, value), strict=True)
            )
        self.kept[module] = key, value
        groups = query.shape[1] // key.shape[1]
        mask = self.mask(window)
        if groups > 1:
            key, value = (each.repeat_interleave(groups, 1) for each in (key, value))
        output = attention(query, key, value, mask, dropout, mask is None, scaling)
        return output.transpose(1, 2).flatten(0, 1).index_select(0, self.flat)[None]


_CURRENT: ContextVar[RowPass] = ContextVar("current")
_NAME = "anymodal_flat_rows"


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **more: object,
) -> tuple[Tensor, None]:
    """Attention function that transformers calls in place of its own."""
    unknown = [name for name in _REFUSED if more.get(name) is not None]
    if unknown or attention_mask is not None:
        raise UnknownAttentionError(", ".join(unknown))
    states = query, key, value
    return _CURRENT.get().attend(module, states, dropout, scaling, sliding_window), None


_REFUSED = ("softcap", "s_aux", "position_bias", "head_mask")
"""What attention may be given that changes it."""

AttentionInterface.register(_NAME, _attend)


MAX_SHARED = 4
"""Beginnings whose keys and values are kept, as of data sets with system prompts of their own."""


class Needs(NamedTuple):
    """Of each row (R,): positions that losses depend on, and those before all that trains.

    `shared` are the ids (S,) that all rows begin with; both kinds of numbers are at least S.
    """

    lengths: list[int]
    prefixes: list[int]
    shared: tuple[int, ...] = ()


class FlatReader:
    """Reads rows of one sequence each through a language model.

    Args:
        language: the model.
        signals: its new tokens, in whose spans heads read too.
        before: what makes soft tokens of media.
        frozen_prefix: let go ahead, without a graph, what needs none. Parameters are to stay the
            same as long as this is used, though they may be frozen or not.
        shared_prefix: compute what all rows of a batch begin with once for all batches, where the
            model is frozen.
    """

    def __init__(
        self,
        language: LanguageModel,
        signals: Signals,
        before: Iterable[nn.Module] = (),
        frozen_prefix: bool = True,
        shared_prefix: bool = True,
    ) -> None:
        self.language, self.signals = language, signals
        self.frozen_prefix, self.shared_prefix = frozen_prefix, shared_prefix
        self._shared: dict[Hashable, KeysAndValues] = {}
        # Walked through once: there are many modules.
        self._weights = list(language.model.parameters())
        self._before = [weight for part in before for weight in part.parameters()]

    def works(self) -> bool:
        """Return whether the model gives what it gives for padded rows, and the same gradient.

        It is tried, and refused where it treats long sequences in a way that short ones don't show.
        """
        language = self.language
        if language.device.type == "meta" or language.is_fused or _depends_on_length(language):
            return False
        embeds = language.embedding.weight[:16].detach().unflatten(0, (2, 8))
        lengths, prefixes = np.array([8, 5]), np.array([3, 2])

        def in_two(embeds: Tensor) -> Tensor:
            return self.read(embeds, Needs(lengths.tolist(), prefixes.tolist()))

        def padded(embeds: Tensor) -> Tensor:
            places = torch.arange(8, device=embeds.device)
            whole: Tensor = language(embeds, positions=places.expand(2, -1))
            beyond = places >= torch.from_numpy(lengths).to(embeds.device)[:, None]
            return whole.masked_fill(beyond[..., None], 0)

        try:
            return same_results(embeds, padded, in_two, torch.from_numpy(prefixes))
        except (UnknownAttentionError, KeyError, RuntimeError, TypeError, ValueError):
            return False

    @property
    def is_frozen(self) -> bool:
        """Return whether nothing of the model trains."""
        return not _any_trains(self._weights)

    def needs(self, packed: Packed, openings: Sequence[int] = ()) -> Needs:
        """Positions needed of rows of one sequence each; on the CPU, where batches are made.

        Args:
            packed: the rows.
            openings: positions of each row before its first message; without them nothing is
                shared.
        """
        ids = packed.ids.numpy()
        media = np.isin(ids, [*self.signals.placeholders.values()])
        spans = (ids >= self.language.first_new) & ~media
        needed = spans.copy()  # heads read spans, the text's loss what comes before a label
        needed[:, :-1] |= packed.labels.numpy()[:, 1:] != IGNORED
        places = np.arange(ids.shape[1])
        lengths = np.where(needed, places + 1, 1).max(1)
        if not self.is_frozen:
            return Needs(lengths.tolist(), [0] * len(lengths))
        shared: tuple[int, ...] = ()
        if self.shared_prefix and openings:
            shared = shared_beginning(
                ids, needed, media | (ids >= self.language.first_new), openings
            )
        start = len(shared)
        lengths = np.maximum(lengths, start)
        if not self.frozen_prefix:
            return Needs(lengths.tolist(), [start] * len(lengths), shared)
        trains = media & _any_trains(self._before) | spans & self.language.rows.requires_grad
        prefixes = np.minimum(np.where(trains, places, ids.shape[1]).min(1), lengths)
        prefixes = np.maximum(prefixes, start)
        costs = device_costs(self.language.device.type)
        # What is saved is the way back of a frozen model, which costs what the way forth does.
        if (prefixes - start).sum() < costs.call_positions(self.language.width):
            prefixes = np.full_like(prefixes, start)
        return Needs(lengths.tolist(), prefixes.tolist(), shared)

    def read(self, embeds: Tensor, needs: Needs, axes: Tensor | None = None) -> Tensor:
        """Last hidden states (R, T, D) of input embeddings (R, T, D); 0 where nobody needs them.

        Args:
            embeds: of rows of one sequence each.
            needs: what of them is needed.
            axes: their positions (A, R, T), None where these are the places.
        """
        rows, length, _ = embeds.shape
        if not self.is_frozen:
            needs = Needs(needs.lengths, [0] * rows)
        elif not torch.is_grad_enabled():
            needs = needs._replace(prefixes=[len(needs.shared)] * rows)
        states, places = [], []
        earlier = self._shared_keys(needs.shared, rows)
        start = np.full(rows, len(needs.shared))
        ends = np.array(needs.prefixes), np.array(needs.lengths)
        for stop, graph in zip(ends, (False, torch.is_grad_enabled()), strict=True):
            columns = np.arange(length)
            chosen = np.flatnonzero((columns >= start[:, None]) & (columns < stop[:, None]))
            if len(chosen):
                current = RowPass(stop - start, start, earlier, embeds.device)
                flat = torch.from_numpy(chosen).to(embeds.device, non_blocking=True)
                with torch.set_grad_enabled(graph):
                    own = embeds.flatten(0, 1).index_select(0, flat)
                    positions = (flat % length)[None]  # (1, N)
                    if axes is not None:  # attention is told apart here, not by positions
                        own_axes = axes.flatten(1)[:, None, flat]  # (A, 1, N)
                        positions = torch.cat([positions[None], own_axes])
                        positions = positions if len(axes) > 1 else own_axes[0]
                    with _attention_of(self.language, current):
                        hidden = self.language(own[None], positions=positions)[0]
                states.append(hidden)
                places.append(flat)
                earlier = current.kept
            start = stop
        hidden = torch.cat(states)
        result = hidden.new_zeros(rows * length, hidden.shape[-1])
        result = result.index_put((torch.cat(places),), hidden)
        return result.view(rows, length, -1)

    @torch.no_grad()
    def _shared_keys(self, ids: tuple[int, ...], rows: int) -> KeysAndValues:
        """Keys and values of a beginning, for so many rows.

        They are computed in a pass of their own, so that they are the same whatever batch asks
        first, and a run that goes on computes what a straight one does.
        """
        if not ids:
            return {}
        device = self.language.device
        autocast = torch.is_autocast_enabled(device.type) and torch.get_autocast_dtype(device.type)
        key = ids, device, autocast
        if key not in self._shared:
            counts = np.array([len(ids)])
            current = RowPass(counts, np.zeros_like(counts), {}, device)
            positions = torch.arange(len(ids), device=device)
            with _attention_of(self.language, current):
                self.language(self.language.embed(list(ids))[None], positions=positions[None])
            while len(self._shared) >= MAX_SHARED:
                del self._shared[next(iter(self._shared))]
            self._shared[key] = current.kept
        kept = self._shared[key].items()
        return {m: (k.expand(rows, -1, -1, -1), v.expand(rows, -1, -1, -1)) for m, (k, v) in kept}


@contextmanager
def _attention_of(language: LanguageModel, current: RowPass) -> Iterator[None]:
    """A block in which the model's attention is that of a pass."""
    config: Any = language.backbone.config
    name, token = config._attn_implementation, _CURRENT.set(current)
    config._attn_implementation = _NAME
    try:
        yield
    finally:
        config._attn_implementation = name
        _CURRENT.reset(token)


def _any_trains(weights: Iterable[Tensor]) -> bool:
    return any(weight.requires_grad for weight in weights)


def _depends_on_length(language: LanguageModel) -> bool:
    """Return whether positions turn by the whole sequence's length, or attention sees chunks or
    what comes.
    """
    if language.family is not None and not language.family.is_causal:
        return True  # media's positions see later ones, which no trial of texts shows
    config = language.model.config.get_text_config()
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None)
    chunked = getattr(config, "attention_chunk_size", None) is not None
    return chunked or "dynamic" in str(rope) or "longrope" in str(rope)
