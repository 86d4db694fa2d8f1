"""`/v1/completions`: texts that go on as they stand, without a chat template and without media."""

from __future__ import annotations

import secrets
import time

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from anymodal.chat.settings import TextSettings
from anymodal.serving.api.replies import Json, new_id, usage_json
from anymodal.serving.api.schemas import CompletionBody
from anymodal.serving.api.state import all_of, check_count, state_of, submit_all, while_connected
from anymodal.serving.api.streaming import event_stream
from anymodal.serving.requests import ReplyRequest, ReplyStream
from anymodal.types import Done, Event, TextDelta

router = APIRouter()
MOST_PROMPTS = 64


@router.post("/v1/completions", response_model=None)
async def create_completion(request: Request, body: CompletionBody) -> Response:
    """Go on with a text, or with several."""
    state = state_of(request)
    served, engine = state.engine(body.model)
    prompts = [body.prompt] if isinstance(body.prompt, str) else body.prompt
    check_count(prompts, "prompt", "prompts", MOST_PROMPTS)
    seed = secrets.randbelow(2**31) if body.seed is None else body.seed
    text: TextSettings = {**body.text_settings(), "modalities": []}
    n = state.choices(body.n)
    requests = [
        ReplyRequest(prompt, completes=True, seed=seed + index, text=text, stop=body.stops())
        for prompt in prompts
        for index in range(n)
    ]
    streams = await submit_all(engine, requests)
    head = {
        "id": new_id("cmpl"),
        "object": "text_completion",
        "created": int(time.time()),
        "model": served.name,
    }

    def chunk(index: int, delta: Json | None, finish_reason: str | None) -> Json:
        choice = {"index": index, "text": "", "logprobs": None, "finish_reason": finish_reason}
        return {**head, "choices": [{**choice, **(delta or {})}]}

    def usage() -> Json:
        return {**head, "choices": [], "usage": usage_json([each.usage for each in streams], n)}

    if body.stream:
        wanted = body.stream_options is not None and body.stream_options.include_usage
        last = usage if wanted else None
        return await event_stream(
            request, served.name, streams, state.metrics, chunk, _delta, usage=last
        )

    async def whole() -> Json:
        texts = await all_of(streams, map(_text, streams))
        choices = [
            {"index": place, "text": told, "logprobs": None, "finish_reason": each.finish_reason}
            for place, (told, each) in enumerate(zip(texts, streams, strict=True))
        ]
        return {**usage(), "choices": choices}

    async def _text(stream: ReplyStream) -> str:
        told = ""
        async for event in state.metrics.watched(served.name, stream):
            if isinstance(event, Done):
                told = event.message.text
        return told

    return JSONResponse(await while_connected(request, whole()))


def _delta(_: int, event: Event) -> Json | None:
    return {"text": event.text} if isinstance(event, TextDelta) else None
