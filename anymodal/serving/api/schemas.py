"""Bodies of requests. A field that would have no effect is refused, not passed over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator
from pydantic_core import PydanticCustomError

from anymodal.chat.settings import TextSettings
from anymodal.language.sampling import MOST_TOKENS
from anymodal.serving.api.choices import EnumFormat, parse_response_format, parse_text_format
from anymodal.serving.api.errors import ApiError, unsupported
from anymodal.serving.api.sound_files import SoundFormat

NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "tools": ([],),
    "functions": ([],),
    "tool_choice": ("none", "auto"),
    "function_call": ("none", "auto"),
    "parallel_tool_calls": (True, False),
    "response_format": ({"type": "text"},),
    "best_of": (1,),
    "echo": (False,),
    "suffix": ("",),
    "dimensions": (),
    "prediction": (),
    "reasoning_effort": (),
    "verbosity": (),
    "web_search_options": (),
}
"""Fields of OpenAI's that aren't served, and the values by which they ask for nothing."""

UNREAD = ("metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key",
          "prompt_cache_retention", "prompt_cache_options", "user", "ttl")  # fmt: skip
"""Fields that only say something of the client; they change no answer."""
OTHER_NAMES = {"repeat_penalty": "repetition_penalty"}
"""Names that LM Studio's clients use, and ours."""
OURS = frozenset(
    {"seed", "steps", "guidance", "negative_prompt", "height", "width", "frames", "seconds",
     "strength", "reference_guidance", "sampling", "references", "top_k", "min_p",
     "repetition_penalty", "choices", "choice_method", "choice_normalization"}
)  # fmt: skip
"""Fields that OpenAI's API doesn't have, but for those that a body names as `theirs`."""
LENGTHS = ("max_completion_tokens", "max_output_tokens", "max_tokens")
"""Names of the longest reply; where two are given, the first counts."""
NO_LIMIT = -1
"""LM Studio's `max_tokens` of a reply as long as the model can write."""


def _mark_ours(schema: dict[str, Any], body: type[Body]) -> None:
    """Say of each field in the OpenAPI document whether it is ours."""
    for name in OURS.intersection(schema["properties"]) - {*body.theirs}:
        schema["properties"][name]["x-anymodal"] = True


class Body(BaseModel):
    """The base of all bodies: fields under `extra_body` count as fields of the body.

    Attributes:
        neutral: values of fields that aren't served by which they ask for nothing.
        theirs: fields of `OURS` that OpenAI's endpoint has, too.
        needs: fields that have no effect without another, by which values they do have one.
    """

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra=_mark_ours)
    neutral: ClassVar[Mapping[str, tuple[Any, ...]]] = NEUTRAL
    theirs: ClassVar[Sequence[str]] = ()
    needs: ClassVar[Mapping[str, tuple[str, str]]] = {}

    @model_validator(mode="before")
    @classmethod
    def _normal(cls, values: object) -> object:
        if not isinstance(values, dict):
            return values
        values = dict(values)
        more = values.pop("extra_body", None)
        if more is not None and not isinstance(more, dict):
            raise PydanticCustomError("extra_body", "'extra_body' holds fields by name")
        if twice := sorted(set(more or {}) & set(values)):
            raise PydanticCustomError(
                "twice", "'{param}' stands in the body and in 'extra_body'", {"param": twice[0]}
            )
        values.update(more or {})
        for name, (other, example) in cls.needs.items():
            if values.get(name) is not None and not values.get(other):
                text = f"{name!r} needs {other!r}{example}"
                raise PydanticCustomError("needs", "{text}", {"text": text, "param": name})
        # Client libraries send defaults of fields that aren't served; those ask for nothing.
        for name, neutral in cls.neutral.items():
            if name not in cls.model_fields and name in values:
                value = values.pop(name)
                if value is not None and value not in neutral:
                    raise unsupported(name)
        for name in UNREAD:
            values.pop(name, None)
        for other, name in OTHER_NAMES.items():
            if other in values and name in cls.model_fields and name not in values:
                values[name] = values.pop(other)
        return values

    def field_of(self, setting: str) -> str | None:
        """The field that gives a setting; None if none of this body does."""
        names = LENGTHS if setting == "max_new_tokens" else (setting,)
        return next((name for name in names if getattr(self, name, None) is not None), None)


class StreamOptions(BaseModel):
    """Options of a stream."""

    # Clients send further options, which would change nothing here.
    model_config = ConfigDict(extra="ignore", strict=True)
    include_usage: bool | None = None


class SeededBody(Body):
    """A body of requests whose answers are drawn."""

    n: int | None = Field(
        None, ge=1, description="How many answers; the one at index i has seed+i."
    )
    seed: int | None = Field(None, ge=0, description="Of sampled text and of media.")


class MediaBody(SeededBody):
    """A body with settings of media: for all that are made, and by modality."""

    steps: int | None = Field(None, description="Denoising steps of media.")
    guidance: float | None = Field(None, description="Strength of guidance of media.")
    negative_prompt: str | None = Field(
        None, description="What guidance leads away from, for decoders that take it, as below."
    )
    height: int | None = Field(None, description="Of an image or a video, in pixels.")
    width: int | None = Field(None, description="Of an image or a video, in pixels.")
    frames: int | None = Field(None, description="Of a video.")
    seconds: float | None = Field(None, description="Of a sound.")
    strength: float | None = Field(
        None, description="How much of an image or a video that is begun with is made anew."
    )
    reference_guidance: float | None = Field(
        None, description="Strength of guidance towards references."
    )
    sampling: dict[str, dict[str, Any]] | None = Field(
        None, description="Settings of media by modality, over those above."
    )
    references: dict[str, int | list[int]] | None = Field(
        None,
        description="By modality, which media of the conversation its media are made from: their "
        "numbers, from 0, or -1 for the last; [] for none. By default the model chooses.",
    )

    def media_settings(self) -> dict[str, Any]:
        """Settings of all media, of those that are given."""
        values = {name: getattr(self, name) for name in COMMON_SETTINGS}
        return {name: value for name, value in values.items() if value is not None}


COMMON_SETTINGS = tuple(
    name for name in MediaBody.__annotations__ if name not in ("sampling", "references")
)


class SamplingBody(SeededBody):
    """A body with settings of how text is sampled."""

    model: str
    temperature: float | None = Field(None, description="0, the default, is greedy.")
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    stream: bool | None = None

    def text_settings(self) -> TextSettings:
        """Settings of the text, of those that are given."""
        names = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
        values = {name: getattr(self, name) for name in names}
        return cast(TextSettings, {k: value for k, value in values.items() if value is not None})


STREAMED = {"stream_options": ("stream", ": true")}
"""A field that tells of streams alone, and the one that asks for a stream."""


class TextBody(SamplingBody):
    """A body of completions, with a limit and ends of the text."""

    theirs = ("seed",)
    needs = STREAMED
    max_tokens: int | None = Field(None, description="The longest reply.")
    stop: str | list[str] | None = None
    stream_options: StreamOptions | None = None

    def text_settings(self) -> TextSettings:
        """Settings of the text, of those that are given."""
        settings = super().text_settings()
        if self.max_tokens is not None:
            settings["max_new_tokens"] = _limit(self.max_tokens)
        if self.stop is not None:
            settings["stop"] = self.stop
        return settings


def _limit(max_tokens: int) -> int:
    return MOST_TOKENS if max_tokens == NO_LIMIT else max_tokens


class AudioOptions(BaseModel):
    """Options of a reply's audio."""

    model_config = ConfigDict(extra="forbid", strict=True)
    format: SoundFormat = "wav"
    voice: object = Field(
        None,
        description="Of a reply that is spoken: a name of those in `/v1/models`, or `default`; "
        "else it changes nothing.",
    )

    @property
    def voice_name(self) -> str | None:
        """The name of the voice; None for the speaker's own."""
        voice = self.voice.get("id") if isinstance(self.voice, dict) else self.voice
        return voice if isinstance(voice, str) and voice != "default" else None


class FunctionBody(BaseModel):
    """A function that a reply may call."""

    model_config = ConfigDict(extra="forbid", strict=True)
    name: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    description: str | None = None
    parameters: dict[str, Any] | None = Field(None, description="A JSON schema.")
    strict: Literal[False] | None = None


class ToolBody(BaseModel):
    """A tool that a reply may call."""

    model_config = ConfigDict(extra="forbid", strict=True)
    type: Literal["function"]
    function: FunctionBody


class ChoiceBody(BaseModel):
    """Fields by which a reply is one of several texts."""

    _enum_format: EnumFormat | None = PrivateAttr(None)
    choices: list[str] | None = Field(
        None, description="The reply is one of these texts, with the probability of each."
    )
    choice_method: str | None = Field(None, description="`likelihood` or `constrained`.")
    choice_normalization: str | None = Field(None, description="`none`, `tokens` or `characters`.")

    @property
    def enum_format(self) -> EnumFormat | None:
        """The values among which the reply is chosen, if its JSON schema names them."""
        return self._enum_format

    def check_choices(self, enum_format: EnumFormat | None, *fields: str) -> None:
        """Take a JSON schema's values, and refuse fields that have no effect on such a reply.

        Raises:
            ApiError: naming the field.
        """
        self._enum_format = enum_format
        if enum_format is not None and self.choices is not None:
            raise ApiError(400, "give 'choices' or a JSON schema", param="choices")
        if self.choices is None and enum_format is None:
            for name in ("choice_method", "choice_normalization"):
                if getattr(self, name) is not None:
                    raise ApiError(400, f"{name!r} needs 'choices'; leave it out", param=name)
            return
        for name in fields:
            if getattr(self, name):
                text = f"'{name}' has no effect on a reply among choices; leave it out"
                raise ApiError(400, text, param=name)

    def choice_settings(self) -> TextSettings:
        """Settings of the text about its choices, of those that are given."""
        choices = self.choices if self._enum_format is None else list(self._enum_format.values)
        values = {
            "choices": choices,
            "choice_method": self.choice_method,
            "choice_normalization": self.choice_normalization,
        }
        return cast(TextSettings, {k: value for k, value in values.items() if value is not None})


class ChatBody(ChoiceBody, TextBody, MediaBody):
    """Body of `/v1/chat/completions`."""

    needs = {**STREAMED, "top_logprobs": ("logprobs", ": true")}
    messages: list[dict[str, Any]] = Field(description="OpenAI's messages, with media parts.")
    max_completion_tokens: int | None = Field(None, description="The longest reply.")
    modalities: list[str] | None = Field(
        None,
        description="What a reply may hold, `text` among it; all that the model makes if left out.",
    )
    audio: AudioOptions | None = None
    logprobs: bool | None = Field(None, description="Give each token's log-probability.")
    top_logprobs: int | None = Field(None, ge=0, le=20, description="Likeliest tokens beside it.")
    tools: list[ToolBody] | None = Field(
        None, max_length=128, description="Functions that the reply may call."
    )
    tool_choice: Literal["none", "auto"] | None = None
    parallel_tool_calls: bool | None = None
    response_format: dict[str, Any] | None = Field(
        None, description="Text, or a JSON schema that is an enum or has one."
    )

    @model_validator(mode="after")
    def _choices_alone(self) -> Self:
        enum_format = parse_response_format(self.response_format)
        self.check_choices(enum_format, "stop", "tools", "logprobs")
        return self

    def open_tools(self) -> list[dict[str, Any]]:
        """The tools that the reply may call."""
        if self.tool_choice == "none":
            return []
        return [tool.model_dump(exclude_none=True) for tool in self.tools or ()]

    def text_settings(self) -> TextSettings:
        """Settings of the text, of those that are given."""
        settings = super().text_settings()
        if self.logprobs:
            settings["top_logprobs"] = self.top_logprobs or 0
        if self.max_completion_tokens is not None:
            settings["max_new_tokens"] = _limit(self.max_completion_tokens)
        return {**settings, **self.choice_settings()}


class CompletionBody(TextBody):
    """Body of `/v1/completions`."""

    prompt: str | list[str]
    logprobs: int | None = Field(None, ge=0, le=20, description="Likeliest tokens at each place.")

    def text_settings(self) -> TextSettings:
        """Settings of the text, of those that are given."""
        settings = super().text_settings()
        if self.logprobs is not None:
            settings["top_logprobs"] = self.logprobs
        return settings


class ResponseFunctionBody(FunctionBody):
    """A function that a response may call."""

    type: Literal["function"]


class ImageToolBody(BaseModel):
    """The tool that makes images, which is the model itself."""

    model_config = ConfigDict(extra="forbid", strict=True)
    type: Literal["image_generation"]


ResponseTool = Annotated[ResponseFunctionBody | ImageToolBody, Field(discriminator="type")]


class ResponseTextBody(BaseModel):
    """Options of a response's text."""

    model_config = ConfigDict(extra="forbid", strict=True)
    format: dict[str, Any] | None = Field(
        None, description="Text, or a JSON schema that is an enum or has one."
    )
    verbosity: None = None


class ResponseBody(ChoiceBody, SamplingBody, MediaBody):
    """Body of `/v1/responses`."""

    neutral = {**NEUTRAL, "truncation": ("disabled",),
               "background": (False,), "previous_response_id": (), "conversation": (),
               "reasoning": (), "prompt": (), "max_tool_calls": (), "n": (1,),
               "stream_options": ({}, {"include_obfuscation": False})}  # fmt: skip
    needs = {**STREAMED, "top_logprobs": ("include", ': ["message.output_text.logprobs"]')}

    n: None = None
    input: str | list[dict[str, Any]] = Field(description="A text, or messages and images.")
    instructions: str | None = Field(None, description="A system message before the input.")
    max_output_tokens: int | None = Field(None, description="The longest reply.")
    tools: list[ResponseTool] | None = Field(
        None, max_length=128, description="Functions that the reply may call."
    )
    tool_choice: Literal["none", "auto"] | None = None
    parallel_tool_calls: bool | None = None
    include: list[Literal["message.output_text.logprobs"]] | None = Field(
        None, description="Give each token's log-probability."
    )
    top_logprobs: int | None = Field(None, ge=0, le=20, description="Likeliest tokens beside it.")
    text: ResponseTextBody | None = None

    @model_validator(mode="after")
    def _choices_alone(self) -> Self:
        enum_format = parse_text_format(None if self.text is None else self.text.format)
        self.check_choices(enum_format, "include", *(["tools"] if self.functions else []))
        return self

    @property
    def with_logprobs(self) -> bool:
        """Whether the answer has log-probabilities."""
        return bool(self.include)

    @property
    def functions(self) -> list[ResponseFunctionBody]:
        """The functions among the tools."""
        return [tool for tool in self.tools or () if isinstance(tool, ResponseFunctionBody)]

    def open_tools(self) -> list[dict[str, Any]]:
        """The functions that the reply may call, as chat completions have them."""
        if self.tool_choice == "none":
            return []
        return [
            {"type": "function", "function": tool.model_dump(exclude={"type"}, exclude_none=True)}
            for tool in self.functions
        ]

    def text_settings(self) -> TextSettings:
        """Settings of the text, of those that are given."""
        settings = super().text_settings()
        if self.with_logprobs:
            settings["top_logprobs"] = self.top_logprobs or 0
        if self.max_output_tokens is not None:
            settings["max_new_tokens"] = self.max_output_tokens
        return {**settings, **self.choice_settings()}
