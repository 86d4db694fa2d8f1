"""`/v1/completions`: texts that go on as they stand, without a chat template and without media."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from anymodal.chat.settings import TextSettings
from anymodal.serving.api.answers import EVENTS, answers
from anymodal.serving.api.logprobs import completion_logprobs
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
from anymodal.serving.served import ServedModel
from anymodal.types import Done, Event, TextDelta, TokenLogprob

router = APIRouter()
MOST_PROMPTS = 64


@router.post("/v1/completions", response_model=None, responses=answers("completion", EVENTS))
async def create_completion(request: Request, body: CompletionBody) -> Response:
    """Go on with a text, or with several."""
    state = state_of(request)
    served, engine = await state.engine(request, body.model)
    n = state.choices(body.n)
    streams = await submit_all(engine, _requests(body, n), body)
    answer = _CompletionAnswer(state, served, n, body.logprobs is not None)
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
        ReplyRequest(prompt, completes=True, seed=seed + index, text=text)
        for prompt in prompts
        for index in range(n)
    ]


class _CompletionAnswer:
    """One answer of this endpoint."""

    def __init__(
        self, state: ServerState, served: ServedModel, n: int, with_logprobs: bool
    ) -> None:
        self.state, self.served, self.n, self.with_logprobs = state, served, n, with_logprobs
        created = int(time.time())
        self.head = {
            "id": new_id("cmpl"), "object": "text_completion", "created": created,
            "model": served.name,
        }  # fmt: skip

    async def full_response(self, streams: Sequence[ReplyStream]) -> Json:
        """The answer as one object."""
        texts = await all_of(streams, map(self._text, streams))
        choices = [
            self._choice(place, text, each.finish_reason, logprobs)
            for place, ((text, logprobs), each) in enumerate(zip(texts, streams, strict=True))
        ]
        return {**self.usage(streams), "choices": choices}

    async def _text(self, stream: ReplyStream) -> tuple[str, list[TokenLogprob]]:
        text, logprobs = "", list[TokenLogprob]()
        async for event in self.state.metrics.watch(self.served.name, stream):
            if isinstance(event, TextDelta):
                text += event.text
                logprobs.extend(event.logprobs)
        return text, logprobs

    def chunk(
        self,
        index: int,
        text: str,
        finish_reason: str | None = None,
        logprobs: Sequence[TokenLogprob] = (),
        offset: int = 0,
    ) -> Json:
        """A chunk of a stream, about one choice; its text begins at an offset of the whole."""
        choice = self._choice(index, text, finish_reason, logprobs, offset)
        return {**self.head, "choices": [choice]}

    def _choice(
        self,
        index: int,
        text: str,
        finish_reason: str | None,
        logprobs: Sequence[TokenLogprob],
        offset: int = 0,
    ) -> Json:
        choice = {"index": index, "text": text, "logprobs": None, "finish_reason": finish_reason}
        if self.with_logprobs:
            assert self.served.model is not None, "only a model that replies is asked"
            language = self.served.model.language
            choice["logprobs"] = completion_logprobs(language, logprobs, offset)
        return choice

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
        self._offsets = [0] * len(streams)

    def event_json(self, index: int, event: Event) -> list[Json]:
        """A piece of text; at the end, the reason."""
        if isinstance(event, Done):
            return [self.answer.chunk(index, "", self.streams[index].finish_reason)]
        if not isinstance(event, TextDelta):
            return []
        offset = self._offsets[index]
        self._offsets[index] += len(event.text)
        return [self.answer.chunk(index, event.text, None, event.logprobs, offset)]

    def closing(self) -> list[Json]:
        """The usage, if it was asked for."""
        return [self.answer.usage(self.streams)] if self.with_usage else []
