"""`/v1/audio/speech`: words spoken as they stand, by a model's speaker."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncGenerator
from typing import Any, NamedTuple

import numpy as np
from fastapi import APIRouter, Request
from numpy.typing import NDArray
from starlette.responses import Response, StreamingResponse

from anymodal.io.message_content import valid_text
from anymodal.media import Audio, Media, Speech
from anymodal.media.tempo import at_speed
from anymodal.serving.api.answers import EVENTS, answers
from anymodal.serving.api.errors import ApiError
from anymodal.serving.api.fields import told_by_fields
from anymodal.serving.api.making import maker_of
from anymodal.serving.api.media_schemas import SpeechBody
from anymodal.serving.api.sound_files import SOUND_MIMES, encode_medium
from anymodal.serving.api.state import ServerState, state_of, while_connected
from anymodal.serving.api.streaming import EventStream, StreamFormat
from anymodal.serving.engine import Engine
from anymodal.serving.requests import ReplyStream
from anymodal.types import Event, MediumDelta, MediumReady

router = APIRouter()
PCM, PCM_RATE = "pcm", 24_000
"""The format without a header, and its rate, as OpenAI has it."""
DEFAULT = "default"
"""The voice that every speaker has, its own."""
_MIMES = {PCM: "audio/pcm", **SOUND_MIMES}


@router.post(
    "/v1/audio/speech",
    response_model=None,
    response_class=Response,
    responses=answers("speech", *_MIMES.values(), EVENTS),
)
async def create_speech(request: Request, body: SpeechBody) -> Response:
    """Speak a text. No language model reads it: the words are said as they stand."""
    state = state_of(request)
    name, modality = maker_of(state, body.model, Speech.kind)
    if not body.input.strip():
        raise ApiError(400, "the input is empty; give the words to say", param="input")
    settings = await _settings(state, body)
    served = await state.open(request, name)
    if not isinstance(served.engine, Engine):
        raise ApiError(400, f"speech isn't served from a cluster; serve {name!r} alone",
                       param="model")  # fmt: skip
    text = valid_text(body.input)
    with told_by_fields(body):
        stream = await served.engine.speak(text, modality, settings, body.seed)
    form = _SoundForm(body.response_format or "wav", body.speed or 1.0)
    if body.stream_format == "sse":
        events = _SpeechStream(form)
        return await EventStream(name, [stream], state.metrics, events).response(request)
    if form.name == PCM:
        chunks = _chunks(state, name, stream, form)
        # The first sentence before the answer begins, so that an error has a status of its own.
        first = await while_connected(request, anext(chunks))
        return StreamingResponse(_joined(first, chunks), media_type=_MIMES[PCM])
    data = await while_connected(request, _whole(state, name, stream, form))
    return Response(data, media_type=_MIMES[form.name])


class _SoundForm(NamedTuple):
    """A format of speech, and its speed."""

    name: str
    speed: float

    def encode(self, medium: Media) -> bytes:
        """Speech in this format."""
        assert isinstance(medium, Audio), "speakers of other media have no kind of speech"
        sound = medium if self.speed == 1 else at_speed(medium, self.speed)
        sound.provenance = medium.provenance
        return pcm(sound) if self.name == PCM else encode_medium(sound, f".{self.name}")


async def _settings(state: ServerState, body: SpeechBody) -> dict[str, Any]:
    settings = dict(body.sampling or {})
    name = body.voice if isinstance(body.voice, str | None) else body.voice.id
    if body.ref_audio is not None:
        if not body.ref_audio.startswith("data:"):
            raise ApiError(400, "ref_audio is a data URL of a recording", param="ref_audio")
        part = {"type": "audio_url", "audio_url": {"url": body.ref_audio}}
        recording = await asyncio.to_thread(state.reader.item, part, "ref_audio")
        assert isinstance(recording, Audio), "what the part's type says"
        voice = Speech(recording.samples, recording.rate)
        voice.text = valid_text(body.ref_text or "")
        settings["voice"] = voice
    elif name not in (None, DEFAULT):
        settings["voice"] = name
    return settings


async def _chunks(
    state: ServerState, name: str, stream: ReplyStream, form: _SoundForm
) -> AsyncGenerator[bytes]:
    """The sentences' samples as they come."""
    try:
        async for event in state.metrics.watch(name, stream):
            if isinstance(event, MediumDelta):
                yield await asyncio.to_thread(form.encode, event.media)
    finally:
        await stream.aclose()


async def _joined(first: bytes, chunks: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    try:
        yield first
        async for chunk in chunks:
            yield chunk
    finally:
        await chunks.aclose()


async def _whole(state: ServerState, name: str, stream: ReplyStream, form: _SoundForm) -> bytes:
    data = b""
    try:
        async for event in state.metrics.watch(name, stream):
            if isinstance(event, MediumReady):
                data = await asyncio.to_thread(form.encode, event.media)
    finally:
        await stream.aclose()
    assert data, "what is asked to speak has words"
    return data


def pcm(sound: Audio) -> bytes:
    """Samples of speech as 16-bit integers, the lower byte first, of one channel at `PCM_RATE`."""
    samples = sound.mono().resample(PCM_RATE).samples[0]
    integers: NDArray[np.int16] = (np.clip(samples, -1, 1) * 32767).round().astype("<i2")
    return integers.tobytes()


class _SpeechStream(StreamFormat):
    """Events of OpenAI's speech, whose pieces make up the file: of `pcm` one for each sentence."""

    end = b""

    def __init__(self, form: _SoundForm) -> None:
        self.form = form

    def event_json(self, index: int, event: Event) -> list[dict[str, Any]]:
        """A piece of the file."""
        kind = MediumDelta if self.form.name == PCM else MediumReady
        return [_delta(self.form.encode(event.media))] if isinstance(event, kind) else []

    def closing(self) -> list[dict[str, Any]]:
        """The end; no language model has read or written a token."""
        usage = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
        return [{"type": "speech.audio.done", "usage": usage}]


def _delta(data: bytes) -> dict[str, Any]:
    return {"type": "speech.audio.delta", "audio": b64encode(data).decode()}
