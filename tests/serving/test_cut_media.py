"""Clients are told which recordings a model reads the beginning of."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from anymodal.media import Audio
from anymodal.media.base import data_uri
from anymodal.model import AnyModal
from anymodal.serving.client import remote_reply
from anymodal.serving.client.http_client import ServerClient
from anymodal.serving.client.remote_model import RemoteModel
from anymodal.serving.mcp.files import SharedFolder
from anymodal.serving.mcp.model_tools import ModelTools
from tests.support.api_client import CHAT, ask, message
from tests.support.random_media import noise
from tests.support.serving import model_to_serve, serving

LONG, SHORT = Audio(noise(1, 80_000), 16_000), Audio(noise(1, 16_000), 16_000)
TOLD = (
    "audio of 5.0 s: its encoder reads the first 2.00 s, the rest is left out; send the part that "
    "matters, or pieces one by one"
)


@pytest.fixture(scope="module")
def model() -> AnyModal:
    return AnyModal.from_pretrained("nano")


@pytest.fixture(scope="module")
def url(model: AnyModal) -> Iterator[str]:
    with serving([model_to_serve(model)]) as url:
        yield url


def part(sound: Audio) -> dict[str, Any]:
    link = data_uri("audio/wav", sound.encode(".wav"))
    return {"type": "audio_url", "audio_url": {"url": link}}


def warning(place: str) -> dict[str, str]:
    return {"message": TOLD, "param": place, "code": "recording_cut"}


ASKED = {"type": "text", "text": "what is this?"}


def test_a_chat_names_the_part_each_time(url: str) -> None:
    body = message(part(SHORT), ASKED, part(LONG), max_tokens=4)
    for _ in range(2):  # its soft tokens are kept, and who asks may be another
        assert ask(url, CHAT, body).json["warnings"] == [warning("messages.0.content.2")]
    lines = ask(url, CHAT, {**body, "stream": True}).text.decode().split("\n\n")
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines if "{" in line]
    assert [each for each in chunks if "warnings" in each] == chunks[:1]
    assert chunks[0]["warnings"] == [warning("messages.0.content.2")]
    assert "warnings" not in ask(url, CHAT, message(part(SHORT), ASKED, max_tokens=4)).json


def test_what_a_model_is_not_shown_is_not_told_of(url: str, model: AnyModal) -> None:
    assert model.history_turns is not None
    first = message(part(LONG), ASKED, max_tokens=4)
    turn = [{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]
    later = {**first, "messages": [*first["messages"], *turn * (2 * model.history_turns)]}
    assert "warnings" not in ask(url, CHAT, later).json


def test_other_endpoints_tell_it_too(url: str) -> None:
    items = [{"role": "user", "content": [ASKED, part(LONG)]}]
    body = {"model": "nano", "input": items, "max_output_tokens": 4}
    assert ask(url, "/v1/responses", body).json["warnings"] == [warning("input.0.content.1")]
    vectors = ask(url, "/v1/embeddings", {"model": "nano", "input": [part(SHORT), part(LONG)]}).json
    assert vectors["warnings"] == [warning("input.1")]
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none")
    file = ("a.wav", LONG.encode(".wav"))
    answer: Any = client.audio.transcriptions.create(model="nano", file=file)
    assert answer.warnings == [warning("file")]
    stream = client.audio.transcriptions.create(model="nano", file=file, stream=True)
    *_, last = stream
    assert last.type == "transcript.text.done" and last.warnings == [warning("file")]


def test_a_remote_model_warns_once(url: str, caplog: pytest.LogCaptureFixture) -> None:
    remote = RemoteModel(ServerClient(url))
    remote_reply._warn.cache_clear()
    caplog.set_level(logging.WARNING, "anymodal")
    for _ in range(2):
        list(remote.stream(["what is this?", LONG], max_new_tokens=4))
    assert [each.getMessage() for each in caplog.records].count(TOLD) == 1


def test_an_agent_is_told(model: AnyModal, tmp_path: Path) -> None:
    LONG.save(tmp_path / "a.wav")
    served = model_to_serve(model)

    async def report(*_: object) -> None:
        pass

    try:
        tools = ModelTools(served, SharedFolder(tmp_path))
        arguments = {"file": "a.wav", "max_new_tokens": 4}
        _, note = asyncio.run(tools.call("hear", arguments, report))
    finally:
        served.close()
    assert note == TOLD
