"""Answers among choices and JSON schemas of an enum, by the official client."""

from __future__ import annotations

import enum
import json
from collections.abc import Iterator
from typing import Any, Literal

import openai
import pytest
from pydantic import BaseModel

from anymodal.model import AnyModal
from tests.support.serving import model_to_serve, serving
from tests.support.tiny import tiny_model

CHOICES = ["This is a ball.", "Hello!", "Hello! Hello!"]
HELLO: Any = {"model": "tiny", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture(scope="module")
def model() -> AnyModal:
    return tiny_model()


@pytest.fixture(scope="module")
def client(model: AnyModal) -> Iterator[openai.OpenAI]:
    with serving([model_to_serve(model, "tiny")]) as url:
        with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
            yield client


def schema(node: Any) -> Any:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": node}}


@pytest.mark.parametrize("method", ["likelihood", "constrained"])
def test_a_reply_is_one_of_the_choices_as_in_python(
    client: openai.OpenAI, model: AnyModal, method: str
) -> None:
    fields = {"choices": CHOICES, "choice_method": method}
    answer = client.chat.completions.create(**HELLO, extra_body=fields)
    message = answer.choices[0].message
    alone = model.chat("hello", choices=CHOICES, choice_method=method)
    assert message.content == alone.text == "Hello!"
    told = message.model_extra["choices"]
    assert [each["text"] for each in told] == CHOICES
    for each, expected in zip(told, alone.choices, strict=True):
        assert each["probability"] == pytest.approx(expected.probability, abs=1e-5)
    # A reply that is sent back whole is a turn like any other.
    history = [*HELLO["messages"], message, {"role": "user", "content": "hello"}]
    again = client.chat.completions.create(model="tiny", messages=history, extra_body=fields)
    assert again.choices[0].message.content in CHOICES


def test_choices_are_streamed(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(**HELLO, extra_body={"choices": CHOICES}, stream=True)
    )
    deltas = [chunk.choices[0].delta for chunk in chunks]
    assert "".join(delta.content or "" for delta in deltas) == "Hello!"
    assert [each["text"] for each in deltas[-1].model_extra["choices"]] == CHOICES


class Greeting(enum.Enum):
    BALL = "This is a ball."
    HELLO = "Hello!"


class ByClass(BaseModel):
    greeting: Greeting


class ByLiteral(BaseModel):
    greeting: Literal["This is a ball.", "Hello!"]


@pytest.mark.parametrize("kind", [ByClass, ByLiteral])
def test_the_client_parses_an_enum(client: openai.OpenAI, kind: type[BaseModel]) -> None:
    answer = client.chat.completions.parse(**HELLO, response_format=kind)
    parsed: Any = answer.choices[0].message.parsed
    assert parsed in (ByClass(greeting=Greeting.HELLO), ByLiteral(greeting="Hello!"))
    with client.chat.completions.stream(**HELLO, response_format=kind) as stream:
        assert stream.get_final_completion().choices[0].message.parsed == parsed


def test_a_schema_may_be_the_enum_itself(client: openai.OpenAI) -> None:
    root = schema({"enum": ["Hello!", 3, None]})
    answer = client.chat.completions.create(**HELLO, response_format=root)
    assert json.loads(answer.choices[0].message.content or "") == "Hello!"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"choices": []}, "0 choices; give 1 to 1000"),
        ({"choices": ["a", "a"]}, "there twice"),
        ({"choices": ["a"], "choice_method": "best"}, "choice_method='best'; it is one of"),
        ({"choices": ["a"], "stop": "b"}, "'stop' has no effect"),
        ({"choices": ["a"], "logprobs": True}, "'logprobs' has no effect"),
        ({"choices": ["a"], "response_format": schema({"enum": ["a"]})}, "give 'choices' or"),
        ({"response_format": {"type": "json_object"}}, "is served where it is an enum"),
        ({"response_format": schema({"type": "object", "properties": {}})}, "is an enum"),
        ({"response_format": schema({"enum": ["1", 1]})}, "the same text"),
        ({"response_format": schema({"type": "object", "properties": {"a": 1}})}, "is an enum"),
    ],
)
def test_what_asks_for_no_choice_is_refused(
    client: openai.OpenAI, fields: dict[str, Any], says: str
) -> None:
    with pytest.raises(openai.BadRequestError, match=says):
        client.chat.completions.create(**HELLO, extra_body=fields)


def test_a_response_is_one_of_the_choices(client: openai.OpenAI, model: AnyModal) -> None:
    asked: Any = {"model": "tiny", "input": "hello", "extra_body": {"choices": CHOICES}}
    answer = client.responses.create(**asked)
    part: Any = answer.output[0].content[0]  # type: ignore[union-attr]
    assert answer.output_text == "Hello!" and [each["text"] for each in part.choices] == CHOICES
    alone = model.chat("hello", choices=CHOICES)
    for each, expected in zip(part.choices, alone.choices, strict=True):
        assert each["probability"] == pytest.approx(expected.probability, abs=1e-5)
    with client.responses.stream(**asked) as events:
        last: Any = events.get_final_response()
    assert last.output[0].content[0].choices == part.choices
    again = [{"role": "user", "content": "hello"}, *answer.output,
             {"role": "user", "content": "hello"}]  # fmt: skip
    assert client.responses.create(**{**asked, "input": again}).output_text in CHOICES


def test_a_response_is_parsed_as_an_enum(client: openai.OpenAI) -> None:
    asked: Any = {"model": "tiny", "input": "hello"}
    answer = client.responses.parse(**asked, text_format=ByClass)
    assert answer.output_parsed == ByClass(greeting=Greeting.HELLO)
    tool = {"type": "function", "name": "a", "parameters": {"type": "object", "properties": {}}}
    for fields, says in (
        ({"choices": ["a"], "tools": [tool]}, "'tools' has no effect"),
        ({"text": {"format": {"type": "json_object"}}}, "served where it is an enum"),
        ({"choices": ["a"], "text": {"format": {**schema({"enum": ["a"]})["json_schema"],
                                                "type": "json_schema"}}}, "give 'choices' or"),
    ):  # fmt: skip
        with pytest.raises(openai.BadRequestError, match=says):
            client.responses.create(**asked, extra_body=fields)
