"""A real Ray cluster on this machine: replicas killed, added and taken over under load.

With everything on two cores, `RAY_worker_niceness=0` keeps replicas from waiting behind other work.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from anymodal.media import Image, load
from anymodal.model import AnyModal
from anymodal.serving.admission import EngineSettings
from anymodal.serving.api.settings import ServerSettings
from anymodal.serving.cluster.applications import MODEL_PREFIX
from anymodal.serving.cluster.deploying import connect, deploy
from anymodal.serving.cluster.scale import Scales
from anymodal.serving.model_source import ModelSource
from anymodal.types import Message
from tests.support.tiny import tiny_model

pytestmark = [
    pytest.mark.extended,
    pytest.mark.timeout(900),
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray isn't installed"),
]
STEPS = 12
TEXTS = [
    "hello",
    "what can you do?",
    "who are you?",
    "draw a small blue ball",
    "draw a big red duck",
]
# Media that few tests ask for have no replica until they do.
SCALE = ("image=2", "audio=0-1", "video=0-1")


class Running(NamedTuple):
    """A cluster of this process."""

    port: int
    jobs: Path

    def deploy(self, path: str, *scale: str) -> None:
        source = ModelSource("nano", path, device="cpu", settings=EngineSettings(timeout=120))
        settings = ServerSettings(data_folder=self.jobs)
        deploy([source], settings, Scales(scale), "127.0.0.1", self.port)

    def ask(self, path: str, body: dict[str, Any] | None = None) -> bytes:
        url = f"http://127.0.0.1:{self.port}{path}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=120) as answer:
            whole: bytes = answer.read()
            return whole

    def chat(self, text: str, seed: int = 0, **more: Any) -> dict[str, Any]:
        messages = more.pop("messages", [{"role": "user", "content": text}])
        body = {"model": "nano", "messages": messages, "seed": seed, "steps": STEPS, **more}
        answer: dict[str, Any] = json.loads(self.ask("/v1/chat/completions", body))
        return answer

    def stream(self, text: str, seed: int) -> tuple[str, list[str]]:
        """The text of a streamed reply, and its media's URLs."""
        body = {"model": "nano", "messages": [{"role": "user", "content": text}], "seed": seed,
                "steps": STEPS, "stream": True}  # fmt: skip
        lines = self.ask("/v1/chat/completions", body).decode().split("\n\n")
        assert lines[-2] == "data: [DONE]", lines[-3:]
        chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
        assert not [chunk for chunk in chunks if "error" in chunk]
        deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
        images = [image["image_url"]["url"] for each in deltas for image in each.get("images", ())]
        return "".join(delta.get("content") or "" for delta in deltas), images


def replicas(part: str) -> list[int]:
    """The process ids of a part's replicas."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            title = (folder / "cmdline").read_bytes().split(b"\0")[0].decode()
        except OSError:
            continue
        if title.startswith(f"ray::ServeReplica:{MODEL_PREFIX}") and f":{part}" in title:
            found.append(int(folder.name))
    return found


def wait_for(part: str, count: int) -> list[int]:
    end = time.monotonic() + 120
    while len(found := replicas(part)) != count and time.monotonic() < end:
        time.sleep(0.2)
    assert len(found) == count
    return found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    import ray
    from ray import serve

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    source = ModelSource("nano", "nano")
    assert connect([source], Scales(["language=2", *SCALE])), "another cluster runs here"
    running = Running(port, tmp_path_factory.mktemp("jobs"))
    try:
        running.deploy("nano", *SCALE)
        yield running
    finally:
        serve.shutdown()
        ray.shutdown()


@pytest.fixture(scope="module")
def expected() -> dict[tuple[str, int], Message]:
    model = AnyModal.from_pretrained("nano")
    sampling = {name: {"steps": STEPS} for name in model.decoders}
    return {
        (text, seed): model.chat(text, seed=seed, sampling=sampling)
        for text in TEXTS
        for seed in range(2)
    }


def check(answer: tuple[str, list[str]], own: Message) -> None:
    text, urls = answer
    assert text == own.text and len(urls) == len(own.media)
    for url, medium in zip(urls, own.media, strict=True):
        image = load(urllib.request.urlopen(url).read())
        assert isinstance(image, Image) and isinstance(medium, Image)
        assert np.abs(image.pixels.astype(int) - medium.pixels).max() <= 1


def test_replicas_are_added_to_those_that_are_there(running: Running) -> None:
    (first,) = wait_for("language", 1)
    images = wait_for("image", 2)
    running.deploy("nano", "language=2", *SCALE)
    assert first in wait_for("language", 2)
    assert replicas("image") == images


def test_no_request_is_lost_with_its_replica(
    running: Running, expected: dict[tuple[str, int], Message]
) -> None:
    asked = list(expected) * 8
    under_way = threading.Semaphore(0)

    def ask(text: str, seed: int) -> tuple[str, list[str]]:
        under_way.release()
        return running.stream(text, seed)

    with ThreadPoolExecutor(8) as pool:
        answers: list[Future[tuple[str, list[str]]]] = [pool.submit(ask, *each) for each in asked]
        for part in ("language", "image", "language"):
            for _ in range(16):
                under_way.acquire()
            for process in wait_for(part, 2):  # both, since either may have nothing to do just then
                os.kill(process, signal.SIGKILL)
                time.sleep(1)
        for key, answer in zip(asked, answers, strict=True):
            check(answer.result(), expected[key])
    logs = Path("/tmp/ray/session_latest/logs").glob("worker*.err")
    lines = "".join(path.read_text("utf-8", "replace") for path in logs)
    assert "a reply is begun again" in lines and "image is begun again" in lines


def test_turns_of_a_conversation_find_what_was_computed(running: Running) -> None:
    wait_for("language", 2)
    for number in range(6):
        talk: list[dict[str, Any]] = [{"role": "user", "content": f"hello {number}"}]
        first = running.chat("", messages=talk)
        talk += [first["choices"][0]["message"], {"role": "user", "content": "who are you?"}]
        second = running.chat("", messages=talk)["usage"]
        cached = second["prompt_tokens_details"]["cached_tokens"]
        assert cached >= first["usage"]["prompt_tokens"]


def test_a_part_without_replicas_is_started_and_jobs_are_of_one_replica(running: Running) -> None:
    assert replicas("video") == []
    sampling = {"video": {"steps": 2}}
    body = {"model": "nano", "prompt": "a duck moving left", "seed": 1, "sampling": sampling}
    job = json.loads(running.ask("/v1/videos", body))
    end = time.monotonic() + 120
    while job["status"] in ("queued", "in_progress") and time.monotonic() < end:
        time.sleep(0.5)
        job = json.loads(running.ask(f"/v1/videos/{job['id']}"))
    assert job["status"] == "completed", job
    assert load(running.ask(f"/v1/videos/{job['id']}/content")).kind == "video"


def test_another_checkpoint_takes_over_without_a_lost_request(
    running: Running, expected: dict[tuple[str, int], Message], tmp_path: Path
) -> None:
    from ray import serve

    tiny_model().save_pretrained(tmp_path / "tiny")
    is_over = threading.Event()
    texts: list[str] = []

    def keep_asking(number: int) -> None:
        while not is_over.is_set():
            texts.append(running.stream("hello", 0)[0])
            time.sleep(0.05 * number)

    with ThreadPoolExecutor(5) as pool:
        askers = [pool.submit(keep_asking, number) for number in range(4)]
        # One that takes long, and is answered by the old checkpoint to its end.
        long = pool.submit(running.chat, "draw a small blue ball", steps=400)
        try:
            running.deploy(str(tmp_path / "tiny"), "image=2", "audio=0-1")
        finally:
            is_over.set()
        for asker in askers:
            asker.result()
        message = long.result()["choices"][0]["message"]
    old = expected["hello", 0].text
    assert set(texts) == {old, "Hello!"} and running.stream("hello", 0)[0] == "Hello!"
    assert message["content"] == expected["draw a small blue ball", 0].text and message["images"]
    names = [name for name in serve.status().applications if name.startswith(MODEL_PREFIX)]
    assert len(names) == 1
    assert json.loads(running.ask("/v1/models"))["data"][0]["modalities"]["output"] == [
        "text", "image", "audio"
    ]  # fmt: skip
    assert json.loads(running.ask("/v1/videos"))["data"], "jobs outlast the checkpoint"
