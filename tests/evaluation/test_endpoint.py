"""Models behind an OpenAI-compatible endpoint, asked over HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from anymodal.evaluation.endpoint import EndpointError, EndpointPredictor
from anymodal.types import Message
from tests.support.tiny import picture


class _Handler(BaseHTTPRequestHandler):
    """Answers with the statuses in line, then with what it was asked."""

    server: _Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, self.headers.get("Authorization"), body))
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        text = body["messages"][-1]["content"][0]["text"]
        choice = {"message": {"role": "assistant", "content": f"{text}!"}, "finish_reason": "stop"}
        reply = json.dumps(self.server.reply or {"choices": [choice]}).encode()
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:9/")
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    requests: list[tuple[str, str | None, Any]]
    statuses: list[int]
    reply: object = None


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Server]:
    monkeypatch.setattr("time.sleep", lambda _: None)  # pauses between attempts
    server = _Server(("127.0.0.1", 0), _Handler)
    server.requests, server.statuses = [], []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def asking(server: _Server, **settings: Any) -> EndpointPredictor:
    return EndpointPredictor(f"http://127.0.0.1:{server.server_port}/v1/", "judge", **settings)


def test_texts_and_media_go_there_and_replies_come_in_order(
    server: _Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    conversations = [[Message("user", [f"text {n}", picture()])] for n in range(5)]
    replies = asking(server, settings={"max_tokens": 7})(conversations, [2**40 + 1] * 5)
    assert [reply.text for reply in replies] == [f"text {n}!" for n in range(5)]
    assert replies[0].finish_reason == "stop"
    path, key, body = server.requests[0]
    assert (path, key) == ("/v1/chat/completions", "Bearer secret")
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("judge", 7, 0)
    assert 0 <= body["seed"] < 2**31
    part = body["messages"][0]["content"][1]
    assert part["image_url"]["url"].startswith("data:image/png;base64,")


def test_a_busy_endpoint_is_asked_again(server: _Server) -> None:
    server.statuses = [429, 503]
    assert asking(server)([[Message("user", "a")]], [0])[0].text == "a!"
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("statuses", "reply", "says"),
    [
        ([401], None, "status 401"),
        ([302], None, "status 302"),  # the key would go along
        ([500] * 4, None, "status 500"),
        ([], {"choices": []}, "answered no completion"),
        ([], {"choices": [{"message": {"content": None}}]}, "not a text"),
        ([], "x", "answered no completion"),
    ],
)
def test_errors_name_the_endpoint(
    server: _Server, statuses: list[int], reply: object, says: str
) -> None:
    server.statuses, server.reply = statuses, reply
    with pytest.raises(EndpointError, match=says) as error:
        asking(server)([[Message("user", "a")]], [0])
    assert "127.0.0.1" in str(error.value)


def test_likelihoods_of_choices_are_not_to_be_had(server: _Server) -> None:
    predictor = asking(server)
    assert predictor([[Message("user", "a")]], [0], [None])[0].text == "a!"
    with pytest.raises(EndpointError, match="gives no likelihoods"):
        predictor([[Message("user", "a")]], [0], [["yes", "no"]])


def test_what_decides_replies_tells_endpoints_apart() -> None:
    one = EndpointPredictor("http://a/v1", "x")
    assert one.metadata() == EndpointPredictor("http://a/v1/", "x").metadata()
    others = [
        EndpointPredictor("http://a/v1", "y"),
        EndpointPredictor("http://b/v1", "x"),
        EndpointPredictor("http://a/v1", "x", settings={"max_tokens": 3}),
    ]
    assert one.metadata() not in {each.metadata() for each in others}
    for url in ("file:///etc/passwd", "localhost:80", "http://"):
        with pytest.raises(EndpointError, match="is no address"):
            EndpointPredictor(url, "x")
