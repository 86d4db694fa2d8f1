"""Scorers of replies: metrics, judges, and claims that are asked about one by one."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from anymodal.chat.claims import (
    QUESTION,
    SPLIT_PROMPT,
    ClaimSettings,
    fill_places,
    split_claims,
    verify_claims,
)
from anymodal.config import ConfigError, nearest, suggest
from anymodal.evaluation.predictor import ModelPredictor, Predictor
from anymodal.language.choices import distinct_choices
from anymodal.metrics import Metric
from anymodal.metrics.judge_words import stated_score
from anymodal.metrics.samples import EvaluationSample
from anymodal.model import AnyModal
from anymodal.types import Claim, Message

HIGHEST, LOWEST = "highest", "lowest"
Details = Mapping[str, object]


class ReplyScore(NamedTuple):
    """The score of a reply.

    Attributes:
        value: higher is better; None where the reply can't be scored.
        details: what it comes from, as JSON values.
    """

    value: float | None
    details: Details = {}


Scored = tuple[EvaluationSample, Message]
"""A prompt and a reply to it."""


class Scorer(ABC):
    """Scores replies; the higher the better.

    Attributes:
        batch_size: replies that are scored, and kept, at once.
    """

    batch_size: int = 64

    def check(self, samples: Sequence[EvaluationSample]) -> None:  # noqa: B027 (most need nothing)
        """Make sure, before anything is asked, that the prompts have what is needed.

        Raises:
            ConfigError: naming what they lack.
        """

    def to(self, device: str) -> None:  # noqa: B027 (most compute with nothing that could move)
        """Move what it computes with."""

    @abstractmethod
    def metadata(self) -> str:
        """Tell the settings, so that scores of others aren't mixed with these."""

    @abstractmethod
    def score(self, replies: Sequence[Scored]) -> list[ReplyScore]:
        """Score replies.

        Raises:
            ValueError: if nothing can be scored.
        """


class MetricScorer(Scorer):
    """A figure of a metric of `anymodal eval files`, of each reply alone.

    CIDEr takes the weights of words from the references of all prompts. Fréchet and kernel
    distances compare sets of media, so a reply has none, and `JudgeScore` reads a judge's words.

    Args:
        metric: one that has taken in nothing yet.
        figure: the name of its figure; its first where None.
        best: whether the `highest` or the `lowest` figure is the best.

    Raises:
        ConfigError: for another `best`; at `check` and `score` for a metric that has no figure of
            one reply.
    """

    def __init__(self, metric: Metric, figure: str | None = None, best: str = HIGHEST) -> None:
        if best not in (HIGHEST, LOWEST):
            raise ConfigError(f"best={best!r}{suggest(best, (HIGHEST, LOWEST))}; give {HIGHEST} or "
                              f"{LOWEST}")  # fmt: skip
        self.metric, self.figure, self.best = metric, figure, best
        self.name = type(metric).__name__
        self._is_single = False

    def check(self, samples: Sequence[EvaluationSample]) -> None:
        self.metric.check(samples)
        self._take_single(samples)

    def _take_single(self, samples: Sequence[EvaluationSample]) -> None:
        self.metric, self._is_single = self.metric.of_single_replies(samples), True

    def to(self, device: str) -> None:
        self.metric.to(device)

    def metadata(self) -> str:
        settings = {
            name: value
            for name, value in vars(self.metric).items()
            if isinstance(value, bool | int | float | str | tuple)
        }
        return json.dumps([self.name, sorted(settings.items()), self.figure, self.best])

    def score(self, replies: Sequence[Scored]) -> list[ReplyScore]:
        if not self._is_single:  # without prompts to check, these are all there are
            self._take_single([sample for sample, _ in replies])
        return [self._alone(sample, reply) for sample, reply in replies]

    def _fresh(self) -> Metric:
        """A copy of the metric that has taken in nothing, with the same weights."""
        modules = [value for value in vars(self.metric).values() if isinstance(value, nn.Module)]
        weights = {id(each): each for module in modules for each in module.parameters()}
        return copy.deepcopy(self.metric, weights)

    def _alone(self, sample: EvaluationSample, reply: Message) -> ReplyScore:
        metric = self._fresh()
        try:
            metric.update(sample, reply)
        except (ValueError, OSError) as error:
            return ReplyScore(None, {"error": str(error)})
        if metric.count == metric.missing:
            return ReplyScore(None, {"error": "there is nothing to measure"})
        figures = {name: value for name, value in metric.compute().items() if name != "count"}
        if not figures:
            raise ConfigError(f"{self.name} has no figure of one reply; take another metric")
        name = self.figure or next(iter(figures))
        if name not in figures:
            raise ConfigError(
                f"{self.name} has no figure {name!r}{nearest(name, figures)}; there are "
                f"{', '.join(figures)}"
            )
        return self._signed(figures, figures[name])

    def _signed(self, figures: Mapping[str, float], value: float) -> ReplyScore:
        return ReplyScore(value if self.best == HIGHEST else -value, dict(figures))


class JudgeScorer(Scorer):
    """A score in the words of a judge: a local model, or one behind an endpoint.

    The judge is shown the media of the request, the text of a prompt, and the media of the reply.

    Args:
        judge: the model, or a predictor such as `evaluation.endpoint.EndpointPredictor`.
        prompt: a file with what the judge is told. `{question}`, `{reply}` and `{references}` in it
            stand for these.
        pattern: what its score looks like, as a regular expression whose first group is the number,
            of which the last counts; None reads what judges usually say, see
            `metrics.judge_words.stated_score`.
        batch_size: replies that are judged at once.
        seed: of what the judge says.
        settings: of a local model's text, such as `max_new_tokens`.

    Raises:
        ConfigError: for a file that isn't there or lacks `{reply}`, or a pattern without a group.
    """

    def __init__(
        self,
        judge: Predictor | AnyModal,
        prompt: str | Path,
        pattern: str | None = None,
        batch_size: int = 8,
        seed: int = 0,
        **settings: Any,
    ) -> None:
        self.judge = predictor_of(judge, batch_size, {"max_new_tokens": 256, **settings})
        self.batch_size, self.seed = batch_size, seed
        self.prompt = read_prompt(prompt, "{reply}")
        self.pattern = None if pattern is None else _number_pattern(pattern)

    def metadata(self) -> str:
        pattern = self.pattern and self.pattern.pattern
        state = [self.judge.metadata(), self.prompt, pattern, self.seed]
        return hashlib.sha256(json.dumps(state).encode()).hexdigest()[:16]

    def score(self, replies: Sequence[Scored]) -> list[ReplyScore]:
        conversations = [self._conversation(sample, reply) for sample, reply in replies]
        return [*map(self._read, self.judge(conversations, [self.seed] * len(conversations)))]

    def _conversation(self, sample: EvaluationSample, reply: Message) -> list[Message]:
        asked = sample.conversation()
        text = fill_places(
            self.prompt,
            {
                "question": last_question(asked),
                "references": "\n".join(sample.references),
                "reply": reply.text,
            },
        )
        media = [medium for message in asked for medium in message.media]
        return [Message("user", [*media, text, *reply.media])]

    def _read(self, answer: Message) -> ReplyScore:
        if self.pattern is None:
            return ReplyScore(stated_score(answer.text), {"judge": answer.text})
        numbers = [each[1] for each in self.pattern.finditer(answer.text) if each[1]]
        return ReplyScore(_number(numbers[-1]) if numbers else None, {"judge": answer.text})


def _number_pattern(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern, re.I)
    except re.error as error:
        raise ConfigError(f"pattern={pattern!r} is no regular expression: {error}") from error
    if not compiled.groups:
        raise ConfigError(f"pattern={pattern!r} has no group; put the number's in brackets")
    return compiled


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


class ClaimScorer(Scorer):
    """Minus the number of a reply's claims that don't hold, each asked about beside the media.

    RLAIF-V's divide and conquer (Yu et al. 2024, arXiv:2405.17220, section 3.2): a reply is split
    into claims, each claim is asked as a question with yes or no, and those that are denied add up.
    A reply without a word has no score, since silence would be the best of all.

    Args:
        verifier: answers the questions; the model itself, or a better one.
        splitter: writes the claims of a reply down by `split_prompt`; None takes sentences.
        split_prompt: a file, see `chat.claims.ClaimSettings`; None for `SPLIT_PROMPT`.
        question: see there.
        threshold: see there.
        likelihoods: see there.
        batch_size: replies whose claims are asked about at once.
        seed: of what is answered.
        settings: of local models' texts.
    """

    def __init__(
        self,
        verifier: Predictor | AnyModal,
        splitter: Predictor | AnyModal | None = None,
        split_prompt: str | Path | None = None,
        question: str | None = None,
        threshold: float = 0.5,
        likelihoods: bool = True,
        batch_size: int = 8,
        seed: int = 0,
        **settings: Any,
    ) -> None:
        settings = {"max_new_tokens": 256, **settings}
        self.verifier = predictor_of(verifier, batch_size, settings)
        self.splitter = None if splitter is None else predictor_of(splitter, batch_size, settings)
        if splitter is None and split_prompt is not None:
            raise ConfigError("split_prompt is for a splitter, and there is none; name the model")
        prompt = None
        if splitter is not None:
            prompt = SPLIT_PROMPT if split_prompt is None else read_prompt(split_prompt, "{reply}")
        self.settings = ClaimSettings(prompt, question or QUESTION, threshold, likelihoods)
        self.batch_size, self.seed = batch_size, seed

    def metadata(self) -> str:
        splitter = self.splitter.metadata() if self.splitter is not None else ""
        state = [self.verifier.metadata(), splitter, repr(self.settings), self.seed]
        return hashlib.sha256(json.dumps(state).encode()).hexdigest()[:16]

    def claims_of(self, replies: Sequence[Scored]) -> list[list[str]]:
        """The claims of replies; a subclass may find them by rules of its own."""
        texts = [(last_question(sample.conversation()), reply.text) for sample, reply in replies]
        return split_claims(self._ask(self.splitter or self.verifier), texts, self.settings)

    def score(self, replies: Sequence[Scored]) -> list[ReplyScore]:
        media = [
            [medium for message in sample.conversation() for medium in message.media]
            for sample, _ in replies
        ]
        pairs = [*zip(media, self.claims_of(replies), strict=True)]
        checked = verify_claims(self._ask(self.verifier), pairs, self.settings)
        return [
            _claims_score(claims) if reply.text.strip() else ReplyScore(None)
            for claims, (_, reply) in zip(checked, replies, strict=True)
        ]

    def _ask(
        self, predictor: Predictor
    ) -> Callable[[Sequence[list[Message]], Sequence[str] | None], Sequence[Message]]:
        def ask(
            conversations: Sequence[list[Message]], choices: Sequence[str] | None
        ) -> Sequence[Message]:
            seeds = [self.seed] * len(conversations)
            if choices is None or not getattr(predictor, "tells_likelihoods", True):
                return predictor(conversations, seeds)
            if isinstance(predictor, ModelPredictor):
                choices = distinct_choices(predictor.model.language, choices)
            return predictor(conversations, seeds, [choices] * len(conversations))

        return ask


def _claims_score(claims: Sequence[Claim]) -> ReplyScore:
    wrong = sum(not claim.right for claim in claims)
    return ReplyScore(-float(wrong), {"claims": [claim._asdict() for claim in claims]})


def predictor_of(
    model: Predictor | AnyModal, batch_size: int, settings: Mapping[str, Any]
) -> Predictor:
    """A model as a predictor, by settings of its text; a predictor stays as it is."""
    if isinstance(model, AnyModal):
        return ModelPredictor(model, batch_size=batch_size, **settings)
    return model


def last_question(conversation: Sequence[Message]) -> str:
    """The text of the last message of a user."""
    texts = [message.text.strip() for message in conversation if message.role == "user"]
    return texts[-1] if texts else ""


def read_prompt(path: str | Path, place: str) -> str:
    """The text of a prompt's file.

    Raises:
        ConfigError: if it isn't there, or lacks a place.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"there is no prompt at {path}; write one into that file")
    text = path.read_text("utf-8-sig").strip()
    if place not in text:
        raise ConfigError(f"the prompt {path} lacks {place}, where the reply stands")
    return text
