"""Errors in the shape of OpenAI's API."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.responses import JSONResponse
from pydantic_core import PydanticCustomError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from anymodal.config.printable import printable
from anymodal.media import LimitError
from anymodal.serving.errors import (
    ContentFilterError,
    DeadlineError,
    EngineClosedError,
    ModelFaultError,
    OutOfMemoryError,
    QueueFullError,
)
from anymodal.serving.memory import is_out_of_memory

_LOG = logging.getLogger("anymodal.serving")
INVALID = "invalid_request_error"
SERVER = "server_error"


class ApiError(HTTPException):
    """An error as a client gets it.

    Args:
        status: of HTTP.
        message: for a person; it holds no path of this machine.
        kind: OpenAI's `type`.
        param: the field of the request that it is about.
        code: for programs.
        headers: of the answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        kind: str = INVALID,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, dict(headers or {}))
        self.message, self.kind, self.param, self.code = message, kind, param, code

    @property
    def body(self) -> dict[str, Any]:
        """The answer's JSON."""
        fields = {
            "message": self.message,
            "type": self.kind,
            "param": self.param,
            "code": self.code,
        }
        return {"error": fields}

    def response(self) -> JSONResponse:
        """The whole answer."""
        return JSONResponse(self.body, self.status_code, self.headers)


def api_error(error: BaseException) -> ApiError:
    """The error that a client gets for whatever a request ended in."""
    match error:
        case ApiError():  # before HTTPException, which it is too
            return error
        case HTTPException():
            return ApiError(error.status_code, str(error.detail), headers=error.headers)
        case ClientDisconnect():  # nobody reads this answer
            return ApiError(499, "the client has left", SERVER)
        case QueueFullError():
            wait = {"Retry-After": str(error.retry_after)}
            return ApiError(429, str(error), "rate_limit_error", None, "queue_full", wait)
        case ContentFilterError():  # before ValueError, which it is too
            return ApiError(400, str(error), code="content_filter")
        case DeadlineError():
            return ApiError(504, str(error), SERVER, None, "timeout")
        case OutOfMemoryError():
            return ApiError(503, str(error), SERVER, None, "out_of_memory", {"Retry-After": "5"})
        case EngineClosedError():
            return ApiError(503, str(error), SERVER, None, "shutting_down", {"Retry-After": "5"})
        # Of ValueErrors, UnicodeErrors are faults of ours: texts were made valid when they came in.
        case ValueError() if not isinstance(error, UnicodeError):
            return ApiError(400, client_text(error))
    if is_out_of_memory(error):  # outside of an engine, which has an error of its own
        return api_error(OutOfMemoryError())
    return _fault(error)


def client_text(error: Exception) -> str:
    """An error's text for a client, who can't raise the server's limits."""
    return error.problem if isinstance(error, LimitError) else str(error)


def _fault(error: BaseException) -> ApiError:
    """A fault of ours, by a number under which the log has it: its text may hold anything."""
    number = secrets.token_hex(4)
    cause = error.__cause__ if isinstance(error, ModelFaultError) else error
    _LOG.error("request failed, number %s", number, exc_info=cause or error)
    return ApiError(500, f"the server failed on this request; its log has it as {number}", SERVER)


def no_endpoint(method: str, path: str, error: HTTPException) -> ApiError:
    """The error of a path, or a method of one, that isn't served."""
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "another method")
        text = f"{printable(path)} takes no {printable(method)}, but {allowed}"
    else:
        text = f"there is no endpoint {printable(path)}; /openapi.json lists all that there are"
    return ApiError(error.status_code, text, headers=error.headers)


def unsupported(name: str, advice: str = "leave it out") -> PydanticCustomError:
    """The error of a field that this server knows and doesn't serve."""
    text = f"{name!r} isn't supported by this server; {advice}"
    return PydanticCustomError("unsupported", "{text}", {"text": text, "param": name})


_TYPE = re.compile(r"(?:constrained-)?(?:str|int|float|bool|list|dict)|\S+\[.*\]")
"""What a field may be, among the steps that lead to it."""


def validation_error(errors: Sequence[Mapping[str, Any]]) -> ApiError:
    """The error of a body that doesn't fit its schema, by the first field that doesn't."""
    error = errors[0]
    context = error.get("ctx") or {}
    place = _place_of(error)
    param = context.get("param") or ".".join(place) or None
    if error["type"] == "extra_forbidden":
        return ApiError(400, f"there is no field {param!r}", INVALID, param, "unknown_field")
    if error["type"] == "json_invalid":
        return ApiError(400, "the body is no JSON", INVALID, None, "json_invalid")
    if param is None and error["type"] == "model_attributes_type":
        text = "the body is no JSON object; send one, with Content-Type: application/json"
        return ApiError(400, text, INVALID, None, error["type"])
    if error["type"] == "union_tag_invalid":
        text = f"{param} is of type {context['tag']!r}; served are {context['expected_tags']}"
        return ApiError(400, text, INVALID, param, "unsupported")
    if "param" in context or param is None:
        return ApiError(400, error["msg"], INVALID, param, error["type"])
    # Where a field may be of several types, there is an error for each.
    told = dict.fromkeys(each["msg"] for each in errors if _place_of(each) == place)
    return ApiError(400, f"{param}: {', or: '.join(told)}", INVALID, param, error["type"])


def _place_of(error: Mapping[str, Any]) -> list[str]:
    """Path of a field, without the names of the types that it may have."""
    steps = [str(step) for step in error["loc"] if step != "body"]
    return [step for place, step in enumerate(steps) if not place or not _TYPE.fullmatch(step)]
