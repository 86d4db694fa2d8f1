"""A chat session without a user interface: history, attached files, seeds, saved media."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NotRequired, TypedDict, Unpack

from anymodal import media
from anymodal.chat.settings import MediaSettingsByModality, TextSettings, check_settings
from anymodal.config import ranges
from anymodal.io.checkpoint import replacing
from anymodal.language.kv_cache import PrefixCache
from anymodal.media import Media
from anymodal.types import Done, Event, Message

if TYPE_CHECKING:
    from anymodal.chat.model import ChatModel


@dataclass(frozen=True)
class Attachment:
    """A file that goes with the next message."""

    path: Path
    media: Media


@dataclass(frozen=True)
class Exchange:
    """One turn of a session.

    Args:
        question: the user's message.
        files: of its media.
        reply: the model's message.
        reply_files: where the media of the reply are saved.
        seed: of the reply.
    """

    question: Message
    files: tuple[Path, ...]
    reply: Message
    reply_files: tuple[Path, ...]
    seed: int


class TranscriptMessage(TypedDict):
    """A message as JSON values.

    Attributes:
        role: user or assistant.
        content: `{"text": …}`, and of each medium `{"kind": …, "file": …}`.
        seed: of the turn, in its reply.
    """

    role: str
    content: list[dict[str, str]]
    seed: NotRequired[int]


class Transcript(TypedDict):
    """A conversation as JSON values."""

    seed: int
    settings: dict[str, object]
    messages: list[TranscriptMessage]


class Session:
    """A conversation with a model that goes on until it is reset.

    The turn at index i is seeded with `seed + i`, so the same questions with the same seed get
    the same answers. A turn that fails, or that its reader stops, leaves history and attachments
    as they were.

    Args:
        model: who answers.
        out: where media of replies are saved; made when the first one is.
        seed: of the first turn; None draws one.
        sampling: steps and guidance by modality, over the model's own settings.
        limits: the most that an attached file may hold.
        text: settings of the text, such as `max_new_tokens`.

    Raises:
        ValueError: for a setting out of its range.
    """

    def __init__(
        self,
        model: ChatModel,
        out: str | Path = "anymodal-out",
        seed: int | None = None,
        *,
        sampling: MediaSettingsByModality | None = None,
        limits: media.Limits | None = None,
        **text: Unpack[TextSettings],
    ) -> None:
        check_settings(model, sampling, text, ("out", "seed", "sampling", "limits"))
        self.model, self.out, self.limits = model, Path(out), limits
        self.sampling, self.text = copy.deepcopy(dict(sampling or {})), text
        self.cache = PrefixCache(model.language)
        self.seed = secrets.randbelow(ranges.MOST_SESSION_SEED + 1) if seed is None else seed
        self.attached: list[Attachment] = []
        self.turns: list[Exchange] = []

    @property
    def seed(self) -> int:
        """The seed of the turn at index 0."""
        return self._seed

    @seed.setter
    def seed(self, value: int) -> None:
        self._seed = ranges.check_seed(value, ranges.MOST_SESSION_SEED)

    @property
    def messages(self) -> list[Message]:
        """The history, as far back as the model is shown it: never more than its memory.

        Where memory is full, half of it is dropped at once. Dropping a turn moves all those after
        it, whose keys and values are then computed anew; so that happens rarely.
        """
        return self._visible(len(self.turns))

    def _visible(self, count: int) -> list[Message]:
        """Of the first `count` turns those that the model is shown, as messages."""
        recent = self.turns[first_visible(count, self.model.history_turns) : count]
        return [message for turn in recent for message in (turn.question, turn.reply)]

    def attach(self, path: str | Path) -> Attachment:
        """Load a file, to go with the next message.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is no medium, or one that the model doesn't read.
        """
        path = Path(path).expanduser()
        # Frozen, so that it is hashed once and not at every turn.
        medium = media.load(path, limits=self.limits).freeze()
        readable = self.model.prompts.encoders
        if type(medium) not in readable:
            kinds = ", ".join(sorted(cls.kind for cls in readable)) or "no media"
            raise ValueError(f"{path.name} is {medium.kind}; this model reads {kinds}")
        self.attached.append(Attachment(path, medium))
        return self.attached[-1]

    def detach(self) -> None:
        """Forget the attached files."""
        self.attached = []

    def reset(self) -> None:
        """Forget the conversation and the attached files."""
        self.turns, self.attached = [], []

    def ask(self, text: str) -> Iterator[Event]:
        """Say something, with what is attached before it; the reply comes event by event.

        With `Done` the turn enters the history and its media are saved: `turns[-1].reply_files`.

        Raises:
            ValueError: if there is nothing to say, or too much for the model.
            OSError: if the media cannot be saved; the turn is in the history all the same.
        """
        yield from self._answer(text, self.attached, len(self.turns))

    def edit(self, text: str) -> Iterator[Event]:
        """Say something instead of the last message, with its files and what is attached since.

        The new turn takes the old one's place and seed, once its reply is complete.

        Raises:
            ValueError: if nothing was said yet, or as `ask` does.
            OSError: as `ask` does.
        """
        if not self.turns:
            raise ValueError("there is no message to edit yet; say something first")
        last = self.turns[-1]
        before = [Attachment(*pair) for pair in zip(last.files, last.question.media, strict=True)]
        yield from self._answer(text, [*before, *self.attached], len(self.turns) - 1)

    def _answer(self, text: str, items: Sequence[Attachment], place: int) -> Iterator[Event]:
        """Answer a question as the turn at index `place`."""
        seed = self.seed + place
        texts = [text.strip()] if text.strip() else []
        question = Message("user", [*(item.media for item in items), *texts])
        files = tuple(item.path for item in items)
        conversation, before = [*self._visible(place), question], list(self.turns)
        # Out of reach meanwhile, as from another reply that somebody has left half read.
        cache, self.cache = self.cache, PrefixCache(self.model.language)
        reply = self.model.stream(
            conversation, seed=seed, sampling=self.sampling, cache=cache, **self.text
        )
        try:
            with contextlib.closing(reply) as events:
                for event in events:
                    if isinstance(event, Done):
                        turn = Exchange(question, files, event.message, (), seed)
                        self._enter(turn, place, before)
                    yield event
        finally:
            self.cache = cache

    def _enter(self, turn: Exchange, place: int, before: Sequence[Exchange]) -> None:
        """Take a complete turn into the history, and save its media."""
        # By identity, since equal turns may stand there twice.
        if [id(each) for each in before] != [id(each) for each in self.turns]:
            raise ValueError("the conversation went on while this reply was made; ask again")
        for medium in turn.reply.media:
            medium.freeze()
        self.attached = []
        self.turns[place:] = [turn]
        self.turns[-1] = dataclasses.replace(turn, reply_files=self._save(turn.reply.media))

    def _save(self, media: Sequence[Media]) -> tuple[Path, ...]:
        """Save a reply's media under the next number that no file in the folder has."""
        if not media:
            return ()
        self.out.mkdir(parents=True, exist_ok=True)
        # The number of the turn, or a later one: files of other sessions are never overwritten.
        number = len(self.turns)
        while any(self.out.glob(f"reply-{number}-*")):
            number += 1
        paths: list[Path] = []
        for index, medium in enumerate(media):
            again = sum(other.kind == medium.kind for other in media[:index])
            name = f"reply-{number}-{medium.kind}{f'-{again + 1}' if again else ''}"
            paths.append(medium.save(self.out / f"{name}{medium.suffix}"))
        return tuple(paths)

    def transcript(self) -> Transcript:
        """The conversation as JSON values, its media as the paths of their files."""
        messages: list[TranscriptMessage] = []
        for turn in self.turns:
            messages.append(_as_json(turn.question, turn.files))
            messages.append({**_as_json(turn.reply, turn.reply_files), "seed": turn.seed})
        settings: dict[str, object] = {"sampling": self.sampling, **self.text}
        return {"seed": self.seed, "settings": settings, "messages": messages}

    def save(self, path: str | Path) -> Path:
        """Write the transcript to a JSON file.

        Raises:
            ValueError: for a file with another suffix than `.json`.
        """
        path = Path(path).expanduser()
        path = path if path.suffix else path.with_name(path.name + ".json")
        if path.suffix.lower() != ".json":
            raise ValueError(f"a transcript is a JSON file; save it as {path.stem}.json")
        with replacing(path) as temporary:
            text = json.dumps(self.transcript(), indent=2, ensure_ascii=False) + "\n"
            # What UTF-8 can't hold, of a file's name, is escaped as JSON escapes it.
            temporary.write_bytes(text.encode("utf-8", "backslashreplace"))
        return path


def first_visible(count: int, history_turns: int | None) -> int:
    """The index of the earliest of `count` turns that a model with this memory is shown."""
    if history_turns is None or count <= history_turns:
        return 0
    step = max(1, history_turns // 2)
    return -((history_turns - count) // step) * step  # the surplus, rounded up to whole steps


def _as_json(message: Message, files: Sequence[Path]) -> TranscriptMessage:
    remaining = iter(files)
    content: list[dict[str, str]] = []
    for part in message.content:
        if isinstance(part, str):
            content.append({"text": part})
        else:
            # A medium that could not be saved has no file.
            path = next(remaining, None)
            file = {"file": str(path.resolve())} if path is not None else {}
            content.append({"kind": getattr(part, "kind", ""), **file})
    return {"role": message.role, "content": content}
