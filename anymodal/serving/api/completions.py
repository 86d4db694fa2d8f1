"""`/v1/completions`: texts that go on as they stand, without a chat template and without media."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from anymodal.chat.settings import TextSettings
from anymodal.serving.api.replies import Json, new_id, usage_json
from anymodal.serving.api.schemas import CompletionBody
from anymodal.serving.api.state import (
    ServerState,
    all_of,
    check_count,
    state_of,
    submit_all,
    while_connected,
)
from anymodal.serving.api.streaming import EventStream, StreamFormat
from anymodal.serving.requests import ReplyRequest, ReplyStream
from anymodal.types import Done, Event, TextDelta

router = APIRouter()
MOST_PROMPTS = 64


@router.post("/v1/completions", response_model=None)
async def create_completion(request: Request, body: CompletionBody) -> Response:
    """Go on with a text, or with several."""
    state = state_of(request)
    served, engine = state.engine(body.model)
    n = state.choices(body.n)
    streams = await submit_all(engine, _requests(body, n))
    answer = _CompletionAnswer(state, served.name, n)
    if not body.stream:
        return JSONResponse(await while_connected(request, answer.full_response(streams)))
    options = body.stream_options
    with_usage = options is not None and bool(options.include_usage)
    form = _CompletionStream(answer, streams, with_usage)
    return await EventStream(served.name, streams, state.metrics, form).response(request)


def _requests(body: CompletionBody, n: int) -> list[ReplyRequest]:
    prompts = [body.prompt] if isinstance(body.prompt, str) else body.prompt
    check_count(prompts, "prompt", "prompts", MOST_PROMPTS)
    seed = secrets.randbelow(2**31) if body.seed is None else body.seed
    text: TextSettings = {**body.text_settings(), "modalities": []}
    return [
        ReplyRequest(prompt, completes=True, seed=seed + index, text=text, stop=body.stops())
        for prompt in prompts
        for index in range(n)
    ]


class _CompletionAnswer:
    """One answer of this endpoint."""

    def __init__(self, state: ServerState, name: str, n: int) -> None:
        self.state, self.name, self.n = state, name, n
        created = int(time.time())
        self.head = {
            "id": new_id("cmpl"), "object": "text_completion", "created": created, "model": name
        }  # fmt: skip

    async def full_response(self, streams: Sequence[ReplyStream]) -> Json:
        """The answer as one object."""
        texts = await all_of(streams, map(self._text, streams))
        choices = [
            {"index": place, "text": text, "logprobs": None, "finish_reason": each.finish_reason}
            for place, (text, each) in enumerate(zip(texts, streams, strict=True))
        ]
        return {**self.usage(streams), "choices": choices}

    async def _text(self, stream: ReplyStream) -> str:
        text = ""
        async for event in self.state.metrics.watch(self.name, stream):
            if isinstance(event, Done):
                text = event.message.text
        return text

    def chunk(self, index: int, text: str, finish_reason: str | None = None) -> Json:
        """A chunk of a stream, about one choice."""
        choice = {"index": index, "text": text, "logprobs": None, "finish_reason": finish_reason}
        return {**self.head, "choices": [choice]}

    def usage(self, streams: Sequence[ReplyStream]) -> Json:
        """The last chunk of a stream."""
        usage = usage_json([stream.usage for stream in streams], self.n)
        return {**self.head, "choices": [], "usage": usage}


class _CompletionStream(StreamFormat):
    """Chunks of OpenAI's completions."""

    def __init__(
        self, answer: _CompletionAnswer, streams: Sequence[ReplyStream], with_usage: bool
    ) -> None:
        self.answer, self.streams, self.with_usage = answer, streams, with_usage

    def event_json(self, index: int, event: Event) -> list[Json]:
        """A piece of text; at the end, the reason."""
        if isinstance(event, Done):
            return [self.answer.chunk(index, "", self.streams[index].finish_reason)]
        return [self.answer.chunk(index, event.text)] if isinstance(event, TextDelta) else []

    def closing(self) -> list[Json]:
        """The usage, if it was asked for."""
        return [self.answer.usage(self.streams)] if self.with_usage else []
