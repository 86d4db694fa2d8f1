"""Making pairs as data: whom to ask what how often, and how replies are scored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from anymodal import config as configuration
from anymodal.config import ConfigError, shorten, suggest
from anymodal.evaluation.schema import check_reply_settings, samples_of
from anymodal.media import Limits
from anymodal.metrics.samples import EvaluationSample
from anymodal.tools.pairs.scorers import Scorer
from anymodal.tools.pairs.selection import Selection

MODEL = "model"
"""The name of the part that is the model itself, for a scorer: `{_part_: model}`."""
MOST_REPLIES = 1024


@dataclass
class PairMaking:
    """How pairs are made.

    Args:
        model: a model folder, a run's folder or a checkpoint in it, the name of a shipped model, or
            a part that gives a model.
        data: a JSON Lines file of samples, or a part that gives a list of `EvaluationSample`.
        scorers: parts that give a `Scorer` each, by the name of its scores.
        output_dir: folder for replies, scores and pairs, from which a stopped run goes on.
        replies: to each prompt.
        weights: of scorers in the sum that pairs are chosen by; 1 where one isn't named.
        margin: see `Selection`.
        similarity: see `Selection`.
        pairs_per_prompt: see `Selection`.
        page_pairs: pairs on the page.
        batch_size: replies written at once.
        seed: with a prompt's name and the number of the reply it decides the reply.
        settings: of `model.chat`, such as `max_new_tokens`; a temperature above 0.
        parts: what several scorers share, such as a judge; `{_part_: model}` is the model itself.
        device: where the model works; null for a GPU where there is one.
        trusted_packages: packages beside AnyModal whose classes may be built.
        limits: the most that a file of the samples may hold, by the names of `media.Limits`.
    """

    # Any, since OmegaConf has no union of a text and a mapping.
    model: Any = MISSING
    data: Any = MISSING
    scorers: dict[str, Any] = MISSING
    output_dir: str = MISSING
    replies: int = 4
    weights: dict[str, float] = field(default_factory=dict)
    margin: float = 0.0
    similarity: float = 0.95
    pairs_per_prompt: int = 1
    page_pairs: int = 100
    batch_size: int = 8
    seed: int = 0
    settings: dict[str, Any] = field(default_factory=lambda: {"temperature": 1.0})
    parts: dict[str, Any] = field(default_factory=dict)
    device: str | None = None
    trusted_packages: list[str] = field(default_factory=list)
    limits: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> PairMaking:
        """Check a configuration against the schema.

        Raises:
            ConfigError: for an unknown key (with a suggestion), a missing one or a wrong value.
        """
        job = configuration.structured(cls, config, "pairs")
        Limits.of(job.limits)
        job._check()
        return job

    @property
    def trusted(self) -> list[str]:
        """Packages whose parts may be named; they are the user's own."""
        return ["anymodal", *self.trusted_packages]

    @property
    def selection(self) -> Selection:
        """How pairs are chosen."""
        return Selection(self.margin, self.similarity, self.pairs_per_prompt)

    def _check(self) -> None:
        ranges = {"replies": (2, MOST_REPLIES), "batch_size": (1, 2**20), "seed": (0, 2**63 - 1)}
        for name, (least, most) in {**ranges, "page_pairs": (0, 10_000)}.items():
            if not least <= getattr(self, name) <= most:
                value = shorten(getattr(self, name))
                raise ConfigError(f"{name}={value}; it must lie between {least} and {most}")
        if not self.output_dir.strip() or "\0" in self.output_dir:
            raise ConfigError(f"output_dir must be the name of a folder, not {self.output_dir!r}")
        if not self.scorers:
            raise ConfigError("scorers is empty; name at least one, as claims: {_target_: …}")
        for name in self.weights:
            if name not in self.scorers:
                raise ConfigError(f"weights has no scorer {name!r}{suggest(name, self.scorers)}")
        if MODEL in self.parts:
            raise ConfigError(f"parts.{MODEL} is the model itself; choose another name")
        check_reply_settings(self.settings)
        if self.settings.get("choices") is not None:
            raise ConfigError("settings.choices: few texts make no pairs; leave them out")
        if not self.settings.get("temperature", 0) > 0:
            raise ConfigError(
                "settings.temperature is 0, which gives the same reply each time; give one above "
                "0, such as 1.0"
            )
        self.selection  # noqa: B018 (checks its values)

    def samples(self) -> list[EvaluationSample]:
        """Read the prompts; see `evaluation.schema.samples_of`."""
        return samples_of(self.data, Limits.of(self.limits), self.trusted)

    def build_scorers(self, model: object, samples: list[EvaluationSample]) -> dict[str, Scorer]:
        """Build the scorers, and check that the prompts have what they need.

        Raises:
            ConfigError: naming the scorer.
        """
        parts = {**configuration.build_parts(self.parts, self.trusted), MODEL: model}
        scorers: dict[str, Scorer] = {}
        for name, node in self.scorers.items():
            scorer = configuration.instantiate(node, parts=parts, trusted_packages=self.trusted)
            if not isinstance(scorer, Scorer):
                raise ConfigError(f"scorers.{name} is a {type(scorer).__name__}, not a Scorer")
            try:
                scorer.check(samples)
            except ConfigError as error:
                raise ConfigError(f"scorers.{name}: {error}") from error
            scorers[name] = scorer
        return scorers


def read_pair_making(path: str | Path, overrides: Iterable[str] = ()) -> PairMaking:
    """Load and validate a configuration, building nothing."""
    job = PairMaking.from_config(configuration.load_config(path, overrides, PairMaking))
    parts = configuration.validate_parts(job.parts, job.trusted)
    for name in ("model", "data", "scorers"):
        node = getattr(job, name)
        names = [*parts, MODEL] if name == "scorers" else ()
        configuration.validate_node(node, parts=names, trusted_packages=job.trusted, place=name)
    return job
