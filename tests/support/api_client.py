"""Requests to a server as a stranger makes them, over a bare connection."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

CHAT = "/v1/chat/completions"
HELLO: dict[str, Any] = {"model": "nano", "messages": [{"role": "user", "content": "hello"}]}


class Answer:
    """Status, headers and body of an answer."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.text = response.status, response.headers, response.read()

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def error(self) -> dict[str, Any]:
        body = self.json
        assert body.keys() == {"error"}
        assert body["error"].keys() == {"message", "type", "param", "code"}
        found: dict[str, Any] = body["error"]
        return found


def ask(url: str, path: str, body: Any = None, method: str = "", **headers: str) -> Answer:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    given = {"Content-Type": "application/json", **headers}
    connection.request(method or ("GET" if body is None else "POST"), path, data, given)
    answer = Answer(connection.getresponse())
    connection.close()
    return answer


def message(*parts: Any, **more: Any) -> dict[str, Any]:
    return {"model": "nano", "messages": [{"role": "user", "content": list(parts)}], **more}


def image(link: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": link}}
