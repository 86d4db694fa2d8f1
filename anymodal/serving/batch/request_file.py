"""Files of requests in OpenAI's batch format, a JSON object a line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]
ENDPOINTS = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/embeddings",
    "/v1/images/generations",
)
"""Endpoints that a batch may ask."""
_KEYS = {"custom_id", "method", "url", "body"}


@dataclass(frozen=True)
class BatchRequest:
    """One line of a file of requests.

    Attributes:
        id: of its place and content, by which a result is found again.
        custom_id: the client's own; None where it has none that can be read.
        url: the endpoint.
        body: of the request.
        error: a code and a message where the line is no request.
    """

    id: str
    custom_id: str | None
    url: str = ""
    body: Mapping[str, Any] | None = None
    error: Mapping[str, str] | None = None


def read_requests(path: Path, max_bytes: int) -> Iterator[BatchRequest]:
    """The requests of a file in order; a line that is none has an error. Blank lines are left out.

    Args:
        path: of the file.
        max_bytes: the longest line.

    Raises:
        OSError: if the file can't be read.
    """
    custom_ids: set[bytes] = set()
    with open(path, "rb") as file:
        number = 0
        while line := file.readline(max_bytes + 2):
            number += 1
            digest = hashlib.sha256(line)
            is_long = len(line.rstrip(b"\r\n")) > max_bytes
            while is_long and not line.endswith(b"\n") and (rest := file.readline(2**20)):
                digest.update(rest)
                line = rest
            if not line.strip() and not is_long:
                continue
            identity = f"batch_req_{number}_{digest.hexdigest()[:16]}"
            if is_long:
                yield _refused(identity, None, f"line {number} is longer than {max_bytes:,} bytes")
            else:
                yield _request(identity, number, line, custom_ids)


def _request(identity: str, number: int, line: bytes, custom_ids: set[bytes]) -> BatchRequest:
    try:
        item = json.loads(line)
    except (ValueError, RecursionError):
        return _refused(identity, None, f"line {number} is no JSON")
    if not isinstance(item, dict):
        return _refused(identity, None, f"line {number} is no object")
    custom_id = item.get("custom_id")
    if not isinstance(custom_id, str) or not custom_id:
        return _refused(identity, None, f"line {number} has no custom_id; give a text")
    key = hashlib.sha256(custom_id.encode("utf-8", "surrogatepass")).digest()
    if key in custom_ids:
        text = f"line {number} has the custom_id of an earlier line; give each its own"
        return _refused(identity, custom_id, text, "duplicate_custom_id")
    custom_ids.add(key)
    if message := _fault(item):
        return _refused(identity, custom_id, f"line {number}: {message}")
    return BatchRequest(identity, custom_id, item["url"], item["body"])


def _fault(item: Json) -> str:
    """The first thing that is wrong with a line; empty for none."""
    if extra := sorted(item.keys() - _KEYS):
        return f"there is no field {extra[0][:80]!r}; a line has {', '.join(sorted(_KEYS))}"
    if item.get("method") != "POST":
        return "its method isn't POST, which is the only one"
    if item.get("url") not in ENDPOINTS:
        return f"its url is none of {', '.join(ENDPOINTS)}"
    if not isinstance(item.get("body"), dict):
        return "its body is no object"
    if item["body"].get("stream"):
        return "a batch isn't streamed; leave stream out of its body"
    return ""


def _refused(
    identity: str, custom_id: str | None, message: str, code: str = "invalid_request"
) -> BatchRequest:
    return BatchRequest(identity, custom_id, error={"code": code, "message": message})
