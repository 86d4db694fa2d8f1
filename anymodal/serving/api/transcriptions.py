"""`/v1/audio/transcriptions`: what a model writes about audio."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from anymodal.media import Audio
from anymodal.serving.api.answers import EVENTS, answers
from anymodal.serving.api.errors import ApiError
from anymodal.serving.api.forms import Upload, form_schema, media_of, read_form
from anymodal.serving.api.media_schemas import TranscriptionBody
from anymodal.serving.api.replies import Json, warnings_json
from anymodal.serving.api.state import ServerState, state_of, submit_all, while_connected
from anymodal.serving.api.streaming import EventStream, StreamFormat
from anymodal.serving.requests import ReplyRequest, ReplyStream
from anymodal.types import Done, Event, Message, TextDelta, TokenUsage

router = APIRouter()
INSTRUCTION = "Transcribe the audio."


@router.post(
    "/v1/audio/transcriptions",
    response_model=None,
    responses=answers("transcription", "text/plain", EVENTS),
    openapi_extra=form_schema(TranscriptionBody, file=True),
)
async def create_transcription(request: Request) -> Response:
    """Answer audio in text. The model is shown the audio and the prompt, as a user's message."""
    state = state_of(request)
    body, files = await read_form(request, TranscriptionBody, {"file": 1})
    if not files:
        raise ApiError(400, "there is no file; send the audio as 'file'", param="file")
    served, engine = await state.engine(request, body.model)
    message = await asyncio.to_thread(_message, state, body, files)
    text = {**body.text_settings(), "modalities": []}
    reply = ReplyRequest([message], seed=body.seed, text=text)  # type: ignore[arg-type]
    streams = await submit_all(engine, [reply], body)
    warnings = warnings_json(served.cut_media([("file", medium) for medium in message.media]))
    if body.stream:
        form = _TranscriptionStream(streams[0], warnings)
        return await EventStream(served.name, streams, state.metrics, form).response(request)
    answer = await while_connected(request, _text(state, served.name, streams[0]))
    if body.response_format == "text":
        return PlainTextResponse(answer)
    return JSONResponse({"text": answer, "usage": _usage(streams[0].usage), **warnings})


def _message(state: ServerState, body: TranscriptionBody, files: Sequence[Upload]) -> Message:
    media = media_of(list(files), Audio.kind, state.settings.limits)
    instruction = body.prompt or INSTRUCTION
    if body.language:
        instruction += f" Its language is {body.language}."
    return Message("user", [*media, instruction])


async def _text(state: ServerState, name: str, stream: ReplyStream) -> str:
    text = ""
    try:
        async for event in state.metrics.watch(name, stream):
            if isinstance(event, Done):
                text = event.message.text
    finally:
        await stream.aclose()
    return text


def _usage(usage: TokenUsage) -> Json:
    return {
        "type": "tokens", "input_tokens": usage.prompt, "output_tokens": usage.completion,
        "total_tokens": usage.prompt + usage.completion,
    }  # fmt: skip


class _TranscriptionStream(StreamFormat):
    """Events of OpenAI's transcriptions."""

    def __init__(self, stream: ReplyStream, warnings: Json) -> None:
        self.stream, self.warnings = stream, warnings

    def event_json(self, index: int, event: Event) -> list[dict[str, Any]]:
        """A piece of text; at the end, all of it."""
        if isinstance(event, TextDelta):
            return [{"type": "transcript.text.delta", "delta": event.text}]
        if isinstance(event, Done):
            text, usage = event.message.text, _usage(self.stream.usage)
            done = {"type": "transcript.text.done", "text": text, "usage": usage}
            return [{**done, **self.warnings}]
        return []
