"""Replies of a model in training to fixed questions, and what metrics make of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from anymodal.chat.batch import reply_many
from anymodal.chat.html_report import message_html, write_html_report
from anymodal.core import ComposedModel
from anymodal.io.checkpoint import replacing_folder
from anymodal.metrics import Metric
from anymodal.metrics.sample_choices import choices_of
from anymodal.metrics.samples import EvaluationSample
from anymodal.types import Message

Metrics = Mapping[str, Metric]


@dataclass
class Replies:
    """Replies to questions.

    Args:
        shown: some questions' samples, with their conversations and replies.
        figures: of the metrics.
        errors: of questions that couldn't be asked, or measured, by their place.
        failed: metrics without figures, by name, and why.
    """

    shown: list[tuple[EvaluationSample, list[Message], Message]] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    errors: dict[int, str] = field(default_factory=dict)
    failed: dict[str, Exception] = field(default_factory=dict)


@dataclass(frozen=True)
class Questions:
    """Questions that a model answers at each validation.

    Args:
        samples: by index; reading one may fail.
        build_metrics: fresh ones, which have seen no reply.
        settings: of the replies.
        shown: the most that are shown, evenly spread.
        seed: with a sample's name it decides the reply.
        batch_size: questions answered at once.
    """

    samples: Sequence[EvaluationSample]
    build_metrics: Callable[[], Metrics]
    settings: Mapping[str, Any]
    shown: int
    seed: int
    batch_size: int

    def ask(self, model: ComposedModel, device: str) -> Replies:
        """Answer all, and measure each reply as it comes."""
        replies, metrics = Replies(), self.build_metrics()
        for metric in metrics.values():
            metric.to(device)
        count = max(1, min(self.shown, len(self.samples)))
        places = {place * len(self.samples) // count for place in range(count) if self.shown}
        for start in range(0, len(self.samples), self.batch_size):
            batch = range(start, min(start + self.batch_size, len(self.samples)))
            questions = dict(self._conversations(batch, replies.errors))
            for place, reply in self._answers(model, questions, replies.errors):
                sample, conversation = questions[place]
                _measure(metrics, sample, reply, place, replies.errors)
                if place in places:
                    replies.shown.append((sample, conversation, reply))
        for name, metric in metrics.items():
            try:
                replies.figures |= figures_of(name, metric)
            except Exception as error:  # a metric of a user's own may raise anything
                replies.failed[name] = error
        return replies

    def _conversations(
        self, places: Sequence[int], errors: dict[int, str]
    ) -> Iterator[tuple[int, tuple[EvaluationSample, list[Message]]]]:
        for place in places:
            try:
                sample = self.samples[place]
                yield place, (sample, sample.conversation())
            except Exception as error:  # a data set of a user's own may raise anything
                errors[place] = f"{type(error).__name__}: {error}"

    def _answers(
        self,
        model: ComposedModel,
        questions: Mapping[int, tuple[EvaluationSample, list[Message]]],
        errors: dict[int, str],
    ) -> Iterator[tuple[int, Message]]:
        """Replies in one batch; which question spoils a batch shows when each is alone."""
        if not questions:
            return
        seeds = [sample.seed(self.seed) for sample, _ in questions.values()]
        conversations = [conversation for _, conversation in questions.values()]
        settings = {"batch_size": self.batch_size, **self.settings}
        choices = choices_of([sample for sample, _ in questions.values()])
        if any(choices):
            settings["choices"] = choices
        try:
            messages = reply_many(model, conversations, seeds=seeds, **settings)
        except ValueError as error:
            if len(questions) == 1:
                errors[next(iter(questions))] = f"{type(error).__name__}: {error}"
                return
            for place, each in questions.items():
                yield from self._answers(model, {place: each}, errors)
            return
        yield from zip(questions, messages, strict=True)


def _measure(
    metrics: Metrics, sample: EvaluationSample, reply: Message, place: int, errors: dict[int, str]
) -> None:
    for name, metric in metrics.items():
        try:
            metric.update(sample, reply)
        except Exception as error:
            errors[place] = f"{name}: {error}"


def figures_of(name: str, metric: Metric) -> dict[str, float]:
    """The figures of a metric: `NAME` where it gives one, `NAME/FIGURE` where several."""
    values = {key: float(v) for key, v in metric.compute().items() if key != "count"}
    alone = len(values.keys() - {"missing"}) == 1
    return {
        name if alone and key != "missing" else f"{name}/{key}": value
        for key, value in values.items()
    }


def replies_html(replies: Replies) -> list[str]:
    """Questions, the replies that they had and those that they got, as pieces of HTML."""
    pieces = []
    for sample, conversation, reply in replies.shown:
        pieces.append(f"<h2>Sample {escape(sample.id)}</h2>")
        pieces += [message_html(message) for message in conversation]
        references = [*sample.references, *(file.load() for file in sample.media)]
        if references:
            pieces.append(message_html(Message("assistant", references), speaker="Reference"))
        pieces.append(message_html(reply))
    return pieces


def write_replies(folder: Path, replies: Replies, step: int) -> None:
    """Write the shown replies: a page, their media as files, and a line of JSON for each."""
    with replacing_folder(folder) as temporary:
        lines = []
        for sample, _, reply in replies.shown:
            parts: list[object] = []
            for place, part in enumerate(reply.content):
                if isinstance(part, str):
                    parts.append(part)
                    continue
                (temporary / "media").mkdir(exist_ok=True)
                path = part.save(temporary / "media" / f"{sample.name}-{place}")  # type: ignore[union-attr]
                parts.append({"file": path.relative_to(temporary).as_posix()})
            lines.append(json.dumps({"id": sample.id, "reply": parts}, ensure_ascii=False))
        (temporary / "replies.jsonl").write_text("".join(f"{line}\n" for line in lines), "utf-8")
        title = f"Replies at step {step}"
        write_html_report(temporary / "index.html", title, "", replies_html(replies))
