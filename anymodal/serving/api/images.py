"""`/v1/images/generations`: pictures of a prompt, by the whole model."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from anymodal.media import Image
from anymodal.serving.api.errors import ApiError
from anymodal.serving.api.replies import Json, MediaEncoder
from anymodal.serving.api.schemas import ImageBody
from anymodal.serving.api.state import (
    ServerState,
    all_of,
    media_settings,
    state_of,
    submit_all,
    while_connected,
)
from anymodal.serving.requests import ReplyRequest, ReplyStream
from anymodal.serving.served import ServedModel
from anymodal.types import Done, Message

router = APIRouter()


@router.post("/v1/images/generations", response_model=None)
async def create_image(request: Request, body: ImageBody) -> Response:
    """Make pictures. The language model reads the prompt as a user's message, and its reply is one
    picture and nothing else.
    """
    state = state_of(request)
    served, engine = state.engine(body.model or _only_maker(state))
    name = _maker(served)
    if name is None:
        raise ApiError(400, f"the model {served.name!r} makes no images", param="model")
    if not body.prompt.strip():
        raise ApiError(400, "the prompt is empty; say what to make", param="prompt")
    seed = secrets.randbelow(2**31) if body.seed is None else body.seed
    asked = [Message("user", body.prompt)]
    requests = [
        ReplyRequest(asked, seed=seed + index, sampling=media_settings(body, served), forced=[name])
        for index in range(state.choices(body.n))
    ]
    streams = await submit_all(engine, requests)
    work = _answer(state, served, body, streams)
    return JSONResponse(await while_connected(request, work))


def _maker(served: ServedModel) -> str | None:
    """The modality by which a model makes pictures."""
    return None if served.model is None else served.model.layout.makers.get(Image)


def _only_maker(state: ServerState) -> str:
    names = [name for name, served in state.models.items() if _maker(served) is not None]
    if len(names) != 1:
        known = ", ".join(names) or "no model that makes images"
        raise ApiError(400, f"name the model; there is {known}", param="model")
    return names[0]


async def _answer(
    state: ServerState, served: ServedModel, body: ImageBody, streams: Sequence[ReplyStream]
) -> Json:
    suffix = body.output_format or "png"
    encoder = MediaEncoder({"image": f".{suffix}"})
    pictures = await all_of(streams, (_picture(state, served, each) for each in streams))
    data = await asyncio.to_thread(
        lambda: [_datum(encoder, each, body.response_format) for each in pictures]
    )
    height, width = pictures[0].pixels.shape[:2]
    read, made = streams[0].usage.prompt, sum(stream.usage.completion for stream in streams)
    usage = {
        "input_tokens": read,
        "output_tokens": made,
        "total_tokens": read + made,
        "input_tokens_details": {"text_tokens": read, "image_tokens": 0},
    }
    return {
        "created": int(time.time()),
        "data": data,
        "output_format": suffix,
        "size": f"{width}x{height}",
        "usage": usage,
    }


async def _picture(state: ServerState, served: ServedModel, stream: ReplyStream) -> Image:
    async for event in state.metrics.watched(served.name, stream):
        if isinstance(event, Done):
            (medium,) = event.message.media
    assert isinstance(medium, Image)
    return medium


def _datum(encoder: MediaEncoder, picture: Image, form: str | None) -> Json:
    if form == "url":
        return {"url": encoder.part(picture)["image_url"]["url"]}
    return {"b64_json": encoder.base64(picture)}
