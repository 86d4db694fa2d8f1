"""Sampling: settings, and the choice of the next token."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import torch
from torch import Tensor

from anymodal.config import shorten, suggest
from anymodal.config.ranges import SettingError, check_integer, check_real
from anymodal.types import TokenLogprob

MOST_TOKENS = 1_000_000
"""More than any language model reads at once."""
MOST_STOPS = 16
MOST_LOGPROBS = 20
"""As OpenAI's API has it."""
MOST_CHOICES = 1000
LIKELIHOOD, CONSTRAINED = METHODS = ("likelihood", "constrained")
NORMALIZATIONS = ("none", "tokens", "characters")


@dataclass(frozen=True)
class Sampling:
    """Settings by which tokens are chosen.

    Args:
        max_new_tokens: the longest reply; a span counts whole, and is not begun if it won't fit.
        temperature: 0 always takes the likeliest.
        top_p: keep the likeliest tokens that together have this probability.
        top_k: keep this many of the likeliest tokens; 0 keeps all.
        min_p: drop tokens of less than this share of the likeliest one's probability; 0 keeps all.
            Source: Nguyen et al. 2024, arXiv:2407.01082, section 3.
        repetition_penalty: divide the scores of text tokens that the reply has already.
            Source: Keskar et al. 2019 (CTRL), section 4.1.
        max_spans: the most spans in a reply; None for no limit.
        modalities: the names that spans may have; None for all.
        top_logprobs: give each token of the text with its log-probability, and this many of the
            likeliest at its place; None gives none of it.
        choices: texts of which the reply is one; None for any reply. Of the settings above,
            only the temperature then counts.
        choice_method: `likelihood`, by the probability of each text as a whole reply; or
            `constrained`, token by token, each by its probability among those that continue one
            of the texts.
        choice_normalization: by what the log-likelihood of a choice is divided: `none`, its number
            of `tokens`, or of `characters`, as where some choices are much longer than others.
        stop: strings that end the reply; they are left out of it. A single one may stand alone.

    Raises:
        SettingError: for a value of the wrong type or out of its range.
    """

    max_new_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    max_spans: int | None = None
    modalities: Sequence[str] | None = None
    top_logprobs: int | None = None
    choices: Sequence[str] | None = None
    choice_method: str = LIKELIHOOD
    choice_normalization: str = "none"
    stop: str | Sequence[str] = ()

    def __post_init__(self) -> None:
        check_integer("max_new_tokens", self.max_new_tokens, 1, MOST_TOKENS)
        if self.temperature != 0 or isinstance(self.temperature, bool):
            check_real("temperature", self.temperature, 1e-6, 1e6, "0 (greedy) or ")
        check_real("top_p", self.top_p, 1e-6, 1)
        check_integer("top_k", self.top_k, 0, MOST_TOKENS)
        check_real("min_p", self.min_p, 0, 1)
        check_real("repetition_penalty", self.repetition_penalty, 0.01, 100)
        if self.max_spans is not None:
            check_integer("max_spans", self.max_spans, 0, MOST_TOKENS)
        if self.top_logprobs is not None:
            check_integer("top_logprobs", self.top_logprobs, 0, MOST_LOGPROBS)
        if isinstance(self.modalities, str):
            raise SettingError("modalities", f"={self.modalities!r}; give a list of names")
        if self.choices is not None:
            object.__setattr__(self, "choices", check_choices(self.choices))
        for name, values in (("method", METHODS), ("normalization", NORMALIZATIONS)):
            if (value := getattr(self, f"choice_{name}")) not in values:
                near = suggest(str(value), values)
                problem = f"={value!r}; it is one of {', '.join(values)}{near}"
                raise SettingError(f"choice_{name}", problem)
        if self.choice_method == CONSTRAINED and self.choice_normalization != "none":
            raise SettingError(
                "choice_normalization",
                f"={self.choice_normalization!r} divides likelihoods; leave it out, or take "
                f"choice_method={LIKELIHOOD!r}",
            )
        object.__setattr__(self, "stop", _stop_strings(self.stop))  # frozen for everybody else

    @classmethod
    def of(cls, settings: Mapping[str, Any], other_names: Sequence[str] = ()) -> Self:
        """Build it from settings by name; `other_names` are further names to suggest.

        Raises:
            ValueError: for an unknown name, and for a value out of its range.
        """
        names = [field.name for field in fields(cls)]
        for name in settings:
            if name not in names:
                near = suggest(str(name), [*names, *other_names])
                raise ValueError(f"there is no setting {name!r}{near}")
        return cls(**settings)

    def pick(
        self, logits: Tensor, text_ids: Sequence[int], generator: torch.Generator | None
    ) -> int:
        """The next id from scores (V,); the nucleus is Holtzman et al. 2019, section 3.1.

        Raises:
            ValueError: if the scores are not finite.
        """
        if self.temperature == 0 and not (self.repetition_penalty != 1.0 and text_ids):
            best = int(logits.argmax())  # where they are: of the likeliest, the first
            check_finite_score(float(logits[best]), logits.dtype)
            return best
        # On the CPU, so that a seed means the same on every device.
        dtype, logits = logits.dtype, logits.float().cpu()
        check_finite_score(float(logits.max()), dtype)
        if self.repetition_penalty != 1.0 and text_ids:
            unique_ids = torch.tensor(sorted(set(text_ids)))
            scores = logits[unique_ids]
            penalty = torch.where(scores > 0, 1 / self.repetition_penalty, self.repetition_penalty)
            logits[unique_ids] = scores * penalty
        if self.temperature == 0:
            return int(logits.argmax())
        scores, ids = logits.sort(descending=True)
        if self.top_k:
            scores, ids = scores[: self.top_k], ids[: self.top_k]
        shares = (scores / self.temperature).softmax(-1)
        # Without its own share, so the likeliest token always stays.
        preceding = shares.cumsum(-1) - shares
        shares = shares.masked_fill(preceding >= self.top_p, 0.0)
        shares = shares.masked_fill(shares < self.min_p * shares[0], 0.0)
        return int(ids[torch.multinomial(shares, 1, generator=generator)])

    def logprobs_of(self, logits: Tensor, token: int) -> list[TokenLogprob]:
        """The log-probability of a chosen id by scores (V,); nothing if it isn't asked for."""
        if self.top_logprobs is None:
            return []
        shares = logits.float().log_softmax(-1)
        values, ids = shares.topk(min(self.top_logprobs, len(shares)))
        pairs = zip(ids.tolist(), values.tolist(), strict=True)
        # Tokens that may not come here have none.
        top = tuple((each, value) for each, value in pairs if math.isfinite(value))
        return [TokenLogprob(token, float(shares[token]), top)]


def _stop_strings(stop: object) -> tuple[str, ...]:
    strings = (stop,) if isinstance(stop, str) else stop
    if not isinstance(strings, Sequence) or not all(isinstance(each, str) for each in strings):
        raise SettingError("stop", f"={shorten(stop)}; give a text, or a list of texts")
    if len(strings) > MOST_STOPS:
        raise ValueError(f"{len(strings)} stop strings; give at most {MOST_STOPS}")
    return tuple(each for each in strings if each)


def check_choices(choices: object) -> tuple[str, ...]:
    """Texts of which a reply may be one.

    Raises:
        ValueError: if they are none, too many, empty, or two are the same.
    """
    if isinstance(choices, str) or not isinstance(choices, Sequence):
        raise SettingError("choices", f"={shorten(choices)}; give a list of texts")
    if not 1 <= len(choices) <= MOST_CHOICES:
        raise ValueError(f"{len(choices)} choices; give 1 to {MOST_CHOICES}")
    for place, choice in enumerate(choices):
        if not isinstance(choice, str) or not choice.strip():
            raise SettingError("choices", f"[{place}] is {choice!r}; give a text")
        if choice in choices[:place]:
            raise ValueError(f"choice {choice!r} is there twice; leave one out")
    return tuple(choices)


def check_finite_score(best: float, dtype: torch.dtype) -> None:
    """Make sure that the best of some scores is finite.

    Raises:
        ValueError: if it isn't.
    """
    if not math.isfinite(best):
        raise ValueError(
            f"the language model's scores are not finite, in {dtype}: open it in bfloat16 or "
            "float32, or check its weights"
        )
