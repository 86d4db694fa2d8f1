"""Calls of tools and log-probabilities, by the official client."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import openai
import pytest
import torch

from anymodal.chat.turn import embed_prompts
from anymodal.language.token_text import token_bytes, token_text
from anymodal.model import AnyModal
from anymodal.types import Message, TextDelta
from tests.support.scripted import scripted_model
from tests.support.serving import model_to_serve, serving
from tests.support.tool_templates import TOOL_TEMPLATES

TOOL: Any = {"type": "function", "function": {
    "name": "weather", "description": "of a city", "parameters": {"type": "object"}}}  # fmt: skip
ROME = '{"name": "weather", "arguments": {"city": "Rome"}}'
PIECES = ["Let me look. ", "<tool_call>", ROME, "</tool_call>", " Done."]


@pytest.fixture(scope="module")
def model() -> AnyModal:
    return AnyModal.from_pretrained("nano")


@pytest.fixture(scope="module")
def client(model: AnyModal) -> Iterator[openai.OpenAI]:
    served = [model_to_serve(model), model_to_serve(scripted_model(PIECES), "caller")]
    with serving(served) as url:
        with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
            yield client


def call(client: openai.OpenAI, **more: Any) -> Any:
    asked: Any = {"messages": [{"role": "user", "content": "a"}], "model": "caller", **more}
    return client.chat.completions.create(tools=[TOOL], **asked)


def test_a_call_is_taken_out_of_the_text(client: openai.OpenAI) -> None:
    (choice,) = call(client).choices
    assert choice.finish_reason == "tool_calls" and choice.message.content == "Let me look. Done."
    (found,) = choice.message.tool_calls
    assert found.type == "function" and found.function.name == "weather"
    assert json.loads(found.function.arguments) == {"city": "Rome"} and found.id
    only = call(client, parallel_tool_calls=False).choices[0]
    assert only.message.content == "Let me look." and len(only.message.tool_calls) == 1
    plain = call(client, tool_choice="none").choices[0]
    assert plain.message.content == "".join(PIECES) and plain.finish_reason == "stop"

    result = {"role": "tool", "tool_call_id": found.id, "content": "sunny"}
    history = [{"role": "user", "content": "a"}, choice.message, result]
    assert call(client, messages=history).choices[0].finish_reason == "tool_calls"


def test_a_call_is_streamed(client: openai.OpenAI) -> None:
    chunks = list(call(client, stream=True))
    deltas = [chunk.choices[0].delta for chunk in chunks]
    calls = [each for delta in deltas for each in delta.tool_calls or ()]
    assert [(each.index, each.function.name) for each in calls] == [(0, "weather")]
    assert "".join(delta.content or "" for delta in deltas) == "Let me look. Done."
    assert chunks[-1].choices[0].finish_reason == "tool_calls"
    with client.chat.completions.stream(
        model="caller", messages=[{"role": "user", "content": "a"}], tools=[TOOL]
    ) as events:
        last = events.get_final_completion().choices[0].message
    assert last.tool_calls and last.tool_calls[0].function.name == "weather"


def test_responses_call_functions_and_read_their_outputs(client: openai.OpenAI) -> None:
    tool = {"type": "function", **TOOL["function"]}
    asked: Any = {"model": "caller", "tools": [tool, {"type": "image_generation"}]}
    answer = client.responses.create(input="a", **asked)
    assert [item.type for item in answer.output] == ["message", "function_call", "message"]
    found: Any = answer.output[1]
    assert found.name == "weather" and json.loads(found.arguments) == {"city": "Rome"}
    assert answer.output_text == "Let me look. Done." and answer.tools[0].type == "function"
    only = client.responses.create(input="a", parallel_tool_calls=False, **asked)
    assert [item.type for item in only.output] == ["message", "function_call"]
    plain = client.responses.create(input="a", tool_choice="none", **asked)
    assert plain.output_text == "".join(PIECES)

    items: list[Any] = [{"role": "user", "content": "a"}, *answer.output,
                        {"type": "function_call_output", "call_id": found.call_id,
                         "output": "sunny"}]  # fmt: skip
    again = client.responses.create(input=items, **asked)
    assert again.usage and answer.usage and again.usage.input_tokens > answer.usage.input_tokens
    with client.responses.stream(input="a", **asked) as events:
        kinds = [event.type for event in events]
        last = events.get_final_response()
    assert [item.type for item in last.output] == ["message", "function_call", "message"]
    assert kinds.count("response.function_call_arguments.done") == 1
    with pytest.raises(openai.BadRequestError, match="tool call"):
        client.responses.create(input=[{"type": "function_call"}], **asked)  # type: ignore[list-item]


def test_responses_have_log_probabilities(client: openai.OpenAI, model: AnyModal) -> None:
    asked: Any = {"model": "nano", "input": "hello", "max_output_tokens": 5,
                  "include": ["message.output_text.logprobs"], "top_logprobs": 2}  # fmt: skip
    part: Any = client.responses.create(**asked).output[0].content[0]  # type: ignore[union-attr]
    assert [each.logprob for each in part.logprobs] == pytest.approx(
        wanted_logprobs(model, "hello"), abs=1e-4
    )
    assert "".join(each.token for each in part.logprobs) == part.text
    assert all(len(each.top_logprobs) == 2 for each in part.logprobs)
    with client.responses.stream(**asked) as events:
        deltas = [event for event in events if event.type == "response.output_text.delta"]
    streamed = [each.logprob for delta in deltas for each in delta.logprobs]
    assert streamed == pytest.approx([each.logprob for each in part.logprobs], abs=1e-4)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"model": "nano"}, "chat template has no tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [{"type": "function", "function": {
            "name": "a", "description": "x" * 10**6}}]}, "characters"),
        ({"tools": [{"type": "function", "function": {"name": "<|end|>"}}]}, "name"),
        ({"tools": [{"type": "function", "function": {
            "name": "a", "description": "<|end|>"}}]}, "means something"),
        ({"tools": [{"type": "function", "function": {"name": "a", "strict": True}}]}, "strict"),
        ({"tools": [{"type": "web_search"}]}, "tools.0"),
        ({"messages": [{"role": "user", "content": "a"},
                       {"role": "assistant", "tool_calls": [{"id": "c"}]}]}, "tool call"),
        ({"messages": [{"role": "user", "content": "a"},
                       {"role": "assistant", "tool_calls": [
                           {"id": "c", "function": {"name": "a", "arguments": "["}}]},
                       {"role": "tool", "content": "b"}]}, "no JSON object"),
    ],
)  # fmt: skip
def test_wrong_tools_are_refused(client: openai.OpenAI, wrong: Any, says: str) -> None:
    asked: Any = {"messages": [{"role": "user", "content": "a"}], "model": "caller",
                  "tools": [TOOL], **wrong}  # fmt: skip
    with pytest.raises(openai.BadRequestError, match=says):
        client.chat.completions.create(**asked)


def wanted_logprobs(model: AnyModal, text: str) -> list[float]:
    """Log-probabilities of the greedy reply, each from a pass of its own."""
    with torch.inference_mode():
        embeds = embed_prompts(model, [[Message("user", text)]])[0].embeds[None]
        reply = model.chat(text, max_new_tokens=5).text
        values = []
        for token in model.language.encode_text(reply):
            scores = model.language.logits(model.language(embeds)[0, -1])
            scores = model.signals.constrain(scores, list(model.decoders)).log_softmax(-1)
            values.append(float(scores[token]))
            assert values[-1] == float(scores.max())
            embeds = torch.cat([embeds, model.language.embed([token])[None]], 1)
    return values


def test_log_probabilities_are_those_of_the_model(client: openai.OpenAI, model: AnyModal) -> None:
    asked: Any = {"model": "nano", "messages": [{"role": "user", "content": "hello"}],
                  "max_tokens": 5, "logprobs": True, "top_logprobs": 3}  # fmt: skip
    (choice,) = client.chat.completions.create(**asked).choices
    assert choice.logprobs is not None and choice.logprobs.content is not None
    tokens = choice.logprobs.content
    assert "".join(each.token for each in tokens) == choice.message.content
    assert b"".join(bytes(each.bytes or ()) for each in tokens).decode() == choice.message.content
    wanted = wanted_logprobs(model, "hello")
    assert [each.logprob for each in tokens] == pytest.approx(wanted, abs=1e-4)
    for each in tokens:
        assert len(each.top_logprobs) == 3
        assert each.top_logprobs[0].token == each.token, "greedy"
        assert sum(math.exp(top.logprob) for top in each.top_logprobs) <= 1.0001
    stream = list(client.chat.completions.create(stream=True, **asked))
    told = [chunk.choices[0].logprobs.content for chunk in stream if chunk.choices[0].logprobs]
    streamed = [each for content in told for each in content or ()]
    assert [each.token for each in streamed] == [each.token for each in tokens]
    assert [each.logprob for each in streamed] == pytest.approx(wanted, abs=1e-4)
    bare = client.chat.completions.create(**{**asked, "top_logprobs": None}).choices[0].logprobs
    assert bare is not None and bare.content and bare.content[0].top_logprobs == []
    events = list(model.stream("hello", max_new_tokens=5, top_logprobs=0))
    seen = [each for event in events if isinstance(event, TextDelta) for each in event.logprobs]
    assert [each.logprob for each in seen] == pytest.approx(wanted, abs=1e-4)
    with pytest.raises(openai.BadRequestError, match="needs 'logprobs'"):
        client.chat.completions.create(**{**asked, "logprobs": False})


def test_a_stop_string_takes_its_tokens_along(client: openai.OpenAI, model: AnyModal) -> None:
    reply = model.chat("what can you do?").text
    stop = reply[len(reply) // 2 :][:4]
    (choice,) = client.chat.completions.create(
        model="nano", messages=[{"role": "user", "content": "what can you do?"}], stop=stop,
        logprobs=True,
    ).choices  # fmt: skip
    text = choice.message.content or ""
    assert text == reply.partition(stop)[0]
    assert choice.logprobs is not None and choice.logprobs.content
    told = "".join(each.token for each in choice.logprobs.content)
    # The last token may reach into the stop string.
    assert told.startswith(text) and len(told) - len(text) < len(choice.logprobs.content[-1].token)


def test_completions_have_log_probabilities_too(client: openai.OpenAI) -> None:
    asked: Any = {"model": "nano", "prompt": "hel", "max_tokens": 4, "logprobs": 2}
    (choice,) = client.completions.create(**asked).choices
    found = choice.logprobs
    assert found is not None and found.tokens is not None and found.text_offset is not None
    assert "".join(found.tokens) == choice.text and found.text_offset[0] == 0
    assert all(len(top) == 2 for top in found.top_logprobs or ())
    parts = [chunk.choices[0].logprobs for chunk in client.completions.create(stream=True, **asked)]
    assert [at for part in parts if part for at in part.text_offset or ()] == found.text_offset
    streamed = [value for part in parts if part for value in part.token_logprobs or ()]
    assert streamed == pytest.approx(found.token_logprobs, abs=1e-4)


def test_bytes_of_a_token_that_is_half_a_character(model: AnyModal) -> None:
    language = model.language
    ids = language.encode_text("∑≈")  # no accent: the tokenizer leaves those out
    told = [token_bytes(language, token) or [] for token in ids]
    assert bytes(byte for each in told for byte in each).decode() == "∑≈"
    assert any("\ufffd" in token_text(language, token) for token in ids)


def test_marks_that_are_special_tokens_tell_calls_over_http_too() -> None:
    form = TOOL_TEMPLATES["gemma 4"]
    pieces = ["Wait. ", "<|tool_call>", "call:weather{days:3}", "<tool_call|>"]
    told = ["It is", " sunny."]
    own = scripted_model(pieces, form.template, told, form.marks, "\n", "<tool_response|>")
    messages: list[Any] = [{"role": "user", "content": "a"}]
    asked: Any = {"model": "gemma", "tools": [TOOL]}
    with serving([model_to_serve(own, "gemma")]) as url:
        with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
            create = client.chat.completions.create
            chunks = list(create(messages=messages, stream=True, **asked))
            reply = create(messages=messages, **asked).choices[0].message
            result = {"role": "tool", "tool_call_id": reply.tool_calls[0].id, "content": "sun"}
            answer = create(messages=[*messages, reply, result], **asked).choices[0].message
    deltas = [chunk.choices[0].delta for chunk in chunks]
    (called,) = [each for delta in deltas for each in delta.tool_calls or ()]
    assert "".join(delta.content or "" for delta in deltas) == reply.content == "Wait."
    assert json.loads(called.function.arguments) == {"days": 3} and answer.content == "It is sunny."
