"""Streamed events of `/v1/responses`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from anymodal.serving.api.choices import EnumFormat
from anymodal.serving.api.errors import ApiError
from anymodal.serving.api.replies import Json, MediaEncoder, new_id
from anymodal.serving.api.response_items import call_item, image_item, text_item, text_part
from anymodal.serving.api.streaming import StreamFormat
from anymodal.types import (
    ChoiceScore,
    Done,
    Event,
    MediumProgress,
    MediumReady,
    MediumStarted,
    TextDelta,
    TokenLogprob,
    ToolCall,
    ToolCalled,
)


class ResponseStream(StreamFormat):
    """Tells a reply as items that are added, grow and are done.

    Args:
        encoder: of images.
        response: makes the response object, of a status and its output.
        last_status: gives the status in the end, `completed` or `incomplete`.
        logprobs: makes JSON of log-probabilities.
        enum_format: of a text that is one of a JSON schema's values.

    Attributes:
        output: the items so far.
    """

    end = b""

    def __init__(
        self,
        encoder: MediaEncoder,
        response: Callable[[str, list[Json]], Json],
        last_status: Callable[[], str],
        logprobs: Callable[[Sequence[TokenLogprob]], list[Json]],
        enum_format: EnumFormat | None = None,
    ) -> None:
        self.enum_format = enum_format
        self.encoder, self.response, self.last_status = encoder, response, last_status
        self.logprobs = logprobs
        self._logprobs: list[Json] = []  # of the open text item
        self.output: list[Json] = []
        self._number = -1
        self._text: str | None = None  # of the open text item, the last of the output
        self._images: dict[int, int] = {}  # places in the output

    def opening(self) -> list[Json]:
        """The response, with nothing in it."""
        empty = self.response("in_progress", [])
        return [
            self._event("response.created", response=empty),
            self._event("response.in_progress", response=empty),
        ]

    def event_json(self, index: int, event: Event) -> list[Json]:
        """Events of the change in the output."""
        match event if self.enum_format is None else self.enum_format.apply(event):
            case TextDelta(text, logprobs):
                return self._write(text, self.logprobs(logprobs))
            case ToolCalled(call):
                return [*self._close_text(), *self._call(call)]
            case MediumStarted(place):
                return [*self._close_text(), *self._start_image(place)]
            case MediumProgress(place):
                return [self._image_event("generating", self._images[place])]
            case MediumReady(place, _, medium):
                return self._finish_image(self._images[place], self.encoder.base64(medium))
            case Done(message):
                return [*self._close_text(message.choices), *self._finish()]
        return []

    def failure(self, error: ApiError) -> list[Json]:
        """The response has failed."""
        error_json = {"code": "server_error", "message": error.message}
        response = {**self.response("failed", self.output), "error": error_json}
        return [self._event("response.failed", response=response)]

    def _event(self, kind: str, **fields: object) -> Json:
        self._number += 1
        return {"type": kind, "sequence_number": self._number, **fields}

    def _text_event(self, kind: str, **fields: object) -> Json:
        place = len(self.output) - 1
        location = {"item_id": self.output[-1]["id"], "output_index": place, "content_index": 0}
        return self._event(f"response.{kind}", **location, **fields)

    def _image_event(self, kind: str, place: int) -> Json:
        location = {"item_id": self.output[place]["id"], "output_index": place}
        return self._event(f"response.image_generation_call.{kind}", **location)

    def _item_event(self, kind: str, place: int) -> Json:
        item = self.output[place]
        return self._event(f"response.output_item.{kind}", output_index=place, item=item)

    def _write(self, text: str, logprobs: list[Json]) -> list[Json]:
        events = []
        if self._text is None:
            self._text, self._logprobs = "", []
            self.output.append(text_item(new_id("msg"), None, status="in_progress"))
            events.append(self._item_event("added", len(self.output) - 1))
            events.append(self._text_event("content_part.added", part=text_part("")))
        self._text += text
        self._logprobs += logprobs
        return [*events, self._text_event("output_text.delta", delta=text, logprobs=logprobs)]

    def _close_text(self, choices: Sequence[ChoiceScore] = ()) -> list[Json]:
        if self._text is None:
            return []
        text, logprobs, self._text = self._text, self._logprobs, None
        part = text_part(text, logprobs, choices)
        self.output[-1] = text_item(self.output[-1]["id"], part)
        return [
            self._text_event("output_text.done", text=text, logprobs=logprobs),
            self._text_event("content_part.done", part=part),
            self._item_event("done", len(self.output) - 1),
        ]

    def _call(self, call: ToolCall) -> list[Json]:
        identity, place = new_id("fc"), len(self.output)
        self.output.append(
            call_item(identity, ToolCall(call.name, "", call.id), status="in_progress")
        )
        added = self._item_event("added", place)
        self.output[place] = call_item(identity, call)
        return [
            added,
            self._call_event("delta", place, delta=call.arguments),
            self._call_event("done", place, name=call.name, arguments=call.arguments),
            self._item_event("done", place),
        ]

    def _call_event(self, kind: str, place: int, **fields: object) -> Json:
        location = {"item_id": self.output[place]["id"], "output_index": place}
        return self._event(f"response.function_call_arguments.{kind}", **location, **fields)

    def _start_image(self, index: int) -> list[Json]:
        self._images[index] = place = len(self.output)
        self.output.append(image_item(new_id("ig"), None, "in_progress"))
        return [self._item_event("added", place), self._image_event("in_progress", place)]

    def _finish_image(self, place: int, result: str) -> list[Json]:
        self.output[place] = image_item(self.output[place]["id"], result)
        return [self._image_event("completed", place), self._item_event("done", place)]

    def _finish(self) -> list[Json]:
        status = self.last_status()
        response = self.response(status, self.output)
        return [self._event(f"response.{status}", response=response)]
