"""A model on a server, which a session talks to as to one of this process."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Unpack

from anymodal.chat.checking import (
    ReplyChecker,
    answer_with_check,
    ask_model,
    checker_of,
    refuse_unchecked,
)
from anymodal.chat.messages import conversation_of
from anymodal.chat.references import ReferencesByModality
from anymodal.chat.settings import MediaSettings, MediaSettingsByModality, TextSettings
from anymodal.chat.tool_turn import answer_with_tools
from anymodal.chat.tools import Toolbox, ToolLike, ToolLimits
from anymodal.config import ranges
from anymodal.io.message_parts import write_part
from anymodal.language.kv_cache import PrefixCache
from anymodal.language.sampling import Sampling
from anymodal.media import Audio, Limits, Media, Speech
from anymodal.serving.client.http_client import Json, ServerClient, ServerError
from anymodal.serving.client.remote_reply import ReplyReader
from anymodal.types import Event, Message, ToolCall

TEXT = "text"
_FIELDS = {"max_new_tokens": "max_completion_tokens", "modalities": "modalities"}
"""Names of text settings in OpenAI's API, where they are others."""
_NOT_SENT = ("top_logprobs", "max_spans")


class RemoteModel:
    """A model on a server of OpenAI's API, AnyModal's or another; a `chat.responder.Responder`.

    Settings of media and media in replies need a server of AnyModal; pictures come from those that
    give `images`, too. Limits of the model are the server's to tell.

    Args:
        client: asks the server.
        name: of the model; None for the only one that the server has.

    Raises:
        ValueError: if the server has no such model, or several and no name is given.
    """

    history_turns: int | None = None  # the server drops what its model isn't shown
    history_notice = ""  # and tells its model
    spoken_media = (Speech,)

    def __init__(self, client: ServerClient, name: str | None = None) -> None:
        self.client = client
        entry = _entry(client, name)
        self.name = str(entry["id"])
        kinds = entry.get("modalities")
        self._kinds: Mapping[str, Any] | None = kinds if isinstance(kinds, Mapping) else None
        self._reader = ReplyReader(Limits(), is_ours=self._kinds is not None)

    @property
    def readable_kinds(self) -> list[str] | None:
        """Kinds of media that it reads, where the server tells."""
        return None if self._kinds is None else _media_kinds(self._kinds.get("input"))

    def check_settings(
        self,
        sampling: MediaSettingsByModality | None,
        text: TextSettings,
        others: Sequence[str] = (),
    ) -> Sampling:
        """Check settings as far as they can be without the model.

        Raises:
            ValueError: for one that is unknown or out of its range.
        """
        choice = Sampling.of(text, others)
        if choice.max_spans is not None:
            raise ValueError("max_spans is no setting of a server; leave it out")
        for name in sampling or {}:
            if name not in self._makes():
                names = ", ".join(self._makes()) or "text alone"
                raise ValueError(f"the model {self.name!r} makes no {name!r}; it makes {names}")
        return choice

    def check_system_prompt(self, text: str) -> None:
        """The server tells whether its model takes one."""

    def modalities_with(self, setting: MediaSettings) -> list[str]:
        """The kinds of media that it makes; the server tells which of them take the setting.

        Raises:
            ValueError: if it makes none.
        """
        if not self._makes():
            raise ValueError(
                f"there is no setting {next(iter(setting))!r} of this server's model, which makes "
                "text alone"
            )
        # Of `steps`, `guidance` and `number` the range is known here.
        shared = {name: value for name, value in setting.items() if name in ranges.MEDIA_SETTINGS}
        ranges.check_sampling(shared)
        return self._makes()

    def new_cache(self) -> None:
        """The server keeps what it has computed."""

    def token_text(self, token: int) -> str:
        """The text of a token of the last reply."""
        return self._reader.tokens[token]

    def save_medium(self, medium: Media, path: Path) -> Path:
        """Save a medium of the last reply as it came, with the notes of its file."""
        return self._reader.save(medium, path)

    def stream(
        self,
        conversation: object,
        *,
        seed: int | None = None,
        sampling: MediaSettingsByModality | None = None,
        references: ReferencesByModality | None = None,
        limits: Limits | None = None,
        cache: PrefixCache | None = None,
        tools: Sequence[ToolLike] = (),
        tool_limits: ToolLimits | None = None,
        approve_call: Callable[[ToolCall], bool] | None = None,
        check: ReplyChecker | bool | None = None,
        **text: Unpack[TextSettings],
    ) -> Generator[Event]:
        """Answer a conversation; the arguments are those of `ChatModel.stream`, but that references
        are numbers of the conversation's media.

        Tools run in this process, and checks put their questions to the server one by one.

        Raises:
            ServerError: while it is read, if the server refuses or fails.
            ValueError: for a conversation or settings that can't be sent.
        """
        self.check_settings(sampling, text)
        messages, checker = conversation_of(conversation, limits), checker_of(check)
        body: Json = {
            "model": self.name, "stream": True, "stream_options": {"include_usage": True},
            **_text_fields(text),
        }  # fmt: skip
        if seed is not None:
            body["seed"] = seed
        if sampling:
            body["sampling"] = {name: dict(settings) for name, settings in sampling.items()}
        if references:
            body["references"] = {name: _numbers(name, each) for name, each in references.items()}
        tokens: list[str] = []

        def answer(so_far: Sequence[Message], num_media: int) -> Generator[Event]:
            self._reader = ReplyReader(
                limits or Limits(),
                is_ours=self._kinds is not None,
                first_medium=num_media,
                tokens=tokens,
            )
            return self._stream({**body, "messages": self._messages(so_far)})

        if checker is not None:
            refuse_unchecked(text, tools)
            asks = ask_model(self, seed or 0, text.get("max_new_tokens"))
            return answer_with_check(answer(messages, 0), messages, checker, asks, seed or 0)
        if not tools:
            return answer(messages, 0)
        toolbox = Toolbox(tools, tool_limits, approve_call)
        body["tools"] = toolbox.definitions
        # Others read no media in what tools give.
        readable = _media_kinds(self._kinds.get("input")) if self._kinds is not None else ()
        return answer_with_tools(answer, messages, toolbox, readable)

    def check_tools(self) -> None:
        """The server tells whether its model can be offered any."""

    def _messages(self, messages: Sequence[Message]) -> list[Json]:
        """Messages as the server reads them; results of tools name their calls, in order."""
        ids: list[str] = []
        written: list[Json] = []
        for message in messages:
            item = self._message(message)
            for number, call in enumerate(item.get("tool_calls", ())):
                call["id"] = call["id"] or f"call_{len(written)}_{number}"
                ids.append(call["id"])
            if message.role == "tool" and ids:
                item["tool_call_id"] = ids.pop(0)
            written.append(item)
        return written

    def _stream(self, body: Json) -> Generator[Event]:
        with closing(_generator(self.client.events("/chat/completions", body))) as chunks:
            yield from self._reader.events(chunks)

    def _makes(self) -> list[str]:
        return [] if self._kinds is None else _media_kinds(self._kinds.get("output"))

    def _message(self, message: Message) -> Json:
        """A message as the server reads it."""
        calls = [part for part in message.content if isinstance(part, ToolCall)]
        parts = [_part(part) for part in message.content if not isinstance(part, ToolCall)]
        if message.role != "assistant":
            # A text alone as a string, since some servers read nothing else.
            is_text = all(part["type"] == TEXT for part in parts)
            return {"role": message.role, "content": message.text if is_text else parts}
        content: Json = {"role": "assistant", "content": message.text}
        if calls:
            content["tool_calls"] = [_call(call) for call in calls]
        if not message.media:
            return content
        if self._kinds is not None:
            return {**content, "parts": parts}
        return {**content, "images": [part for part in parts if part["type"] == "image_url"]}


def _call(call: ToolCall) -> Json:
    """A call of a tool as OpenAI's API has it."""
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def _numbers(name: str, references: object) -> list[int]:
    """Numbers of a conversation's media.

    Raises:
        ValueError: for anything else.
    """
    items = references if isinstance(references, list | tuple) else [references]
    if not all(type(item) is int for item in items):
        raise ValueError(
            f"references of {name!r}: a server takes numbers of the conversation's media; attach "
            "the medium and give its number, and send a mask to /v1/images/edits"
        )
    return list(items)


def _generator(items: Iterator[Json]) -> Generator[Json]:
    yield from items


def _part(part: object) -> Json:
    """A part of a message; sounds as OpenAI has them."""
    if type(part) is Audio:  # others of its kind have a type of their own
        url = write_part(part)["audio_url"]["url"]
        data = url.partition(",")[2]
        return {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}
    return write_part(part)


def _text_fields(text: TextSettings) -> Json:
    """Settings of the text as fields of a request."""
    fields: Json = {
        _FIELDS.get(name, name): value
        for name, value in text.items()
        if name not in _NOT_SENT and value is not None
    }
    if "modalities" in fields:
        fields["modalities"] = [TEXT, *fields["modalities"]]
    if isinstance(fields.get("stop"), tuple):
        fields["stop"] = list(fields["stop"])
    if (count := text.get("top_logprobs")) is not None:
        fields |= {"logprobs": True, "top_logprobs": count}
    return fields


def _media_kinds(kinds: object) -> list[str]:
    names = kinds if isinstance(kinds, list) else []
    return [str(name) for name in names if name != TEXT]


def _entry(client: ServerClient, name: str | None) -> Json:
    """Facts that a server tells of a model."""
    try:
        data = client.get("/models").get("data")
    except ServerError:
        if name is None:
            raise
        return {"id": name}  # a server without this list may know it all the same
    entries = [each for each in data or [] if isinstance(each, dict) and each.get("id")]
    names = [str(each["id"]) for each in entries]
    if name is None and len(entries) == 1:
        return entries[0]
    if name not in names:
        listing = ", ".join(names[:20]) or "none"
        what = "the server has several models" if name is None else f"it has no model {name!r}"
        raise ValueError(f"{what}; give --model, one of: {listing}")
    return entries[names.index(name)]
