"""`/v1/audio/generate`: sounds of a prompt, by the whole model."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import Response

from anymodal.media import Audio
from anymodal.serving.api.answers import answers
from anymodal.serving.api.making import make_media, maker_of, one_medium, prompt_message
from anymodal.serving.api.media_schemas import SoundBody
from anymodal.serving.api.sound_files import SOUND_MIMES, encode_medium
from anymodal.serving.api.state import state_of, while_connected

router = APIRouter()


@router.post(
    "/v1/audio/generate",
    response_model=None,
    response_class=Response,
    responses=answers("", *SOUND_MIMES.values()),
)
async def create_sound(request: Request, body: SoundBody) -> Response:
    """Make a sound, or music, as the model's decoder does. The answer is the file.

    The language model reads the input as a user's message, and its reply is the audio alone.
    """
    state = state_of(request)
    name, modality = maker_of(state, body.model, Audio.kind)
    conversation = prompt_message(body.input, "input")
    served = await state.open(request, name)
    number = one_medium(body, served, modality)
    work = make_media(state, served, modality, conversation, body, number)
    (medium,), _ = await while_connected(request, work)
    form = body.response_format or "wav"
    data = await asyncio.to_thread(encode_medium, medium, f".{form}")
    return Response(data, media_type=SOUND_MIMES[form])
