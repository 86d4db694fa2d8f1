"""A model's replies to samples as data: whom to ask, what to ask, and how."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, TypeVar

from omegaconf import MISSING

from anymodal import config as configuration
from anymodal.chat.batch import BATCH_SETTINGS, MAX_BATCH_SIZE
from anymodal.config import ConfigError, ranges, shorten, suggest
from anymodal.language.sampling import Sampling
from anymodal.media import Limits
from anymodal.metrics.sample_choices import split_choices
from anymodal.metrics.samples import EvaluationSample, read_samples


class _Checked(Protocol):
    """A part that tells what samples lack for it."""

    def check(self, samples: Sequence[EvaluationSample], /) -> None: ...


CheckedT = TypeVar("CheckedT", bound=_Checked)


@dataclass
class ReplyJob:
    """Samples that a model replies to, for parts that measure the replies.

    Args:
        model: a model folder, a run's folder or a checkpoint in it, the name of a shipped model, or
            a part that gives a model.
        data: a JSON Lines file of samples, or a part that gives a list of `EvaluationSample`.
        output_dir: folder for replies and results, from which a stopped run goes on.
        batch_size: samples answered at once.
        seed: with a sample's name it decides the reply; sampled text also depends on the batch.
        settings: of `model.chat`, such as `max_new_tokens` and `sampling`.
        parts: what several parts that measure share, such as an encoder.
        device: where the model and what measures work; null for a GPU where there is one.
        trusted_packages: packages beside AnyModal whose classes may be built.
        limits: the most that a file of the samples may hold, by the names of `media.Limits`.

    Attributes:
        place: the name of such a configuration, for errors.
        measures: the key of the parts that measure.
        provided_parts: names of shared parts that aren't in `parts`.
    """

    place: ClassVar[str]
    measures: ClassVar[str]
    provided_parts: ClassVar[tuple[str, ...]] = ()

    # Any, since OmegaConf has no union of a text and a mapping.
    model: Any = MISSING
    data: Any = MISSING
    output_dir: str = MISSING
    batch_size: int = 8
    seed: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    device: str | None = None
    parts: dict[str, Any] = field(default_factory=dict)
    trusted_packages: list[str] = field(default_factory=list)
    limits: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Check a configuration against the schema.

        Raises:
            ConfigError: for an unknown key (with a suggestion), a missing one or a wrong value.
        """
        job = configuration.structured(cls, config, cls.place)
        # Their names are checked now, not with the first file.
        Limits.of(job.limits)
        for name, least, most in job._ranges():
            if not least <= getattr(job, name) <= most:
                value = shorten(getattr(job, name))
                raise ConfigError(f"{name}={value}; it must lie between {least} and {most}")
        if not job.output_dir.strip() or "\0" in job.output_dir:
            raise ConfigError(f"output_dir must be the name of a folder, not {job.output_dir!r}")
        check_reply_settings(job.settings)
        job._check_nodes()
        job._check()
        return job

    @classmethod
    def read(cls, path: str | Path, overrides: Iterable[str] = ()) -> Self:
        """Load and validate a configuration's file, building nothing."""
        job = cls.from_config(configuration.load_config(path, overrides, cls))
        parts = [*configuration.validate_parts(job.parts, job.trusted), *cls.provided_parts]
        for name in ("model", "data", cls.measures):
            configuration.validate_node(
                getattr(job, name),
                parts=parts if name == cls.measures else (),
                trusted_packages=job.trusted,
                place=name,
            )
        return job

    @property
    def trusted(self) -> list[str]:
        """Packages whose parts may be named; they are the user's own."""
        return ["anymodal", *self.trusted_packages]

    def _ranges(self) -> Iterator[tuple[str, int, int]]:
        """Settings by name, with their least and most."""
        yield "batch_size", 1, 2**20
        yield "seed", 0, 2**63 - 1

    def _check_nodes(self) -> None:
        """Check that the data and what measures can be parts, before the model is opened."""
        measures = getattr(self, self.measures)
        if not measures:
            raise ConfigError(f"{self.measures} is empty; name at least one, as a: {{_target_: …}}")
        nodes = {f"{self.measures}.{name}": node for name, node in measures.items()}
        if not isinstance(self.data, str):
            nodes["data"] = self.data
        for name, node in nodes.items():
            if not (isinstance(node, Mapping) and "_target_" in node):
                raise ConfigError(f"{name} must be a part, {{_target_: …}}, not {shorten(node)}")

    def _check(self) -> None:
        """Check what is of this kind of job alone.

        Raises:
            ConfigError: naming the key.
        """

    def samples(self) -> list[EvaluationSample]:
        """Read the data.

        Raises:
            ConfigError: see `read_samples`; also if a part gives anything but samples.
        """
        limits = Limits.of(self.limits)
        if isinstance(self.data, str):
            return read_samples(self.data, limits)
        samples = list(configuration.instantiate(self.data, trusted_packages=self.trusted))
        if not samples or not all(isinstance(sample, EvaluationSample) for sample in samples):
            raise ConfigError(f"data ({self.data['_target_']}) gives no samples")
        return samples

    def _build(
        self, base: type[CheckedT], samples: Sequence[EvaluationSample], **more_parts: object
    ) -> dict[str, CheckedT]:
        """Build the parts that measure, and check that the samples have what they need.

        Args:
            base: of them.
            samples: that are asked.
            more_parts: shared parts beside the configuration's own.

        Raises:
            ConfigError: naming the part, and the key that no sample has.
        """
        parts = {**configuration.build_parts(self.parts, self.trusted), **more_parts}
        built: dict[str, CheckedT] = {}
        for name, node in getattr(self, self.measures).items():
            part = configuration.instantiate(node, parts=parts, trusted_packages=self.trusted)
            if not isinstance(part, base):
                raise ConfigError(
                    f"{self.measures}.{name} is a {type(part).__name__}, not a {base.__name__}"
                )
            try:
                part.check(samples)
            except ConfigError as error:
                raise ConfigError(f"{self.measures}.{name}: {error}") from error
            built[name] = part
        return built


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
