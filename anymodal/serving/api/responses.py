"""`/v1/responses`: OpenAI's newer API, as far as texts and images go."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from anymodal.chat.settings import TextSettings
from anymodal.media import Image
from anymodal.serving.api.answers import EVENTS, answers
from anymodal.serving.api.conversation import placed_media, recent
from anymodal.serving.api.logprobs import chat_logprobs
from anymodal.serving.api.replies import Json, MediaEncoder, new_id, warnings_json
from anymodal.serving.api.response_items import INPUT, messages_of
from anymodal.serving.api.response_stream import ResponseStream
from anymodal.serving.api.schemas import ResponseBody
from anymodal.serving.api.state import (
    ServerState,
    all_of,
    media_settings,
    shown_references,
    state_of,
    submit_all,
    while_connected,
)
from anymodal.serving.api.streaming import EventStream
from anymodal.serving.cut_media import CutMedium
from anymodal.serving.requests import ReplyRequest, ReplyStream
from anymodal.serving.served import ServedModel
from anymodal.types import TokenLogprob

router = APIRouter()


@router.post("/v1/responses", response_model=None, responses=answers("response", EVENTS))
async def create_response(request: Request, body: ResponseBody) -> Response:
    """Answer in text and images. Nothing is stored: send all items of a conversation."""
    state = state_of(request)
    served, engine = await state.engine(request, body.model)
    items = messages_of(body.input, body.instructions)
    read = await asyncio.to_thread(state.reader.messages, items, INPUT)
    messages = recent(read, served.history_turns, served.history_notice)
    maker = served.makers.get(Image.kind)
    text: TextSettings = {**body.text_settings(), "modalities": [maker] if maker else []}
    reply_request = ReplyRequest(
        messages, seed=body.seed, text=text, sampling=media_settings(body, served),
        references=shown_references(body, served, read, messages),
        tools=body.open_tools(),
        parallel_calls=body.parallel_tool_calls is not False,
    )  # fmt: skip
    streams = await submit_all(engine, [reply_request], body)
    cut = served.cut_media(placed_media(items, read, messages))
    answer = _ResponseAnswer(state, served, body, streams[0], cut)
    if not body.stream:
        return JSONResponse(await while_connected(request, answer.full_response()))
    return await EventStream(served.name, streams, state.metrics, answer.form).response(request)


class _ResponseAnswer:
    """One answer of this endpoint."""

    def __init__(
        self,
        state: ServerState,
        served: ServedModel,
        body: ResponseBody,
        stream: ReplyStream,
        cut: Sequence[CutMedium],
    ) -> None:
        self.warnings = warnings_json(cut)
        self.state, self.served, self.body, self.stream = state, served, body, stream
        self.id, self.created = new_id("resp"), int(time.time())
        self.form = ResponseStream(
            MediaEncoder(), self.response, self.status, self.logprobs, body.enum_format
        )

    async def full_response(self) -> Json:
        """The answer as one object."""
        await all_of([self.stream], [self._read()])
        return self.response(self.status(), self.form.output)

    async def _read(self) -> None:
        async for event in self.state.metrics.watch(self.served.name, self.stream):
            await self.form.take(0, event)

    def logprobs(self, logprobs: Sequence[TokenLogprob]) -> list[Json]:
        """Log-probabilities of a text, if they are asked for."""
        if not self.body.with_logprobs:
            return []
        assert self.served.model is not None, "only a model that replies is asked"
        content: list[Json] = chat_logprobs(self.served.model.language, logprobs)["content"]
        return content

    def status(self) -> str:
        """The response's status: `incomplete` if the reply met its length limit."""
        return "incomplete" if self.stream.finish_reason == "length" else "completed"

    def response(self, status: str, output: list[Json]) -> Json:
        """The response object."""
        body = self.body
        reason = {"reason": "max_output_tokens"} if status == "incomplete" else None
        return {
            "id": self.id, "object": "response", "created_at": self.created, "status": status,
            "model": self.served.name, "output": output, "error": None,
            "incomplete_details": reason, "instructions": body.instructions, "metadata": {},
            "parallel_tool_calls": body.parallel_tool_calls is not False,
            "tool_choice": body.tool_choice or "auto", "top_logprobs": body.top_logprobs,
            "tools": [tool.model_dump(exclude_none=True) for tool in body.tools or ()],
            "temperature": body.temperature, "top_p": body.top_p,
            "max_output_tokens": body.max_output_tokens,
            "text": {"format": (body.text and body.text.format) or {"type": "text"}},
            "usage": self._usage() if status in ("completed", "incomplete") else None,
            **self.warnings,
        }  # fmt: skip

    def _usage(self) -> dict[str, Any]:
        usage = self.stream.usage
        return {
            "input_tokens": usage.prompt,
            "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": 0},
            "output_tokens": usage.completion,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": usage.prompt + usage.completion,
        }
