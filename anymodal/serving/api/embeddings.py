"""`/v1/embeddings`: texts and media as vectors."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response
from torch import Tensor

from anymodal.media import Media
from anymodal.serving.api.answers import answers
from anymodal.serving.api.media_schemas import EmbeddingBody
from anymodal.serving.api.replies import warnings_json
from anymodal.serving.api.state import (
    MOST_INPUTS,
    check_count,
    check_media,
    state_of,
    while_connected,
)
from anymodal.serving.content_filter import check_content

router = APIRouter()


@router.post("/v1/embeddings", response_model=None, responses=answers("embeddings"))
async def create_embedding(request: Request, body: EmbeddingBody) -> Response:
    """Embed texts and media; an input may be a part of a message, with a medium inside."""
    state = state_of(request)
    state.find(body.model)
    inputs: list[Any] = [body.input] if isinstance(body.input, str) else list(body.input)
    check_count(inputs, "input", "inputs", MOST_INPUTS)
    check_media(inputs, "input")

    served = await state.open(request, body.model)

    def read() -> list[str | Media]:
        return [state.reader.item(item, _place(place)) for place, item in enumerate(inputs)]

    def encode(vectors: list[Tensor]) -> list[Any]:
        arrays = [vector.numpy() for vector in vectors]
        if body.encoding_format != "base64":
            return [array.tolist() for array in arrays]
        return [b64encode(array.astype("<f4").tobytes()).decode() for array in arrays]

    items = await while_connected(request, asyncio.to_thread(read))
    await check_content(served.content_filter, items, "in")
    vectors = await while_connected(request, served.embeddings.embed(items))
    data = [
        {"object": "embedding", "index": index, "embedding": vector}
        for index, vector in enumerate(await asyncio.to_thread(encode, vectors))
    ]
    usage = {"prompt_tokens": 0, "total_tokens": 0}  # encoders count none
    media = [(_place(i), item) for i, item in enumerate(items) if isinstance(item, Media)]
    warnings = warnings_json(served.cut_when_embedded(media))
    answer = {"object": "list", "data": data, "model": served.name, "usage": usage, **warnings}
    return JSONResponse(answer)


def _place(index: int) -> str:
    return f"input.{index}"
