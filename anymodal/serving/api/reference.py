"""`/docs`: the OpenAPI document as a page to read, without a script and without another host."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from anymodal.serving.api.page import HEADERS

router = APIRouter(include_in_schema=False)
PATH = "/docs"
Json = Mapping[str, Any]


@router.get(PATH, response_model=None)
async def reference(request: Request) -> Response:
    """Send the page."""
    return Response(reference_html(request.app.openapi()), media_type="text/html", headers=HEADERS)


def reference_html(document: Json) -> str:
    """Every endpoint of an OpenAPI document with its fields and an answer; fields of AnyModal's own
    are named as such.
    """
    title = f"{document['info']['title']} {document['info']['version']}"
    body = "".join(_endpoints(document))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width"><link rel="stylesheet" '
        'href="/page/base.css"><link rel="stylesheet" href="/page/reference.css">'
        f"<main><h1>{escape(title)}</h1><p>OpenAI’s API, and fields of AnyModal’s own. "
        f'<a href="/openapi.json">The same for programs.</a></p>{body}</main></html>'
    )


def _endpoints(document: Json) -> Iterator[str]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"<h2>{method.upper()} {escape(path)}</h2>"
            yield f"<p>{escape(operation.get('description') or operation['summary'])}</p>"
            yield _table(_fields(operation, document))
            content = operation["responses"].get("200", {}).get("content", {})
            for mime, answer in content.items():
                yield f"<pre>{escape(_answer_text(mime, answer.get('example')))}</pre>"


def _answer_text(mime: str, example: object) -> str:
    """An answer as its example shows it; of files their media type."""
    if example is None:
        return mime
    if isinstance(example, str):
        return example.strip()
    return json.dumps(example, ensure_ascii=False, indent=1)


def _fields(operation: Json, document: Json) -> Iterator[tuple[str, Json, bool]]:
    """Name, schema and need of each parameter and field of an endpoint."""
    for each in operation.get("parameters", ()):
        yield each["name"], each["schema"], each.get("required", False)
    for body in operation.get("requestBody", {}).get("content", {}).values():
        schema = _resolved(body["schema"], document)
        for name, field in schema.get("properties", {}).items():
            yield name, field, name in schema.get("required", ())


def _table(fields: Iterator[tuple[str, Json, bool]]) -> str:
    rows = "".join(_row(*field) for field in fields)
    return f"<table><tr><th>field<th>type<th>of<th>meaning{rows}</table>" if rows else ""


def _row(name: str, schema: Json, is_needed: bool) -> str:
    origin = "AnyModal" if schema.get("x-anymodal") else "OpenAI"
    return (
        f"<tr><td><code>{escape(name)}</code>{' (required)' if is_needed else ''}"
        f"<td>{escape(_type_name(schema))}<td>{origin}<td>{escape(schema.get('description', ''))}"
    )


def _type_name(schema: Json) -> str:
    """The type of a field in words."""
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if parts := schema.get("anyOf"):
        return " or ".join(_type_name(part) for part in parts if part.get("type") != "null")
    if "$ref" in schema:
        return "object"
    return str(schema.get("const", schema.get("type", "any")))


def _resolved(schema: Json, document: Json) -> Json:
    """A schema, or the one of the document that it names."""
    name = schema.get("$ref", "").removeprefix("#/components/schemas/")
    named: Json = document["components"]["schemas"][name] if name else schema
    return named
