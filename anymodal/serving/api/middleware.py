"""The gate of every request: checks of its host, key and size, and its count."""

from __future__ import annotations

import time
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from anymodal.media.limits import mib
from anymodal.serving.api.errors import ApiError, api_error
from anymodal.serving.api.hosts import HostCheck
from anymodal.serving.api.metrics import ARRIVAL, Metrics
from anymodal.serving.api.rate_limit import RateLimiter
from anymodal.serving.api.settings import ServerSettings, key_owner
from anymodal.serving.api.state import LEASES, OWNER
from anymodal.serving.errors import QueueFullError

OPEN_PATHS = frozenset({"/health", "/ready"})
"""Answered without an API key, beside the web page, which asks its user for one."""


class Gate:
    """Checks hosts, keys and sizes, counts requests, and answers errors.

    Args:
        app: what is behind it.
        settings: of the server.
        metrics: that count.
    """

    def __init__(self, app: ASGIApp, settings: ServerSettings, metrics: Metrics) -> None:
        self.app, self.settings, self.metrics = app, settings, metrics
        self._open = 0
        self._rates = RateLimiter(settings.requests_per_minute)
        self._hosts = HostCheck(settings.server_names, settings.cors_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0
        ARRIVAL.set(began)
        leases: list[Callable[[], None]] = []

        async def send_with_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._open += 1
        try:
            scope[LEASES] = leases
            self._hosts.check(scope["method"], _header(scope, b"host"), _header(scope, b"origin"))
            scope[OWNER] = owner = self._check_key(scope)
            self._check_rate(scope, owner)
            self._check_room(scope)
            self._check_length(scope)
            await self.app(scope, self._with_limit(receive), send_with_status)
        except Exception as error:
            if status:  # the answer has begun, and can only break off
                raise
            await api_error(error).response()(scope, receive, send_with_status)
        finally:
            self._open -= 1
            for release in leases:
                release()
            route = scope.get("route")
            path = getattr(route, "path", "unknown")  # never one that a client made up
            self.metrics.requests.labels(path, str(status)).inc()
            self.metrics.seconds.labels(path).observe(time.perf_counter() - began)

    def _check_key(self, scope: Scope) -> str:
        """The owner of the request's key."""
        if not self.settings.api_keys or self._is_open(scope["path"]):
            return ""
        header = _header(scope, b"authorization")
        scheme, _, key = header.partition(" ")
        if scheme.lower() != "bearer" or not self.settings.knows(key.strip()):
            raise ApiError(
                401, "give a valid API key: Authorization: Bearer KEY", code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )  # fmt: skip
        return key_owner(key.strip())

    def _is_open(self, path: str) -> bool:
        is_page = self.settings.page and (path in ("/", "/docs") or path.startswith("/page/"))
        return is_page or path in OPEN_PATHS

    def _check_rate(self, scope: Scope, owner: str) -> None:
        if scope["method"] != "POST":
            return
        client = owner or str((scope.get("client") or ("",))[0])
        if wait := self._rates.take(client):
            raise ApiError(
                429, f"more than {self._rates.per_minute} requests a minute; ask again in {wait} s",
                "rate_limit_error", code="rate_limit_exceeded", headers={"Retry-After": str(wait)},
            )  # fmt: skip

    def _check_room(self, scope: Scope) -> None:
        limit = self.settings.max_open
        # Only these have bodies to hold; health and metrics are answered under any load.
        if self._open > limit and scope["method"] == "POST":
            raise QueueFullError(limit, 1)

    def _check_length(self, scope: Scope) -> None:
        length = _header(scope, b"content-length")
        # Cut: int() of many digits takes quadratic time. Without a length, `_with_limit` counts.
        if length.isdecimal() and int(length[:20]) > self.settings.max_body_bytes:
            raise self._too_long()

    def _with_limit(self, receive: Receive) -> Receive:
        """The body as it comes, as far as it may go."""
        size = 0

        async def receive_within() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self.settings.max_body_bytes:
                raise self._too_long()
            return message

        return receive_within

    def _too_long(self) -> ApiError:
        most = mib(self.settings.max_body_bytes)
        return ApiError(413, f"the body is over the limit of {most}", code="body_too_large")


def _header(scope: Scope, name: bytes) -> str:
    values = (value for key, value in scope["headers"] if key == name)
    return bytes(next(values, b"")).decode("latin-1")
