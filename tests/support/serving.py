"""A server in a thread, on a free port of this machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import openai
import uvicorn
from openai._legacy_response import HttpxBinaryResponseContent

from anymodal.model import AnyModal
from anymodal.serving.api.app import create_app
from anymodal.serving.api.settings import ServerSettings
from anymodal.serving.engine import EngineSettings
from anymodal.serving.model_source import ModelSource
from anymodal.serving.served import ServedModel


@contextmanager
def serving(
    models: Sequence[ServedModel | ModelSource], settings: ServerSettings | None = None
) -> Iterator[str]:
    """Serve models, and close them in the end; gives the server's URL."""
    config = uvicorn.Config(
        create_app(models, settings), "127.0.0.1", 0, log_level="error", timeout_graceful_shutdown=1
    )
    server, listener = uvicorn.Server(config), config.bind_socket()
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    end = time.monotonic() + 30
    while not server.started and time.monotonic() < end:
        time.sleep(0.01)
    assert server.started, "the server doesn't start"
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive(), "the server doesn't end"


def make_sound(client: openai.OpenAI, **body: Any) -> HttpxBinaryResponseContent:
    """The answer of `/v1/audio/generate`, which OpenAI doesn't have, to its client."""
    body = {"model": "nano", "steps": 2, "guidance": 1.0, **body}
    return client.post("/audio/generate", body=body, cast_to=HttpxBinaryResponseContent)


def model_to_serve(model: AnyModal, name: str = "nano", **settings: Any) -> ServedModel:
    """A model to serve."""
    return ServedModel(name, model, None, EngineSettings(**settings))
