"""Tools of an MCP server, by the protocol's own package (the extra `mcp`)."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import threading
from collections.abc import Coroutine, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from anymodal.chat.tool_arguments import ToolError
from anymodal.chat.tool_results import ToolParts
from anymodal.chat.tools import Tool
from anymodal.config import nearest
from anymodal.media import Media, MediaError

ResultT = TypeVar("ResultT")
MOST_EVENT_BYTES = 64 * 2**20
"""The largest message that is taken over HTTP."""


class McpTools:
    """The tools of a server of the Model Context Protocol, while the connection is open.

    Used as `with McpTools(["python", "server.py"]) as server: model.chat(…, tools=[server])`.
    A server's program runs with the rights of this process: start none that you don't trust.

    Args:
        server: the address of a server (streamable HTTP), or a command whose standard input and
            output speak the protocol.
        timeout: seconds that connecting may take.
        env: variables of the environment that the command gets beside the package's few.
        headers: of requests to an address, such as `{"Authorization": "Bearer …"}`.
        names: of the tools that are offered; None offers all.
        prefix: put before the tools' names, so that two servers may have tools of one name.

    Raises:
        ValueError: if the package `mcp` isn't there, or an argument is of the other kind of server.
    """

    def __init__(
        self,
        server: str | Sequence[str],
        timeout: float = 60.0,
        env: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        names: Sequence[str] | None = None,
        prefix: str = "",
    ) -> None:
        try:
            import mcp
        except ImportError as error:
            raise ValueError(
                f"tools of an MCP server need the package mcp ({error}): pip install anymodal[mcp]"
            ) from error
        self.headers, self.names, self.prefix = dict(headers or {}), names, prefix
        if isinstance(server, str):
            if env is not None:
                raise ValueError("env is of a command, and the server is an address; give headers")
            if "://" not in server:
                raise ValueError(
                    f"{server!r} is no address; give one with http://, or a command as a list"
                )
            self._server: Any = server
        else:
            if headers:
                raise ValueError("headers are of an address, and the server is a command; give env")
            command, *arguments = server
            self._server = mcp.StdioServerParameters(
                command=command, args=arguments, env=None if env is None else dict(env)
            )
        self.timeout = timeout
        self._tools: list[Tool] = []
        self._client: Any = None
        self._error: BaseException | None = None
        self._is_open = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="mcp", daemon=True)

    def __enter__(self) -> Self:
        """Connect, and ask for the tools.

        Raises:
            ConnectionError: if there is no such server, or it doesn't answer in time.
        """
        self._thread.start()
        if not self._is_open.wait(self.timeout):
            self.close()
            raise ConnectionError(f"the MCP server didn't answer in {self.timeout:g} seconds")
        if self._error is not None:
            error = _innermost(self._error)
            raise ConnectionError(f"the MCP server can't be asked: {error}") from self._error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection, and a program that was started for it."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(self.timeout)

    def tools(self) -> Sequence[Tool]:
        """The tools that the server had when it was connected.

        Raises:
            ValueError: before that, when there would be none.
        """
        if not self._is_open.is_set():
            raise ValueError(
                "the MCP server isn't connected yet; write `with McpTools(…) as server`"
            )
        return self._tools

    def _run(self) -> None:
        """The thread's work: a loop of its own, in which the connection opens and closes."""
        try:
            self._loop.run_until_complete(self._stay_connected())
        except BaseException as error:
            self._error = error
        finally:
            self._is_open.set()
            self._loop.close()

    async def _stay_connected(self) -> None:
        import mcp

        async with contextlib.AsyncExitStack() as stack:
            client = mcp.Client(await self._transport(stack))
            self._client = await stack.enter_async_context(client)
            described, cursor = list[Any](), None
            while True:
                page = await self._client.list_tools(cursor=cursor)
                described += page.tools
                if not (cursor := page.next_cursor):
                    break
            self._tools = [self._tool(each) for each in self._offered(described)]
            self._is_open.set()
            await self._stop.wait()

    async def _transport(self, stack: contextlib.AsyncExitStack) -> Any:
        """A command as it is, or the connection to an address."""
        if not isinstance(self._server, str):
            return self._server
        from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

        http = await stack.enter_async_context(create_mcp_http_client(headers=self.headers))
        # Media travel in one event, and the package's own limit is 1 MiB.
        return streamable_http_client(
            self._server, http_client=http, max_sse_event_size=MOST_EVENT_BYTES
        )

    def _offered(self, described: Sequence[Any]) -> list[Any]:
        by_name = {each.name: each for each in described}
        if self.names is None:
            return [*described]
        for name in self.names:
            if name not in by_name:
                raise ValueError(
                    f"it has no tool {name!r}{nearest(name, by_name)}; it has {', '.join(by_name)}"
                )
        return [by_name[name] for name in self.names]

    def _tool(self, described: Any) -> Tool:
        name = described.name

        def call(**arguments: object) -> ToolParts:
            return self._wait(self._call(name, arguments))

        function = {
            "name": f"{self.prefix}{name}",
            "description": described.description or "",
            "parameters": dict(described.input_schema),
        }
        return Tool({"type": "function", "function": function}, call)

    async def _call(self, name: str, arguments: Mapping[str, object]) -> ToolParts:
        result = await self._client.call_tool(name, dict(arguments))
        parts = ToolParts(part for block in result.content for part in _parts(block))
        if result.is_error:
            raise ToolError(f"failed: {' '.join(part for part in parts if isinstance(part, str))}")
        if not parts and result.structured_content is not None:
            parts.append(json.dumps(result.structured_content, ensure_ascii=False))
        return parts

    def _wait(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        if not self._thread.is_alive():
            work.close()
            raise ConnectionError("the connection to the MCP server is closed")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _innermost(error: BaseException) -> BaseException:
    """The first of the errors in groups of them."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _parts(block: Any) -> list[str | Media]:
    """A block of a result as parts of a message; what is no medium read here is told in words."""
    if isinstance(text := getattr(block, "text", None), str):
        return [text]
    resource = getattr(block, "resource", None)
    if isinstance(text := getattr(resource, "text", None), str):
        return [text]
    data = getattr(block, "data", None) or getattr(resource, "blob", None)
    if data is not None:
        try:
            return [Media.load(base64.b64decode(data))]
        except (MediaError, ValueError) as error:
            return [f"[{getattr(block, 'mime_type', None) or 'data'} that can't be read: {error}]"]
    return [str(getattr(block, "uri", block))]
