"""An operator's own filter sees every text and medium, in and out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import openai
import pytest

from anymodal.media import Image, Media
from anymodal.media.base import data_uri
from anymodal.model import AnyModal
from anymodal.serving.content_filter import Direction, load_filter
from tests.support.serving import model_to_serve, serving
from tests.support.tiny import picture

DRAW = "draw a small blue ball"
QUICK: dict[str, Any] = {"steps": 2, "guidance": 1.0, "seed": 3}
SEEN: list[tuple[object, Direction]] = []
RULES: dict[str, Any] = {}


def decide(item: str | Media, direction: Direction) -> str | None:
    SEEN.append((item, direction))
    rule = RULES.get(direction)
    return rule(item) if rule else None


@pytest.fixture(autouse=True)
def _no_rules() -> Iterator[None]:
    SEEN.clear()
    RULES.clear()
    yield


@pytest.fixture(scope="module")
def client() -> Iterator[openai.OpenAI]:
    model = AnyModal.from_pretrained("nano")
    with serving([model_to_serve(model, content_filter=decide)]) as url:
        with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
            yield client


def chat(client: openai.OpenAI, content: Any = DRAW, **more: Any) -> Any:
    return client.chat.completions.create(
        model="nano", messages=[{"role": "user", "content": content}], extra_body=QUICK, **more
    )


def test_it_sees_what_goes_in_and_out(client: openai.OpenAI) -> None:
    text = chat(client).choices[0].message.content
    assert SEEN[0] == (DRAW, "in")
    assert SEEN[-2] == (text, "out") or SEEN[-1] == (text, "out")
    assert sum(isinstance(item, Image) for item, _ in SEEN) == 1
    SEEN.clear()
    url = data_uri("image/png", picture().encode(".png"))
    part = {"type": "image_url", "image_url": {"url": url}}
    chat(client, [part, {"type": "text", "text": "what is this?"}])
    assert isinstance(SEEN[0][0], Image) and SEEN[1] == ("what is this?", "in")
    client.completions.create(model="nano", prompt="hel", max_tokens=2)
    assert ("hel", "in") in SEEN
    client.embeddings.create(model="nano", input=[part])  # type: ignore[list-item]
    assert isinstance(SEEN[-1][0], Image) and SEEN[-1][1] == "in"


@pytest.mark.parametrize("direction", ["in", "out"])
def test_what_may_not_pass_is_refused(client: openai.OpenAI, direction: str) -> None:
    RULES[direction] = lambda item: "no balls here" if "ball" in str(item) else None
    with pytest.raises(openai.BadRequestError, match="refuses this: no balls here") as refused:
        chat(client)
    assert refused.value.code == "content_filter"
    told = ""
    with pytest.raises(openai.APIError, match="no balls here"):
        for chunk in chat(client, stream=True):
            told += chunk.choices[0].delta.content or ""
    assert "ball" not in told


def test_a_medium_may_not_pass(client: openai.OpenAI) -> None:
    RULES["out"] = lambda item: "no image" if isinstance(item, Image) else None
    with pytest.raises(openai.BadRequestError, match="no image"):
        client.images.generate(model="nano", prompt="a ball", extra_body=QUICK)
    RULES["in"] = lambda item: "nothing black" if _is_black(item) else None
    black = Image(np.zeros((16, 16, 3), np.uint8)).encode(".png")
    with pytest.raises(openai.BadRequestError, match="nothing black"):
        client.images.edit(model="nano", image=black, prompt="a ball", extra_body=QUICK)


def _is_black(item: object) -> bool:
    return isinstance(item, Image) and not item.pixels.any()


def test_texts_of_settings_are_seen(client: openai.OpenAI) -> None:
    RULES["in"] = lambda item: "no blood" if item == "blood" else None
    for more in ({"negative_prompt": "blood", "guidance": 2.0}, {"choices": ["blood", "milk"]}):
        with pytest.raises(openai.BadRequestError, match="no blood"):
            client.chat.completions.create(
                model="nano", messages=[{"role": "user", "content": "hello"}], extra_body=more
            )


def test_a_filter_that_fails_lets_nothing_pass(client: openai.OpenAI) -> None:
    RULES["in"] = lambda item: item["no such"]
    with pytest.raises(openai.InternalServerError, match="its log has it"):
        chat(client)
    RULES.clear()
    assert chat(client, "hello").choices[0].message.content


def test_a_filter_is_named_by_module_and_function() -> None:
    assert load_filter("tests.serving.test_content_filter:decide").__name__ == "decide"  # type: ignore[attr-defined]
    for name in ("no.such:thing", "anymodal:no_such", "decide", ":", "anymodal:__version__"):
        with pytest.raises(ValueError, match="MODULE:FUNCTION|can't be called"):
            load_filter(name)
