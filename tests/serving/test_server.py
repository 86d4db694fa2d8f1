"""The server against strangers: bodies, sizes, faults, and what it tells of itself."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import torch

from anymodal.media import Limits
from anymodal.media.base import data_uri
from anymodal.model import AnyModal
from anymodal.serving.api.settings import ServerSettings
from tests.support.api_client import CHAT, HELLO, Answer, ask, image, message
from tests.support.paths import ROOT
from tests.support.serving import model_to_serve, serving
from tests.support.tiny import picture


@pytest.fixture(scope="module")
def model() -> AnyModal:
    return AnyModal.from_pretrained("nano")


@pytest.fixture(scope="module")
def url(model: AnyModal) -> Iterator[str]:
    limits = Limits(max_pixels=10_000, max_bytes=100_000)
    settings = ServerSettings(limits=limits, max_body_bytes=200_000, allowed_hosts=["localhost"])
    with serving([model_to_serve(model, timeout=60)], settings) as url:
        yield url


GOOD = data_uri("image/png", picture().encode(".png"))
WRONG: dict[str, tuple[Any, str, str | None]] = {
    "no JSON": (b"{", "no JSON", None),
    "no UTF-8": (b"\xff\xfe", "", None),
    "deep": (b"[" * 50_000, "", None),
    "a list": ([], "", None),
    "no model": ({"messages": HELLO["messages"]}, "model", "model"),
    "no messages": ({"model": "nano", "messages": []}, "no messages", "messages"),
    "an unknown field": ({**HELLO, "temprature": 1}, "no field 'temprature'", "temprature"),
    "a field twice": ({**HELLO, "seed": 1, "extra_body": {"seed": 2}}, "'seed' stands", "seed"),
    "tools": ({**HELLO, "tools": [{"type": "function"}]}, "Field required", "tools.0.function"),
    "a forced tool": ({**HELLO, "tool_choice": "required"}, "'none' or 'auto'", "tool_choice"),
    "penalties": ({**HELLO, "presence_penalty": 1}, "isn't supported", "presence_penalty"),
    "a temperature": ({**HELLO, "temperature": -1}, "temperature=-1", "temperature"),
    "no token": ({**HELLO, "max_tokens": 0}, "max_tokens=0; it must be a whole", "max_tokens"),
    "no token, newly": ({**HELLO, "max_tokens": 5, "max_completion_tokens": 0},
                        "max_completion_tokens=0; it must be a whole", "max_completion_tokens"),
    "a stop": ({**HELLO, "choices": ["a", ""]}, "choices[1] is ''", "choices"),
    "a method of nothing": ({**HELLO, "choice_method": "likelihood"}, "'choices'", "choice_method"),
    "a stream's options": ({**HELLO, "stream_options": {"include_usage": True}},
                           "'stream_options' needs 'stream': true", "stream_options"),
    "options of no stream": ({**HELLO, "stream": False, "stream_options": {}},
                             "'stream_options' needs 'stream': true", "stream_options"),
    "probabilities of nothing": ({**HELLO, "top_logprobs": 2}, "needs 'logprobs'", "top_logprobs"),
    "infinity": (json.dumps({**HELLO, "temperature": float("inf")}).encode(), "", None),
    "a text for a number": ({**HELLO, "seed": "1"}, "seed", "seed"),
    "a negative seed": ({**HELLO, "seed": -1}, "seed", "seed"),
    "a huge seed": ({**HELLO, "seed": 2**80}, "seed", "seed"),
    "many choices": ({**HELLO, "n": 9}, "the limit is 8", "n"),
    "no choices": ({**HELLO, "n": 0}, "n", "n"),
    "a role": ({"model": "nano", "messages": [{"role": "robot", "content": "x"}]},
               "no role 'robot'", "messages.0"),
    "no content": ({"model": "nano", "messages": [{"role": "user"}]}, "no content", "messages.0"),
    "steps": ({**HELLO, "steps": 0}, "steps=0; it must be", "steps"),
    "steps of one": ({**HELLO, "steps": 5, "sampling": {"image": {"steps": 0}}},
                     "sampling of 'image': steps=0; it must be", "sampling"),
    "a height": ({**HELLO, "height": 3}, "height=3; it must be", "height"),
    "many pixels to make": ({**HELLO, "height": 512, "width": 512}, "the limit of this", "height"),
    "a modality of a setting": ({**HELLO, "frames": 9}, "'frames'", "frames"),
    "strength of nothing": ({**HELLO, "strength": 0.5}, "strength=0.5 is about a ref", "strength"),
    "strength without a source": (
        message(image(GOOD), strength=0.5, references={"image": []}),
        "no image or audio or video to be one",
        "strength"),
    "strength of an image": ({**HELLO, "sampling": {"image": {"strength": 0.5}}},
                             "sampling of 'image': strength=0.5 is about", "sampling"),
    "a modality": ({**HELLO, "sampling": {"smell": {}}}, "makes no 'smell'", None),
    "too long": (message({"type": "text", "text": "hello " * 2_000}), "positions", None),
    "an unknown part": (message({"type": "smell", "smell": "x"}), "smell", "messages.0.content.0"),
    "no base64": (message(image("data:image/png;base64,%%%")), "no base64", "messages.0.content.0"),
    "garbage": (message(image(data_uri("image/png", b"\0" * 50))), "", "messages.0.content.0"),
    "empty": (message(image("data:image/png;base64,")), "empty", "messages.0.content.0"),
    "half a picture": (message(image(GOOD[: len(GOOD) // 2 // 4 * 4 + 2])), "",
                       "messages.0.content.0"),
    "many pixels": (message(image(data_uri("image/png", picture(size=128).encode(".png")))),
                    "over the limit", "messages.0.content.0"),
    "many media": (message(*[image(GOOD)] * 33), "33 media", "messages"),
    "a file": (message(image("/etc/passwd")), "names a file", "messages.0.content.0"),
    "a file's URL": (message(image("file:///etc/passwd")), "names a file", "messages.0.content.0"),
    "a path": (message({"type": "image", "image": {"path": "/etc/passwd"}}), "names a file",
               "messages.0.content.0"),
    "a forbidden host": (message(image("https://example.org/a.png")), "fetches nothing from",
                         "messages.0.content.0"),
    "a private host": (message(image("http://localhost/a.png")), "public Internet",
                       "messages.0.content.0"),
    "an FTP": (message(image("ftp://localhost/a.png")), "remote URL", "messages.0.content.0"),
    "a number as URL": (message(image(5)), "", "messages.0.content.0"),
    "a number as stop": ({**HELLO, "stop": 5}, "valid string, or: Input should be a valid list",
                         "stop"),
    "a list of numbers as stop": ({**HELLO, "stop": ["a", 5]}, "valid string", "stop"),
    "an uploaded file": (message({"type": "file", "file": {"file_id": "x"}}), "in file_data",
                         "messages.0.content.0"),
    "a target": (message({"type": "target", "target": {"modality": "image", "caption": "x"}}),
                 "", "messages.0.content.0"),
    "a sound by its id": ({"model": "nano", "messages": [
        {"role": "assistant", "audio": {"id": "audio-1"}}, *HELLO["messages"]]},
        "not kept by their id", "messages.0"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_request_is_told_what_is_wrong(url: str, case: str) -> None:
    body, says, param = WRONG[case]
    answer = ask(url, CHAT, body)
    assert answer.status == 400, answer.text
    error = answer.error
    assert error["type"] == "invalid_request_error" and says in error["message"]
    if param is not None:
        assert error["param"] == param
    told = answer.text.decode()
    assert str(ROOT) not in told and "Traceback" not in told
    assert "Limits(" not in told and "--limit" not in told, "a client can't allow more"


def test_a_stream_that_is_refused_has_a_status_of_its_own(url: str) -> None:
    for text, says in (("hello " * 2_000, "positions"), ("x" * 150_000, "150,000 characters")):
        answer = ask(url, CHAT, message({"type": "text", "text": text}, stream=True))
        assert answer.status == 400 and says in answer.error["message"]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused(url: str, chunked: bool) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    body: Any = iter([b"x" * 1000] * 300) if chunked else b"x" * 300_000
    connection.request(
        "POST", CHAT, body, {"Content-Type": "application/json"}, encode_chunked=chunked
    )
    answer = Answer(connection.getresponse())
    assert answer.status == 413 and "195.3 KiB" not in answer.error["message"]
    assert answer.error["code"] == "body_too_large"
    connection.close()


def test_unknown_paths_models_and_methods(url: str) -> None:
    assert ask(url, CHAT, {**HELLO, "model": "../../etc"}).error["code"] == "model_not_found"
    assert ask(url, CHAT, {**HELLO, "model": "../../etc"}).status == 404
    answer = ask(url, "/v1/nothing")
    assert answer.status == 404 and "no endpoint /v1/nothing; /open" in answer.error["message"]
    answer = ask(url, CHAT)
    assert answer.status == 405 and "takes no GET, but POST" in answer.error["message"]
    assert "/v1/chat/completions" in ask(url, "/openapi.json").json["paths"]


def test_fields_that_say_nothing_of_the_answer_are_taken(url: str) -> None:
    """As Open WebUI, LibreChat and LM Studio send them."""
    more = {"user": "me", "metadata": {"a": "b"}, "store": False, "frequency_penalty": 0,
            "presence_penalty": 0.0, "logit_bias": {}, "n": 1, "tools": [], "tool_choice": "auto",
            "response_format": {"type": "text"}, "stop": None, "max_tokens": 20,
            "stream": False, "stream_options": None}  # fmt: skip
    system = {"role": "developer", "content": ""}
    answer = ask(url, CHAT, {**HELLO, "messages": [system, *HELLO["messages"]], **more})
    assert answer.status == 200, answer.text


def test_other_endpoints_refuse_too(url: str) -> None:
    assert ask(url, "/v1/images/generations", {"prompt": " "}).status == 400
    assert ask(url, "/v1/completions", {"model": "nano", "prompt": []}).status == 400
    assert ask(url, "/v1/completions", {"model": "nano", "prompt": ""}).status == 400
    silent = ask(url, "/v1/completions", {"model": "nano", "prompt": "a", "steps": 3})
    assert silent.status == 400 and silent.error["param"] == "steps", "it makes no media"
    assert (
        ask(url, "/v1/embeddings", {"model": "nano", "input": [image("/etc/passwd")]}).status == 400
    )
    assert ask(url, "/v1/embeddings", {"model": "nano", "input": []}).status == 400
    no_object = ask(url, CHAT, ["x"])
    assert (
        no_object.status == 400 and "Content-Type: application/json" in no_object.error["message"]
    )
    search = ask(url, "/v1/responses", {"model": "nano", "input": "x",
                                        "tools": [{"type": "web_search"}]})  # fmt: skip
    assert search.status == 400 and search.error["param"] == "tools.0"
    assert "'web_search'; served are 'function', 'image_generation'" in search.error["message"]


RESPONSES, IMAGES = "/v1/responses", "/v1/images/generations"


def said(*parts: Any, role: str = "user") -> dict[str, Any]:
    return {"role": role, "content": list(parts)}


INPUTS: dict[str, tuple[Any, str, str]] = {
    "none": ([], "no messages", "input"),
    "a text too long": ("hello " * 2_000, "positions", ""),
    "a role": ([said("x", role="robot")], "no role 'robot'", "input.0"),
    "an item": ([said("x"), {"type": "smell"}], "'smell'", "input.1"),
    "a part": ([said("x"), said("x", image("data:image/png;base64,%%%"))], "no base64",
               "input.1.content.1"),
    "a part of a reply": (
        [said("x"), said("a", role="assistant"), said("b", {"type": "smell"}, role="assistant"),
         said("x")], "smell", "input.2.content.1"),
    "an image call": ([said("x"), {"type": "image_generation_call", "result": "%%"}, said("x")],
                      "base64", "input.1.result"),
    "an output": ([said("x"), {"type": "function_call_output", "output": [5]}], "",
                  "input.1.output.0"),
    "many media": ([said(*[image(GOOD)] * 33)], "33 media", "input"),
}  # fmt: skip


@pytest.mark.parametrize("case", INPUTS)
def test_responses_tell_places_of_their_own_field(url: str, case: str) -> None:
    items, says, param = INPUTS[case]
    body = {"model": "nano", "input": items, **({"instructions": "be brief"} if items else {})}
    answer = ask(url, RESPONSES, body)
    assert answer.status == 400, answer.text
    assert says in answer.error["message"] and "messages." not in answer.error["message"]
    assert (answer.error["param"] or "") == param


@pytest.mark.parametrize(
    ("path", "more", "says", "param"),
    [
        (RESPONSES, {"max_output_tokens": 0}, "max_output_tokens=0; it must", "max_output_tokens"),
        (RESPONSES, {"stream_options": {}}, "'stream_options' needs 'stream'", "stream_options"),
        (RESPONSES, {"top_logprobs": 2}, "'top_logprobs' needs 'include'", "top_logprobs"),
        (RESPONSES, {"strength": 0.5}, "strength=0.5 is about a reference", "strength"),
        ("/v1/completions", {"max_tokens": -5}, "max_tokens=-5; it must be", "max_tokens"),
        ("/v1/completions", {"stream_options": {}}, "needs 'stream': true", "stream_options"),
        (IMAGES, {"strength": 0.5}, "strength=0.5 is about a reference", "strength"),
        (IMAGES, {"guidance": -1}, "guidance=-1.0; it must be", "guidance"),
        ("/v1/videos", {"strength": 0.5}, "strength=0.5 is about a reference", "strength"),
        ("/v1/videos", {"references": {"video": 3}}, "medium 3 of 0", "references"),
        ("/v1/audio/generate", {"seed": 2**80}, "seed=", "seed"),
    ],
)
def test_every_endpoint_tells_its_own_fields(
    url: str, path: str, more: dict[str, Any], says: str, param: str
) -> None:
    field = {RESPONSES: "input", "/v1/audio/generate": "input"}.get(path, "prompt")
    answer = ask(url, path, {"model": "nano", field: "a ball", **more})
    assert answer.status == 400, answer.text
    assert says in answer.error["message"] and "max_new_tokens" not in answer.error["message"]
    assert answer.error["param"] == param


def test_health_and_metrics(url: str) -> None:
    assert ask(url, "/health").json == {"status": "ok"}
    assert ask(url, "/ready").json == {"status": "ready"}
    ask(url, CHAT, HELLO)
    ask(url, "/v1/images/generations", {"prompt": "a ball", "steps": 1})
    page = ask(url, "/metrics").text.decode()
    for line in (
        f'anymodal_requests_total{{path="{CHAT}",status="200"}}',
        'anymodal_tokens_total{kind="completion",model="nano"}',
        'anymodal_media_total{modality="image",model="nano"}',
        'anymodal_requests_running{model="nano"} 0.0',
        'anymodal_requests_waiting{model="nano",stage="text"} 0.0',
        'anymodal_requests_waiting{model="nano",stage="image"} 0.0',
        "anymodal_time_to_first_token_seconds_count",
        "process_resident_memory_bytes",
    ):
        assert line in page, line
    assert "nothing" not in page, "paths that clients make up are no labels"


def test_the_server_outlives_connections_that_break_off(url: str) -> None:
    host, port = urlsplit(url).hostname, urlsplit(url).port
    for data in (
        b"",
        b"\0\0\0",
        b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 10\r\n\r\n{",
    ):
        with socket.create_connection((host, port), timeout=5) as connection:
            connection.sendall(data)
    assert ask(url, CHAT, HELLO).status == 200


def test_embeddings_that_find_no_memory_are_halved(model: AnyModal, url: str) -> None:
    batches: list[int] = []
    most = 2

    def fail(_module: Any, args: Any) -> None:
        batches.append(len(args[0]))
        if len(args[0]) > most:
            raise torch.OutOfMemoryError("no room")

    encoder = model.encoders["image"]
    embed, body = encoder.embed, {"model": "nano", "input": [image(GOOD)] * 5}
    expected = ask(url, "/v1/embeddings", body).json["data"]

    def embed_few(inputs: Any) -> Any:
        fail(encoder, (inputs,))
        return embed(inputs)

    encoder.embed = embed_few  # type: ignore[method-assign]
    try:
        halved = ask(url, "/v1/embeddings", body).json["data"]
        assert max(batches) == 5 and len(halved) == 5
        for one, other in zip(halved, expected, strict=True):
            assert one["embedding"] == pytest.approx(other["embedding"], abs=1e-5)
        most = 0
        answer = ask(url, "/v1/embeddings", body)
        assert answer.status == 503 and answer.error["code"] == "out_of_memory"
        assert ask(url, CHAT, HELLO).status == 200
    finally:
        encoder.embed = embed  # type: ignore[method-assign]


def test_a_request_that_takes_too_long(model: AnyModal) -> None:
    with serving([model_to_serve(model, timeout=0.3)]) as url:
        answer = ask(url, "/v1/images/generations", {"prompt": "a ball", "steps": 900})
        assert answer.status == 504 and answer.error["code"] == "timeout"


def test_a_fault_is_told_by_its_number_alone(model: AnyModal) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError(f"secrets of {ROOT}")

    hook = model.decoders["image"].family.network.register_forward_pre_hook(fail)
    try:
        with serving([model_to_serve(model)]) as url:
            answer = ask(url, "/v1/images/generations", {"prompt": "a ball", "n": 3})
            assert answer.status == 500 and re.search(
                r"log has it as \w{8}", answer.error["message"]
            )
            assert b"secret" not in answer.text
            drawing = message({"type": "text", "text": "draw a small blue ball"}, stream=True)
            events = [line for line in ask(url, CHAT, drawing).text.decode().splitlines() if line]
            assert (
                "its log has it"
                in json.loads(events[-1].removeprefix("data: "))["error"]["message"]
            )
            assert ask(url, CHAT, HELLO).status == 200
    finally:
        hook.remove()


def test_two_models_of_one_name_are_refused(model: AnyModal) -> None:
    from anymodal.serving.api.app import create_app

    models = [model_to_serve(model), model_to_serve(model)]
    with pytest.raises(ValueError, match="two models have one name"):
        create_app(models)
    for each in models:
        each.close()


def test_the_command_serves_until_it_is_told_to_end(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "anymodal", "serve", "small=nano", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--limit", "max_pixels=100", "--max-body", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(r"serving small at (http://127\.0\.0\.1:\d+)/v1\n", line)
        assert found, line + (process.stderr.read() if process.stderr else "")
        assert ask(found[1], CHAT, {**HELLO, "model": "small"}).status == 200
        assert ask(found[1], CHAT, message(image(GOOD), model="small")).status == 400
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--port", "70000"], "is no port"),
        (["--timeout", "-1"], "timeout=-1"),
        (["--api-keys", "no/such/file"], "No such file"),
        (["no/such/model"], "no/such/model"),
        (["--limit", "max_smell=1"], "max_smell"),
        (["--keep", "0"], "job_seconds=0"),
    ],
)
def test_a_wrong_command_line_is_told(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from anymodal.cli.command_line import main

    assert main(["serve", *arguments]) == 2
    assert says in capsys.readouterr().err
