"""Tools in the loop: definitions, calls within limits, results, and what goes wrong."""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import PIL.Image
import pytest

from anymodal.chat.session import Session
from anymodal.chat.tool_results import result_parts
from anymodal.chat.tool_turn import answer_with_tools
from anymodal.chat.tools import Tool, Toolbox, ToolLimits
from anymodal.cli.chat_tools import ask_before_call
from anymodal.cli.command_line import USAGE, main
from anymodal.media import Image
from anymodal.model import AnyModal
from anymodal.types import Done, Event, Message, TextDelta, ToolCall, ToolCalled, ToolFinished
from tests.support.scripted import scripted_model
from tests.support.tiny import picture, tiny_model

ROME = '{"name": "weather", "arguments": {"city": "Rome"}}'
CALLS = ["Let me look. ", "<tool_call>", ROME, "</tool_call>"]


def weather(city: str, days: int = 1) -> str:
    """The weather of a city.

    Args:
        city: its name.
        days: how many.
    """
    return f"{city}: sunny for {days} day"


def deep_list() -> list[Any]:
    values: list[Any] = []
    for _ in range(100_000):
        values = [values]
    return values


@pytest.fixture(scope="module")
def model() -> AnyModal:
    return scripted_model(CALLS, told=["It is", " sunny."])


def test_a_function_is_called_and_its_result_answered(model: AnyModal) -> None:
    events = list(model.stream("a", tools=[weather], seed=1))
    kinds = [type(event) for event in events if not isinstance(event, TextDelta)]
    assert kinds == [ToolCalled, ToolFinished, Done]
    assert "".join(e.text for e in events if isinstance(e, TextDelta)) == "Let me look.It is sunny."
    finished = next(event for event in events if isinstance(event, ToolFinished))
    assert finished.content == ("Rome: sunny for 1 day",) and not finished.error
    reply = model.chat("a", tools=[weather])
    assert reply.text == "It is sunny." and reply.finish_reason == "stop"
    called, result = reply.steps
    assert called.finish_reason == "tool_calls" and called.text == "Let me look."
    assert result == Message("tool", ["Rome: sunny for 1 day"])
    again = model.chat([Message("user", "a"), *reply.steps, reply, Message("user", "and now?")],
                       tools=[weather])  # fmt: skip
    assert again.text == "It is sunny.", "the history of calls is read"
    assert model.chat("a").text == "".join(CALLS), "without tools a call is text"


def test_a_definition_with_its_function_is_a_tool(model: AnyModal) -> None:
    definition = {"type": "function", "function": {"name": "weather", "parameters": {}}}
    reply = model.chat("a", tools=[(definition, lambda city: {"city": city, "sun": True})])
    assert json.loads(reply.steps[1].text) == {"city": "Rome", "sun": True}


@pytest.mark.parametrize("is_flat", [False, True])
def test_a_definition_alone_leaves_its_calls_to_the_caller(is_flat: bool) -> None:
    model = scripted_model(CALLS, told=["It is", " sunny."])
    function = {"name": "weather", "parameters": {}}
    definition = {"type": "function", **(function if is_flat else {"function": function})}
    events = list(model.stream("a", tools=[definition], seed=1))
    assert not any(isinstance(event, ToolFinished) for event in events)
    reply = model.chat("a", tools=[definition])
    calls = [part for part in reply.content if isinstance(part, ToolCall)]
    assert [call.name for call in calls] == ["weather"]
    assert reply.finish_reason == "tool_calls" and reply.steps == ()
    told = [Message("user", "a"), reply, Message("tool", ["sunny"])]
    again = model.chat(told, tools=[definition])
    assert again.text == "It is sunny."
    with pytest.raises(ValueError, match="a session has no way to give its results"):
        Session(model, tools=[definition])


@pytest.mark.parametrize(
    ("tools", "limits", "says"),
    [
        (lambda city: 1 / 0, None, "failed: ZeroDivisionError: division by zero"),
        (lambda city: time.sleep(5), ToolLimits(timeout=0.05), "failed: it took longer than 0.05"),
        (lambda city: object(), None, "failed: its result can't be read"),
        (lambda city: [picture()] * 3, ToolLimits(max_media=2), "has 3 media, and the limit is 2"),
        (lambda city: deep_list(), None, "failed: its result can't be read"),
        (lambda city: sys.exit(3), None, "failed: SystemExit: 3"),
    ],
)
def test_what_fails_is_told(
    model: AnyModal, tools: Callable[[str], object], limits: ToolLimits | None, says: str
) -> None:
    definition = {"type": "function", "function": {"name": "weather"}}
    reply = model.chat("a", tools=[(definition, tools)], tool_limits=limits)
    assert says in reply.steps[1].text and reply.text == "It is sunny."


def test_the_caller_may_refuse(model: AnyModal) -> None:
    asked: list[ToolCall] = []

    def approve(call: ToolCall) -> bool:
        asked.append(call)
        return False

    ran: list[str] = []
    definition = {"type": "function", "function": {"name": "weather"}}
    events = model.stream("a", tools=[(definition, ran.append)], approve_call=approve)
    (finished,) = [event for event in events if isinstance(event, ToolFinished)]
    assert finished.error == "refused: the user doesn't allow this call"
    assert [call.name for call in asked] == ["weather"] and not ran


def test_calls_end_with_their_number() -> None:
    model = scripted_model(CALLS)  # which never stops calling
    reply = model.chat("a", tools=[weather], tool_limits=ToolLimits(max_calls=2))
    results = [step.text for step in reply.steps if step.role == "tool"]
    assert len(results) == 3 and "the limit of 2 calls is reached" in results[-1]
    assert reply.finish_reason == "tool_calls" and any(
        isinstance(part, ToolCall) for part in reply.content
    )


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("wether", "{}", "there is no tool 'wether'; did you mean 'weather'"),
        ("weather", "{}", "the argument 'city' is missing"),
        ("weather", "[1]", "no JSON object"),
        ("weather", '{"city": 3}', "city=3: Input should be a valid string"),
        ("weather", '{"city": "Rome", "day": 3}', "no argument 'day'; did you mean 'days'"),
        ("weather", '{"city": "Rome", "days": 1.5}', "days=1.5: Input should be a valid integer"),
        ("weather", '{"city": "Rome", "days": true}', "days=true: Input should be a number"),
        ("paint", '{"style": "loud"}', "style=\"loud\": Input should be 'soft' or 'hard'"),
        (
            "paint",
            '{"picture": 3, "style": "soft"}',
            "picture=3: this is no medium",
        ),
    ],
)
def test_wrong_calls_are_refused(name: str, arguments: str, says: str) -> None:
    def paint(style: Literal["soft", "hard"], picture: Image | None = None) -> str:
        """Paint.

        Args:
            style: how.
            picture: what.
        """
        return style

    toolbox = Toolbox([weather, paint])
    result = toolbox.run(ToolCall(name, arguments), [Message("user", [picture(), "a"])])
    assert says in result.error and result.content == (f"error: {result.error}",)


def test_media_go_in_by_number_and_come_out() -> None:
    def darker(image: Image, times: int) -> list[Any]:
        """Make a picture darker.

        Args:
            image: the picture.
            times: how often.
        """
        pixels = image.pixels // 2**times
        return ["darker:", PIL.Image.fromarray(pixels)]

    tool = Tool.of_function(darker)
    properties = tool.parameters["properties"]
    assert (
        properties["image"]["type"] == "integer" and "from 1" in properties["image"]["description"]
    )
    assert tool.parameters["required"] == ["image", "times"]
    shown = [Message("user", [picture(1), picture(2), "a"])]
    result = Toolbox([tool]).run(ToolCall("darker", '{"image": 2, "times": 1}'), shown)
    text, medium = result.content
    assert text == "darker:" and isinstance(medium, Image)
    np.testing.assert_array_equal(medium.pixels, picture(2).pixels // 2)


def test_a_medium_of_a_result_is_shown_where_it_can_be_read() -> None:
    seen: list[list[int]] = []

    def look() -> Image:
        """Look."""
        return picture(7)

    def answer(messages: list[Message], num_media: int) -> Iterator[Event]:
        seen.append([len(each.media) for each in messages])
        calls = [] if len(seen) > 1 else [ToolCall("look", "{}")]
        yield Done(Message("assistant", calls or ["done"]))

    for readable, count in (({"image"}, 1), (set(), 0)):
        seen.clear()
        events = answer_with_tools(answer, [Message("user", "a")], Toolbox([look]), readable)  # type: ignore[arg-type]
        (finished, done) = events
        assert isinstance(finished, ToolFinished) and finished.content == (picture(7),)
        assert seen[-1] == [0, 0, count] and isinstance(done, Done)
        if not count:
            assert done.message.steps[1].text == "[image, which this model doesn't read]"


def test_long_results_are_cut(model: AnyModal) -> None:
    toolbox = Toolbox([weather], ToolLimits(max_characters=5))
    (text,) = toolbox.run(ToolCall("weather", '{"city": "Rome"}'), []).content
    assert text == "Rome: … (cut off after 5 characters)"


def test_a_long_result_in_many_texts_is_cut_once() -> None:
    toolbox = Toolbox(
        [({"function": {"name": "many"}}, lambda: [picture(), *["abc"] * 1000])],
        ToolLimits(max_characters=4),
    )
    content = toolbox.run(ToolCall("many", "{}"), []).content
    assert content == (picture(), "abc", "a … (cut off after 4 characters)")


def test_schemas_and_errors_of_any_kind_are_borne() -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise ValueError

    def fail(x: object) -> None:
        raise Silent

    schema = {"type": "object", "properties": {"x": True}}
    toolbox = Toolbox([({"function": {"name": "fail", "parameters": schema}}, fail)])
    assert toolbox.run(ToolCall("fail", '{"x": 1}'), []).error == "failed: Silent: without words"


def test_no_medium_may_be_said_in_so_many_words() -> None:
    def paint(image: Image | None = None) -> str:
        """Paint.

        Args:
            image: what.
        """
        return "nothing" if image is None else "it"

    toolbox, shown = Toolbox([paint]), [Message("user", [picture(), "a"])]
    for arguments, says in (
        ('{"image": null}', "nothing"),
        ("{}", "nothing"),
        ('{"image": 1}', "it"),
    ):
        assert toolbox.run(ToolCall("paint", arguments), shown).content == (says,)


def test_results_of_every_kind(tmp_path: Path) -> None:
    path = picture().save(tmp_path / "a.png")
    assert result_parts("a") == ["a"] and result_parts(None) == ["null"]
    assert result_parts([1, "b"]) == ['[1, "b"]']
    assert result_parts(["see", path]) == ["see", picture()]


@pytest.mark.parametrize(
    ("tools", "says"),
    [
        ([weather, weather], "two tools of the name 'weather'"),
        ([lambda x: x], "can't be a tool"),
        ([3], "a tool is a function, a pair"),
        ([({"name": "x"}, print)], "a tool's definition is"),
        ([({"function": {"name": "x", "parameters": [1]}}, print)], "are a JSON schema"),
        (weather, "given in a list, not as function"),
    ],
)
def test_what_is_no_tool_is_refused(model: AnyModal, tools: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        model.chat("a", tools=tools)


def test_models_without_tools_say_so() -> None:
    with pytest.raises(ValueError, match="chat template has no tools"):
        tiny_model().chat("hello", tools=[weather])
    with pytest.raises(ValueError, match="one conversation at a time"):
        tiny_model().chat([["hello"], ["hello"]], tools=[weather])
    with pytest.raises(ValueError, match="timeout=0"):
        ToolLimits(timeout=0)


def test_a_session_has_calls_in_its_history_and_its_files(model: AnyModal, tmp_path: Path) -> None:
    def forecast(city: str) -> list[Any]:
        return ["sunny", picture(5)]

    tool: Any = ({"type": "function", "function": {"name": "weather"}}, forecast)
    session = Session(model, tmp_path, 1, tools=[tool])
    events = list(session.ask("a"))
    assert [type(each) for each in events if not isinstance(each, TextDelta)] == [
        *(ToolCalled, ToolFinished, Done)
    ]
    list(session.ask("and now?"))
    roles = ["user", "assistant", "tool", "assistant"]
    assert [message.role for message in session.messages] == roles * 2
    for name in ("a.json", "a.html", "a.md"):
        session.save(tmp_path / name)
    assert ROME.split('"arguments": ')[1][:-1] in (tmp_path / "a.md").read_text()
    other = Session(model, tmp_path, tools=[tool])
    other.load(tmp_path / "a.json")
    assert other.messages == session.messages
    assert other.turns[0].reply.steps == session.turns[0].reply.steps
    broken = (tmp_path / "a.json").read_text().replace('"role": "tool"', '"role": "system"')
    (tmp_path / "a.json").write_text(broken)
    with pytest.raises(ValueError, match="with calls of tools and their results between"):
        other.load(tmp_path / "a.json")
    with pytest.raises(ValueError, match="tool"):
        Session(tiny_model(), tmp_path, tools=[tool])
    with pytest.raises(ValueError, match="two tools of the name"):
        Session(model, tmp_path, tools=[tool, tool])


def test_the_command_line_offers_tools(
    model: AnyModal,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("anymodal.cli.chat.open_model", lambda *args, **more: model)
    monkeypatch.chdir(tmp_path)
    command = ["chat", "a", "--tool", f"{__name__}:weather", "--model", "nano"]
    assert main([*command, "--allow-calls"]) == 0
    out = capsys.readouterr().out
    assert 'weather {"city": "Rome"}' in out and "→ Rome: sunny" in out and "It is sunny." in out
    assert main([*command, "--allow-calls", "--json"]) == 0
    steps = json.loads(capsys.readouterr().out)["steps"]
    assert [step["role"] for step in steps] == ["assistant", "tool"]
    for more, says in (
        ([], "--allow-calls runs them without"),
        (["--allow-calls", "--tool", "weather"], "write MODULE:FUNCTION"),
        (["--allow-calls", "--tool", f"{__name__}:gone"], "has no function 'gone'"),
        (["--allow-calls", "--tool", "gone.away:x"], "there is no module 'gone.away'"),
    ):
        assert main([*command, *more]) == USAGE
        assert says in capsys.readouterr().err
    assert main(["chat", "a", "--allow-calls"]) == USAGE
    assert "--allow-calls is for tools" in capsys.readouterr().err


@pytest.mark.parametrize(("answer", "runs"), [("y", True), ("\n", False)])
def test_a_call_is_asked_about(
    answer: str, runs: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{answer}\n"))
    assert ask_before_call(ToolCall("weather", ROME)) is runs
    assert "run weather" in capsys.readouterr().err
