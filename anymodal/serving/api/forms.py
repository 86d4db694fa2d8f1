"""Forms (`multipart/form-data`): fields as a JSON body has them, and files beside them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from types import UnionType
from typing import Any, Generic, NamedTuple, TypeVar, Union, get_args, get_origin

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from starlette.datastructures import FormData, UploadFile
from starlette.requests import ClientDisconnect

from anymodal.chat.messages import MAX_MEDIA
from anymodal.media import Limits, Media, MediaError, load
from anymodal.serving.api.errors import ApiError, client_text

B = TypeVar("B", bound=BaseModel)
MOST_FIELDS = 200
_KEY = re.compile(r"\[([^\[\]]*)\]")
_MOST_STEPS = 3  # of a nested field's name


class Upload(NamedTuple):
    """A file of a form: the field it came in, and its content. Its own name is never used."""

    field: str
    data: bytes


class Form(NamedTuple, Generic[B]):
    """A form that fits its schema."""

    body: B
    files: list[Upload]


async def read_form(request: Request, schema: type[B], file_fields: Mapping[str, int]) -> Form[B]:
    """A form, or a JSON body without files, read by its schema.

    Args:
        request: whose body it is.
        schema: of the fields; numbers and truth values may be texts, as in a form they are, and
            objects JSON.
        file_fields: names of fields that are files, and how many each may have.

    Raises:
        ApiError: if the form is malformed, or has files that it may not have.
        RequestValidationError: if its fields don't fit the schema.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        values, files = await _read_parts(request, schema, file_fields)
        return Form(_validated(schema, values, strict=False), files)
    if kind not in ("application/json", ""):
        raise ApiError(415, "send the body as multipart/form-data or as JSON")
    try:
        values = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise ApiError(400, "the body is no JSON", code="json_invalid") from None
    return Form(_validated(schema, values, strict=True), [])


def _validated(schema: type[B], values: object, strict: bool) -> B:
    try:
        return schema.model_validate(values, strict=strict)
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from None


async def _read_parts(
    request: Request, schema: type[BaseModel], file_fields: Mapping[str, int]
) -> tuple[dict[str, Any], list[Upload]]:
    try:
        # Files wait in the system's temporary folder, without a name, until the block ends.
        async with request.form(max_files=MAX_MEDIA, max_fields=MOST_FIELDS) as form:
            uploads = await _uploads(form, file_fields)
            values: dict[str, Any] = {}
            for name, value in form.multi_items():
                if isinstance(value, str):
                    _put(values, name, value, schema)
            return values, uploads
    except ClientDisconnect:
        raise
    except (LookupError, UnicodeError):  # of a charset that nobody knows
        raise ApiError(400, "the form can't be read", code="form_invalid") from None


async def _uploads(form: FormData, file_fields: Mapping[str, int]) -> list[Upload]:
    uploads: list[Upload] = []
    for name, value in form.multi_items():
        field = name.removesuffix("[]")
        if isinstance(value, UploadFile):
            if field not in file_fields:
                known = ", ".join(map(repr, file_fields))
                text = f"there is no file field {field[:80]!r}; leave it out (files are {known})"
                raise ApiError(400, text, param=field[:80])
            uploads.append(Upload(field, await value.read()))
        elif field in file_fields:
            raise ApiError(400, f"{field!r} is a file; send it with a file name", param=field)
    for field, most in file_fields.items():
        if (count := sum(upload.field == field for upload in uploads)) > most:
            raise ApiError(400, f"{count} files {field!r}; the limit is {most}", param=field)
    return uploads


def _put(values: dict[str, Any], name: str, text: str, schema: type[BaseModel]) -> None:
    """Put a form's text where its name says: `a`, `a[]` or `a[b][c]`."""
    base, steps = name.partition("[")[0], _KEY.findall(name)
    if len(steps) > _MOST_STEPS or base + "".join(f"[{step}]" for step in steps) != name:
        raise ApiError(400, f"{name[:80]!r} names no field", param=name[:80])
    if steps[-1:] == [""]:
        target = _nested(values, [base, *steps[:-1]], list)
        target.append(text)
        return
    target = _nested(values, [base, *steps][:-1], dict)
    key = steps[-1] if steps else base
    if key in target:
        raise ApiError(400, f"the field {name[:80]!r} stands twice", param=name[:80])
    # The schema turns its own texts into numbers; of others the text is all that is known.
    is_own = not steps and base in schema.model_fields
    target[key] = _own_value(text, schema.model_fields[base]) if is_own else _scalar(text)


def _own_value(text: str, field: FieldInfo) -> object:
    """The text of a schema's field, or the object that it is, where the field takes no texts."""
    annotation = field.annotation
    is_union = get_origin(annotation) in (Union, UnionType)
    takes_texts = str in (get_args(annotation) if is_union else [annotation])
    return text if takes_texts or not text.lstrip().startswith("{") else _scalar(text)


def _nested(values: dict[str, Any], path: list[str], kind: type[Any]) -> Any:
    """The container under a path of keys; those that aren't there are made."""
    target: Any = values
    for place, key in enumerate(path):
        default = kind() if place == len(path) - 1 else {}
        target = target.setdefault(key, default)
        if not isinstance(target, type(default)):
            raise ApiError(400, f"the field {path[0][:80]!r} stands twice", param=path[0][:80])
    return target


def _scalar(text: str) -> object:
    """The number or truth value that a text is, else the text; objects in JSON too."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return text if isinstance(value, str) else value


def media_of(uploads: list[Upload], kind: str, limits: Limits) -> list[Media]:
    """The media in files of a form; decoding takes a while.

    Raises:
        ApiError: naming the field, for what can't be read, or is of another kind.
    """
    media = []
    for upload in uploads:
        try:
            media.append(load(upload.data, kind=kind, limits=limits))
        except MediaError as error:
            text = f"{upload.field}: {client_text(error)}"
            raise ApiError(400, text, param=upload.field) from error
    return media


def form_schema(schema: type[BaseModel], **files: bool) -> dict[str, Any]:
    """An endpoint's form as OpenAPI describes it; files by name, true if required."""
    fields = schema.model_json_schema(ref_template="#/components/schemas/{model}")
    fields.pop("$defs", None)
    one = {"type": "string", "format": "binary"}
    fields["properties"] = {**fields["properties"], **dict.fromkeys(files, one)}
    required = [name for name, is_required in files.items() if is_required]
    fields["required"] = [*fields.get("required", ()), *required]
    return {"requestBody": {"content": {"multipart/form-data": {"schema": fields}}}}
