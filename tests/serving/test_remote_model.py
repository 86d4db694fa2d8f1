"""A session with a model on a server: the same replies, media and files as with one in process."""

from __future__ import annotations

import io
import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anymodal import cli
from anymodal.chat.session import Session
from anymodal.media import Image, load
from anymodal.media.base import data_uri
from anymodal.serving.api.settings import ServerSettings
from anymodal.serving.client.http_client import ServerClient, ServerError
from anymodal.serving.client.remote_model import RemoteModel
from anymodal.types import Event, MediumProgress, MediumReady, MediumStarted, TextDelta
from tests.support.serving import model_to_serve, serving
from tests.support.tiny import felt, picture, sound, tiny_model

KEY = "a-long-key"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving([model_to_serve(tiny_model(), "tiny")], ServerSettings(api_keys=[KEY])) as url:
        yield url


@pytest.fixture
def remote(url: str) -> RemoteModel:
    return RemoteModel(ServerClient(url, KEY))


def test_the_probabilities_of_choices_come_along(remote: RemoteModel, tmp_path: Path) -> None:
    here, there = (Session(each, tmp_path, 3, choices=["yes", "no"])
                   for each in (tiny_model(), remote))  # fmt: skip
    for session in (here, there):
        list(session.ask("hello"))
    wanted, given = here.turns[0].reply, there.turns[0].reply
    assert given.text == wanted.text and [each.text for each in given.choices] == ["yes", "no"]
    for one, other in zip(given.choices, wanted.choices, strict=True):
        assert one.probability == pytest.approx(other.probability, abs=1e-5)


def kinds(events: Iterator[Event]) -> list[object]:
    """Events without what may differ: a server makes media while the text goes on."""
    return sorted(
        (type(event).__name__, getattr(event, "index", 0))
        for event in events
        if not isinstance(event, TextDelta)
    )


def test_a_session_is_the_same_as_with_the_model_itself(
    remote: RemoteModel, tmp_path: Path
) -> None:
    for name, medium in (("a.png", picture()), ("b.wav", sound()), ("c.csv", felt())):
        medium.save(tmp_path / name)
    settings: Any = {"sampling": {"image": {"steps": 1, "number": 2}}, "top_logprobs": 1}
    here = Session(tiny_model(), tmp_path / "here", 3, **settings)
    there = Session(remote, tmp_path / "there", 3, **settings)
    assert kinds(here.ask("draw and play a ball")) == kinds(there.ask("draw and play a ball"))
    for name in ("a.png", "c.csv"):
        here.attach(tmp_path / name)
        there.attach(tmp_path / name)
    assert kinds(here.ask("what is this?")) == kinds(there.ask("what is this?"))
    here.attach(tmp_path / "b.wav")
    there.attach(tmp_path / "b.wav")
    assert kinds(here.ask("what is this?")) == kinds(there.ask("what is this?"))
    for turn, other in zip(here.turns, there.turns, strict=True):
        assert turn.reply.text == other.reply.text
        assert [type(part) for part in turn.reply.content] == [
            type(part) for part in other.reply.content
        ]
        assert turn.reply.finish_reason == other.reply.finish_reason and other.reply.usage
    first, second = (each.turns[0].reply_files for each in (here, there))
    assert [path.name for path in first] == [path.name for path in second]
    assert len(first) == 3, "two pictures, as `number` says, and a sound"
    for path, other_path in zip(first, second, strict=True):
        assert load(path) == load(other_path)
    list(there.retry(9))
    assert there.turns[-1].seed == 9
    talk = there.save(tmp_path / "talk")
    again = Session(remote, tmp_path / "again")
    again.load(talk)
    assert again.text == {"top_logprobs": 1} and len(again.turns) == 3


def test_streams_are_streams_and_end_when_they_are_left(remote: RemoteModel) -> None:
    events = remote.stream("draw a ball", seed=1, sampling={"image": {"steps": 2}})
    seen = [type(event) for event in events]
    assert seen.count(MediumProgress) == 2
    assert seen.index(TextDelta) < seen.index(MediumStarted) < seen.index(MediumReady)
    left = remote.stream("hello")
    next(left)
    left.close()
    (token,) = [
        each for event in remote.stream("hello", max_new_tokens=1, top_logprobs=1)
        if isinstance(event, TextDelta) for each in event.logprobs
    ]  # fmt: skip
    assert "Hello!".startswith(remote.token_text(token.token)) and token.logprob <= 0


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"sampling": {"film": {"steps": 1}}}, "makes no 'film'"),
        ({"sampling": {"image": {"stepz": 1}}}, "there is no setting 'stepz'"),
        ({"sampling": {"image": {"number": 99}}}, "number=99"),
        ({"temprature": 1}, "did you mean 'temperature'"),
        ({"max_spans": 2}, "max_spans is no setting of a server"),
    ],
)
def test_wrong_settings_are_errors_that_say_what_to_do(
    settings: dict[str, Any], message: str, remote: RemoteModel
) -> None:
    with pytest.raises(ValueError, match=message):
        list(remote.stream("hello", **settings))


def test_servers_that_cannot_be_asked(url: str) -> None:
    with pytest.raises(ServerError, match="give --api-key"):
        RemoteModel(ServerClient(url))
    with pytest.raises(ServerError, match="is the server up"):
        RemoteModel(ServerClient("127.0.0.1:9", KEY))
    with pytest.raises(ValueError, match="one of: tiny"):
        RemoteModel(ServerClient(url, KEY), "other")
    for wrong in ("ftp://host", "http://", "http://user@host", "http://host:port"):
        with pytest.raises(ValueError, match="is no server's URL"):
            ServerClient(wrong)


class _OtherServer(BaseHTTPRequestHandler):
    """A server as others are: a string for content, pictures in `images`, no list of models."""

    bodies: list[dict[str, Any]] = []
    reply: list[Any] = []
    first_replies: list[list[Any]] = []  # each given once, before that

    def do_GET(self) -> None:
        self.send_error(404)

    def do_POST(self) -> None:
        self.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()
        for item in self.first_replies.pop(0) if self.first_replies else self.reply:
            data = item if isinstance(item, str) else json.dumps(item)
            self.wfile.write(f"data: {data}\n\n".encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def other() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _OtherServer)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    _OtherServer.bodies.clear()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


def chunk(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


def test_other_servers_are_talked_to_as_far_as_they_go(other: str, tmp_path: Path) -> None:
    url = data_uri("image/png", picture().encode(".png"))
    image = {"type": "image_url", "image_url": {"url": url}}
    _OtherServer.reply = [
        chunk({"role": "assistant", "content": ""}), chunk({"content": "Look"}),
        chunk({"images": [image]}), chunk({}, "stop"),
        {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1}}, "[DONE]",
    ]  # fmt: skip
    session = Session(RemoteModel(ServerClient(other), "theirs"), tmp_path, 1, stop=["END"])
    list(session.ask("hello"))
    reply = session.turns[0].reply
    assert reply.text == "Look" and isinstance(reply.media[0], Image)
    assert np.array_equal(reply.media[0].pixels, picture().pixels)
    assert reply.usage is not None and reply.usage.prompt == 3 and reply.finish_reason == "stop"
    list(session.ask("again"))
    first, second = _OtherServer.bodies
    assert first["model"] == "theirs" and first["stop"] == ["END"] and first["seed"] == 1
    assert first["messages"] == [{"role": "user", "content": "hello"}]
    assert second["messages"][1]["content"] == "Look" and second["messages"][1]["images"] == [image]
    with pytest.raises(ValueError, match="makes text alone"):
        session.model.modalities_with({"steps": 3})


def test_tools_run_here_and_results_go_back(other: str, tmp_path: Path) -> None:
    begun: Any = {"index": 0, "id": "c1", "function": {"name": "add", "arguments": '{"a": 1,'}}
    rest: Any = {"index": 0, "function": {"arguments": ' "b": 2}'}}
    _OtherServer.first_replies[:] = [
        [chunk({"content": "Let me see."}), chunk({"tool_calls": [begun]}),
         chunk({"tool_calls": [rest]}), chunk({}, "tool_calls"), "[DONE]"],
    ]  # fmt: skip
    _OtherServer.reply = [chunk({"content": "3"}), chunk({}, "stop"), "[DONE]"]

    def add(a: int, b: int) -> str:
        """Add.

        Args:
            a: a number.
            b: another one.
        """
        return str(a + b)

    session = Session(RemoteModel(ServerClient(other), "theirs"), tmp_path, 1, tools=[add])
    events = list(session.ask("how much?"))
    assert [type(each).__name__ for each in events if not isinstance(each, TextDelta)] == [
        *("ToolCalled", "ToolFinished", "Done")
    ]
    assert session.turns[0].reply.text == "3"
    first, second = _OtherServer.bodies
    assert first["tools"][0]["function"]["name"] == "add"
    function = {"name": "add", "arguments": '{"a": 1, "b": 2}'}
    assert second["messages"][1:] == [
        {
            **{"role": "assistant", "content": "Let me see."},
            "tool_calls": [{"id": "c1", "type": "function", "function": function}],
        },
        {"role": "tool", "content": "3", "tool_call_id": "c1"},
    ]
    list(session.ask("again"))
    assert [each["role"] for each in _OtherServer.bodies[2]["messages"]] == [
        *("user", "assistant", "tool", "assistant", "user")
    ]


def test_a_reply_of_a_server_is_checked(remote: RemoteModel) -> None:
    conversation = [picture(), "what is this?"]
    *_, done = remote.stream(conversation, check=True, seed=1)
    check = done.message.check  # type: ignore[union-attr]
    assert check is not None and check.draft == "This is a ball." and len(check.claims) == 1


@pytest.mark.parametrize(
    "reply, message",
    [
        (["no json"], "no JSON object"),
        ([chunk({"content": "a"})], "broke off"),
        ([chunk({"content": "a"}), "[DONE]"], "before the reply was complete"),
        ([{"error": {"message": "out of\x1b memory"}}], r"out of\\x1b memory"),
        ([{"choices": [{"delta": {"content": 3}}]}], "can't be read"),
        ([chunk({"images": [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]})],
         "elsewhere"),
    ],
)  # fmt: skip
def test_answers_that_are_none_end_the_reply_and_nothing_else(
    reply: list[Any], message: str, other: str, tmp_path: Path
) -> None:
    _OtherServer.reply = reply
    session = Session(RemoteModel(ServerClient(other), "theirs"), tmp_path, 1)
    with pytest.raises(ValueError, match=message):
        list(session.ask("hello"))
    assert session.turns == []


def test_the_command_line_talks_to_a_server(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANYMODAL_API_KEY", KEY)
    lines = "draw a ball\n/set number 2\n/retry 4\n/save a.json\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
    there = ["chat", "--server", url, "--seed", "1", "--steps", "1"]
    assert cli.main([*there, "--json"]) == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert len(first["files"]) == 1 and len(second["files"]) == 2 and second["seed"] == 4
    assert cli.main([*there, "hello", "--n", "2", "--logprobs", "0", "--stop", "o!", "--json"]) == 0
    replies = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["text"] for each in replies] == ["Hell"] * 2
    assert [each["index"] for each in replies] == [0, 1] and replies[1]["seed"] == 2
    assert all(each["logprobs"][0]["logprob"] <= 0 for each in replies)
    for options, message in [
        (["--dtype", "bfloat16"], "--dtype is for a model of this process"),
        (["--model", "mine"], "has no model 'mine'"),
        (["--api-key", "wrong-key"], "valid API key"),
    ]:
        assert cli.main([*there, "hello", *options]) == 2
        assert message in capsys.readouterr().err
    assert cli.main(["chat", "hello", "--api-key", "k"]) == 2
