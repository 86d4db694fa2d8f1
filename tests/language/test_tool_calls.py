"""Calls of tools: written by the chat template, and taken out of a reply's text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anymodal.language.tool_calls import HERMES, LLAMA, ToolCallParser, tool_format
from anymodal.types import Message, ToolCall
from tests.support.language_models import CHATML
from tests.support.scripted import TOOL_TEMPLATE, scripted_model

WEATHER = {
    "type": "function",
    "function": {"name": "weather", "description": 'Of a "city"', "parameters": {"type": "object"}},
}
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"}}\n</tool_call>'


def parse(pieces: list[str], parser: ToolCallParser) -> tuple[str, list[tuple[str, object]]]:
    """The text of a stream, and its calls with their arguments."""
    items = [item for piece in pieces for item in parser.push(piece)] + parser.flush()
    text = "".join(item for item in items if isinstance(item, str))
    calls = [(c.name, json.loads(c.arguments)) for c in items if isinstance(c, ToolCall)]
    return text, calls


ROME, PARIS = ("weather", {"city": "Rome"}), ("weather", {"city": "Paris"})
REPLIES: dict[str, tuple[str, list[tuple[str, object]]]] = {
    "plain < text": ("plain < text", []),
    " two words \n": (" two words \n", []),
    CALL: ("", [ROME]),
    "Let me see.\n" + CALL + "\n" + CALL.replace("Rome", "Paris"): ("Let me see.", [ROME, PARIS]),
    CALL.removesuffix("</tool_call>"): ("", [ROME]),
    "<tool_call>no JSON</tool_call> so": ("<tool_call>no JSON</tool_call> so", []),
    "<tool_call>[1]</tool_call>": ("<tool_call>[1]</tool_call>", []),
    '<tool_call>{"name": 1}': ('<tool_call>{"name": 1}', []),
    "<tool_cal": ("<tool_cal", []),
}


@given(st.sampled_from(list(REPLIES)), st.lists(st.integers(1, 30), max_size=20))
def test_calls_are_found_wherever_pieces_end(reply: str, sizes: list[int]) -> None:
    pieces, rest = [], reply
    for size in sizes:
        pieces.append(rest[:size])
        rest = rest[size:]
    assert parse([*pieces, rest], ToolCallParser(HERMES)) == REPLIES[reply]


def test_a_whole_reply_may_be_a_call() -> None:
    call = '{"name": "weather", "parameters": {"city": "Rome"}}'
    assert parse(list(call), ToolCallParser(LLAMA)) == ("", [ROME])
    for text in ('{"a": 1}', "It is {so}.", call + " that", "a " + call):
        assert parse(list(text), ToolCallParser(LLAMA)) == (text, [])
    assert tool_format(TOOL_TEMPLATE) is HERMES and tool_format(CHATML) is None
    assert tool_format("{{ tools }} <tool_call><function=x>") is None
    assert tool_format('{{ tools }} "parameters": dictionary of argument name and value') is LLAMA


def test_a_template_writes_tools_calls_and_results() -> None:
    model = scripted_model(["<tool_call>", "</tool_call>"])
    messages = [
        Message("user", "and in Rome?"),
        Message("assistant", [ToolCall("weather", '{"city": "Rome"}', "call_1")]),
        Message("tool", "<|end|>sunny"),
    ]
    ids = model.prompts.build(messages, reply=True, tools=[WEATHER]).ids
    tokenizer = model.language.tokenizer
    text = tokenizer.decode(ids)
    head = "<|system|>" + json.dumps(WEATHER) + "\nAnswer with <tool_call>"
    assert text.startswith(head)
    assert text.endswith(
        '<|user|>and in Rome?<|end|><|assistant|><tool_call>{"name": "weather", "arguments": '
        '{"city": "Rome"}}</tool_call><|end|><|user|><tool_response><|end|>sunny</tool_response>'
        "<|end|><|assistant|>"
    )
    assert ids.count(tokenizer.eos_token_id) == 4, "the result's own is text"
    with pytest.raises(ValueError, match="can't be learned from"):
        model.prompts.build(messages[:2], reply=False)


@pytest.mark.parametrize(
    ("tool", "call", "says"),
    [
        ({"function": {"name": "a<|end|>"}}, "{}", "holds '<|end|>'"),
        ({"function": {"<|user|>": 1}}, "{}", "holds '<|user|>'"),
        ({"function": {"name": "\ue000" + "0\ue001"}}, "{}", "means something"),
        (WEATHER, '{"a": "<|end|>"}', "holds '<|end|>'"),
        (WEATHER, "[]", "are no JSON object"),
        (WEATHER, "{", "are no JSON object"),
    ],
)
def test_a_tool_can_not_pose_as_the_template(tool: object, call: str, says: str) -> None:
    model = scripted_model(["<tool_call>", "</tool_call>"])
    messages = [
        Message("user", "hi"), Message("assistant", [ToolCall("a", call)]), Message("tool", "b")
    ]  # fmt: skip
    with pytest.raises(ValueError, match=says.replace("|", r"\|")):
        model.prompts.build(messages, reply=True, tools=[tool])  # type: ignore[list-item]


def test_calls_survive_as_json() -> None:
    message = Message("assistant", ["Let me see. ", ToolCall("weather", '{"city": "Rome"}', "c1")])
    assert Message.from_dict(message.to_dict()) == message and message.media == []
    for body in ({"name": ""}, {"name": "a", "arguments": {}}, {"name": "a", "smell": 1}, None):
        part = {"type": "tool_call", "tool_call": body}
        with pytest.raises(ValueError, match="tool call"):
            Message.from_dict({"role": "assistant", "content": [part]})
