"""Python functions as tools: type hints of every kind, docstrings of every style, and results."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import functools
import json
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NewType, NotRequired
from uuid import UUID

import numpy as np
import pydantic
import pytest
from typing_extensions import TypedDict

from anymodal.chat.tool_docs import described
from anymodal.chat.tool_results import result_parts
from anymodal.chat.tool_types import FunctionArguments
from anymodal.chat.tools import Tool, Toolbox
from anymodal.media import Audio, Image, Media
from anymodal.types import Message, ToolCall
from tests.support.tiny import picture, sound


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Corner(enum.Enum):
    TOP = (0, 1)


@dataclasses.dataclass
class Point:
    """A place.

    Args:
        x: from the left.
    """

    x: int
    y: float = 0.5

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError("x is negative")


class Box(NamedTuple):
    corner: Point
    size: tuple[int, int] = (1, 1)


class Options(TypedDict):
    name: str
    tags: NotRequired[list[str]]


Count = NewType("Count", int)
SHOWN = [Message("user", [picture(1), sound(2), "a"])]


def tool_of(hint: Any) -> Tool:
    def work(value: object) -> object:
        """Work.

        Args:
            value: what with.
        """
        work.given = value  # type: ignore[attr-defined]
        return "done"

    work.__annotations__ = {"value": hint}
    return Tool.of_function(work)


@pytest.mark.parametrize(
    ("hint", "value", "given"),
    [
        (Color, "blue", Color.BLUE),
        (Level, 2, Level.HIGH),
        (Literal["a", 1], 1, 1),
        (Literal["a"] | None, None, None),
        (Color | None, "red", Color.RED),
        (Point, {"x": 1}, Point(1)),
        (list[Point], [{"x": 1, "y": 2}], [Point(1, 2.0)]),
        (Box, {"corner": {"x": 3}, "size": [2, 3]}, Box(Point(3), (2, 3))),
        (Options, {"name": "a"}, {"name": "a"}),
        (tuple[int, str], [1, "a"], (1, "a")),
        (tuple[float, ...], [1, 2], (1.0, 2.0)),
        (set[int], [1, 2, 1], {1, 2}),
        (Sequence[str], ["a"], ["a"]),
        (dict[int, Color], {"3": "red"}, {3: Color.RED}),
        (dict, {"a": [1]}, {"a": [1]}),
        (float | int, 3, 3),
        (int, "3", 3),
        (bool, "true", True),
        (list[float], ["0.5", 1], [0.5, 1.0]),
        (int | str, "3", "3"),
        (int | bool, True, True),
        (Iterable[int], [1, "2"], [1, 2]),
        (int | list[int], [3], [3]),
        (Annotated[Count, "how many"], 3.0, 3),
        (datetime.date, "2026-01-31", datetime.date(2026, 1, 31)),
        (datetime.datetime | None, "2026-01-31T08:00", datetime.datetime(2026, 1, 31, 8)),
        (UUID, "12345678123456781234567812345678", UUID(int=0x12345678123456781234567812345678)),
        (Path, "a/b", Path("a/b")),
        (Any, {"a": [None]}, {"a": [None]}),
        (Image, 1, picture(1)),
        (Image, "1", picture(1)),
        (dict[str, Image], {"a": 1}, {"a": picture(1)}),
        (Image | str, "a", "a"),
        (Image | Audio, 2, sound(2)),
        (list[Media], [2, 1], [sound(2), picture(1)]),
        (Annotated[Image, "seen"] | None, None, None),
    ],
)
def test_values_are_those_of_the_hint(hint: Any, value: object, given: object) -> None:
    tool = tool_of(hint)
    result = Toolbox([tool]).run(ToolCall("work", json.dumps({"value": value})), SHOWN)
    assert result.content == ("done",), result.error
    got = tool.function.given  # type: ignore[union-attr]
    assert got == given and type(got) is type(given)
    json.dumps(tool.definition)


@pytest.mark.parametrize(
    ("hint", "value", "says"),
    [
        (list[int], [1, "a"], 'value[1]="a": Input should be a valid integer'),
        (Color, "green", "value=\"green\": Input should be 'red' or 'blue'"),
        (list[Color], ["green"], "value[0]=\"green\": Input should be 'red' or 'blue'"),
        (Point, {"y": 1}, "value.x: Field required"),
        (Point, {"x": 1, "z": 1}, "value.z=1: Unexpected keyword argument"),
        (Options, {"name": "a", "z": 1}, "value.z=1: Extra inputs are not permitted"),
        (Point, {"x": "a"}, 'value.x="a": Input should be a valid integer'),
        (Point, {"x": -1}, 'value={"x": -1}: x is negative'),
        (Point, {"y": "a"}, 'value.x: Field required; value.y="a": Input should be a valid number'),
        (dict[str, list[int]], {"a": [[]]}, "value.a[0]=[]: Input should be a valid integer"),
        (dict[int, int], {"a": 1}, 'value.a="a": Input should be a valid integer'),
        (tuple[int, int], [1], "value[1]: Field required"),
        (set[Any], [[1]], "value[0]=[1]: Set items should be hashable"),
        (int | list[int], "a", "or Input should be a valid array"),
        (list[int] | list[Point], [{"y": 1}], "value[0].x: Field required"),
        (datetime.date, "soon", 'value="soon": Input should be a valid date'),
        (int, True, "value=true: Input should be a number, not true or false"),
        (float | None, False, "value=false: Input should be a number, not true or false"),
        (dict[str, list[int]], {"a": [True]}, "value.a[0]=true: Input should be a number"),
        (Annotated[int, pydantic.Field(ge=0)], True, "value=true: Input should be a number"),
        (Image, True, "value=true: Input should be a number"),
        (Point, {"x": True}, "value.x=true: Input should be a number, not true or false"),
        (Point, {"x": 1, "y": False}, "value.y=false: Input should be a number"),
        (list[Point] | None, [{"x": 1}, {"x": True}], "value[1].x=true: Input should be a number"),
        (Box, [{"x": True}, [True, 3]], "value[1][0]=true: Input should be"),
        (Point, {"x": True, "y": "a"}, 'y="a": Input should be a valid number, unable'),
        (int | str, True, "value=true: Input should be a number"),
        (Iterable[int], [1, "a"], 'value[1]="a": Input should be a valid integer'),
        (Image, 2, "value=2: this medium is audio, and Image is wanted"),
        (Image | Point, 2, "value=2: this medium is audio, and Image is wanted or Input should be"),
        (list[Image], [1, 3], "value[1]=3: this is no medium of the conversation, which has 2"),
    ],
)
def test_values_that_do_not_fit_are_refused(hint: Any, value: object, says: str) -> None:
    result = Toolbox([tool_of(hint)]).run(ToolCall("work", json.dumps({"value": value})), SHOWN)
    assert says in result.error and result.error.startswith("refused: ")
    huge = Toolbox([tool_of(list[int])]).run(ToolCall("work", '{"value": [Infinity]}'), SHOWN)
    assert "value[0]=Infinity: Input should be a finite number" in huge.error


def schema_of(hint: Any) -> dict[str, Any]:
    schema: dict[str, Any] = FunctionArguments({"title": hint}).schema["properties"]["title"]
    return schema


def test_schemas_of_hints() -> None:
    assert schema_of(Point) == {
        "type": "object",
        "description": "A place.\n\nArgs:\n    x: from the left.",
        "properties": {"x": {"type": "integer"}, "y": {"type": "number", "default": 0.5}},
        "required": ["x"],
        "additionalProperties": False,
    }
    assert schema_of(Options)["required"] == ["name"]
    assert schema_of(int | str) == {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    assert schema_of(int | None) == {"type": "integer", "nullable": True}
    assert schema_of(Color | int)["anyOf"][1] == {"type": "integer"}
    assert schema_of(set[int])["uniqueItems"]
    assert schema_of(Annotated[int, pydantic.Field(ge=1)]) == {"type": "integer", "minimum": 1}
    medium = schema_of(list[Image | Audio])["items"]
    assert medium["type"] == "integer" and "from 1" in medium["description"]


def test_choices_are_of_what_may_be_chosen() -> None:
    def work(one: str | None, several: list[str]) -> None:
        """Work.

        Args:
            one: a thing, or nothing (choices: ["a", "b"])
            several: things (choices: ["a", "b"])
        """

    tool = Tool.of_function(work)
    one, several = tool.parameters["properties"].values()
    assert one["enum"] == several["items"]["enum"] == ["a", "b"] and one["nullable"]
    for values, error in (
        ({"one": None, "several": ["a", "b"]}, ""),
        ({"one": "a", "several": []}, ""),
        ({"one": "c", "several": []}, "refused: one=\"c\": Input should be 'a' or 'b'"),
        ({"one": "a", "several": ["c"]}, "refused: several[0]=\"c\": Input should be 'a' or 'b'"),
    ):
        result = Toolbox([tool]).run(ToolCall("work", json.dumps(values)), [])
        assert (result.error or "") == error


@dataclasses.dataclass
class Node:
    nodes: list[Node]


@dataclasses.dataclass
class Shot:
    picture: Image


@pytest.mark.parametrize(
    ("hint", "says"),
    [
        (Callable[[], int], "Callable"),
        (np.ndarray, "numpy.ndarray"),
        (Corner, "no texts or numbers"),
        (Literal[Color.RED], "no members of an Enum"),
        (Node, "the type Node holds itself"),
        (Shot, "not in classes"),
    ],
)
def test_types_that_json_cannot_tell_are_refused(hint: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        tool_of(hint)


def test_models_of_pydantic_are_read() -> None:
    inner = pydantic.create_model("Inner", size=(int, 2))
    outer = pydantic.create_model("Outer", inner=(inner, ...), names=(list[str], []))
    tool = tool_of(outer)
    (schema,) = tool.parameters["properties"].values()
    assert schema["properties"]["inner"]["properties"]["size"]["type"] == "integer"
    assert "$ref" not in json.dumps(schema) and "$defs" not in schema
    toolbox = Toolbox([tool])
    assert not toolbox.run(ToolCall("work", '{"value": {"inner": {"size": 3}}}'), []).error
    assert tool.function.given == outer(inner=inner(size=3))  # type: ignore[union-attr]
    says = "value.inner=1: Input should be an object"
    assert says in toolbox.run(ToolCall("work", '{"value": {"inner": 1}}'), []).error
    assert result_parts([inner(size=1)]) == ['[{"size": 1}]']


GOOGLE = """Look at it,
    and tell.

    Args:
        x (int): the first,
            at length.
        *y: the second: here.

    Returns:
        z: what was seen.
    """
NUMPY = """Look at it,
    and tell.

    Parameters
    ----------
    x : int, optional
        the first,
        at length.
    y
        the second: here.

    Returns
    -------
    z : int
        what was seen.
    """
SPHINX = """Look at it,
    and tell.

    :param int x: the first,
        at length.
    :type x: int
    :param y: the second: here.
    :returns: what was seen.
    """


APART = GOOGLE.replace("Args:\n", "Args:\n\n").replace("    *y", "\n        *y")


@pytest.mark.parametrize("docstring", [GOOGLE, APART, NUMPY, SPHINX])
def test_docstrings_of_every_style(docstring: str) -> None:
    told = described(docstring)
    assert told.text == "Look at it,\nand tell."
    assert told.parameters == {"x": "the first, at length.", "y": "the second: here."}
    assert described(None) == ("", {})


def test_functions_of_every_kind() -> None:
    async def wait(
        seconds: Annotated[int, "how long"] = None,  # type: ignore[assignment]  # noqa: RUF013
        *args: int,
        **more: str,
    ) -> str:
        """Wait."""
        return f"{seconds}"

    class Counter:
        def up(self, by: int) -> int:
            """Count.

            Args:
                by: how far (choices: [1, 2])
            """
            return by + 1

        __call__ = up

    tool = Tool.of_function(wait)
    assert tool.parameters["properties"] == {
        "seconds": {"type": "integer", "nullable": True, "description": "how long"}
    }
    assert Toolbox([tool]).run(ToolCall("wait", "{}"), []).content == ("None",)
    for function, name in (
        (Counter().up, "up"),
        (Counter(), "Counter"),
        (functools.partial(Counter().up), "up"),
    ):
        tool = Tool.of_function(function)
        assert tool.name == name
        assert tool.parameters["properties"]["by"]["enum"] == [1, 2]
        assert Toolbox([tool]).run(ToolCall(name, '{"by": 2}'), []).content == ("3",)
        wrong = Toolbox([tool]).run(ToolCall(name, '{"by": 3}'), [])
        assert wrong.error == "refused: by=3: Input should be 1 or 2"

    def first(x: int, /) -> None:
        """Take.

        Args:
            x: it.
        """

    def bare(x: int) -> None:
        """Take."""

    def untyped(x) -> None:  # type: ignore[no-untyped-def]
        """Take.

        Args:
            x: it.
        """

    for wrong, says in (
        (first, "takes no name"),
        (bare, "says nothing of the parameter 'x'"),
        (untyped, "the parameter 'x' has no type"),
        (lambda: 1, "no name by which"),
    ):
        with pytest.raises(ValueError, match=says):
            Tool.of_function(wrong)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Point(1), '{"x": 1, "y": 0.5}'),
        ([Box(Point(1))], '[[{"x": 1, "y": 0.5}, [1, 1]]]'),
        ({"color": Color.RED, Level.LOW: {3}}, '{"color": "red", "1": [3]}'),
        (np.float32(0.5), "0.5"),
        ({"boxes": np.arange(4).reshape(2, 2)}, '{"boxes": [[0, 1], [2, 3]]}'),
        ([datetime.date(2026, 1, 31), UUID(int=1)], f'["2026-01-31", "{UUID(int=1)}"]'),
        ({"at": Path("a/b"), (1, 2): None}, '{"at": "a/b", "[1, 2]": null}'),
        ([Decimal("1.50"), datetime.timedelta(hours=1)], '["1.50", "PT1H"]'),
        (deque([1, 2]), "[1, 2]"),
    ],
)
def test_results_are_told_in_json(value: object, text: str) -> None:
    assert result_parts(value) == [text]
    with pytest.raises(TypeError, match="a medium within an object"):
        result_parts({"mask": picture()})
    with pytest.raises(ValueError, match="Unable to serialize unknown type"):
        result_parts([object()])
