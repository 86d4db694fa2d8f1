"""Conversations of a session as files: JSON that can be read again, HTML and Markdown to read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from anymodal.chat.html_report import SPEAKERS, message_html, write_html_report
from anymodal.chat.named_references import ReferenceValues, read_reference_values
from anymodal.chat.references import ReferencesByModality
from anymodal.config import suggest
from anymodal.config.ranges import check_seed
from anymodal.io.checkpoint import replacing
from anymodal.io.folder_check import read_text_file
from anymodal.media import Limits, Media
from anymodal.types import Message, ToolCall

MAX_TRANSCRIPT_BYTES = 64 * 2**20
"""The longest transcript that is read; media stand beside it."""


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
        references: what its media were to be made from; None left it to the model. None of a
            modality: media that its transcript doesn't keep.
        step_files: where the media of the reply's steps are saved, of all together.
    """

    question: Message
    files: tuple[Path, ...]
    reply: Message
    reply_files: tuple[Path, ...]
    seed: int
    references: ReferencesByModality | None = None
    step_files: tuple[Path, ...] = ()

    @property
    def messages(self) -> list[Message]:
        """The question, what tools were called and gave, and the reply."""
        return [self.question, *self.reply.steps, self.reply]

    @property
    def all_files(self) -> list[tuple[Path, ...]]:
        """The files of each of these messages' media."""
        left = iter(self.step_files)
        of_steps = [tuple(islice(left, len(step.media))) for step in self.reply.steps]
        return [self.files, *of_steps, self.reply_files]

    @property
    def attachments(self) -> list[Attachment]:
        """The files of the question."""
        pairs = zip(self.files, self.question.media, strict=True)
        return [Attachment(path, medium) for path, medium in pairs]


class TranscriptMessage(TypedDict):
    """A message as JSON values.

    Attributes:
        role: system, user, assistant or tool.
        content: `{"text": …}`, of each medium `{"kind": …, "file": …}`, with what its file is to be
            read with, such as `"sound": true`, and of each call of a tool `{"call": …,
            "arguments": …, "id": …}`.
        seed: of the turn, in its reply.
        references: what the reply's media were to be made from, where somebody said it: by
            modality numbers of media and `{"file": …}`, or null where it was a medium without a
            file.
    """

    role: str
    content: list[dict[str, Any]]
    seed: NotRequired[int]
    references: NotRequired[ReferenceValues]


class Transcript(TypedDict):
    """A conversation as JSON values; a system prompt is its first message."""

    seed: int
    settings: dict[str, object]
    messages: list[TranscriptMessage]


def save_media(
    media: Sequence[Media], folder: Path, number: int, save: Callable[[Media, Path], Path]
) -> tuple[Path, ...]:
    """Save a reply's media under this number, or the next one that no file in the folder has.

    `save` takes each with its path without a suffix.
    """
    if not media:
        return ()
    folder.mkdir(parents=True, exist_ok=True)
    # Files of other sessions are never overwritten.
    while any(folder.glob(f"reply-{number}-*")):
        number += 1
    paths: list[Path] = []
    for index, medium in enumerate(media):
        again = sum(other.kind == medium.kind for other in media[:index])
        name = f"reply-{number}-{medium.kind}{f'-{again + 1}' if again else ''}"
        paths.append(save(medium, folder / name))
    return tuple(paths)


def write_session(
    path: Path, transcript: Transcript, turns: Sequence[Exchange], system: str = ""
) -> Path:
    """Write a conversation, in the format that the file's suffix names.

    Raises:
        ValueError: for a suffix other than `.json`, `.html` and `.md`.
    """
    suffix = path.suffix.lower()
    messages = [Message("system", system)] if system else []
    messages += [message for turn in turns for message in turn.messages]
    files: list[tuple[Path, ...]] = [()] if system else []
    files += [names for turn in turns for names in turn.all_files]
    if suffix == ".html":
        body = [
            message_html(message, [file.name for file in names])
            for message, names in zip(messages, files, strict=True)
        ]
        return write_html_report(path, "Conversation", f"seed {transcript['seed']}", body)
    if suffix == ".md":
        text = "\n".join(_markdown(transcript["messages"], path.parent))
    elif suffix == ".json":
        text = json.dumps(transcript, indent=2, ensure_ascii=False) + "\n"
    else:
        raise ValueError(
            f"a conversation is saved as .json, .html or .md, not {suffix!r}; save it as "
            f"{path.stem}.json"
        )
    with replacing(path) as temporary:
        # What UTF-8 can't hold, of a file's name, is escaped as JSON escapes it.
        temporary.write_bytes(text.encode("utf-8", "backslashreplace"))
    return path


def _markdown(messages: Sequence[TranscriptMessage], folder: Path) -> Iterator[str]:
    """Each message as a heading and a quotation, in which no text can pass for another message."""
    yield "# Conversation\n"
    for message in messages:
        yield f"## {SPEAKERS.get(message['role'], message['role'].capitalize())}\n"
        parts = [_markdown_part(part, folder) for part in message["content"]]
        lines = "\n\n".join(part for part in parts if part).splitlines()
        yield "\n".join(f"> {line}".rstrip() for line in lines) + "\n"


def _markdown_part(part: Mapping[str, str], folder: Path) -> str:
    if "text" in part:
        return part["text"].strip()
    return f"{part['call']} {part['arguments']}" if "call" in part else _link(part, folder)


def _link(part: Mapping[str, str], folder: Path) -> str:
    """A link to a medium's file, from where the document lies if the file lies below it."""
    from urllib.parse import quote

    if "file" not in part:
        return f"[{part['kind']}]"
    file = Path(part["file"])
    if file.is_relative_to(folder.resolve()):
        target = quote(file.relative_to(folder.resolve()).as_posix(), errors="surrogateescape")
    else:
        target = f"file://{quote(str(file), errors='surrogateescape')}"
    return f"[{part['kind']}: {file.name.replace('[', '(').replace(']', ')')}]({target})"


def transcript_message(message: Message, files: Sequence[Path]) -> TranscriptMessage:
    """A message as JSON values, its media as the paths of their files."""
    remaining = iter(files)
    content: list[dict[str, Any]] = []
    for part in message.content:
        if isinstance(part, str):
            content.append({"text": part})
        elif isinstance(part, ToolCall):
            content.append({"call": part.name, "arguments": part.arguments, "id": part.id})
        else:
            # A medium that could not be saved has no file.
            path = next(remaining, None)
            file = {"file": str(path.resolve())} if path is not None else {}
            hints = part.file_hints if file and isinstance(part, Media) else {}
            content.append({"kind": getattr(part, "kind", ""), **file, **hints})
    return {"role": message.role, "content": content}


@dataclass(frozen=True)
class SavedConversation:
    """A conversation that was read from a transcript.

    Attributes:
        seed: of its first turn.
        system: the system prompt; empty for none.
        settings: of replies, `sampling` among them.
        turns: with their media.
    """

    seed: int
    system: str
    settings: dict[str, Any]
    turns: list[Exchange]


def read_conversation(path: str | Path, limits: Limits | None = None) -> SavedConversation:
    """Read a transcript, and the media that it names.

    Raises:
        FileNotFoundError: if it, or a file that it names, isn't there.
        ValueError: if it is no transcript, naming the message that can't be read.
    """
    path = Path(path)
    try:
        transcript = json.loads(read_text_file(path, MAX_TRANSCRIPT_BYTES))
        messages = transcript["messages"]
        seed, settings = transcript["seed"], transcript.get("settings", {})
        roles = [message["role"] for message in messages]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is no transcript; /save of a session writes one ({type(error).__name__}: "
            f"{error})"
        ) from error
    start = 1 if roles[:1] == ["system"] else 0
    if not isinstance(settings, dict):
        raise ValueError(f"{path}: settings must be settings by name, not {settings!r}")
    if not _are_turns(roles[start:]):
        raise ValueError(
            f"{path}: messages must be a user's and a reply in turn, with calls of tools and their "
            f"results between, not {roles}"
        )
    read = [_read(path, number, each, limits) for number, each in enumerate(messages, 1)]
    places = [place for place, role in enumerate(roles) if role == "user"]
    turns = [
        _exchange(read[first:end], messages[end - 1], seed)
        for first, end in pairwise([*places, len(read)])
    ]
    return SavedConversation(seed, read[0][0].text if start else "", settings, turns)


def _are_turns(roles: Sequence[str]) -> bool:
    """Return whether roles are those of whole turns: each a question, steps of tools, a reply."""
    letters = {"user": "u", "assistant": "a", "tool": "t"}
    text = "".join(letters.get(role, "x") if isinstance(role, str) else "x" for role in roles)
    return re.fullmatch(r"(u(at+)*a)*", text) is not None


def _exchange(
    read: Sequence[tuple[Message, tuple[Path, ...]]], last: Mapping[str, Any], seed: int
) -> Exchange:
    (question, files), *steps, (reply, reply_files) = read
    reply.steps = tuple(message for message, _ in steps)
    step_files = tuple(path for _, paths in steps for path in paths)
    seed, values = check_seed(last.get("seed", seed)), last.get("references")
    references = None if values is None else read_reference_values(values)
    return Exchange(question, files, reply, reply_files, seed, references, step_files)


def _read(
    path: Path, number: int, message: Mapping[str, Any], limits: Limits | None
) -> tuple[Message, tuple[Path, ...]]:
    content: list[str | Media | ToolCall] = []
    files: list[Path] = []
    try:
        for part in message["content"]:
            if "text" in part:
                content.append(part["text"])
            elif "call" in part:
                content.append(ToolCall(part["call"], part["arguments"], part.get("id", "")))
            elif "file" not in part:
                raise ValueError("a medium was never saved, so it can't be loaded")
            else:
                if part["kind"] not in Media.kinds:
                    hint = suggest(str(part["kind"]), Media.kinds)
                    raise ValueError(f"there is no kind of media {part['kind']!r}{hint}")
                files.append(Path(part["file"]))
                # Frozen, so that it is hashed once and not at every turn.
                kind = Media.kinds[part["kind"]]
                hints = {key: part[key] for key in kind.hints if key in part}
                medium = kind.load(files[-1], limits=limits, **hints)
                content.append(medium.freeze())
        return Message(message["role"], content), tuple(files)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}, message {number}: {error}") from error
