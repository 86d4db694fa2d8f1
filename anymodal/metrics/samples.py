"""Samples in a JSON Lines file, beside the media that they name.

A line is an object: `prompt`, a text or a list of parts, or `messages`, each with a `role` and its
`content`; a part is a text or `{"file": "cat.png"}`. What the reply is measured against stands in
`references` (texts), `media` (files), `caption` (what should be made), `choices` and `answer`; `id`
names the sample. Files are found from the folder of the JSON Lines file; beside `file` may stand a
`kind`, and what the file leaves open, such as `sample_rate`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from anymodal import media
from anymodal.config import ConfigError, suggest
from anymodal.io.message_content import ROLES
from anymodal.media import Media
from anymodal.metrics.words import plain, words
from anymodal.types import ChoiceScore, Message

KEYS = ("id", "prompt", "messages", "references", "media", "caption", "choices", "answer")


@dataclass(frozen=True)
class SampleFile:
    """A medium that lies in a file.

    Args:
        path: of the file.
        name: what the data call it.
        how: arguments of `media.load`, such as `kind`.
        limits: the most that it may hold.
    """

    path: Path
    name: str
    how: Mapping[str, Any] = field(default_factory=dict)
    limits: media.Limits | None = None

    def load(self) -> Media:
        """The medium; see `media.load` for what is raised."""
        return media.load(self.path, limits=self.limits, **self.how)


@dataclass(frozen=True)
class SampleMessage:
    """A message whose media lie in files.

    Args:
        role: see `Message`.
        content: texts and media in order.
        choices: see `Message.choices`.
    """

    role: str
    content: tuple[str | SampleFile, ...]
    choices: tuple[ChoiceScore, ...] = ()

    @property
    def text(self) -> str:
        """Its texts, joined."""
        return "".join(part for part in self.content if isinstance(part, str))

    @property
    def files(self) -> list[SampleFile]:
        """Its media files, in order."""
        return [part for part in self.content if isinstance(part, SampleFile)]

    def load(self) -> Message:
        """The message, its media loaded; see `media.load` for what is raised."""
        parts = [part if isinstance(part, str) else part.load() for part in self.content]
        return Message(self.role, parts, choices=self.choices)


@dataclass(frozen=True)
class EvaluationSample:
    """A question, and what its reply is measured against.

    Args:
        id: tells it from the others of its data.
        turns: the conversation, the user's turn last.
        references: texts that the reply should be like.
        media: what media of the reply should be like.
        caption: what the reply's medium should show.
        choices: what the reply should name exactly one of.
        answer: the right choice, or yes or no.
        chooses: whether the reply is to be one of the choices as it stands.
        groups: names of what figures are given for apart, such as a category.
        unit: samples of one unit count together, such as the passes of a circular evaluation.
        unit_size: how many samples the unit has.
    """

    id: str
    turns: tuple[SampleMessage, ...]
    references: tuple[str, ...] = ()
    media: tuple[SampleFile, ...] = ()
    caption: str = ""
    choices: tuple[str, ...] = ()
    answer: str = ""
    chooses: bool = False
    groups: tuple[str, ...] = ()
    unit: str = ""
    unit_size: int = 1

    def conversation(self) -> list[Message]:
        """The messages, their media loaded; see `media.load` for what is raised."""
        return [turn.load() for turn in self.turns]

    def to_json(self) -> list[dict[str, object]]:
        """The messages, ready for JSON, their media by name."""
        return [
            {
                "role": turn.role,
                "content": [
                    part if isinstance(part, str) else {"file": part.name, **part.how}
                    for part in turn.content
                ],
            }
            for turn in self.turns
        ]

    def digest(self) -> str:
        """A hash of all that is asked, media included: whether an older reply still answers it.

        Raises:
            OSError: if a file can't be read.
        """
        state = hashlib.sha256(json.dumps(self.to_json()).encode())
        if self.chooses:
            state.update(json.dumps(self.choices).encode())
        # By content, since another picture may stand under the same name.
        for part in (part for turn in self.turns for part in turn.content):
            if isinstance(part, SampleFile):
                with part.path.open("rb") as file:
                    state.update(hashlib.file_digest(file, "sha256").digest())
        return state.hexdigest()[:16]

    def seed(self, seed: int) -> int:
        """The seed of the reply: of the run's seed and the name, whatever the company."""
        state = np.random.SeedSequence([seed, *self.id.encode()]).generate_state(1)
        return int(state[0]) >> 1

    @property
    def name(self) -> str:
        """The stem of its files' names."""
        # Ids may hold what no file name may; the hash keeps them apart.
        short = re.sub(r"[^\w-]+", "-", self.id)[:60]
        return f"{short}-{hashlib.sha256(self.id.encode()).hexdigest()[:8]}"


def read_samples(path: str | Path, limits: media.Limits | None = None) -> list[EvaluationSample]:
    """Read a JSON Lines file; media are looked for, but not loaded yet, then within limits.

    Raises:
        ConfigError: for a file that is missing, empty or no JSON, and for an unknown key, a wrong
            value, a missing medium or a name used twice, with the number of the line.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"there are no samples at {path}; `data` names a JSON Lines file")
    samples: dict[str, EvaluationSample] = {}
    try:
        # Editors on Windows begin a file with a byte order mark.
        lines = path.read_text("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8: {error}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            sample = _sample(_parse(line), path.parent, str(number))
            if sample.id in samples:
                raise ConfigError(f"id {sample.id!r} is taken by a line before; names are unique")
        except ConfigError as error:
            raise ConfigError(f"{path}, line {number}: {error}") from error
        samples[sample.id] = with_limits(sample, limits)
    if not samples:
        raise ConfigError(f"{path} holds no samples; write one JSON object a line")
    return list(samples.values())


def with_limits(sample: EvaluationSample, limits: media.Limits | None) -> EvaluationSample:
    """The sample with limits on what each of its media files may hold."""

    def limited(file: SampleFile) -> SampleFile:
        return replace(file, limits=limits)

    turns = tuple(
        replace(turn, content=tuple(p if isinstance(p, str) else limited(p) for p in turn.content))
        for turn in sample.turns
    )
    return replace(sample, turns=turns, media=tuple(map(limited, sample.media)))


def _parse(line: str) -> dict[str, object]:
    try:
        entry = json.loads(line)
    except json.JSONDecodeError as error:
        raise ConfigError(f"not valid JSON: {error.msg} at character {error.pos + 1}") from error
    if not isinstance(entry, dict):
        raise ConfigError(f"a sample is an object, not {line.strip()[:40]!r}")
    _check_keys(entry, KEYS, "a sample")
    return entry


def _sample(entry: Mapping[str, object], folder: Path, number: str) -> EvaluationSample:
    if ("prompt" in entry) == ("messages" in entry):
        raise ConfigError("give either `prompt` or `messages`")
    if "prompt" in entry:
        turns = [SampleMessage("user", _parts(entry["prompt"], folder, "prompt"))]
    else:
        turns = [_turn(message, folder) for message in _list(entry, "messages")]
    if not turns or turns[-1].role != "user":
        raise ConfigError("the last of `messages` must be the user's, since the model answers it")
    name = entry.get("id", number)
    references, choices = (_texts(entry, key) for key in ("references", "choices"))
    answer = _text(entry, "answer")
    # Words decide which choice is named, so choices must differ in words.
    if len({plain(choice) for choice in choices}) < len(choices):
        raise ConfigError(f"two of the choices {list(choices)} are the same words")
    if choices and answer and answer not in choices:
        raise ConfigError(f"answer {answer!r} is none of the choices{suggest(answer, choices)}")
    return EvaluationSample(
        id=str(name) if isinstance(name, int) else _text({"id": name}, "id"),
        turns=tuple(turns),
        references=references,
        media=tuple(
            _file({"file": item} if isinstance(item, str) else item, folder, "media")
            for item in _list(entry, "media")
        ),
        caption=_text(entry, "caption"),
        choices=choices,
        answer=answer,
    )


def _turn(message: object, folder: Path) -> SampleMessage:
    if not isinstance(message, dict) or {"role", "content"} - set(message):
        raise ConfigError(f"a message is an object with `role` and `content`, not {message!r}")
    _check_keys(message, ("role", "content"), "a message")
    if message["role"] not in ROLES:
        hint = suggest(str(message["role"]), ROLES)
        raise ConfigError(f"there is no role {message['role']!r}{hint}")
    return SampleMessage(message["role"], _parts(message["content"], folder, "content"))


def _parts(content: object, folder: Path, place: str) -> tuple[str | SampleFile, ...]:
    parts = [content] if isinstance(content, str) else content
    if not isinstance(parts, list) or not parts:
        raise ConfigError(f"{place} must be a text or a list of parts, not {content!r}")
    return tuple(part if isinstance(part, str) else _file(part, folder, place) for part in parts)


def _file(part: object, folder: Path, place: str) -> SampleFile:
    if not isinstance(part, dict) or not isinstance(part.get("file"), str):
        raise ConfigError(f'{place} holds {part!r}; a file is written {{"file": "cat.png"}}')
    hints = frozenset().union(*(kind.hints for kind in Media.kinds.values()))
    _check_keys(part, ("file", "kind", *sorted(hints)), "a file")
    options = {key: value for key, value in part.items() if key != "file"}
    if options.get("kind", "") not in ("", *Media.kinds):
        raise ConfigError(
            f"no kind of medium is {options['kind']!r}{suggest(options['kind'], Media.kinds)}"
        )
    path = folder / part["file"]
    if not path.is_file():
        raise ConfigError(f"there is no file {part['file']!r} in {folder}")
    return SampleFile(path, part["file"], options)


def _list(entry: Mapping[str, object], key: str) -> list[object]:
    items = entry.get(key, [])
    if not isinstance(items, list):
        raise ConfigError(f"{key} must be a list, not {items!r}")
    return items


def _texts(entry: Mapping[str, object], key: str) -> tuple[str, ...]:
    return tuple(_text({key: item}, key) for item in _list(entry, key))


def _text(entry: Mapping[str, object], key: str) -> str:
    """A text of one word or more, or nothing where the key is absent."""
    if key not in entry:
        return ""
    text = entry[key]
    if not (isinstance(text, str) and words(text)):
        raise ConfigError(f"{key} must hold words, not {text!r}")
    return text


def _check_keys(entry: Mapping[str, object], keys: Iterable[str], label: str) -> None:
    for key in entry:
        if key not in keys:
            raise ConfigError(f"{label} has no key {key!r}{suggest(key, keys)}")
