"""Two models side by side: their replies to the same prompts, and what people prefer.

A comparison is a folder. `comparison.json` has the pairs of replies and which model each is of,
`media/` their files, `choices.jsonl` a line for each choice, and `preferences.jsonl` the choices as
rows that `anymodal.data.preferences.Preferences` reads. A choice tells which replies were shown on
which side, so that it counts for these alone, whatever the folder is used for later.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from anymodal.config import ConfigError
from anymodal.evaluation.preference_rows import MODELS, PairMessage, ReplyPair, preference_row
from anymodal.evaluation.run import ReplySampleFile, part_of_file
from anymodal.io.checkpoint import replacing
from anymodal.io.results import markdown_table, write_results
from anymodal.metrics.intervals import wilson
from anymodal.metrics.samples import EvaluationSample, SampleFile, SampleMessage

COMPARISON, CHOICES, PREFERENCES = "comparison.json", "choices.jsonl", "preferences.jsonl"
CHOICE_NAMES = ("left", "right", "alike", "neither")
"""One of the two, both are as good, or both are bad."""


class PairChoice(TypedDict):
    """A person's choice.

    Attributes:
        id: of the pair.
        shown: see `shown_key`.
        choice: one of `CHOICE_NAMES`.
    """

    id: str
    shown: str
    choice: str


@dataclass(frozen=True)
class Comparison:
    """A comparison in its folder.

    Args:
        folder: of all its files.
        names: of the two models.
        pairs: in the order in which they are shown.
        same: prompts to which both gave the same reply, which nobody is asked about.
        broken: prompts without two replies that can be shown, and why.
    """

    folder: Path
    names: tuple[str, str]
    pairs: list[ReplyPair]
    same: list[str]
    broken: dict[str, str]

    @classmethod
    def load(cls, folder: Path) -> Comparison:
        """The comparison in a folder.

        Raises:
            ConfigError: if there is none.
        """
        path = folder / COMPARISON
        if not path.is_file():
            raise ConfigError(f"there is no {path}; name two models and --prompts to begin one")
        value = json.loads(path.read_text("utf-8"))
        names = (value["names"][0], value["names"][1])
        return cls(folder, names, value["pairs"], value["same"], value["broken"])

    def save(self) -> None:
        """Write `comparison.json`."""
        value = {
            "names": self.names, "pairs": self.pairs, "same": self.same, "broken": self.broken
        }  # fmt: skip
        with replacing(self.folder / COMPARISON) as temporary:
            temporary.write_text(json.dumps(value, indent=1), "utf-8")

    def choices(self) -> dict[str, str]:
        """The choices by the pair's id; of several of one pair the last counts."""
        return {each["id"]: each["choice"] for each in self._valid(self._lines())}

    def num_other_choices(self) -> int:
        """The number of choices in the folder that are about other replies, or other sides."""
        lines = self._lines()
        return len([*_read_choices(lines)]) - len([*self._valid(lines)])

    def _lines(self) -> list[str]:
        path = self.folder / CHOICES
        return path.read_text("utf-8").splitlines() if path.is_file() else []

    def _valid(self, lines: Iterable[str]) -> Iterator[PairChoice]:
        """Choices about the pairs of this comparison, as they are shown."""
        keys = {pair["id"]: shown_key(pair) for pair in self.pairs}
        for each in _read_choices(lines):
            if keys.get(each["id"]) == each["shown"]:
                yield each

    def add_choices(self, lines: Iterable[str]) -> int:
        """Append choices, lines of JSON as `PairChoice`, and write the results anew.

        Returns:
            How many were choices about a pair of this comparison.
        """
        valid = [*self._valid(lines)]
        path = self.folder / CHOICES
        # A line that was cut short, as by a full disk, ends here.
        torn = path.is_file() and not path.read_bytes().endswith(b"\n")
        with path.open("a", encoding="utf-8") as file:
            file.write("\n" * torn)
            file.writelines(f"{json.dumps(each)}\n" for each in valid)
        self.write_results()
        return len(valid)

    def preferred(self) -> dict[str, str]:
        """The preferred model by the pair's id, or `alike` or `neither`."""
        pairs = {pair["id"]: pair for pair in self.pairs}
        winners = {}
        for name, choice in self.choices().items():
            left = pairs[name]["left"]
            right = MODELS[left == MODELS[0]]
            winners[name] = {"left": left, "right": right}.get(choice, choice)
        return winners

    def write_results(self) -> str:
        """Write `preferences.jsonl`, `results.json` and `results.md`; the table comes back."""
        winners = self.preferred()
        rows = (
            preference_row(pair, winners[pair["id"]])
            for pair in self.pairs
            if winners.get(pair["id"]) in MODELS
        )
        with replacing(self.folder / PREFERENCES) as temporary:
            temporary.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
        counts = Counter(winners.values())
        results = {
            "models": dict(zip(MODELS, self.names, strict=True)),
            "pairs": len(self.pairs),
            "chosen": len(winners),
            "same": len(self.same),
            "broken": self.broken,
            "preferred": {name: counts[name] for name in (*MODELS, "alike", "neither")},
        }
        table = preference_table(self.names, counts)
        write_results(self.folder, results, table)
        return table


def shown_key(pair: ReplyPair) -> str:
    """A hash of a prompt, and of the replies that stand on the left and on the right."""
    left, right = (pair["a"], pair["b"]) if pair["left"] == MODELS[0] else (pair["b"], pair["a"])
    content = json.dumps([pair["prompt"], left, right])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _read_choices(lines: Iterable[str]) -> Iterator[PairChoice]:
    """Choices in lines of JSON; what is none, as a line that was cut short, is left out."""
    for line in lines:
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict) and value.get("choice") in CHOICE_NAMES:
            name, shown = str(value.get("id")), str(value.get("shown"))
            yield {"id": name, "shown": shown, "choice": value["choice"]}


def preference_table(names: Sequence[str], counts: Mapping[str, int]) -> str:
    """The preferences as a Markdown table; each model's share is of those with a preference."""
    decided = counts["a"] + counts["b"]
    rows = []
    for name, key in zip(names, MODELS, strict=True):
        share = counts[key] / decided if decided else 0.0
        low, high = wilson(share, decided)
        figures = [f"{100 * share:.1f}", f"{100 * low:.1f}–{100 * high:.1f}"]
        rows.append([name, str(counts[key]), *(figures if decided else ["–", "–"])])
    rows += [[f"({name})", str(counts[key]), "", ""] for name, key in
             (("both alike", "alike"), ("both bad", "neither"))]  # fmt: skip
    return markdown_table(["preferred", "n", "%", "95 %"], rows)


def build_comparison(
    folder: Path,
    names: tuple[str, str],
    samples: Sequence[EvaluationSample],
    replies: tuple[Mapping[str, SampleMessage], Mapping[str, SampleMessage]],
    *,
    seed: int = 0,
) -> Comparison:
    """Pair the replies of two models, in an order and on sides that the seed draws.

    Args:
        folder: of the comparison; media are copied into it.
        names: of the models.
        samples: the prompts.
        replies: of each model, by the prompt's id.
        seed: draws order and sides, each pair's by its id alone.

    Raises:
        ConfigError: if there is no pair to show.
    """
    pairs: list[ReplyPair] = []
    same: list[str] = []
    broken: dict[str, str] = {}
    for sample in samples:
        both = [each.get(sample.id) for each in replies]
        if missing := [name for name, each in zip(names, both, strict=True) if each is None]:
            broken[sample.id] = f"there is no reply of {' and '.join(missing)}"
            continue
        try:
            prompt: list[PairMessage] = [
                {"role": turn.role, "content": copied_parts(turn, folder)} for turn in sample.turns
            ]
            first, second = (copied_parts(each, folder) for each in both if each is not None)
        except (ValueError, OSError) as error:
            broken[sample.id] = str(error)
            continue
        if first == second:
            same.append(sample.id)
            continue
        left = MODELS[_drawn(seed, "side", sample.id) & 1]
        pairs.append({"id": sample.id, "prompt": prompt, "a": first, "b": second, "left": left})
    if not pairs:
        reason = next(iter(broken.values()), "all replies are the same")
        raise ConfigError(f"there is no pair of replies to show; {reason}")
    pairs.sort(key=lambda pair: _drawn(seed, "order", pair["id"]))
    comparison = Comparison(folder, names, pairs, same, broken)
    comparison.save()
    return comparison


def _drawn(seed: int, purpose: str, name: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed} {purpose} {name}".encode()).digest()[:8], "big")


def copied_parts(message: SampleMessage, folder: Path) -> list[str | ReplySampleFile]:
    """The parts of a message, its media copied into the folder under a hash of their content."""
    parts: list[str | ReplySampleFile] = []
    for part in message.content:
        if not isinstance(part, SampleFile):
            parts.append(part)
            continue
        medium = part.load()  # which also tells whether it can be shown
        with part.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()[:24]
        path = f"media/{digest}{part.path.suffix}"
        if not (folder / path).is_file():
            with replacing(folder / path) as temporary:
                shutil.copyfile(part.path, temporary)
        parts.append(part_of_file(path, medium))
    return parts
