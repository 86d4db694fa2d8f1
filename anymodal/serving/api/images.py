"""`/v1/images/generations` and `/edits`: images of a prompt and images, by the whole model."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from anymodal.chat.messages import MAX_MEDIA
from anymodal.decoders.references import MASK, SOURCE, Reference
from anymodal.media import Image, Limits, Media, MediaError
from anymodal.serving.api.answers import answers
from anymodal.serving.api.errors import ApiError, client_text
from anymodal.serving.api.forms import form_schema, media_of, read_form
from anymodal.serving.api.making import make_media, maker_of, prompt_message
from anymodal.serving.api.media_schemas import ImageBody, ImageEditBody
from anymodal.serving.api.replies import Json, MediaEncoder
from anymodal.serving.api.sizes import size_settings
from anymodal.serving.api.state import state_of, while_connected
from anymodal.serving.served import ServedModel
from anymodal.types import Message, TokenUsage

router = APIRouter()


@router.post("/v1/images/generations", response_model=None, responses=answers("images"))
async def create_image(request: Request, body: ImageBody) -> Response:
    """Make images. The language model reads the prompt as a user's message, and its reply is one
    image and nothing else.
    """
    state = state_of(request)
    name, modality = maker_of(state, body.model, Image.kind)
    conversation = prompt_message(body.prompt, "prompt")
    served = await state.open(request, name)
    size = size_settings(served, modality, body.size, [*body.media_settings()])
    work = make_media(state, served, modality, conversation, body, size)
    media, usages = await while_connected(request, work)
    return JSONResponse(await asyncio.to_thread(_answer, body, media, usages))


@router.post(
    "/v1/images/edits",
    response_model=None,
    responses=answers("images"),
    openapi_extra=form_schema(ImageEditBody, image=True, mask=False),
)
async def create_image_edit(request: Request) -> Response:
    """Make images from images and a prompt, which the language model reads as a user's message.

    Where a mask is clear, the first image is made anew; elsewhere it stays. As many of the others
    as the model's decoder looks at are shown to it beside.
    """
    state = state_of(request)
    body, uploads = await read_form(request, ImageEditBody, {"image": MAX_MEDIA, "mask": 1})
    files = [each for each in uploads if each.field == "image"]
    masks = [each.data for each in uploads if each.field == "mask"]
    if not files:
        raise ApiError(400, "there is no image; send one as 'image'", param="image")
    name, modality = maker_of(state, body.model, Image.kind)
    prompt = prompt_message(body.prompt, "prompt")[0].content
    media = await asyncio.to_thread(media_of, files, Image.kind, state.settings.limits)
    conversation = [Message("user", [*media, *prompt])]
    white = None
    if masks:
        white = await asyncio.to_thread(_white, masks[0], state.settings.limits)
    served = await state.open(request, name)
    made_from = {} if white is None else {modality: _masked(served, modality, media, white)}
    size = size_settings(served, modality, body.size, [*body.media_settings()])
    work = make_media(state, served, modality, conversation, body, size, made_from)
    images, usages = await while_connected(request, work)
    return JSONResponse(await asyncio.to_thread(_answer, body, images, usages))


def _white(mask: bytes, limits: Limits) -> Image:
    """A mask that is white where a file is clear.

    Raises:
        ApiError: for a file that has no transparency, or can't be read.
    """
    try:
        return Image.of_transparency(mask, limits=limits)
    except MediaError as error:
        raise ApiError(400, f"mask: {client_text(error)}", param="mask") from error


def _masked(
    served: ServedModel, modality: str, media: Sequence[Media], white: Image
) -> list[Reference]:
    """The first image with its mask, and as many others as the decoder looks at."""
    assert served.model is not None, "of a model that makes images"
    slots = served.model.decoders.get(modality).slots({}, [MASK])
    most = next((slot.most for slot in slots if slot.role == SOURCE), 1)
    return [*map(Reference, media[:most]), Reference(white, MASK)]


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
