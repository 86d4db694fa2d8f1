"""Streamed replies of a server as events of a chat."""

from __future__ import annotations

import logging
from base64 import b64decode
from binascii import Error
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from mimetypes import guess_type
from pathlib import Path
from typing import Any

from anymodal.config.printable import printable
from anymodal.io.message_parts import kind_of
from anymodal.media import Limits, Media, Video
from anymodal.media.source import write_file
from anymodal.serving.client.http_client import Json, ServerError
from anymodal.types import (
    ChoiceScore,
    Done,
    Event,
    MediumDelta,
    MediumProgress,
    MediumReady,
    MediumStarted,
    Message,
    TextDelta,
    TokenLogprob,
    TokenUsage,
    ToolCall,
    ToolCalled,
)

_LOG = logging.getLogger("anymodal")
_MOST_CHARACTERS = 500
"""Of a server's warning that is told."""


@lru_cache(1024)  # once, however often a conversation's media are sent
def _warn(text: str) -> None:
    _LOG.warning("%s", printable(text, _MOST_CHARACTERS))


@dataclass
class _Medium:
    """A medium of a reply: its kind, and once it has come the medium and its file."""

    kind: str
    medium: Media | None = None
    data: bytes = b""
    mime: str = ""


class ReplyReader:
    """Reads chunks of one streamed reply, those of AnyModal's server and of others.

    Args:
        limits: the largest media that are read.
        is_ours: whether the server tells of media in `parts`; else pictures come in `images`.
        first_medium: the number from which its media are counted, behind earlier replies of a turn.
        tokens: texts of earlier replies' tokens, to which this one's are added.

    Attributes:
        tokens: the texts of the reply's tokens, which its log-probabilities name by their places.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        is_ours: bool,
        first_medium: int = 0,
        tokens: list[str] | None = None,
    ) -> None:
        self.limits, self.is_ours, self.first_medium = limits, is_ours, first_medium
        self.tokens: list[str] = [] if tokens is None else tokens
        self._calls: dict[int, dict[str, str]] = {}  # pieces of calls, by their places
        self._content: list[str | _Medium] = []
        self._media: list[_Medium] = []
        self._places: dict[int, int] = {}  # among the media, by their places in the reply
        self._finish_reason: str | None = None
        self._usage: TokenUsage | None = None
        self._choices: tuple[ChoiceScore, ...] = ()

    def events(self, chunks: Iterable[Json]) -> Iterator[Event]:
        """The events of a reply, `Done` last.

        Raises:
            ServerError: for what is no reply.
        """
        for chunk in chunks:
            try:
                events = list(self._chunk(chunk))
            except (KeyError, TypeError, AttributeError, IndexError) as error:
                raise ServerError(
                    f"a piece of the server's answer can't be read ({error!r})"
                ) from error
            yield from events
        if self._finish_reason is None:
            raise ServerError("the server ended its answer before the reply was complete")
        calls = [ToolCall(**self._calls[place]) for place in sorted(self._calls)]
        for call in calls:
            yield ToolCalled(call)
        yield Done(self._message(calls))

    def save(self, medium: Media, path: Path) -> Path:
        """Save a medium of the reply: its file as it came where the suffix is the kind's own."""
        path = path.with_name(path.name + medium.suffix)
        file = next((each for each in self._media if each.medium is medium), None)
        if file is None or file.mime != guess_type(path.name)[0]:
            return medium.save(path)
        write_file(path, file.data)
        return path

    def _chunk(self, chunk: Json) -> Iterator[Event]:
        self._usage = _usage(chunk.get("usage")) or self._usage
        for warning in chunk.get("warnings") or []:
            _warn(str(warning["message"]))
        for choice in chunk.get("choices") or []:
            if choice.get("index", 0) == 0:
                yield from self._choice(choice)

    def _choice(self, choice: Mapping[str, Any]) -> Iterator[Event]:
        delta = choice.get("delta") or {}
        if text := delta.get("content"):
            if not isinstance(text, str):
                raise TypeError("content is no text")
            if self._content and isinstance(self._content[-1], str):
                self._content[-1] += text
            else:
                self._content.append(text)
            yield TextDelta(text, self._logprobs(choice.get("logprobs")))
        for piece in delta.get("tool_calls") or []:
            self._call_piece(piece)
        if self.is_ours:
            for part in delta.get("parts") or []:
                yield from self._part(part)
        else:
            for part in delta.get("images") or []:
                place = len(self._media)
                yield from self._part({**part, "index": place, "status": "started"})
                yield from self._part({**part, "index": place, "status": "completed"})
        if scores := delta.get("choices"):
            self._choices = tuple(
                ChoiceScore(str(each["text"]), float(each["probability"]), float(each["logprob"]))
                for each in scores
            )
        self._finish_reason = choice.get("finish_reason") or self._finish_reason

    def _call_piece(self, piece: Mapping[str, Any]) -> None:
        """Add a piece of a call; names and arguments may come in several."""
        place = int(piece.get("index", len(self._calls)))
        call = self._calls.setdefault(place, {"name": "", "arguments": "", "id": ""})
        function = piece.get("function") or {}
        call["id"] = str(piece.get("id") or call["id"])
        call["name"] += str(function.get("name") or "")
        call["arguments"] += str(function.get("arguments") or "")

    def _part(self, part: Mapping[str, Any]) -> Iterator[Event]:
        kind, place, status = kind_of(part.get("type")), part.get("index", 0), part.get("status")
        if place not in self._places:
            self._places[place] = len(self._media)
            self._media.append(_Medium(kind))
            self._content.append(self._media[-1])
            yield MediumStarted(self.first_medium + self._places[place], kind)
        index = self._places[place]
        number = self.first_medium + index
        if status == "in_progress":
            yield MediumProgress(number, kind, int(part["step"]), int(part["steps"]))
        elif status == "partial":
            _, data = _decode(part.get(f"{kind}_url"))
            yield MediumDelta(number, kind, Media.kinds[kind].load(data, limits=self.limits))
        elif status == "completed":
            record = self._media[index]
            record.mime, record.data = _decode(part.get(f"{kind}_url"))
            hints = {"sound": True} if kind == Video.kind else {}
            record.medium = Media.kinds[kind].load(record.data, limits=self.limits, **hints)
            yield MediumReady(number, kind, record.medium)

    def _logprobs(self, logprobs: object) -> tuple[TokenLogprob, ...]:
        content = logprobs.get("content") if isinstance(logprobs, Mapping) else None
        return tuple(
            TokenLogprob(
                self._token(each),
                float(each["logprob"]),
                tuple(
                    (self._token(t), float(t["logprob"])) for t in each.get("top_logprobs") or []
                ),
            )
            for each in content or []
        )

    def _token(self, entry: Mapping[str, Any]) -> int:
        self.tokens.append(str(entry.get("token", "")))
        return len(self.tokens) - 1

    def _message(self, calls: Sequence[ToolCall]) -> Message:
        parts: list[str | Media | ToolCall] = []
        for part in self._content:
            if isinstance(part, str):
                parts.append(part)
            elif part.medium is not None:
                parts.append(part.medium)
        return Message(
            "assistant",
            [*parts, *calls],
            finish_reason=self._finish_reason,
            usage=self._usage,
            choices=self._choices,
        )


def _usage(usage: object) -> TokenUsage | None:
    if not isinstance(usage, Mapping):
        return None
    details = usage.get("prompt_tokens_details") or {}
    counts = (
        usage.get("prompt_tokens"),
        details.get("cached_tokens"),
        usage.get("completion_tokens"),
    )
    return TokenUsage(*(int(count or 0) for count in counts))


def _decode(body: object) -> tuple[str, bytes]:
    """The type and the bytes of a data URL."""
    url = body.get("url") if isinstance(body, Mapping) else body
    head, comma, data = str(url).partition(",")
    if not (head.startswith("data:") and head.endswith(";base64") and comma):
        raise ServerError("the server gives a medium elsewhere than in its answer")
    try:
        return head[5:].partition(";")[0], b64decode(data, validate=True)
    except Error:
        raise ServerError("a medium of the server's answer is damaged") from None
