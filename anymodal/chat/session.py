"""A chat session without a user interface: history, attached files, seeds, saved media."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from anymodal import media
from anymodal.chat.checking import ReplyChecker, checker_of, refuse_unchecked
from anymodal.chat.history import first_visible, with_notice
from anymodal.chat.named_references import reference_values, resolve_numbers
from anymodal.chat.references import ReferencesByModality
from anymodal.chat.settings import MediaSettingsByModality, TextSettings
from anymodal.chat.tools import Toolbox, ToolLike, ToolLimits
from anymodal.chat.transcript import (
    Attachment,
    Exchange,
    Transcript,
    TranscriptMessage,
    read_conversation,
    save_media,
    transcript_message,
    write_session,
)
from anymodal.config import ranges
from anymodal.media import Media
from anymodal.types import Done, Event, Message, ToolCall

if TYPE_CHECKING:
    from anymodal.chat.responder import Responder


RESERVED = (
    *("out", "seed", "sampling", "limits", "system"),
    *("tools", "tool_limits", "approve_call", "check"),
)
"""Names of a session's arguments that are no setting of the text."""


class Session:
    """A conversation with a model that goes on until it is reset.

    The turn at index i is seeded with `seed + i`, so the same questions with the same seed get
    the same answers. A turn that fails, or that its reader stops, leaves history and attachments
    as they were.

    Args:
        model: who answers: a model of this process, or one on a server.
        out: where media of replies are saved; made when the first one is.
        seed: of the first turn; None draws one.
        sampling: steps and guidance by modality, over the model's own settings.
        limits: the most that an attached file may hold.
        system: the system prompt, which stands before every conversation; empty for none.
        tools: that replies may call, see `ChatModel.stream`. Calls and results stay in the history.
        tool_limits: of the calls of each turn.
        approve_call: asked before each call.
        check: how replies are checked, see `ChatModel.stream`; None or False for not at all.
        text: settings of the text, such as `max_new_tokens`.

    Raises:
        ValueError: for a setting out of its range, tools that the model can't be offered, or both
            tools and a check.
    """

    def __init__(
        self,
        model: Responder,
        out: str | Path = "anymodal-out",
        seed: int | None = None,
        *,
        sampling: MediaSettingsByModality | None = None,
        limits: media.Limits | None = None,
        system: str = "",
        tools: Sequence[ToolLike] = (),
        tool_limits: ToolLimits | None = None,
        approve_call: Callable[[ToolCall], bool] | None = None,
        check: ReplyChecker | bool | None = None,
        **text: Unpack[TextSettings],
    ) -> None:
        model.check_settings(sampling, text, RESERVED)
        self.tools, self.check = tuple(tools), checker_of(check)
        self.tool_limits, self.approve_call = tool_limits, approve_call
        if self.tools:
            model.check_tools()
            for tool in Toolbox(self.tools, tool_limits).tools.values():  # which tells what is none
                if tool.function is None:
                    raise ValueError(
                        f"the tool {tool.name!r} has no function, and a session has no way to give "
                        "its results; give a pair (definition, function), or take chat()"
                    )
        if self.check is not None:
            refuse_unchecked(text, self.tools)
        self.model, self.out, self.limits, self.system = model, Path(out), limits, system
        self.sampling, self.text = copy.deepcopy(dict(sampling or {})), text
        self.cache = model.new_cache()
        self.seed = secrets.randbelow(ranges.MOST_SESSION_SEED + 1) if seed is None else seed
        self.attached: list[Attachment] = []
        self.references: dict[str, object] = {}  # for the next message, by modality
        self.turns: list[Exchange] = []

    @property
    def seed(self) -> int:
        """The seed of the turn at index 0."""
        return self._seed

    @seed.setter
    def seed(self, value: int) -> None:
        self._seed = ranges.check_seed(value, ranges.MOST_SESSION_SEED)

    @property
    def system(self) -> str:
        """The system prompt; empty for none."""
        return self._system

    @system.setter
    def system(self, text: str) -> None:
        self.model.check_system_prompt(text)
        self._system = text.strip()

    @property
    def messages(self) -> list[Message]:
        """The history, as far back as the model is shown it: never more than its memory.

        Where memory is full, half of it is dropped at once. Dropping a turn moves all those after
        it, whose keys and values are then computed anew; so that happens rarely.
        """
        return self._visible(len(self.turns))

    def _visible(self, count: int) -> list[Message]:
        """Of the first `count` turns those that the model is shown, as messages."""
        start = first_visible(count, self.model.history_turns)
        messages = [each for turn in self.turns[start:count] for each in turn.messages]
        if start:
            messages = with_notice(messages, self.model.history_notice)
        system = [Message("system", self.system)] if self.system else []
        return [*system, *messages]

    def attach(self, path: str | Path) -> Attachment:
        """Load a file, to go with the next message.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is no medium, or one that the model doesn't read.
        """
        path = Path(path).expanduser()
        # Frozen, so that it is hashed once and not at every turn.
        medium = media.load(path, limits=self.limits).freeze()
        self._check_readable(path, medium)
        self.attached.append(Attachment(path, medium))
        return self.attached[-1]

    def _check_readable(self, path: Path, medium: Media) -> None:
        readable = self.model.readable_kinds
        if readable is not None and medium.kind not in readable:
            kinds = ", ".join(readable) or "no media"
            raise ValueError(f"{path.name} is {medium.kind}; this model reads {kinds}")

    def detach(self) -> None:
        """Forget the attached files, and what the next reply's media are to be made from."""
        self.attached, self.references = [], {}

    def reset(self) -> None:
        """Forget the conversation and the attached files."""
        self.turns = []
        self.detach()

    def undo(self) -> Exchange:
        """Take the last turn back, and give it; files of its reply stay.

        Raises:
            ValueError: if nothing was said yet.
        """
        self._last("take back")
        return self.turns.pop()

    def configure(
        self, sampling: MediaSettingsByModality | None = None, **text: Unpack[TextSettings]
    ) -> None:
        """Change settings of the replies to come; what isn't named stays.

        Raises:
            ValueError: for a setting that is unknown or out of its range; then nothing changes.
        """
        values = dict(self.sampling)
        for name, settings in (sampling or {}).items():
            values[name] = {**values.get(name, {}), **settings}
        together: TextSettings = {**self.text, **text}
        self.model.check_settings(values, together, RESERVED)
        if self.check is not None:
            refuse_unchecked(together, self.tools)
        self.sampling, self.text = values, together

    def ask(self, text: str, references: ReferencesByModality | None = None) -> Iterator[Event]:
        """Say something, with what is attached before it; the reply comes event by event.

        With `Done` the turn enters the history and its media are saved: `turns[-1].reply_files`.

        Args:
            text: the message.
            references: what the reply's media are made from, as `AnyModal.stream` takes it, over
                those of the session.

        Raises:
            ValueError: if there is nothing to say, or too much for the model.
            OSError: if the media cannot be saved; the turn is in the history all the same.
        """
        together = {**self.references, **(references or {})}
        yield from self._answer(text, self.attached, len(self.turns), references=together)

    def edit(self, text: str) -> Iterator[Event]:
        """Say something instead of the last message, with its files and what is attached since.

        Media are made from what they were to be made from, where nothing else is said since.
        The new turn takes the old one's place and seed, once its reply is complete.

        Raises:
            ValueError: if nothing was said yet, or as `ask` does.
            OSError: as `ask` does.
        """
        last = self._last("edit")
        items = [*last.attachments, *self.attached]
        references = {**(last.references or {}), **self.references}
        _check_kept(references)
        yield from self._answer(text, items, len(self.turns) - 1, references=references)

    def retry(self, seed: int | None = None) -> Iterator[Event]:
        """Answer the last message again, with another seed; None draws one.

        The new reply takes the old one's place once it is complete.

        Raises:
            ValueError: if nothing was said yet, or the seed is none.
            OSError: as `ask` does.
        """
        last = self._last("answer again")
        if seed is None:
            seed = secrets.randbelow(ranges.MOST_SESSION_SEED + 1)
        question, place = last.question.text, len(self.turns) - 1
        waiting = dict(self.references)
        references = {
            name: waiting.pop(name, None) if each is None else each
            for name, each in (last.references or {}).items()
        }
        _check_kept(references)
        yield from self._answer(question, last.attachments, place, seed, references, waiting)

    def _last(self, verb: str) -> Exchange:
        if not self.turns:
            raise ValueError(f"there is no message to {verb} yet; say something first")
        return self.turns[-1]

    def _answer(
        self,
        text: str,
        items: Sequence[Attachment],
        place: int,
        seed: int | None = None,
        references: ReferencesByModality | None = None,
        waiting: dict[str, object] | None = None,
    ) -> Iterator[Event]:
        """Answer a question as the turn at index `place`; references in `waiting` wait on."""
        seed = self.seed + place if seed is None else seed
        texts = [text.strip()] if text.strip() else []
        question = Message("user", [*(item.media for item in items), *texts])
        files = tuple(item.path for item in items)
        conversation, before = [*self._visible(place), question], list(self.turns)
        made_from = dict(references or {})
        if first_visible(place, self.model.history_turns):  # numbers count in all turns
            whole = [*(each for turn in before[:place] for each in turn.messages), question]
            made_from = resolve_numbers(made_from, whole, self.model.spoken_media)
        # Out of reach meanwhile, as from another reply that somebody has left half read.
        cache, self.cache = self.cache, self.model.new_cache()
        reply = self.model.stream(
            conversation,
            seed=seed,
            sampling=self.sampling,
            references=made_from,
            limits=self.limits,
            cache=cache,
            tools=self.tools,
            tool_limits=self.tool_limits,
            approve_call=self.approve_call,
            check=self.check,
            **self.text,
        )
        try:
            with contextlib.closing(reply) as events:
                for event in events:
                    if isinstance(event, Done):
                        turn = Exchange(question, files, event.message, (), seed, references)
                        self._enter(turn, place, before)
                        # What was attached since, or stands beside a `retry`, waits on.
                        used = {id(item) for item in items}
                        self.attached = [each for each in self.attached if id(each) not in used]
                        self.references = waiting or {}
                        media = [medium for step in turn.reply.steps for medium in step.media]
                        paths = self._save_media([*turn.reply.media, *media])
                        count = len(turn.reply.media)
                        self.turns[-1] = dataclasses.replace(
                            turn, reply_files=paths[:count], step_files=paths[count:]
                        )
                    yield event
        finally:
            self.cache = cache

    def _save_media(self, media: Sequence[Media]) -> tuple[Path, ...]:
        return save_media(media, self.out, len(self.turns), self.model.save_medium)

    def _enter(self, turn: Exchange, place: int, before: Sequence[Exchange]) -> None:
        """Take a complete turn into the history."""
        # By identity, since equal turns may stand there twice.
        if [id(each) for each in before] != [id(each) for each in self.turns]:
            raise ValueError("the conversation went on while this reply was made; ask again")
        for message in (*turn.reply.steps, turn.reply):
            for medium in message.media:
                medium.freeze()
        self.turns[place:] = [turn]

    def transcript(self) -> Transcript:
        """The conversation as JSON values, its media as the paths of their files."""
        messages: list[TranscriptMessage] = []
        if self.system:
            messages.append(transcript_message(Message("system", self.system), ()))
        for turn in self.turns:
            *before, reply = [
                transcript_message(message, files)
                for message, files in zip(turn.messages, turn.all_files, strict=True)
            ]
            reply["seed"] = turn.seed
            if turn.references:
                reply["references"] = reference_values(turn.references)
            messages += [*before, reply]
        # A voice that is a recording is no value of a text file, so who goes on names it again.
        sampling = {
            name: {key: value for key, value in settings.items() if not isinstance(value, Media)}
            for name, settings in self.sampling.items()
        }
        settings: dict[str, object] = {"sampling": sampling, **self.text}
        return {"seed": self.seed, "settings": settings, "messages": messages}

    def save(self, path: str | Path) -> Path:
        """Write the conversation: a transcript (`.json`, also without a suffix), `.html` or `.md`.

        Raises:
            ValueError: for a file with another suffix.
        """
        path = Path(path).expanduser()
        path = path if path.suffix else path.with_name(path.name + ".json")
        return write_session(path, self.transcript(), self.turns, self.system)

    def load(self, path: str | Path) -> None:
        """Go on with a saved conversation: its turns, its seed, its system prompt and settings.

        What is attached stays attached.

        Raises:
            FileNotFoundError: if it, or a file that it names, isn't there.
            ValueError: if it is no transcript, or one that this model can't go on with; then
                nothing changes.
        """
        saved = read_conversation(Path(path).expanduser(), self.limits)
        settings = dict(saved.settings)
        sampling = settings.pop("sampling", None) or {}
        self.model.check_settings(sampling, settings, RESERVED)  # type: ignore[arg-type]
        ranges.check_seed(saved.seed, ranges.MOST_SESSION_SEED)
        for turn in saved.turns:
            for item in turn.attachments:
                self._check_readable(item.path, item.media)
        self.system = saved.system  # first, since a model may take none
        self.seed, self.turns = saved.seed, saved.turns
        self.sampling, self.text = dict(sampling), settings  # type: ignore[assignment]


def _check_kept(references: ReferencesByModality) -> None:
    """Check that nothing of an earlier turn's references is missing.

    Raises:
        ValueError: the conversation was loaded, and its transcript doesn't hold one.
    """
    if lost := [name for name, value in references.items() if value is None]:
        raise ValueError(
            f"the {lost[0]} of this message was made from a medium without a file, which the saved "
            f"conversation doesn't hold; give it again, as /reference {lost[0]} FILE"
        )
