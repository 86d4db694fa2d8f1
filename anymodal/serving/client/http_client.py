"""Requests to a server of OpenAI's API, with the standard library alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from http.client import HTTPException, HTTPResponse
from ipaddress import ip_address
from typing import Any, NoReturn
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from anymodal.config.printable import printable

Json = dict[str, Any]
MOST_BYTES = 2**28
"""The longest answer, or event of a stream, that is read."""
SECONDS = 600.0
"""The longest silence of a server: a long queue, or a large model that is being loaded."""


class ServerError(ValueError):
    """A server refused a request, failed on it, or can't be reached."""


class _NoRedirects(HTTPRedirectHandler):
    """A redirect would get the key as well."""

    def redirect_request(self, *_: object) -> None:
        return None


class ServerClient:
    """Asks a server.

    Args:
        url: of the server, as `http://127.0.0.1:8000`, or of its API, as `https://host/v1`.
        api_key: sent as a bearer token; None for none.

    Raises:
        ValueError: if the URL is none of HTTP.
    """

    def __init__(self, url: str, api_key: str | None = None) -> None:
        text = url if "://" in url else f"http://{url}"
        try:
            parts = urlsplit(text)
            host, _ = parts.hostname, parts.port
        except ValueError:
            host, parts = None, urlsplit("")
        if parts.scheme not in ("http", "https") or not host or parts.username is not None:
            raise ValueError(f"{url!r} is no server's URL; give one such as http://127.0.0.1:8000")
        path = parts.path.rstrip("/")
        self.url = f"{parts.scheme}://{parts.netloc}{path or '/v1'}"
        self.api_key = api_key
        # A proxy of the environment is for other machines.
        proxies = [ProxyHandler({})] if _is_this_machine(host) else []
        self._opener = build_opener(_NoRedirects, *proxies)

    def get(self, path: str) -> Json:
        """The JSON object at a path.

        Raises:
            ServerError: if there is none.
        """
        with self._open(path, None) as response:
            return _object(self._read(response))

    def events(self, path: str, body: Mapping[str, Any]) -> Iterator[Json]:
        """Send a body, and give the objects of the stream that comes back. Close it to leave.

        Raises:
            ServerError: if the server refuses, fails or breaks off.
        """
        with self._open(path, body) as response:
            for data in self._data(response):
                if data == b"[DONE]":
                    return
                item = _object(data)
                if item.get("error"):
                    raise ServerError(_message(item) or "the server failed in the middle")
                yield item
            raise ServerError(f"{self.url} broke off in the middle of its answer")

    def _open(self, path: str, body: Mapping[str, Any] | None) -> HTTPResponse:
        headers = {"User-Agent": "anymodal", "Content-Type": "application/json"}
        if self.api_key is not None:
            headers["Authorization"] = f"Bearer {self.api_key}"
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self.url}{path}", data, headers)
        try:
            response: HTTPResponse = self._opener.open(request, timeout=SECONDS)
        except HTTPError as error:
            with error:
                self._refuse(error)
        except (URLError, OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise ServerError(
                f"{self.url} can't be reached ({reason}); is the server up?"
            ) from None
        return response

    def _refuse(self, error: HTTPError) -> NoReturn:
        """Raise what a status means."""
        try:
            text = _message(_object(self._read(error)))
        except ServerError:
            text = ""
        text = text or f"{self.url} answers with status {error.code}"
        if error.code == 401:
            text += "; give --api-key, or set ANYMODAL_API_KEY"
        if 300 <= error.code < 400:
            text += "; it leads elsewhere, so give the right URL"
        raise ServerError(text)

    def _read(self, response: HTTPResponse | HTTPError) -> bytes:
        try:
            data: bytes = response.read(MOST_BYTES + 1)
        except (OSError, HTTPException) as error:
            raise ServerError(f"{self.url} broke off ({error})") from None
        return self._within(data)

    def _within(self, data: bytes) -> bytes:
        if len(data) > MOST_BYTES:
            raise ServerError(f"{self.url} sends more than {MOST_BYTES:,} bytes at once")
        return data

    def _data(self, response: HTTPResponse) -> Iterator[bytes]:
        """The data of server-sent events, which may stand in several lines."""
        lines: list[bytes] = []
        while True:
            try:
                line = self._within(response.readline(MOST_BYTES + 1))
            except (OSError, HTTPException) as error:
                raise ServerError(f"{self.url} broke off ({error})") from None
            if line.startswith(b"data:"):
                lines.append(line[5:].strip())
            elif not line.strip() and lines:
                yield b"\n".join(lines)
                lines = []
            if not line:
                return


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _object(data: bytes) -> Json:
    try:
        item = json.loads(data)
    except ValueError:
        item = None
    if not isinstance(item, dict):
        raise ServerError("the server's answer is no JSON object; is this OpenAI's API?")
    return item


def _message(item: Json) -> str:
    """The message of an error in one of the shapes in use, safe for a terminal."""
    error = item.get("error", item)
    text = error.get("message") or error.get("detail") if isinstance(error, dict) else error
    return printable(str(text), 500) if text else ""
