"""`/v1/chat/completions`: conversations with media in, replies with media in order out."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from anymodal.decoders.speech.base import ALL, PASSAGES
from anymodal.media import Audio, Speech
from anymodal.serving.api.answers import EVENTS, answers
from anymodal.serving.api.choices import choices_json
from anymodal.serving.api.conversation import (
    RequestMessage,
    chat_messages,
    placed_media,
    recent,
)
from anymodal.serving.api.errors import ApiError
from anymodal.serving.api.logprobs import chat_logprobs
from anymodal.serving.api.replies import (
    DeltaWriter,
    Json,
    MediaEncoder,
    message_json,
    new_id,
    usage_json,
    warnings_json,
)
from anymodal.serving.api.schemas import ChatBody
from anymodal.serving.api.state import (
    ServerState,
    all_of,
    media_settings,
    shown_references,
    state_of,
    submit_all,
    while_connected,
)
from anymodal.serving.api.streaming import EventStream, StreamFormat
from anymodal.serving.cut_media import CutMedium
from anymodal.serving.requests import ReplyRequest, ReplyStream
from anymodal.serving.served import ServedModel
from anymodal.types import Done, Event, Message, TextDelta, TokenLogprob

router = APIRouter()
TEXT = "text"


@router.post("/v1/chat/completions", response_model=None, responses=answers("chat", EVENTS))
async def create_chat_completion(request: Request, body: ChatBody) -> Response:
    """Answer a conversation, in text and in whatever media the model makes."""
    state = state_of(request)
    served, engine = await state.engine(request, body.model)
    items = chat_messages(body.messages)
    read = await _parse_messages(state, items)
    messages = recent(read, served.history_turns, served.history_notice)
    references = shown_references(body, served, read, messages)
    requests = _requests(state, served, body, messages, references)
    streams = await submit_all(engine, requests, body)
    answer = _ChatAnswer(state, served, body, served.cut_media(placed_media(items, read, messages)))
    if body.stream:
        return await answer.stream(request, streams)
    return JSONResponse(await while_connected(request, answer.full_response(streams)))


async def _parse_messages(state: ServerState, items: Sequence[RequestMessage]) -> list[Message]:
    """The conversation; where it may hold media, they are decoded in a thread."""
    values = [each.values for each in items]
    if all(isinstance(each.get("content"), str) and len(each) == 2 for each in values):
        return state.reader.messages(items)
    return await asyncio.to_thread(state.reader.messages, items)


def _requests(
    state: ServerState,
    served: ServedModel,
    body: ChatBody,
    messages: Sequence[Message],
    references: Mapping[str, object],
) -> list[ReplyRequest]:
    text, sampling = body.text_settings(), media_settings(body, served)
    speaker = served.makers.get(Speech.kind)
    if speaker is not None:
        sampling[speaker] = {**_speech_settings(served, body), **sampling.get(speaker, {})}
    if body.modalities is not None:
        text["modalities"] = _modalities(served, body.modalities)
    seed = secrets.randbelow(2**31) if body.seed is None else body.seed
    return [
        ReplyRequest(
            messages,
            seed=seed + index,  # as single requests at these seeds would answer
            text=text,
            sampling=sampling,
            references=references,
            tools=body.open_tools(),
            parallel_calls=body.parallel_tool_calls is not False,
        )
        for index in range(state.choices(body.n))
    ]


def _modalities(served: ServedModel, kinds: Sequence[str]) -> list[str]:
    """The model's own names of the kinds of media that a reply may hold."""
    makers = {**served.makers, **_spoken_audio(served)}
    if TEXT not in kinds:
        raise ApiError(
            400, "a reply always has text; give 'text' among the modalities", param="modalities"
        )
    for kind in kinds:
        if kind != TEXT and kind not in makers:
            names = ", ".join([TEXT, *makers])
            raise ApiError(
                400, f"this model makes no {kind[:80]!r}; it makes {names}", param="modalities"
            )
    return [makers[kind] for kind in kinds if kind != TEXT]


def _spoken_audio(served: ServedModel) -> dict[str, str]:
    """The speaker as what makes audio, where nothing else does: OpenAI's is a spoken reply."""
    makers = served.makers
    is_only = Speech.kind in makers and Audio.kind not in makers
    return {Audio.kind: makers[Speech.kind]} if is_only else {}


def _speech_settings(served: ServedModel, body: ChatBody) -> dict[str, Any]:
    """Settings of a reply's speech: as a whole where speech is asked for among the modalities."""
    settings: dict[str, Any] = {}
    if {Speech.kind, *_spoken_audio(served)} & {*(body.modalities or ())}:
        settings[PASSAGES] = ALL
    voice = None if body.audio is None else body.audio.voice_name
    if voice is not None:
        settings["voice"] = voice
    return settings


class _ChatAnswer:
    """One answer of this endpoint."""

    def __init__(
        self, state: ServerState, served: ServedModel, body: ChatBody, cut: Sequence[CutMedium]
    ) -> None:
        self.state, self.served, self.body, self.warnings = state, served, body, warnings_json(cut)
        self.id, self.created = new_id("chatcmpl"), int(time.time())
        self._enum_format = body.enum_format  # looked at for every token
        sound = body.audio.format if body.audio is not None else "wav"
        self.encoder = MediaEncoder({Audio.kind: f".{sound}", Speech.kind: f".{sound}"})

    async def full_response(self, streams: Sequence[ReplyStream]) -> Json:
        """The answer as one object."""
        choices = await all_of(streams, map(self._choice, range(len(streams)), streams))
        usage = usage_json([stream.usage for stream in streams], len(streams))
        head = self._head("chat.completion")
        return {**head, "choices": choices, "usage": usage, **self.warnings}

    async def _choice(self, index: int, stream: ReplyStream) -> Json:
        logprobs: list[TokenLogprob] = []
        async for event in self.state.metrics.watch(self.served.name, stream):
            event = self.formatted(event)
            if isinstance(event, TextDelta):
                logprobs.extend(event.logprobs)
            if isinstance(event, Done):
                message = await asyncio.to_thread(
                    message_json, event.message, self.encoder, self.created
                )
        return {
            "index": index, "message": message, "logprobs": self.logprobs(logprobs),
            "finish_reason": stream.finish_reason,
        }  # fmt: skip

    async def stream(self, request: Request, streams: Sequence[ReplyStream]) -> Response:
        """The answer as a stream."""
        form = _ChatStream(self, streams)
        answer = EventStream(self.served.name, streams, self.state.metrics, form)
        return await answer.response(request)

    def formatted(self, event: Event) -> Event:
        """An event, its text in JSON where that is asked for."""
        return event if self._enum_format is None else self._enum_format.apply(event)

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": self.id, "object": kind, "created": self.created, "model": self.served.name
        }  # fmt: skip

    def logprobs(self, logprobs: Sequence[TokenLogprob]) -> Json | None:
        """Log-probabilities of a text, if they are asked for."""
        if not self.body.logprobs:
            return None
        assert self.served.model is not None, "only a model that replies is asked"
        return chat_logprobs(self.served.model.language, logprobs)

    def chunk(
        self,
        index: int,
        delta: Json,
        finish_reason: str | None = None,
        logprobs: Sequence[TokenLogprob] = (),
    ) -> Json:
        """A chunk of a stream, about one choice."""
        choice = {"index": index, "delta": delta, "finish_reason": finish_reason}
        if logprobs:
            choice["logprobs"] = self.logprobs(logprobs)
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def last_chunk(self, streams: Sequence[ReplyStream]) -> Json:
        """The chunk with the usage."""
        usage = usage_json([each.usage for each in streams], len(streams))
        return {**self._head("chat.completion.chunk"), "choices": [], "usage": usage}


class _ChatStream(StreamFormat):
    """Chunks of OpenAI's chat completions."""

    def __init__(self, answer: _ChatAnswer, streams: Sequence[ReplyStream]) -> None:
        self.answer, self.streams = answer, streams
        kind_of = answer.served.kind_of
        self._writers = [DeltaWriter(answer.encoder, answer.created, kind_of) for _ in streams]

    def opening(self) -> list[Json]:
        """Each choice begins with its role; the first chunk has warnings."""
        delta = {"role": "assistant", "content": ""}
        chunks = [self.answer.chunk(index, delta) for index in range(len(self.streams))]
        chunks[0].update(self.answer.warnings)
        return chunks

    def event_json(self, index: int, event: Event) -> list[Json]:
        """A delta; at the end, the reason."""
        event = self.answer.formatted(event)
        if isinstance(event, Done):
            choices = choices_json(event.message.choices)
            delta = {"choices": choices} if choices else {}
            return [self.answer.chunk(index, delta, self.streams[index].finish_reason)]
        logprobs = event.logprobs if isinstance(event, TextDelta) else ()
        return [self.answer.chunk(index, self._writers[index].delta(event), logprobs=logprobs)]

    def closing(self) -> list[Json]:
        """The usage, if it was asked for."""
        options = self.answer.body.stream_options
        if options is None or not options.include_usage:
            return []
        return [self.answer.last_chunk(self.streams)]
