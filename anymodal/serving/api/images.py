"""`/v1/images/generations`: images of a prompt, by the whole model."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from anymodal.media import Image, Media
from anymodal.serving.api.making import make_media, maker_of, prompt_message
from anymodal.serving.api.replies import Json, MediaEncoder
from anymodal.serving.api.schemas import ImageBody
from anymodal.serving.api.state import state_of, while_connected
from anymodal.serving.requests import TokenUsage

router = APIRouter()


@router.post("/v1/images/generations", response_model=None)
async def create_image(request: Request, body: ImageBody) -> Response:
    """Make images. The language model reads the prompt as a user's message, and its reply is one
    image and nothing else.
    """
    state = state_of(request)
    served, modality = maker_of(state, body.model, Image.kind)
    conversation = prompt_message(body.prompt, "prompt")
    work = make_media(state, served, modality, conversation, body)
    media, usages = await while_connected(request, work)
    return JSONResponse(await asyncio.to_thread(_answer, body, media, usages))


def _answer(body: ImageBody, media: Sequence[Media], usages: Sequence[TokenUsage]) -> Json:
    suffix = body.output_format or "png"
    encoder = MediaEncoder({Image.kind: f".{suffix}"})
    image = media[0]
    assert isinstance(image, Image)
    height, width = image.pixels.shape[:2]
    num_input, num_output = usages[0].prompt, sum(usage.completion for usage in usages)
    return {
        "created": int(time.time()),
        "data": [_datum(encoder, each, body.response_format) for each in media],
        "output_format": suffix,
        "size": f"{width}x{height}",
        "usage": {
            "input_tokens": num_input,
            "output_tokens": num_output,
            "total_tokens": num_input + num_output,
            "input_tokens_details": {"text_tokens": num_input, "image_tokens": 0},
        },
    }


def _datum(encoder: MediaEncoder, medium: Media, form: str | None) -> Json:
    if form == "url":
        return {"url": encoder.part(medium)["image_url"]["url"]}
    return {"b64_json": encoder.base64(medium)}
