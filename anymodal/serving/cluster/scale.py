"""How many replicas a part of a served model has, and what each of them takes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from anymodal.config import ranges
from anymodal.config.values import nearest, suggest

API, JOBS, LANGUAGE = "api", "jobs", "language"
MOST_REPLICAS = 10_000
_FORM = re.compile(r"(?P<part>[^=]+)=(?P<min>\d+)(-(?P<max>\d+))?(?P<others>(,[a-z]+=[\d.]+)*)$")


@dataclass(frozen=True)
class PartScale:
    """Numbers for the replicas of one part.

    Args:
        min_replicas: the fewest; with 0, one is started when it is asked for.
        max_replicas: the most; what there are follows the load where it is more than the fewest.
        queue: requests under way and waiting, for each replica, that the number of them follows.
        cpus: that each takes of its node.
        gpus: likewise; a fraction shares one.

    Raises:
        ValueError: for a number out of its range.
    """

    min_replicas: int = 1
    max_replicas: int = 1
    queue: float = 8.0
    cpus: float = 1.0
    gpus: float = 0.0

    def __post_init__(self) -> None:
        ranges.check_integer("min_replicas", self.min_replicas, 0, MOST_REPLICAS)
        least = max(1, self.min_replicas)
        ranges.check_integer("max_replicas", self.max_replicas, least, MOST_REPLICAS)
        ranges.check_real("queue", self.queue, 0.01, 100_000)
        ranges.check_real("cpus", self.cpus, 0, 1_000)
        ranges.check_real("gpus", self.gpus, 0, 100)


DEFAULT_SCALES: Mapping[str, PartScale] = {
    API: PartScale(queue=64.0, cpus=0.0), JOBS: PartScale(cpus=0.0)
}  # fmt: skip
"""Of parts that compute little."""


class Scales:
    """Numbers for all parts of a server: `api`, `language`, and each modality that is made.

    Args:
        texts: each as `PART=MIN[-MAX][,queue=Q][,cpus=C][,gpus=G]`, where `MODEL/PART` is for one
            model alone; of two for the same part the later one counts.

    Raises:
        ValueError: for another form, or a number out of its range.
    """

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._scales: dict[str, PartScale] = {}
        for text in texts:
            part, scale = _parse(text)
            self._scales[part] = scale

    def of(self, part: str, model: str | None = None) -> PartScale:
        """The numbers for a part."""
        default = self._scales.get(part, DEFAULT_SCALES.get(part, PartScale()))
        return self._scales.get(f"{model}/{part}", default)

    def check(self, parts_by_model: Mapping[str, Iterable[str]]) -> None:
        """Make sure that each number is for a part that there is.

        Raises:
            ValueError: naming the parts.
        """
        parts = [API, *dict.fromkeys(part for each in parts_by_model.values() for part in each)]
        names = [*parts, *(f"{m}/{part}" for m, each in parts_by_model.items() for part in each)]
        for name in self._scales:
            if name not in names:
                raise ValueError(
                    f"there is no part {name!r} to scale{nearest(name, names)}; there are: "
                    f"{', '.join(parts)}"
                )


def _parse(text: str) -> tuple[str, PartScale]:
    if (match := _FORM.match(text)) is None:
        raise ValueError(
            f"--scale {text!r} can't be read; write PART=MIN-MAX,queue=Q,cpus=C,gpus=G, as "
            "language=1-4,queue=8,gpus=1"
        )
    part, least = match["part"], int(match["min"])
    values = dict(each.split("=") for each in match["others"].split(",") if each)
    names = ("queue", "cpus", "gpus")
    if unknown := next((name for name in values if name not in names), None):
        raise ValueError(
            f"--scale {text!r} has no {unknown!r}{suggest(unknown, names)}; it has queue, cpus "
            "and gpus"
        )
    try:
        numbers = {name: float(value) for name, value in values.items()}
    except ValueError:
        raise ValueError(f"--scale {text!r} has a value that is no number") from None
    scale = DEFAULT_SCALES.get(part, PartScale())
    most = int(match["max"]) if match["max"] else least
    try:
        return part, replace(scale, min_replicas=least, max_replicas=most, **numbers)
    except ValueError as error:
        raise ValueError(f"--scale {text!r}: {error}") from None
