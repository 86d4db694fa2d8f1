"""Replies token by token: text as it comes, and whole signal spans in one forward pass each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from anymodal.language.choices import score_choices
from anymodal.language.fused_media import join_media
from anymodal.language.kv_cache import FusedCache, PrefixCache, new_cache
from anymodal.language.model import LanguageModel
from anymodal.language.positions import pad_positions, text_positions
from anymodal.language.reply_state import Prompt, ReplyState, SpanReady
from anymodal.language.sampling import Sampling
from anymodal.language.signal_tokens import Signals
from anymodal.language.text_stream import TextToken


@torch.inference_mode()
def generate(
    language: LanguageModel,
    signals: Signals,
    prompt: Prompt,
    sampling: Sampling | None = None,
    *,
    generator: torch.Generator | None = None,
    cache: PrefixCache | None = None,
) -> Iterator[TextToken | SpanReady]:
    """Answer a prompt, piece by piece, until an end-of-turn token or the length limit.

    When a span's first token is chosen, the whole span goes through the model in one pass.

    Args:
        prompt: the conversation so far and the opening of the reply.
        sampling: how tokens are chosen; greedily by default.
        generator: the source of randomness, on the CPU; torch's own by default.
        cache: positions of earlier turns; it then also holds this one's.

    Raises:
        ValueError: if the prompt is empty or longer than the model can read.
    """
    yield from write_reply(
        ReplyState(language, signals, prompt, sampling or Sampling(), generator), prompt, cache
    )


@torch.inference_mode()
def write_reply(
    reply: ReplyState, prompt: Prompt, cache: PrefixCache | None = None
) -> Iterator[TextToken | SpanReady]:
    """Generate as `generate` does, with a state that tells in the end why, and of how many tokens.

    Args:
        reply: of this prompt, just built.
        prompt: the conversation so far and the opening of the reply.
        cache: positions of earlier turns; it then also holds this one's.
    """
    language = reply.language
    cache = PrefixCache(language) if cache is None else cache
    reply.num_cached = cache.reuse(prompt.keys, reply.offset)
    cache.past.fused = prompt.media
    embeds, keys, positions = prompt.after(reply.num_cached)
    while True:
        hidden = cache.feed(embeds, keys, positions)  # (T, D)
        logits = language.logits(hidden[-1])  # (V,)
        score_replies([reply], cache.past, None, logits[None])
        ids = reply.step(hidden, embeds, logits)
        yield from reply.drain()
        if not ids:
            return
        embeds, keys, positions = language.embed(ids), list(ids), None


@torch.inference_mode()
def generate_batch(
    language: LanguageModel,
    signals: Signals,
    prompts: Sequence[Prompt],
    sampling: Sampling | None = None,
    *,
    generators: Sequence[torch.Generator] | None = None,
) -> list[list[TextToken | SpanReady]]:
    """Answer several prompts at once, each as `generate` would.

    In each pass a row adds as many positions as it has to (a token, or a span), padded on the
    left and masked; rows that have ended leave the batch.

    Args:
        prompts: the conversations so far, each with the opening of its reply.
        sampling: how tokens are chosen; greedily by default.
        generators: one for each prompt, so that no sample depends on its company; torch's own
            by default.

    Raises:
        ValueError: if a prompt is empty or longer than the model can read.
    """
    sampling = sampling or Sampling()
    replies = [
        ReplyState(language, signals, prompt, sampling, generators[row] if generators else None)
        for row, prompt in enumerate(prompts)
    ]
    return write_reply_batch(replies, prompts)


@torch.inference_mode()
def write_reply_batch(
    replies: Sequence[ReplyState], prompts: Sequence[Prompt]
) -> list[list[TextToken | SpanReady]]:
    """Generate as `generate_batch` does, with states of one model, one for each prompt."""
    if not replies:
        return []
    language = replies[0].language
    answers: list[list[TextToken | SpanReady]] = [[] for _ in prompts]
    past = new_cache(language)
    past.fused = join_media([(prompt.media, 1) for prompt in prompts])
    active = list(range(len(prompts)))
    embeds = [prompt.embeds for prompt in prompts]
    positions = pad_positions([prompt.positions for prompt in prompts], [*map(len, embeds)])
    mask = torch.zeros(len(prompts), 0, dtype=torch.long, device=language.device)
    while active:
        # On the left, so that the last column is every row's last position.
        block, real = _pad_left(embeds)  # (B, W, D), (B, W)
        mask = torch.cat([mask, real], 1)  # (B, past + W)
        if positions is not None:
            positions = positions.to(block.device)
        hidden = language(block, mask, past, positions)  # (B, W, D)
        logits = language.logits(hidden[:, -1])  # (B, V)
        score_replies([replies[index] for index in active], past, mask, logits)
        follow = []
        for row, index in enumerate(active):
            states = hidden[row, hidden.shape[1] - len(embeds[row]) :]  # without its padding
            follow.append(replies[index].step(states, embeds[row], logits[row]))
            answers[index].extend(replies[index].drain())
        rows = [row for row, ids in enumerate(follow) if ids]
        if len(rows) < len(active):
            indices = torch.tensor(rows, dtype=torch.long, device=language.device)
            active, mask = [active[row] for row in rows], mask[indices]
            if rows:
                past.batch_select_indices(indices)
        embeds = [language.embed(follow[row]) for row in rows]
        positions = _positions_after(mask, embeds, [replies[index].offset for index in active])
    return answers


def _positions_after(mask: Tensor, rows: Sequence[Tensor], offsets: Sequence[int]) -> Tensor | None:
    """Places and positions (2, B, W) of tokens (T, D) that come next, padded on the left."""
    if not any(offsets):
        return None
    width = max(len(row) for row in rows)
    missing = torch.tensor([width - len(row) for row in rows], device=mask.device)
    places = mask.sum(1)[:, None] + torch.arange(width, device=mask.device) - missing[:, None]
    return text_positions(places.clamp(min=0), offsets, mask.device)


def score_replies(
    replies: Sequence[ReplyState], past: FusedCache, mask: Tensor | None, logits: Tensor
) -> None:
    """Score the choices of replies whose prompts have just been read; nothing of others.

    Shapes: mask (B, positions), None where all positions are real; logits (B, V).
    """
    if not any(reply.choices and not reply.scores for reply in replies):
        return
    language, signals = replies[0].language, replies[0].signals
    choices = [reply.choices for reply in replies]
    offsets = [reply.offset for reply in replies]
    for reply, scores in zip(
        replies, score_choices(language, signals, past, mask, logits, choices, offsets), strict=True
    ):
        reply.scores = scores


def _pad_left(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Rows (T, D) of several lengths as one block (B, W, D) and its mask (B, W)."""
    width = max(len(row) for row in rows)
    block = rows[0].new_zeros(len(rows), width, rows[0].shape[1])
    mask = torch.zeros(len(rows), width, dtype=torch.long, device=block.device)
    for index, row in enumerate(rows):
        block[index, width - len(row) :] = row
        mask[index, width - len(row) :] = 1
    return block, mask
