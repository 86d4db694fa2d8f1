"""A model as tools over MCP, asked by the protocol's own client."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

mcp = pytest.importorskip("mcp")

from anymodal.chat.mcp_client import McpTools  # noqa: E402
from anymodal.chat.tools import Toolbox  # noqa: E402
from anymodal.cli import main  # noqa: E402
from anymodal.media import Audio, Image, Media  # noqa: E402
from anymodal.serving.mcp.files import MOST_RESOURCE_BYTES, SharedFolder  # noqa: E402
from anymodal.serving.mcp.model_tools import ModelTool, ModelTools  # noqa: E402
from anymodal.serving.mcp.server import HTTP_INLINE_BYTES, create_server  # noqa: E402
from anymodal.serving.served import ServedModel  # noqa: E402
from anymodal.types import ToolCall  # noqa: E402
from tests.support.paths import ROOT  # noqa: E402
from tests.support.tiny import picture, tiny_model  # noqa: E402


@pytest.fixture(scope="module")
def served() -> Iterator[ServedModel]:
    served = ServedModel("tiny", tiny_model())
    yield served
    served.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    picture().save(folder / "a.png")
    (tmp_path / "secret.txt").write_text("secret")
    (folder / ".hidden").write_text("hidden")
    return folder


def ask(served: ServedModel, folder: Path, work: Any) -> Any:
    """The result of some work with a client."""
    server = create_server(ModelTools(served, SharedFolder(folder)))

    async def run() -> Any:
        async with mcp.Client(server) as client:
            return await work(client)

    return asyncio.run(run())


def test_tools_are_those_that_the_model_can(served: ServedModel, folder: Path) -> None:
    async def work(client: Any) -> Any:
        return (await client.list_tools()).tools

    tools = {tool.name: tool for tool in ask(served, folder, work)}
    assert tools.keys() == {"see", "hear", "feel", "draw", "play", "embed"}
    assert tools["see"].input_schema["required"] == ["file"]
    assert tools["see"].annotations.read_only_hint and not tools["draw"].annotations.read_only_hint


def test_a_picture_is_seen_and_another_drawn(served: ServedModel, folder: Path) -> None:
    steps: list[tuple[float, float | None]] = []

    async def progress(done: float, total: float | None, what: str | None) -> None:
        steps.append((done, total))

    async def work(client: Any) -> Any:
        seen = await client.call_tool("see", {"file": "a.png", "question": "what is this?"})
        asked = {"prompt": "draw a ball", "seed": 3, "steps": 2}
        drawn = await client.call_tool("draw", asked, progress_callback=progress)
        link = drawn.content[-1]
        read = await client.read_resource(link.uri)
        listed = (await client.list_resources()).resources
        return seen, drawn, read, listed

    seen, drawn, read, listed = ask(served, folder, work)
    assert seen.content[0].text == "This is a ball." and not seen.is_error
    inline, link = drawn.content
    assert steps == [(1, 2), (2, 2)] and inline.mime_type == "image/png"
    data = base64.b64decode(inline.data)
    assert (folder / link.name).read_bytes() == data == base64.b64decode(read.contents[0].blob)
    made = Media.load(folder / link.name)
    expected = tiny_model().chat("draw a ball", seed=3, sampling={"image": {"steps": 2}})
    assert isinstance(made, Image) and isinstance(expected.media[0], Image)
    assert made.pixels.shape == expected.media[0].pixels.shape
    assert {each.name for each in listed} == {"a.png", link.name}


def test_embeddings_and_sounds(served: ServedModel, folder: Path) -> None:
    async def work(client: Any) -> Any:
        embedded = await client.call_tool("embed", {"files": ["a.png"]})
        return embedded, await client.call_tool("play", {"prompt": "draw and play a ball"})

    embedded, played = ask(served, folder, work)
    (row,) = json.loads(embedded.content[0].text)
    encoder = served.encoders["image"]
    vector = encoder.embed(encoder.to_weights(encoder.prepare(picture())[None]))[0]
    assert row["item"] == "a.png" and row["embedding"] == pytest.approx(vector.tolist(), abs=1e-4)
    assert isinstance(Media.load(folder / played.content[-1].name), Audio)


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("see", {"file": "../secret.txt"}, "lies outside of the shared folder"),
        ("see", {"file": ".hidden"}, "there is no file '.hidden'; the shared folder has a.png"),
        ("see", {"file": "b.png"}, "there is no file 'b.png'"),
        ("hear", {"file": "a.png"}, "'a.png' is image, and this tool reads audio"),
        ("see", {}, "the argument 'file' is missing"),
        ("draw", {"prompt": " "}, "the prompt is empty"),
        ("draw", {"prompt": "a ball", "steps": 100000}, "steps"),
        ("embed", {}, "give 1 to 256"),
        ("smell", {}, "there is no tool 'smell'"),
    ],
)
def test_what_cannot_be_done_is_told(
    served: ServedModel, folder: Path, tool: str, arguments: dict[str, Any], says: str
) -> None:
    async def work(client: Any) -> Any:
        return await client.call_tool(tool, arguments)

    result = ask(served, folder, work)
    assert result.is_error and says in result.content[0].text
    assert str(folder.parent) not in result.content[0].text


@pytest.mark.parametrize("name", ["out.png", "circle", "a\0b", "x" * 5000, "in.hid", "dir/a.png"])
def test_links_and_names_lead_nowhere(folder: Path, name: str) -> None:
    (folder.parent / "b.png").write_bytes((folder / "a.png").read_bytes())
    (folder / "out.png").symlink_to(folder.parent / "b.png")
    (folder / "dir").symlink_to(folder.parent)
    (folder / "circle").symlink_to("circle")
    (folder / "in.hid").symlink_to(".hidden")
    shared = SharedFolder(folder)
    with pytest.raises(ValueError, match="outside of the shared|there is no file") as error:
        shared.load(name)
    assert str(folder) not in str(error.value)
    assert [path.name for path in shared.files()] == ["a.png"]


def test_a_huge_file_is_no_resource(folder: Path) -> None:
    with (folder / "big.bin").open("wb") as file:
        file.truncate(MOST_RESOURCE_BYTES + 1)
    with pytest.raises(ValueError, match="are read at most"):
        SharedFolder(folder).read("big.bin")


def test_a_server_must_be_connected() -> None:
    with pytest.raises(ValueError, match="isn't connected yet"):
        Toolbox([McpTools(["no-such-program"])])


def test_no_other_file_is_a_resource(served: ServedModel, folder: Path) -> None:
    async def work(client: Any) -> Any:
        with pytest.raises(mcp.MCPError, match="outside of the shared folder"):
            await client.read_resource("anymodal://files/..%2Fsecret.txt")

    ask(served, folder, work)


SERVER = """
from mcp.types import CallToolResult
from mcp.server import MCPServer
from mcp.server.mcpserver import Image
from mcp.server.mcpserver.exceptions import ToolError
server = MCPServer("test")

@server.tool()
def double(number: int) -> int:
    "Twice a number."
    return 2 * number

@server.tool(structured_output=False)
def show(path: str) -> Image:
    "A picture."
    return Image(path=path)

@server.tool()
def structured() -> CallToolResult:
    "No words, only values."
    return CallToolResult(content=[], structured_content={"count": 3})

@server.tool()
def fail() -> str:
    "Fail."
    raise ToolError("no luck")

server.run()
"""


def test_tools_of_a_server_are_called_in_a_chat(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text(SERVER)
    env = {"PYTHONPATH": ":".join(path for path in sys.path if path)}
    with McpTools([sys.executable, str(tmp_path / "server.py")], env=env) as server:
        toolbox = Toolbox([server])
        assert set(toolbox.tools) == {"double", "show", "structured", "fail"}
        told = toolbox.run(ToolCall("structured", "{}"), [])
        assert told.content == ('{"count": 3}',) and not told.error
        doubled = toolbox.run(ToolCall("double", '{"number": 4}'), [])
        assert doubled.content == ("8",) and not doubled.error
        shown = toolbox.run(ToolCall("show", json.dumps({"path": str(folder / "a.png")})), [])
        assert shown.content == (picture(),)
        failed = toolbox.run(ToolCall("fail", "{}"), []).error
        assert failed.startswith("failed: ") and "no luck" in failed and "Error:" not in failed
    assert "is closed" in toolbox.run(ToolCall("double", '{"number": 4}'), []).error
    with pytest.raises(ConnectionError, match="can't be asked"):
        McpTools([sys.executable, "-c", "pass"], timeout=20).__enter__()


def test_tools_of_a_server_are_chosen_and_renamed(tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text(SERVER)
    command = [sys.executable, str(tmp_path / "server.py")]
    env = {"PYTHONPATH": ":".join(path for path in sys.path if path)}
    with McpTools(command, env=env, names=["double"], prefix="my_") as server:
        toolbox = Toolbox([server])
        assert [*toolbox.tools] == ["my_double"]
        assert toolbox.run(ToolCall("my_double", '{"number": 4}'), []).content == ("8",)
    with pytest.raises(ConnectionError, match="it has no tool 'dubble'; did you mean 'double'"):
        McpTools(command, env=env, names=["dubble"]).__enter__()
    for server, arguments, says in (
        ("127.0.0.1/mcp", {}, "is no address"),
        ("http://127.0.0.1/mcp", {"env": {"A": "b"}}, "give headers"),
        (command, {"headers": {"A": "b"}}, "give env"),
    ):
        with pytest.raises(ValueError, match=says):
            McpTools(server, **arguments)


@pytest.mark.extended
def test_the_command_speaks_over_standard_input(folder: Path) -> None:
    env = {"PYTHONPATH": ":".join([str(ROOT), *(path for path in sys.path if path)])}
    command = [sys.executable, "-m", "anymodal", "mcp", "nano", "--files", str(folder)]
    with McpTools(command, timeout=240, env=env) as server:
        toolbox = Toolbox([server])
        assert {"see", "hear", "feel", "draw", "play", "film", "embed"} <= set(toolbox.tools)
        drawn = toolbox.run(ToolCall("draw", '{"prompt": "a red ball", "steps": 2}'), [])
        assert any(isinstance(part, Image) for part in drawn.content), drawn.error


@pytest.mark.extended
def test_a_server_answers_over_http(served: ServedModel, folder: Path) -> None:
    import uvicorn

    from anymodal.cli.serve import listen, url_of

    seen_headers: list[str] = []

    async def large(arguments: Any, report: Any) -> list[str | Media]:
        await report(1, 2, "steps")  # the answer then is an event of a stream
        return [picture(size=size) for size in (900, 16)]

    tools = ModelTools(served, SharedFolder(folder))
    tools.by_name["large"] = ModelTool("large", "Large.", {"type": "object"}, large)
    app = create_server(tools, HTTP_INLINE_BYTES).streamable_http_app(host="127.0.0.1")

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            headers = {name.decode(): value.decode() for name, value in scope["headers"]}
            seen_headers.append(headers.get("authorization", ""))
        await app(scope, receive, send)

    async def draw(url: str) -> Any:
        async def progress(done: float, total: float | None, what: str | None) -> None:
            pass

        async with mcp.Client(url) as client:
            return await client.call_tool("large", {}, progress_callback=progress)

    web = uvicorn.Server(uvicorn.Config(noting, log_level="warning", lifespan="on"))
    with listen("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=web.run, args=([listener],), daemon=True)
        thread.start()
        url = f"{url_of(listener)}/mcp"
        with McpTools(url, headers={"Authorization": "Bearer me"}) as connection:
            arguments = json.dumps({"file": "a.png", "question": "what is this?"})
            seen = Toolbox([connection]).run(ToolCall("see", arguments), [])
        assert {*seen_headers} == {"Bearer me"}
        result = asyncio.run(draw(url))
        web.should_exit = True
        thread.join(20)
    assert seen.content == ("This is a ball.",)
    kinds = [block.type for block in result.content]
    assert kinds == ["resource_link", "image", "resource_link"], "the large one is linked alone"


def test_open_ports_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["mcp", "nano", "--files", str(tmp_path), "--http", "--host", "0.0.0.0"]) == 2
    assert "let anybody who reaches the port" in capsys.readouterr().err
