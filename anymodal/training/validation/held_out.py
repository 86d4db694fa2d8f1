"""A run's held-out data, and the questions that are asked of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from anymodal import config as configuration
from anymodal.chat.batch import BATCH_SETTINGS
from anymodal.chat.settings import check_settings
from anymodal.config import ConfigError
from anymodal.metrics import Metric
from anymodal.metrics.sample_choices import choose_among, split_choices
from anymodal.metrics.samples import EvaluationSample, read_samples
from anymodal.training.configuration import Run
from anymodal.training.objectives import Dialogue, Objective
from anymodal.training.strategies import SHARDED
from anymodal.training.validation.configuration import SAMPLES, ValidationConfig
from anymodal.training.validation.questions import ConversationQuestions
from anymodal.training.validation.replies import Questions

Sources = Mapping[str, Sequence[Any]]
"""Held-out data sets by name; a single one has the name ""."""

MAX_CHECKED = 64
"""The most samples that are read before the run to see what metrics can measure."""


@dataclass(frozen=True)
class HeldOut:
    """A run's held-out data.

    Args:
        sources: data sets by name.
        questions: what the model is asked; None for nothing.
    """

    sources: Sources
    questions: Questions | None = None


def open_held_out(
    run: Run, objective: Objective[Any, Any], sources: Sources, parts: Mapping[str, Any]
) -> HeldOut:
    """The held-out data of a run, with what it is asked; everything is checked.

    Args:
        run: with its validation.
        objective: of the run.
        sources: data sets by name.
        parts: shared objects, for metrics.

    Raises:
        ConfigError: for metrics or settings that don't fit, or a model that doesn't chat.
    """
    settings = run.validation
    assert settings is not None, "there is something held out"
    samples = _samples(run, settings, objective, sources)
    if not samples:
        if settings.metrics:
            raise ConfigError("validation.metrics measures replies; give validation.samples")
        return HeldOut(sources)
    assert isinstance(objective, Dialogue), "others are asked nothing"
    try:
        others, choices = split_choices(settings.settings)
        text: Any = {name: value for name, value in others.items() if name not in BATCH_SETTINGS}
        check_settings(objective.model, settings.settings.get("sampling"), text, BATCH_SETTINGS)
    except ValueError as error:
        raise ConfigError(f"validation.settings: {error}") from error
    questions = Questions(
        samples if choices is None else _AmongChoices(samples, choices),
        lambda: _build_metrics(run, settings, parts),
        others,
        settings.shown,
        run.seed,
        run.batch_size,
    )
    _check_metrics(questions.build_metrics(), questions.samples)
    return HeldOut(sources, questions)


def _samples(
    run: Run, settings: ValidationConfig, objective: Objective[Any, Any], sources: Sources
) -> Sequence[EvaluationSample]:
    count = settings.samples
    chats, sharded = isinstance(objective, Dialogue), run.trainer.get("strategy") == SHARDED
    if count is None:
        count = SAMPLES if chats and not sharded else 0
    if count == 0:
        return ()
    if not chats:
        raise ConfigError(
            f"validation.samples are answered by a model that chats, and {type(objective).__name__}"
            " trains none; give validation.samples=0"
        )
    if sharded:
        raise ConfigError(
            f"validation.samples needs a whole model, of which strategy {SHARDED!r} leaves a "
            "process pieces; give validation.samples=0, or choose strategy 'ddp'"
        )
    if isinstance(count, str):
        return read_samples(count)
    return _Joined([ConversationQuestions(each, count, name) for name, each in sources.items()])


class _Joined(Sequence[EvaluationSample]):
    """Several sequences as one."""

    def __init__(self, parts: Sequence[Sequence[EvaluationSample]]) -> None:
        self.places = [(part, place) for part in parts for place in range(len(part))]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, place: int) -> EvaluationSample:  # type: ignore[override]
        part, index = self.places[place]
        return part[index]


class _AmongChoices(Sequence[EvaluationSample]):
    """Samples that are answered among choices; reading one whose answer isn't there fails."""

    def __init__(self, samples: Sequence[EvaluationSample], choices: Sequence[str]) -> None:
        self.samples, self.choices = samples, choices

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, place: int) -> EvaluationSample:  # type: ignore[override]
        return choose_among(self.samples[place], self.choices)


def _build_metrics(
    run: Run, settings: ValidationConfig, parts: Mapping[str, Any]
) -> dict[str, Metric]:
    metrics = {}
    for name, node in settings.metrics.items():
        metric = configuration.instantiate(node, parts=dict(parts), trusted_packages=run.trusted)
        if not isinstance(metric, Metric):
            kind = type(metric).__name__
            raise ConfigError(f"validation.metrics.{name} is a {kind}, not a Metric")
        metrics[name] = metric
    return metrics


def _check_metrics(metrics: Mapping[str, Metric], samples: Sequence[EvaluationSample]) -> None:
    if not metrics or len(samples) > MAX_CHECKED:
        return
    readable = []
    for place in range(len(samples)):
        try:
            readable.append(samples[place])
        except Exception:  # it stands aside later, with a count
            continue
    for name, metric in metrics.items():
        try:
            metric.check(readable)
        except ConfigError as error:
            raise ConfigError(f"validation.metrics.{name}: {error}") from error
