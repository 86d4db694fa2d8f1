"""Questions in POPE's manner from labels of one's own: is there a thing in this medium?"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from anymodal.config import ConfigError
from anymodal.data.containers import Row
from anymodal.data.entry_keys import is_empty, only_medium, supplies
from anymodal.data.row_samples import RowSamples
from anymodal.evaluation.benchmarks.pope import pope_row
from anymodal.io.checkpoint import replacing
from anymodal.metrics.object_names import ObjectNames, singular
from anymodal.metrics.words import words

_ARTICLE = re.compile(r"^(?:an?|the)\s+(?=\S)", re.I)
QUESTION = "Is there {article} {object} in this {kind}?"
SETTINGS = ("random", "popular", "adversarial")
_LABELS = ("labels", "label", "objects")
_INNER = ("category", "categories", "label", "labels", "name", "names", "ref")


class LabelledMedium(NamedTuple):
    """A file of a medium, its kind, and the names of what is in it."""

    file: str
    kind: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class QuestionPlan:
    """How questions are made.

    Args:
        count: questions with yes about each medium, and as many with no.
        question: `{object}` stands for the thing, `{article}` for its a or an, `{kind}` for the
            kind of the medium.
        seed: of what is drawn.

    Raises:
        ConfigError: for a count below 1, or a question without the object.
    """

    count: int = 3
    question: str = QUESTION
    seed: int = 0

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ConfigError(f"count={self.count}; it must be 1 or above")
        if "{object}" not in self.question:
            raise ConfigError(f"the question {self.question!r} lacks {{object}}, what it is about")


def labelled_media(
    source: RowSamples[Any], names: ObjectNames | None
) -> tuple[list[LabelledMedium], int]:
    """The media of a data set with their labels, and the number of those without any.

    Rows of one file, as of several captions, count together: what one leaves out, another tells.

    Raises:
        ValueError: if a row can't be used, with its place.
    """
    media: dict[str, LabelledMedium] = {}
    for index in range(len(source)):
        entry = source.entry(index)  # whose own errors have its place
        try:
            medium = labelled_medium(entry, names)
            file = _name_within(source.folder, source.rows.home(index), medium.file)
        except ValueError as error:
            raise ValueError(f"{source.rows.place(index)}: {error}") from error
        before = media[file].labels if file in media else ()
        labels = tuple(dict.fromkeys((*before, *medium.labels)))
        media[file] = medium._replace(file=file, labels=labels)
    labelled = [medium for medium in media.values() if medium.labels]
    return labelled, len(media) - len(labelled)


def labelled_files(
    labels: Mapping[str, Sequence[str]], kind: str, names: ObjectNames | None
) -> tuple[list[LabelledMedium], int]:
    """Files of a kind with their labels, and the number of those without any."""
    media = [
        LabelledMedium(file, kind, tuple(dict.fromkeys(known_labels(several, names))))
        for file, several in labels.items()
    ]
    labelled = [medium for medium in media if medium.labels]
    return labelled, len(media) - len(labelled)


def _under_one_name(media: Sequence[LabelledMedium]) -> list[LabelledMedium]:
    """The media with each thing's label as it was first written, without its article.

    Else "Cat" would be asked about where "cat" isn't among the labels, with no as its answer.
    """
    first: dict[tuple[str, ...], str] = {}
    for medium in media:
        for label in medium.labels:
            first.setdefault(_thing(label), _ARTICLE.sub("", label))
    return [
        medium._replace(labels=tuple(dict.fromkeys(first[_thing(each)] for each in medium.labels)))
        for medium in media
    ]


def _thing(label: str) -> tuple[str, ...]:
    named = words(_ARTICLE.sub("", label))
    return (*map(singular, named),) or (label,)


def _name_within(folder: Path, home: Path, file: str) -> str:
    """The name of a file from a data set's folder, where names of its row start elsewhere."""
    if home == folder:
        return file
    path = home / file
    if not path.is_relative_to(folder):
        raise ValueError(f"{path} lies outside of {folder}; name a folder of all by --folder")
    return path.relative_to(folder).as_posix()


def labelled_medium(entry: Row, names: ObjectNames | None) -> LabelledMedium:
    """The medium of a row, and what is in it: its `labels` (a list, or a text with commas), its
    `label`, the categories of its `objects`, and with names those that its `caption` or captions
    have.

    Raises:
        ValueError: if it has no file of a medium, or more than one, or labels that are no names.
    """
    kind, file = only_medium(supplies(entry, {}))
    if not isinstance(file, str):
        raise ValueError(
            "the medium stands in the row itself, and a question names a file; write the media out "
            "with `anymodal data convert`"
        )
    told = [text for key in _LABELS for text in _texts(entry.get(key), key)]
    captions = entry.get("caption")
    texts = captions if isinstance(captions, list) else [captions or ""]
    labels = [*known_labels(told, names), *(names.names_in(map(str, texts)) if names else ())]
    return LabelledMedium(file, kind, tuple(dict.fromkeys(labels)))


def known_labels(labels: Iterable[str], names: ObjectNames | None) -> list[str]:
    """Labels, with names as the objects of which they are one of several names."""
    stripped = [label for label in map(str.strip, labels) if label]
    if names is None:
        return stripped
    return [(names.names_in([label]) or [label])[0] for label in stripped]


def _texts(value: object, key: str) -> list[str]:
    if is_empty(value):
        return []
    if isinstance(value, dict):  # of lists, as `datasets` has objects with their boxes
        inner = next((name for name in _INNER if not is_empty(value.get(name))), None)
        return [] if inner is None else _texts(value[inner], f"{key}.{inner}")
    if isinstance(value, list):
        return [text for each in value for text in _item_texts(each, key)]
    if not isinstance(value, str):
        raise ValueError(f"{key} is {value!r}; give names of what is there")
    return value.split(",")


def _item_texts(value: object, key: str) -> list[str]:
    return [value] if isinstance(value, str) else _texts(value, key)


class ObjectQuestions:
    """Balanced questions about labelled media, with negatives of three kinds.

    For each label of a medium one question with yes, and one with no about something that isn't in
    it: drawn from all labels (`random`), the most frequent one (`popular`), or the one that stands
    most often beside that label in other media (`adversarial`). Where the latter two have none
    left, one is drawn. Labels that differ in case, in an article or in a regular plural are one.

    Source: Li et al. 2023, "Evaluating object hallucination in large vision-language models",
    section 5.1, https://arxiv.org/abs/2305.10355.

    Args:
        media: with their labels.
        plan: how.

    Raises:
        ConfigError: if there are fewer than two labels, or no medium that lacks one.
    """

    def __init__(self, media: Sequence[LabelledMedium], plan: QuestionPlan) -> None:
        media = _under_one_name(media)
        self.media, self.plan = media, plan
        self.counts = Counter(label for medium in media for label in medium.labels)
        if len(self.counts) < 2:
            raise ConfigError(
                f"the media have {len(self.counts)} labels together; questions with no need two or "
                "more: give labels, or captions with --synonyms"
            )
        if all(len({*medium.labels}) == len(self.counts) for medium in media):
            raise ConfigError(
                f"each medium has all of the {len(self.counts)} labels, and questions with no are "
                "about what isn't there; give media that lack some"
            )
        self.beside: dict[str, Counter[str]] = {label: Counter() for label in self.counts}
        for medium in media:
            for label in medium.labels:
                self.beside[label].update(each for each in medium.labels if each != label)

    def rows(self, setting: str) -> Iterator[dict[str, object]]:
        """The questions of a setting, as rows of POPE's files."""
        number = 0
        for place, medium in enumerate(self.media):
            rng = np.random.default_rng((self.plan.seed, place, SETTINGS.index(setting)))
            # Which labels are asked about is the same in all settings, so that these compare.
            order = np.random.default_rng((self.plan.seed, place)).permutation(len(medium.labels))
            labels = [medium.labels[n] for n in order]
            for label, other in self._pairs(labels, setting, rng):
                for name, answer in ((label, "yes"), (other, "no")):
                    number += 1
                    text = self.question(name, medium.kind)
                    yield pope_row(number, medium.file, text, answer)

    def _pairs(
        self, labels: Sequence[str], setting: str, rng: np.random.Generator
    ) -> Iterator[tuple[str, str]]:
        """Labels of a medium, each with one that it lacks; as many as there are of both."""
        absent = [label for label in self.counts if label not in labels]
        for label in labels[: self.plan.count]:
            if not absent:
                return
            other = self._negative(label, absent, setting, rng)
            absent.remove(other)
            yield label, other

    def _negative(
        self, label: str, absent: Sequence[str], setting: str, rng: np.random.Generator
    ) -> str:
        ranks: Mapping[str, Callable[[], Counter[str]]] = {
            "popular": lambda: self.counts,
            "adversarial": lambda: self.beside[label],
        }
        if setting in ranks:
            left = set(absent)
            best = next((name for name, _ in ranks[setting]().most_common() if name in left), None)
            if best is not None:
                return best
        return absent[int(rng.integers(len(absent)))]

    def question(self, name: str, kind: str) -> str:
        """The question whether a thing is in a medium; a subclass may word it by the thing."""
        article = "an" if name[:1].lower() in "aeiou" else "a"
        text = self.plan.question.replace("{kind}", kind).replace("{article}", article)
        return text.replace("{object}", name)

    def write(self, folder: Path, name: str) -> dict[str, int]:
        """Write `NAME_pope_SETTING.json` for each setting, as `anymodal eval benchmark pope` reads
        them; the number of questions of each."""
        numbers = {}
        for setting in SETTINGS:
            rows: list[dict[str, Any]] = [*self.rows(setting)]
            with replacing(folder / f"{name}_pope_{setting}.json") as temporary:
                temporary.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
            numbers[setting] = len(rows)
        return numbers
