"""An evaluation as data: whom to ask, what to ask, and what to measure."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from anymodal import config as configuration
from anymodal.chat.batch import BATCH_SETTINGS, MAX_BATCH_SIZE
from anymodal.config import ConfigError, ranges, shorten, suggest
from anymodal.language.sampling import Sampling
from anymodal.media import Limits
from anymodal.metrics import Metric
from anymodal.metrics.sample_choices import split_choices
from anymodal.metrics.samples import EvaluationSample, read_samples


@dataclass
class Evaluation:
    """One evaluation.

    Args:
        model: a model folder, a run's folder or a checkpoint in it, the name of a shipped model, or
            a part that gives a model.
        data: a JSON Lines file of samples, or a part that gives a list of `EvaluationSample`.
        metrics: parts that give a `Metric` each, by the name that the results call them.
        output_dir: folder for replies and results, from which a stopped run goes on.
        batch_size: samples answered at once.
        seed: with a sample's name it decides the reply; sampled text also depends on the batch.
        parts: what several metrics share, such as an encoder.
        settings: of `model.chat`, such as `max_new_tokens` and `sampling`. `choices` is a list of
            texts of which each reply is one, or `per_sample` for those that a sample has.
        device: where the model and the metrics work; null for a GPU where there is one.
        trusted_packages: packages beside AnyModal whose classes this evaluation may build.
        limits: the most that a file of the samples may hold, by the names of `media.Limits`.
    """

    # Any, since OmegaConf has no union of a text and a mapping.
    model: Any = MISSING
    data: Any = MISSING
    metrics: dict[str, Any] = MISSING
    output_dir: str = MISSING
    batch_size: int = 8
    seed: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    device: str | None = None
    parts: dict[str, Any] = field(default_factory=dict)
    trusted_packages: list[str] = field(default_factory=list)
    limits: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Evaluation:
        """Check a configuration against the schema.

        Raises:
            ConfigError: for an unknown key (with a suggestion), a missing one or a wrong type.
        """
        evaluation = configuration.structured(cls, config, "evaluation")
        # Their names are checked now, not with the first file.
        Limits.of(evaluation.limits)
        evaluation._check()
        return evaluation

    @property
    def trusted(self) -> list[str]:
        """Packages whose parts this evaluation may name; it is the user's own."""
        return ["anymodal", *self.trusted_packages]

    def _check(self) -> None:
        for name, least, most in (("batch_size", 1, 2**20), ("seed", 0, 2**63 - 1)):
            if not least <= getattr(self, name) <= most:
                value = shorten(getattr(self, name))
                raise ConfigError(f"{name}={value}; it must lie between {least} and {most}")
        if not self.output_dir.strip() or "\0" in self.output_dir:
            raise ConfigError(f"output_dir must be the name of a folder, not {self.output_dir!r}")
        if not self.metrics:
            raise ConfigError("metrics is empty; name at least one, as bleu: {_target_: …}")
        for name, node in (("data", self.data), *self.metrics.items()):
            part = isinstance(node, Mapping) and "_target_" in node
            if not (part or (name == "data" and isinstance(node, str))):
                raise ConfigError(f"{name} must be a part, {{_target_: …}}, not {shorten(node)}")
        check_reply_settings(self.settings)

    def samples(self) -> list[EvaluationSample]:
        """Read the data; see `samples_of`."""
        return samples_of(self.data, Limits.of(self.limits), self.trusted)

    def build_metrics(self, samples: list[EvaluationSample]) -> dict[str, Metric]:
        """Build the metrics, and check that the samples have what they need.

        Raises:
            ConfigError: naming the metric, and the key that no sample has.
        """
        parts = configuration.build_parts(self.parts, self.trusted)
        metrics: dict[str, Metric] = {}
        for name, node in self.metrics.items():
            metric = configuration.instantiate(node, parts=parts, trusted_packages=self.trusted)
            if not isinstance(metric, Metric):
                raise ConfigError(f"metrics.{name} is a {type(metric).__name__}, not a Metric")
            try:
                metric.check(samples)
            except ConfigError as error:
                raise ConfigError(f"metrics.{name}: {error}") from error
            metrics[name] = metric
        return metrics


def samples_of(
    data: str | Mapping[str, Any], limits: Limits, trusted_packages: Iterable[str]
) -> list[EvaluationSample]:
    """The samples of a JSON Lines file, or of a part that gives them.

    Raises:
        ConfigError: see `read_samples`; also if a part gives anything but samples.
    """
    if isinstance(data, str):
        return read_samples(data, limits)
    samples = list(configuration.instantiate(data, trusted_packages=trusted_packages))
    if not samples or not all(isinstance(sample, EvaluationSample) for sample in samples):
        raise ConfigError(f"data ({data['_target_']}) gives no samples")
    return samples


def check_reply_settings(settings: Mapping[str, Any]) -> None:
    """Refuse settings that `chat.reply_many` doesn't take; the model's own check is the rest."""
    names = [*BATCH_SETTINGS, *(item.name for item in fields(Sampling))]
    for name in settings:
        if name not in names:
            raise ConfigError(f"settings has no {name!r}{suggest(name, names)}")
    text = {n: v for n, v in settings.items() if n not in (*BATCH_SETTINGS, "choices")}
    sampling = settings.get("sampling") or {}
    if not isinstance(sampling, Mapping):
        raise ConfigError(f"settings.sampling must be settings by modality, not {sampling!r}")
    try:
        Sampling(**text)
        split_choices(settings)
        ranges.check_integer("batch_size", settings.get("batch_size", 1), 1, MAX_BATCH_SIZE)
        for name, values in sampling.items():
            # Whether the decoder takes others is checked with the model, before the first sample.
            ranges.check_sampling(values, lambda **any: None, place=f"settings.sampling.{name}")
    except ValueError as error:
        raise ConfigError(f"settings: {error}") from error


def import_packages(names: Iterable[str]) -> None:
    """Import packages of the user's, so that the classes of media that they define are known.

    Raises:
        ConfigError: if there is no such package.
    """
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            # A package that it imports in turn may be missing as well; that is another message.
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise
            raise ConfigError(
                f"trusted_packages: there is no module {name!r}, neither in this folder nor among "
                "what is installed"
            ) from None


def read_evaluation(path: str | Path, overrides: Iterable[str] = ()) -> Evaluation:
    """Load and validate an evaluation's configuration, building nothing."""
    evaluation = Evaluation.from_config(configuration.load_config(path, overrides, Evaluation))
    parts = configuration.validate_parts(evaluation.parts, evaluation.trusted)
    for name in ("model", "data", "metrics"):
        node = getattr(evaluation, name)
        part_names = parts if name == "metrics" else ()
        configuration.validate_node(
            node, parts=part_names, trusted_packages=evaluation.trusted, place=name
        )
    return evaluation
