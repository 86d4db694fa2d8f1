"""Replies among given texts: the probability of each, where the prompt they share is read once.

Shapes: B prompts, R rows of choices, W tokens of the longest of them, N positions, D width of the
language model, V size of its vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from anymodal.language.kv_cache import FusedCache, fork_cache
from anymodal.language.positions import text_positions
from anymodal.language.sampling import CONSTRAINED, Sampling, check_finite_score
from anymodal.types import ChoiceScore

if TYPE_CHECKING:
    from anymodal.language.model import LanguageModel
    from anymodal.language.signal_tokens import Signals

ROWS_AT_ONCE = 32
"""The most choices in one forward pass, so that memory doesn't grow with their number."""
POSITIONS_AT_ONCE = 64
"""The most positions whose scores over the vocabulary are computed at once."""

END = -1
"""Stands for every id that ends a reply."""


@dataclass(frozen=True)
class Choice:
    """A text that a reply may be.

    Attributes:
        text: itself.
        ids: its tokens in a reply, and `END`.
    """

    text: str
    ids: tuple[int, ...]


@dataclass(frozen=True)
class TokenScores:
    """The log-probabilities of a choice's tokens, the end of the reply included.

    Attributes:
        likelihood: each among all tokens.
        constrained: each among those that continue one of the choices.
    """

    likelihood: tuple[float, ...]
    constrained: tuple[float, ...]


class _Position(NamedTuple):
    """A token of a choice, and the tokens that may stand in its place."""

    token: int
    allowed: list[int]


def tokenize_choices(language: LanguageModel, texts: Sequence[str]) -> list[Choice]:
    """Texts as the tokens that training has of them in an assistant's message.

    Raises:
        ValueError: if a text has no tokens, or two texts have the same.
    """
    choices: dict[tuple[int, ...], Choice] = {}
    for text in texts:
        key = _tokens_of(language, text)
        if key in choices:
            raise ValueError(
                f"the choices {choices[key].text!r} and {text!r} are the same tokens for this "
                "model; leave one out"
            )
        choices[key] = Choice(text, key)
    return list(choices.values())


def distinct_choices(language: LanguageModel, texts: Sequence[str]) -> list[str]:
    """Texts without those that are the same tokens as one before, such as "Yes" in lower case.

    Raises:
        ValueError: if a text has no tokens.
    """
    by_tokens: dict[tuple[int, ...], str] = {}
    for text in texts:
        by_tokens.setdefault(_tokens_of(language, text), text)
    return [*by_tokens.values()]


def _tokens_of(language: LanguageModel, text: str) -> tuple[int, ...]:
    segments = language.render_chat([("user", ["?"]), ("assistant", [text])], False)
    ids = [token for each in segments if each.supervised for token in each.ids]
    if not any(each.supervised and each.is_content for each in segments):
        raise ValueError(f"choice {text!r} has no tokens; leave it out")
    # The end belongs to a reply: "walking" is not the beginning of "walking upstairs".
    return (*(ids[:-1] if ids[-1] in language.stops else ids), END)


@torch.inference_mode()
def score_choices(
    language: LanguageModel,
    signals: Signals,
    past: FusedCache,
    mask: Tensor | None,
    logits: Tensor,
    choices: Sequence[Sequence[Choice]],
    offsets: Sequence[int] | None = None,
) -> list[list[TokenScores]]:
    """Score the choices of several prompts that have been read.

    Args:
        language: the model.
        signals: tokens that no text has.
        past: keys and values of the prompts, B rows; they stay as they are.
        mask: (B, positions), nonzero where a position is real; None where all are.
        logits: scores (B, V) after each prompt.
        choices: of each prompt.
        offsets: of each prompt, from the places of what follows it to their positions; None for 0.
    """
    offsets = offsets or [0] * len(choices)
    rows = [(prompt, choice) for prompt, each in enumerate(choices) for choice in each]
    positions = [position for each in choices for position in _positions(each)]
    scorer = _Scorer(language, signals)
    firsts = [each[0] for each in positions]
    pairs = [[pair] for pair in scorer(logits, [prompt for prompt, _ in rows], firsts)]
    for start in range(0, len(rows), ROWS_AT_ONCE):
        stop = min(start + ROWS_AT_ONCE, len(rows))
        hidden = _feed(language, past, mask, rows[start:stop], offsets)  # (R, W, D)
        later = [(row, at) for row in range(start, stop) for at in range(1, len(positions[row]))]
        for begin in range(0, len(later), POSITIONS_AT_ONCE):
            part = later[begin : begin + POSITIONS_AT_ONCE]
            places = torch.tensor([(row - start, at - 1) for row, at in part]).to(hidden.device)
            scores = language.logits(hidden[places[:, 0], places[:, 1]])  # (N, V)
            targets = [positions[row][at] for row, at in part]
            for (row, _), pair in zip(part, scorer(scores, range(len(part)), targets), strict=True):
                pairs[row].append(pair)
    scored = iter(TokenScores(*map(tuple, zip(*each, strict=True))) for each in pairs)
    return [[next(scored) for _ in each] for each in choices]


def _positions(choices: Sequence[Choice]) -> list[list[_Position]]:
    """The tokens of each choice, each with those that continue any choice at its place."""
    following: dict[tuple[int, ...], dict[int, None]] = {}
    for choice in choices:
        for at, token in enumerate(choice.ids):
            following.setdefault(choice.ids[:at], {})[token] = None
    allowed = {before: list(tokens) for before, tokens in following.items()}
    return [
        [_Position(token, allowed[choice.ids[:at]]) for at, token in enumerate(choice.ids)]
        for choice in choices
    ]


def _feed(
    language: LanguageModel,
    past: FusedCache,
    mask: Tensor | None,
    rows: Sequence[tuple[int, Choice]],
    offsets: Sequence[int],
) -> Tensor:
    """Hidden states (R, W, D) of choices without their ends, each behind its prompt."""
    width = max(len(choice.ids) - 1 for _, choice in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    for row, (_, choice) in enumerate(rows):
        ids[row, : len(choice.ids) - 1] = torch.tensor(choice.ids[:-1])
    prompts = torch.tensor([prompt for prompt, _ in rows], device=language.device)
    copies = fork_cache(past)
    copies.batch_select_indices(prompts)
    # Padding stands behind what is scored, which never sees it.
    new = None if mask is None else mask.new_ones(len(rows), width)
    attention = None if mask is None or new is None else torch.cat([mask[prompts], new], 1)
    lengths = torch.tensor([past.get_seq_length()]) if mask is None else mask.sum(1)[prompts].cpu()
    places = lengths[:, None] + torch.arange(width)  # (R, W), or (1, W)
    own_offsets = [offsets[prompt] for prompt, _ in rows]
    positions = text_positions(places.expand(len(rows), -1), own_offsets, language.device)
    embeds = language.embed(ids.to(language.device))
    hidden: Tensor = language(embeds, attention, copies, positions)
    return hidden


class _Scorer:
    """Log-probabilities of tokens: among all, and among those that may stand there."""

    def __init__(self, language: LanguageModel, signals: Signals) -> None:
        self.signals, self.size = signals, language.vocab_size
        self.stops = torch.tensor(sorted(language.stops), device=language.device)

    def __call__(
        self, logits: Tensor, rows: Sequence[int], positions: Sequence[_Position]
    ) -> list[tuple[float, float]]:
        """Score tokens, each by one of the rows of (n, V)."""
        shares = self.signals.constrain(logits, ()).float().log_softmax(-1)
        # Any of several ids ends a reply; their sum stands behind the vocabulary.
        ends = shares[:, self.stops].logsumexp(-1, keepdim=True)
        shares = torch.cat([shares, ends], -1)  # (n, V + 1)
        most = max(len(each.allowed) for each in positions)
        # Filled up with the first of each, which counts once.
        ids = [
            [*each.allowed, *each.allowed[:1] * (most - len(each.allowed))] for each in positions
        ]
        table = torch.tensor(ids, device=shares.device)  # (N, most)
        table = table.masked_fill(table == END, self.size)
        sizes = torch.tensor([len(each.allowed) for each in positions], device=shares.device)
        values = shares[torch.tensor(rows, device=shares.device)[:, None], table].double()
        counts = torch.arange(most, device=shares.device) < sizes[:, None]
        total = values.masked_fill(~counts, float("-inf")).logsumexp(-1, keepdim=True)
        # What alone may stand there is certain, however unlikely the model finds it.
        local = torch.where(sizes[:, None] > 1, values - total, 0.0)
        places = [each.allowed.index(each.token) for each in positions]
        own = torch.tensor(places, device=shares.device)[:, None]
        pairs = torch.cat([values.gather(1, own), local.gather(1, own)], 1).tolist()
        return [(likelihood, constrained) for likelihood, constrained in pairs]


def pick_choice(
    choices: Sequence[Choice],
    scores: Sequence[TokenScores],
    sampling: Sampling,
    generator: torch.Generator | None = None,
) -> tuple[Choice, tuple[ChoiceScore, ...]]:
    """The choice that a reply is, and the probabilities of all.

    Args:
        choices: at least one.
        scores: of each.
        sampling: by which method, and with which temperature.
        generator: where the temperature isn't 0; on the CPU.

    Raises:
        ValueError: if the scores are not finite.
    """
    constrained = sampling.choice_method == CONSTRAINED
    rows = [each.constrained if constrained else each.likelihood for each in scores]
    sums = [sum(row) / _length(c, sampling) for c, row in zip(choices, rows, strict=True)]
    logits = torch.tensor(sums, dtype=torch.float64)
    check_finite_score(float(logits.max()), logits.dtype)
    shares = logits.softmax(-1)
    if sampling.temperature > 0:
        tempered = (logits / sampling.temperature).softmax(-1)
        place = int(torch.multinomial(tempered, 1, generator=generator))
    else:
        place = _greedy(choices, rows) if constrained else int(logits.argmax())
    totals = [sum(each.likelihood) for each in scores]
    probabilities = tuple(
        ChoiceScore(choice.text, share, total)
        for choice, share, total in zip(choices, shares.tolist(), totals, strict=True)
    )
    return choices[place], probabilities


def _length(choice: Choice, sampling: Sampling) -> int:
    by_name = {"none": 1, "tokens": len(choice.ids), "characters": len(choice.text)}
    return by_name[sampling.choice_normalization]


def _greedy(choices: Sequence[Choice], rows: Sequence[Sequence[float]]) -> int:
    """The choice that is reached where each token is the likeliest of those that may follow."""
    places = list(range(len(choices)))
    at = 0
    while len(places) > 1:
        best = max(places, key=lambda place: rows[place][at])
        places = [place for place in places if choices[place].ids[at] == choices[best].ids[at]]
        at += 1
    return places[0]
