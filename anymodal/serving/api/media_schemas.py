"""Bodies of requests for media, and about them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from anymodal.chat.settings import TextSettings
from anymodal.serving.api.schemas import NEUTRAL, Body, MediaBody
from anymodal.serving.api.sizes import AUTO
from anymodal.serving.api.sound_files import SoundFormat


class ImageBody(MediaBody):
    """Body of `/v1/images/generations`."""

    neutral = {**NEUTRAL, "quality": ("auto",), "style": (), "background": ("auto", "opaque"),
               "moderation": ("auto", "low"), "output_compression": (100,),
               "partial_images": (0,), "stream": (False,)}  # fmt: skip

    model: str | None = Field(None, description="May be left out where one model makes images.")
    prompt: str
    size: str | None = Field(
        None, description="As `512x512`, where the decoder makes it, or `auto` for its own."
    )
    response_format: Literal["b64_json", "url"] | None = Field(
        None, description="`url` gives data URLs."
    )
    output_format: Literal["png", "jpeg", "webp"] | None = None


class ImageEditBody(ImageBody):
    """Fields of `/v1/images/edits`."""

    neutral = {**ImageBody.neutral, "input_fidelity": ("low",)}


class ReferenceBody(BaseModel):
    """A reference image."""

    model_config = ConfigDict(extra="forbid", strict=True)
    image_url: str = Field(description="A data URL.")


def _seconds(value: object) -> object:
    """A number of seconds, which OpenAI's clients send as a text; None for `auto`."""
    if value == AUTO:
        return None
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


class VideoBody(MediaBody):
    """Body of `/v1/videos`."""

    theirs = ("seconds",)
    n: int | None = Field(None, ge=1, le=1)
    model: str | None = Field(None, description="May be left out where one model makes videos.")
    prompt: str = Field(max_length=32_000)
    size: str | None = Field(
        None, description="As `512x512`, where the decoder makes it, or `auto` for its own."
    )
    seconds: Annotated[float | None, BeforeValidator(_seconds)] = Field(
        None, gt=0, le=3600, description="How long, as far as the decoder makes it; or `auto`."
    )
    input_reference: ReferenceBody | None = Field(
        None, description="An image to begin with; in a form, a file."
    )

    def media_settings(self) -> dict[str, Any]:
        """Settings of all media, of those that are given; the length is one of frames."""
        settings = super().media_settings()
        settings.pop("seconds", None)
        return settings


class TranscriptionBody(Body):
    """Fields of `/v1/audio/transcriptions`."""

    neutral = {**NEUTRAL, "include": ([],), "timestamp_granularities": ([],), "keywords": ([],),
               "chunking_strategy": ("auto",)}  # fmt: skip

    model: str
    prompt: str | None = Field(None, description="What the model is asked about the audio.")
    language: str | None = Field(None, max_length=64, description="Added to the prompt.")
    response_format: Literal["json", "text"] | None = None
    temperature: float | None = Field(None, description="0, the default, is greedy.")
    max_tokens: int | None = Field(None, description="The longest reply.")
    seed: int | None = Field(None, ge=0, description="Of sampled text.")
    stream: bool | None = None

    def text_settings(self) -> TextSettings:
        """Settings of the text, of those that are given."""
        settings: TextSettings = {}
        if self.temperature is not None:
            settings["temperature"] = self.temperature
        if self.max_tokens is not None:
            settings["max_new_tokens"] = self.max_tokens
        return settings


class SoundBody(MediaBody):
    """Body of `/v1/audio/generate`."""

    n: int | None = Field(None, ge=1, le=1)
    model: str | None = Field(None, description="May be left out where one model makes audio.")
    input: str
    response_format: SoundFormat | None = None


class VoiceBody(BaseModel):
    """A voice by its name."""

    model_config = ConfigDict(extra="forbid", strict=True)
    id: str


class SpeechBody(Body):
    """Body of `/v1/audio/speech`."""

    neutral = {**NEUTRAL, "instructions": ("",)}
    needs = {"ref_text": ("ref_audio", ", the recording")}

    model: str | None = Field(None, description="May be left out where one model speaks.")
    input: str = Field(max_length=4096, description="The words to say.")
    voice: str | VoiceBody | None = Field(
        None, description="A name of those in `/v1/models`; `default` is the speaker's own."
    )
    ref_audio: str | None = Field(
        None, description="A recording to speak in the voice of, as a data URL; over `voice`."
    )
    ref_text: str | None = Field(None, description="The words of the recording.")
    response_format: SoundFormat | Literal["pcm"] | None = Field(
        None, description="`pcm` is 16 bits, 24 kHz, one channel, and comes sentence by sentence."
    )
    stream_format: Literal["audio", "sse"] | None = None
    speed: float | None = Field(None, ge=0.25, le=4, description="Of what was spoken; 2 is fast.")
    seed: int | None = Field(None, ge=0, description="Of whatever is drawn.")
    sampling: dict[str, Any] | None = Field(
        None, description="Settings of the speaker, such as `temperature`."
    )


class EmbeddingBody(Body):
    """Body of `/v1/embeddings`."""

    model: str
    input: str | list[str | dict[str, Any]] = Field(
        description="Texts, and media as parts of a message."
    )
    encoding_format: Literal["float", "base64"] | None = None
