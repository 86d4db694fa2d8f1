"""A server of the Model Context Protocol over a model's tools and files."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import mcp.types as types
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError

from anymodal import __version__
from anymodal.chat.tool_arguments import ToolError
from anymodal.media import Media
from anymodal.serving.errors import (
    EngineClosedError,
    ModelFaultError,
    OutOfMemoryError,
    QueueFullError,
)
from anymodal.serving.mcp.files import mime_of
from anymodal.serving.mcp.model_tools import ModelTool, ModelTools

INLINE_BYTES = 4 * 2**20
"""Of a result's media that travel in it, in all; larger ones are read as resources."""
HTTP_INLINE_BYTES = 700_000
"""The same over HTTP, where the protocol's own client takes no event of more than 1 MiB."""
ENGINE_ERRORS = (EngineClosedError, ModelFaultError, OutOfMemoryError, QueueFullError)
_INLINE = {"image": types.ImageContent, "audio": types.AudioContent}


def create_server(tools: ModelTools, inline_bytes: int = INLINE_BYTES) -> Any:
    """The server of a model's tools; files of its folder are resources.

    Source: Model Context Protocol, sections Tools, Resources and Progress.

    Args:
        tools: of the model.
        inline_bytes: of a result's media that travel in it; what is larger is linked alone.
    """
    handlers = _Handlers(tools, inline_bytes)
    name = tools.served.name
    return Server(
        f"anymodal {name}",
        version=__version__,
        instructions=(
            f"Tools of the model {name}. Files are named by their place in one shared folder; "
            "resources/list tells which there are, and what is made is saved there."
        ),
        on_list_tools=handlers.list_tools,
        on_call_tool=handlers.call_tool,
        on_list_resources=handlers.list_resources,
        on_read_resource=handlers.read_resource,
    )


class _Handlers:
    """Answers of the server.

    Args:
        tools: of the model.
        inline_bytes: of a result's media that travel in it.
    """

    def __init__(self, tools: ModelTools, inline_bytes: int) -> None:
        self.tools, self.folder, self.inline_bytes = tools, tools.folder, inline_bytes

    async def list_tools(self, context: Any, params: Any) -> Any:
        """All tools, on one page."""
        return types.ListToolsResult(tools=[_described(t) for t in self.tools.by_name.values()])

    async def call_tool(self, context: Any, params: Any) -> Any:
        """A tool's result; what went wrong is told in it, as the protocol wants it."""

        async def report(done: float, total: float, what: str) -> None:
            await context.session.report_progress(done, total, what)

        try:
            result = await self.tools.call(params.name, params.arguments or {}, report)
            content = await asyncio.to_thread(self._content, params.name, result)
        except (ToolError, ValueError, OSError, *ENGINE_ERRORS) as error:
            text = types.TextContent(type="text", text=_public_text(error))
            return types.CallToolResult(content=[text], is_error=True)
        return types.CallToolResult(content=content)

    def _content(self, name: str, result: list[str | Media]) -> list[Any]:
        """A result's texts as they are; each medium as a file's link, and within where it fits."""
        content: list[Any] = []
        left = self.inline_bytes
        for part in result:
            if isinstance(part, str):
                content.append(types.TextContent(type="text", text=part))
                continue
            path = self.folder.save(part, name)
            data = path.read_bytes()
            block = _INLINE.get(part.kind)
            if block is not None and len(data) <= left:
                left -= len(data)
                encoded = base64.b64encode(data).decode()
                content.append(block(type=part.kind, data=encoded, mime_type=mime_of(path)))
            content.append(
                types.ResourceLink(
                    type="resource_link",
                    name=path.name,
                    uri=self.folder.uri(path),
                    mime_type=mime_of(path),
                    size=len(data),
                )
            )
        return content

    async def list_resources(self, context: Any, params: Any) -> Any:
        """The files of the folder."""
        return types.ListResourcesResult(
            resources=await asyncio.to_thread(lambda: [*map(self._resource, self.folder.files())])
        )

    def _resource(self, path: Path) -> Any:
        return types.Resource(
            name=path.relative_to(self.folder.folder).as_posix(),
            uri=self.folder.uri(path),
            mime_type=mime_of(path),
            size=path.stat().st_size,
        )

    async def read_resource(self, context: Any, params: Any) -> Any:
        """A file's content.

        Raises:
            MCPError: if there is no such file.
        """
        try:
            path = self.folder.path(str(params.uri))
            data = await asyncio.to_thread(self.folder.read, str(params.uri))
        except (ValueError, OSError) as error:
            raise MCPError(code=types.INVALID_PARAMS, message=_public_text(error)) from error
        contents = types.BlobResourceContents(
            uri=str(params.uri), blob=base64.b64encode(data).decode(), mime_type=mime_of(path)
        )
        return types.ReadResourceResult(contents=[contents])


def _public_text(error: Exception) -> str:
    """Message of an error; the system's own without the path, which is nobody's business."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"the file can't be used: {error.strerror}"
    return str(error)


def _described(tool: ModelTool) -> Any:
    annotations = types.ToolAnnotations(
        read_only_hint=not tool.writes, destructive_hint=False, open_world_hint=False
    )
    return types.Tool(
        name=tool.name,
        description=tool.description,
        input_schema=dict(tool.schema),
        annotations=annotations,
    )
