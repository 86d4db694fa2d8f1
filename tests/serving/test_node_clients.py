"""Clients for Node: the packages `openai` and Vercel's `ai`, where NODE_PATH has them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anymodal.media.base import data_uri
from anymodal.model import AnyModal
from anymodal.toybox.render import render_scene
from anymodal.toybox.scene import Scene
from tests.support.scripted import scripted_model
from tests.support.serving import model_to_serve, serving

pytestmark = pytest.mark.extended
SCRIPT = Path(__file__).with_name("node_clients.cjs")
DUCK = Scene("duck", "orange", "big", "still", "slow")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    pieces = ["<tool_call>", '{"name": "weather", "arguments": {"city": "Rome"}}', "</tool_call>"]
    caller = model_to_serve(scripted_model(pieces), "caller")
    with serving([model_to_serve(AnyModal.from_pretrained("nano")), caller]) as url:
        yield f"{url}/v1"


def understood(client: str, url: str) -> dict[str, Any]:
    """What a client made of the server's answers; skips where it isn't installed."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node isn't installed")
    picture = data_uri(
        "image/png", render_scene(DUCK, "image", np.random.default_rng(0)).encode(".png")
    )
    run = subprocess.run(
        [node, SCRIPT, client, url, picture],
        capture_output=True,
        text=True,
        timeout=120,
        env=dict(os.environ),
        check=False,
    )
    if run.returncode == 3:
        pytest.skip(run.stderr.strip())
    assert run.returncode == 0, run.stderr
    answers: dict[str, Any] = json.loads(run.stdout)
    return answers


def test_openai(url: str) -> None:
    answers = understood("openai", url)
    assert answers["models"] == ["nano", "caller"]
    assert "duck" in answers["seen"] and answers["text"] and answers["response"]
    assert answers["usage"] > 0 and answers["vector"] > 0
    assert answers["image"].startswith("iVBORw0KGgo"), "a PNG's first bytes in base64"
    assert answers["drawn"] == ["data:image/png;base64,"] and answers["images"] == 1
    assert answers["call"] == {"name": "weather", "arguments": '{"city": "Rome"}'}
    assert {"response.output_text.delta", "response.image_generation_call.completed",
            "response.completed"} <= {*answers["events"]}  # fmt: skip
    assert answers["refusal"] == {"status": 400, "name": "BadRequestError"}


def test_vercel(url: str) -> None:
    answers = understood("vercel", url)
    assert "duck" in answers["seen"] and answers["text"]
    assert answers["finish"] == "stop" and answers["usage"] > 0
    assert answers["results"] == ["sunny in Rome"] and answers["image"] == ["image/png"]
