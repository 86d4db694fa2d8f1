"""Continuous batching: replies join and leave a running batch between any two tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from anymodal.language.generation import score_replies
from anymodal.language.kv_cache import BatchCache, PrefixCache, new_cache
from anymodal.language.model import LanguageModel
from anymodal.language.reply_state import Prompt, ReplyState, SpanReady
from anymodal.language.sampling import Sampling
from anymodal.language.signal_tokens import Signals
from anymodal.language.text_stream import TextToken


class BatchRow:
    """One reply of a running batch.

    Attributes:
        state: the reply so far; `state.drain()` gives its new events.
        cache: its keys and values, while it isn't in the batch.
        num_cached: positions of its prompt that were in the cache it came with.
        is_done: True once it is complete.
        error: the error that ended it, if one did. The others go on.
    """

    def __init__(self, state: ReplyState, cache: PrefixCache) -> None:
        self.state, self.cache = state, cache
        self.num_cached = 0
        self.is_done = False
        self.error: Exception | None = None
        self.follow: list[int] = []  # ids to feed next

    def drain(self) -> list[TextToken | SpanReady]:
        """Events since the last call."""
        return self.state.drain()


class ContinuousBatch:
    """Replies that are written together and begin and end on their own.

    A prompt, and a whole span, goes through the model alone; single tokens go in one batch. So a
    row never has holes, and its prompt is read exactly as `generation.generate` reads it. Rows of a
    model with a recurrent state, through which padding would run, take their steps one by one.

    Source: Yu et al. 2022 (Orca), section 3.1, iteration-level scheduling.
    """

    def __init__(self, language: LanguageModel, signals: Signals) -> None:
        self.language, self.signals = language, signals
        self.rows: list[BatchRow] = []
        self._cache = BatchCache(language)
        self._is_batched = BatchCache.takes(new_cache(language))

    def __len__(self) -> int:
        return len(self.rows)

    @torch.inference_mode()
    def join(
        self,
        prompt: Prompt,
        sampling: Sampling | None = None,
        *,
        generator: torch.Generator | None = None,
        cache: PrefixCache | None = None,
        forced: Sequence[str] = (),
    ) -> BatchRow:
        """Read a prompt and let its reply take part from the next step on.

        Args:
            prompt: the conversation so far and the opening of the reply.
            sampling: how tokens are chosen; greedily by default.
            generator: the reply's own source of randomness, on the CPU.
            cache: positions of earlier turns, which the row takes over.
            forced: see `ReplyState`.

        Raises:
            ValueError: if the prompt is empty or longer than the model can read.
        """
        language = self.language
        sampling = sampling or Sampling()
        state = ReplyState(language, self.signals, prompt, sampling, generator, forced)
        row = BatchRow(state, PrefixCache(language) if cache is None else cache)
        row.num_cached = row.cache.reuse(prompt.keys, state.offset)
        row.cache.past.fused = prompt.media
        embeds, keys, positions = prompt.after(row.num_cached)
        self._advance(row, row.cache.feed(embeds, keys, positions), embeds)
        self._enter(row)
        return row

    @torch.inference_mode()
    def step(self) -> list[BatchRow]:
        """Give every row its next token.

        Where it fails, as for want of memory, the rows are as they were before.

        Returns:
            The rows that left the batch: some have ended, others have a span to feed and `rejoin`.
        """
        rows = self.rows
        if not rows:
            return []
        embeds = self.language.embed([row.follow[0] for row in rows])  # (B, D)
        hidden = self._feed(embeds)
        logits = self.language.logits(hidden)  # (B, V)
        for place, row in enumerate(rows):
            here = slice(place, place + 1)
            self._choose(row, hidden[here], embeds[here], logits[place])
        apart = [row for row in rows if row.is_done or len(row.follow) > 1]
        for row in apart:
            self.leave(row)
        return apart

    def _feed(self, embeds: Tensor) -> Tensor:
        """Hidden states (B, D) after every row's next position (B, D)."""
        if not self._is_batched:
            pairs = zip(self.rows, embeds, strict=True)
            return torch.cat([row.cache.feed(each[None], row.follow) for row, each in pairs])
        hidden = self._cache.feed(embeds)
        for row in self.rows:
            row.cache.add_keys(row.follow)
        return hidden

    @torch.inference_mode()
    def leave(self, row: BatchRow) -> None:
        """Take a row out; its cache then has its keys and values, and it may `rejoin`."""
        if row not in self.rows:
            return
        place = self.rows.index(row)
        indices = [index for index in range(len(self.rows)) if index != place]
        if self._is_batched:
            row.cache.past = self._cache.take(place)
            self._cache.keep(indices)
        self.rows = [self.rows[index] for index in indices]

    @torch.inference_mode()
    def rejoin(self, row: BatchRow) -> None:
        """Put a row back that left before its end; where it fails, the row is as it was before."""
        cache, follow = row.cache.fork(), list(row.follow)
        try:
            self._enter(row)
        except BaseException:
            row.cache, row.follow = cache, follow
            raise

    def _enter(self, row: BatchRow) -> None:
        """Feed a row's spans alone; where a single token follows, add it to the batch."""
        while len(row.follow) > 1:
            embeds, keys = self.language.embed(row.follow), list(row.follow)
            self._advance(row, row.cache.feed(embeds, keys), embeds)
        if not row.is_done:
            if self._is_batched:
                self._cache.join(row.cache.past, row.cache.offset)
            self.rows.append(row)

    def _advance(self, row: BatchRow, hidden: Tensor, embeds: Tensor) -> None:
        logits = self.language.logits(hidden[-1])  # (V,)
        score_replies([row.state], row.cache.past, None, logits[None])
        self._choose(row, hidden, embeds, logits)

    def _choose(self, row: BatchRow, hidden: Tensor, embeds: Tensor, logits: Tensor) -> None:
        try:
            row.follow = row.state.step(hidden, embeds, logits)
        # Scores that aren't finite, of this reply alone: the rest of the batch is sound.
        except ValueError as error:
            row.follow, row.error = [], error
        row.is_done = not row.follow
