"""Other clients: their packages where they are installed, and requests as they send them."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import pytest

from anymodal.media.base import data_uri
from anymodal.model import AnyModal
from anymodal.toybox.render import render_scene
from anymodal.toybox.scene import Scene
from tests.support.scripted import scripted_model
from tests.support.serving import model_to_serve, serving

DUCK = Scene("duck", "orange", "big", "still", "slow")
BELL = Scene("bell", "red", "big", "still", "slow")
QUICK: dict[str, Any] = {"steps": 2, "guidance": 1.0}
TOOL: dict[str, Any] = {"type": "function", "function": {
    "name": "weather", "description": "of a city", "parameters": {"type": "object"}}}  # fmt: skip


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    pieces = ["<tool_call>", '{"name": "weather", "arguments": {"city": "Rome"}}', "</tool_call>"]
    caller = model_to_serve(scripted_model(pieces), "caller")
    with serving([model_to_serve(AnyModal.from_pretrained("nano")), caller]) as url:
        yield f"{url}/v1"


def file_of(scene: Scene, kind: str, suffix: str) -> bytes:
    return render_scene(scene, kind, np.random.default_rng(0)).encode(suffix)


PNG, WAV = file_of(DUCK, "image", ".png"), file_of(BELL, "audio", ".wav")


def post(url: str, path: str, body: dict[str, Any]) -> str:
    headers = {"Content-Type": "application/json", "Authorization": "Bearer none"}
    request = Request(f"{url}{path}", json.dumps(body).encode(), headers)
    with urlopen(request, timeout=60) as response:
        text: str = response.read().decode()
    return text


def text_of(answer: str) -> str:
    """The text of an answer, streamed or not."""
    if not answer.startswith("data:"):
        return json.loads(answer)["choices"][0]["message"]["content"] or ""
    lines = [line.removeprefix("data: ") for line in answer.splitlines() if line]
    assert lines[-1] == "[DONE]"
    chunks = [json.loads(line) for line in lines[:-1]]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


IMAGE = {"type": "image_url", "image_url": {"url": data_uri("image/png", PNG)}}
TITLE = (
    "### Task:\nGenerate a concise title with an emoji.\n### Output:\nJSON format: "
    '{ "title": "…" }\n### Chat History:\n<chat_history>\nUSER: hello\n</chat_history>'
)
REQUESTS: dict[str, dict[str, Any]] = {
    "Open WebUI, a chat": {
        "stream": True, "model": "nano", "temperature": 0.8, "top_p": 0.9, "seed": 0,
        "max_tokens": 16, "stop": ["<end>"], "frequency_penalty": 0, "presence_penalty": 0,
        "stream_options": {"include_usage": True},
        "messages": [{"role": "system", "content": ""}, {"role": "user", "content": "hello"}]},
    "Open WebUI, an image": {
        "stream": True, "model": "nano", "messages": [{"role": "user", "content": [
            {"type": "text", "text": "what is this?"}, IMAGE]}]},
    "Open WebUI, a title": {
        "model": "nano", "stream": False, "max_completion_tokens": 1000,
        "messages": [{"role": "user", "content": TITLE}],
        "metadata": {"task": "title_generation", "task_body": {"model": "nano"}, "chat_id": "1"}},
    "LibreChat, a chat": {
        "model": "nano", "user": "LibreChat_User_ID", "stream": True, "temperature": 1, "top_p": 1,
        "presence_penalty": 0, "frequency_penalty": 0, "messages": [
            {"role": "user", "content": "hello"},
            {"role": "assistant", "content": [{"type": "text", "text": "Hello!"}]},
            {"role": "user", "content": [
                {"type": "text", "text": "what is this?"},
                {**IMAGE, "image_url": {**IMAGE["image_url"], "detail": "auto"}}]}]},  # type: ignore[dict-item]
    "LibreChat, a title": {
        "model": "nano", "user": "LibreChat_User_ID", "temperature": 0.2, "presence_penalty": 0,
        "frequency_penalty": 0, "max_tokens": 16, "stream": False,
        "messages": [{"role": "system", "content": "Please generate a short title.\n\n||>User:\n"
                      "\"hello\"\n||>Response:\n\"Hello!\"\n\n||>Title:"}]},
    "LM Studio": {
        "model": "nano", "messages": [{"role": "system", "content": "Be brief."},
                                      {"role": "user", "content": "hello"}],
        "temperature": 0.7, "max_tokens": -1, "stream": True, "ttl": 300, "repeat_penalty": 1.1,
        "top_k": 40, "min_p": 0.05},
}  # fmt: skip


@pytest.mark.parametrize("name", REQUESTS)
def test_requests_as_other_programs_send_them(url: str, name: str) -> None:
    answer = post(url, "/chat/completions", REQUESTS[name])
    assert text_of(answer)
    if "image" in name:
        assert "duck" in text_of(answer)
    if REQUESTS[name].get("stream_options"):
        assert '"usage":{"prompt_tokens"' in answer


def test_open_webui_asks_by_responses(url: str) -> None:
    shown = [{"type": "input_text", "text": "what is this?"},
             {"type": "input_image", "image_url": IMAGE["image_url"]["url"]}]  # fmt: skip
    said = [{"type": "output_text", "text": "Hello!"}]
    body = {"model": "nano", "stream": False, "instructions": "Be brief.", "max_output_tokens": 32,
            "input": [{"type": "message", "role": "user",
                       "content": [{"type": "input_text", "text": "hello"}]},
                      {"type": "message", "role": "assistant", "content": said},
                      {"type": "message", "role": "user", "content": shown}]}  # fmt: skip
    items = json.loads(post(url, "/responses", body))["output"]
    assert "duck" in items[0]["content"][0]["text"]


def test_open_webui_makes_images(url: str) -> None:
    for size in ({"size": "auto"}, {"size": "64x64"}, {}):
        body = {"model": "nano", "prompt": "a ball", "n": 1, "response_format": "b64_json", **size}
        assert json.loads(post(url, "/images/generations", {**body, **QUICK}))["data"][0][
            "b64_json"
        ]


def test_langchain(url: str) -> None:
    langchain = pytest.importorskip("langchain_openai")
    messages = pytest.importorskip("langchain_core.messages")
    model = langchain.ChatOpenAI(base_url=url, api_key="none", model="nano", max_retries=0)
    text = model.invoke("hello").content
    assert text and "".join(chunk.content for chunk in model.stream("hello")) == text
    for kind, mime, data, word in (("image", "image/png", PNG, "duck"),
                                   ("audio", "audio/wav", WAV, "bell")):  # fmt: skip
        part = {"type": kind, "base64": b64encode(data).decode(), "mime_type": mime}
        asked = messages.HumanMessage([{"type": "text", "text": "what is this?"}, part])
        assert word in model.invoke([asked]).content
    told = model.bind(logprobs=True, top_logprobs=2, max_tokens=3).invoke("hello")
    assert len(told.response_metadata["logprobs"]["content"]) == 3
    caller = langchain.ChatOpenAI(base_url=url, api_key="none", model="caller", max_retries=0)
    (call,) = caller.bind_tools([TOOL]).invoke("hello").tool_calls
    assert (call["name"], call["args"]) == ("weather", {"city": "Rome"})


def test_litellm(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    litellm = pytest.importorskip("litellm")
    how = {"model": "openai/nano", "api_base": url, "api_key": "none"}
    hello = [{"role": "user", "content": "hello"}]
    text = litellm.completion(messages=hello, **how).choices[0].message.content
    stream = litellm.completion(messages=hello, stream=True, **how)
    assert text and "".join(chunk.choices[0].delta.content or "" for chunk in stream) == text
    shown = [{"role": "user", "content": [IMAGE, {"type": "text", "text": "what is this?"}]}]
    assert "duck" in litellm.completion(messages=shown, **how).choices[0].message.content
    draw = [{"role": "user", "content": "draw a small blue ball"}]
    drawn = litellm.completion(messages=draw, extra_body=QUICK, **how).choices[0].message
    assert drawn.images[0]["image_url"]["url"].startswith("data:image/png;base64,")
    made = litellm.image_generation(prompt="a ball", extra_body=QUICK, **how)
    assert made.data[0].b64_json
