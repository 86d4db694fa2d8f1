"""Calls of tools: written by the chat template, and taken out of a reply's text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anymodal.chat.reply_text import ReplyText
from anymodal.language.text_stream import TextStream
from anymodal.language.tool_calls import ToolCallParser
from anymodal.language.tool_formats import GEMMA, HERMES, LLAMA, PAIRS
from anymodal.model import AnyModal
from anymodal.types import Done, Message, TextDelta, ToolCall, ToolCalled
from tests.support.language_models import CHATML
from tests.support.scripted import scripted_model
from tests.support.tool_templates import TOOL_TEMPLATES

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


SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "number"}}}
FORECAST = {"type": "function", "function": {"name": "weather", "description": "Of a city",
    "parameters": SCHEMA}}  # fmt: skip
FOR_3_DAYS = {"city": "12", "days": 3}


def model_of(kind: str) -> AnyModal:
    """A model with a template that writes a form of calls."""
    form = TOOL_TEMPLATES[kind]
    return scripted_model([], form.template, marks=form.marks)


@pytest.mark.parametrize("kind", TOOL_TEMPLATES)
def test_published_forms_of_calls_are_read(kind: str) -> None:
    language = model_of(kind).language
    reply = TOOL_TEMPLATES[kind].reply
    before = "Let me see." if kind != "llama 3.1" else ""
    ids = language.tokenizer(before + reply, add_special_tokens=False)["input_ids"]
    stream, text = (
        TextStream(language),
        ReplyText(language.template.require_tools(), True, [FORECAST]),
    )
    pieces = [piece for token in ids if (piece := stream.push(token))]
    events = [event for piece in pieces for event in text.push(piece.text)] + [*text.flush()]
    (called,) = [event.call for event in events if isinstance(event, ToolCalled)]
    assert called.name == "weather" and json.loads(called.arguments) == FOR_3_DAYS
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == before


@pytest.mark.parametrize("kind", TOOL_TEMPLATES)
def test_calls_and_results_stand_in_a_prompt_as_they_are_written(kind: str) -> None:
    model, form = model_of(kind), TOOL_TEMPLATES[kind]
    calls = [ToolCall("weather", json.dumps(FOR_3_DAYS), f"call_{n}") for n in range(2)]
    calls = calls if form.parallel else calls[:1]
    messages = [
        Message("user", "and?"),
        Message("assistant", ["Let me see.", *calls]),
        *(Message("tool", f'"{n}" so') for n, _ in enumerate(calls)),
    ]
    ids = model.prompts.build(messages, reply=True, tools=[FORECAST]).ids
    text = model.language.tokenizer.decode(ids)
    assert text.count("weather") >= 1 + len(calls) and ("Let me see." in text) == form.keeps_text
    fmt = model.language.template.require_tools()
    parser = ToolCallParser(fmt, [FORECAST])
    turn = text[text.index("and?") + 4 :]
    begin = turn.index(fmt.opening)
    end = turn.index(fmt.closing, begin) if fmt.closing else turn.index("<|end|>", begin)
    written = turn[begin:end] if not fmt.closing else turn[begin : turn.rindex(fmt.closing)]
    _, found = parse([written + fmt.closing], parser)
    assert found == [("weather", FOR_3_DAYS)] * len(calls)
    said = turn.find("Let me see.")
    assert said < begin and all(turn.index(f"{n}") > begin for n, _ in enumerate(calls))
    if kind == "llama 3.1":
        assert '"\\"0\\" so"' in turn, "as the template's own filter writes a text"
    else:
        assert '"0" so' in turn


def test_results_stand_within_gemma_s_message() -> None:
    model = model_of("gemma 4")
    call = ToolCall("weather", '{"city": "Rome", "days": 3, "of": ["a", null], "at": {"x-y": 1.5}}')
    first = [Message("user", "hi"), Message("assistant", ["Wait.", call]), Message("tool", "sun")]
    tokenizer = model.language.tokenizer
    head = "<|turn>system\n<|tool>declaration:weather{}<tool|><turn|>\n<|turn>user\nhi<turn|>\n"
    called = (
        '<|turn>model\nWait.<|tool_call>call:weather{at:{"x-y": 1.5},city:<|"|>Rome<|"|>,days:3,'
        'of:["a", null]}<tool_call|><|tool_response>response:weather{value:<|"|>sun<|"|>}'
        "<tool_response|>"
    )
    ids = model.prompts.build(first, reply=True, tools=[FORECAST]).ids
    assert tokenizer.decode(ids) == head + called, "the turn stays open for the answer"
    again = [Message("assistant", ["Hm.", call]), Message("tool", ["<|turn>", "rain"])]
    whole = [*first, *again, Message("assistant", "So."), Message("user", "and?")]
    ids = model.prompts.build(whole, reply=True, tools=[FORECAST]).ids
    second = "Hm." + called.removeprefix("<|turn>model\nWait.").replace("sun<", "<|turn>rain<")
    behind = "So.<turn|>\n<|turn>user\nand?<turn|>\n<|turn>model\n"
    assert tokenizer.decode(ids) == head + called + second + behind
    assert ids.count(tokenizer.convert_tokens_to_ids("<|turn>")) == 5, "the result's own is text"
    assert tokenizer.convert_tokens_to_ids("<|tool_response>") in model.language.stops
    for wrong in ([first[0], first[2]], [*first, Message("tool", "more")]):
        with pytest.raises(ValueError, match="stands behind no call"):
            model.prompts.build(wrong, reply=True, tools=[FORECAST])


BRACED = {
    '{a:<|"|>x, {y}: "z"<|"|>}': {"a": 'x, {y}: "z"'},
    '{a-b:[1,-2.5e3,true],c:{d:null,<|"|>e f<|"|>:<|"|><|"|>}}': {
        "a-b": [1, -2500.0, True], "c": {"d": None, "e f": ""}
    },
    "{a:None}": {"a": None},
    "{}": {},
}  # fmt: skip


@pytest.mark.parametrize("text", BRACED)
def test_gemma_s_values_are_read(text: str) -> None:
    call = f"<|tool_call>call:f{text}<tool_call|>"
    assert parse(list(call), ToolCallParser(GEMMA)) == ("", [("f", BRACED[text])])


@pytest.mark.parametrize(
    "text",
    [
        *("<|tool_call>call:f{a:}<tool_call|>", "<|tool_call>f{}<tool_call|>"),
        *("<|tool_call>call:{}<tool_call|>", "<|tool_call>call:f{a:1<tool_call|>"),
    ],
)
def test_what_is_no_call_of_gemma_s_stays_text(text: str) -> None:
    assert parse(list(text + " so"), ToolCallParser(GEMMA)) == (text + " so", [])


def test_values_without_quotes_have_their_argument_s_type() -> None:
    kinds = {
        "text": {"type": "string"}, "maybe": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "either": {"type": ["string", "integer"]}, "real": {"type": "number"},
        "pick": {"enum": ["1", "2"]}, "free": {},
    }  # fmt: skip
    tool = {"function": {"name": "f", "parameters": {"properties": kinds}}}
    pairs = {"text": "true", "maybe": "null", "either": "3", "real": "3", "pick": "1",
        "free": "[1]", "other": "x y"}  # fmt: skip
    body = "".join(
        f"<arg_key>{k}</arg_key>\n<arg_value>{v}</arg_value>\n" for k, v in pairs.items()
    )
    text = f"<tool_call>f\n{body}</tool_call>"
    ((name, arguments),) = parse(list(text), ToolCallParser(PAIRS, [tool]))[1]
    assert name == "f" and arguments == {
        "text": "true", "maybe": None, "either": 3, "real": 3, "pick": "1", "free": [1],
        "other": "x y",
    }  # fmt: skip


def test_templates_without_a_place_for_tools_or_calls_are_refused() -> None:
    hermes = TOOL_TEMPLATES["hermes"].template
    deaf = hermes.replace("{% if tools %}", "{% if false %}")
    # As Phi-4's published template: it is told tools in a system message, and writes no calls.
    mute = CHATML.replace("{{ m.content }}", "{{ m.content }}{{ m.tools }}")
    strange = hermes.replace("{{ f | tojson }}", "{{ f.name }}(**{{ f.arguments | tojson }})")
    for text in (deaf, mute, strange):
        model = scripted_model(["<|im_start|>"], text, marks=["<|im_end|>"])
        with pytest.raises(ValueError, match="set another tokenizer.chat_template"):
            model.chat("a", tools=[FORECAST])


def test_a_tool_of_gemma_s_is_called_and_its_result_answered() -> None:
    form = TOOL_TEMPLATES["gemma 4"]
    pieces = ["<|tool_call>", "call:weather{days:3}", "<tool_call|>"]
    told = ["It is", " sunny."]
    model = scripted_model(pieces, form.template, told, form.marks, "\n", "<tool_response|>")
    events = list(model.stream("a", tools=[(FORECAST, lambda days: f"sunny for {days}")], seed=0))
    assert "".join(e.text for e in events if isinstance(e, TextDelta)) == "It is sunny."
    done = events[-1]
    assert isinstance(done, Done) and done.message.steps[1].text == "sunny for 3"
    assert model.chat("a").text == "".join(pieces), "without tools a call is text"


def test_a_reply_ends_where_the_next_turn_s_mark_alone_would() -> None:
    # As GLM's: no mark stands behind a turn.
    turns = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}"
    text = turns + "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    language = scripted_model([], text).language
    user = language.tokenizer.convert_tokens_to_ids("<|user|>")
    assert user in language.stops
    talk = [("user", ["hi"]), ("assistant", ["a"]), ("user", ["so"]), ("assistant", ["b"])]
    segments = language.render_chat(talk, add_generation_prompt=False)
    learned = [token for segment in segments if segment.supervised for token in segment.ids]
    assert learned == [*language.encode_text("a"), user, *language.encode_text("b"), user]
    prompt = language.render_chat(talk[:1], add_generation_prompt=True)
    assert (
        language.tokenizer.decode([t for s in prompt for t in s.ids]) == "<|user|>hi<|assistant|>"
    )
