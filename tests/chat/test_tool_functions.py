"""Python functions as tools: type hints of every kind, docstrings of every style, and results."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NewType, NotRequired, TypedDict
from uuid import UUID

import numpy as np
import pytest

from anymodal.chat.tool_docs import described
from anymodal.chat.tool_results import result_parts
from anymodal.chat.tool_types import argument_type
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
        (Corner, "TOP", Corner.TOP),
        (Literal["a", 1], 1, 1),
        (Literal["a"] | None, None, None),
        (Literal[Color.RED], "red", Color.RED),
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
        (int | str, "3", "3"),
        (int | list[int], [3], [3]),
        (Annotated[Count, "how many"], 3.0, 3),
        (datetime.date, "2026-01-31", datetime.date(2026, 1, 31)),
        (datetime.datetime | None, "2026-01-31T08:00", datetime.datetime(2026, 1, 31, 8)),
        (UUID, "12345678123456781234567812345678", UUID(int=0x12345678123456781234567812345678)),
        (Path, "a/b", Path("a/b")),
        (Any, {"a": [None]}, {"a": [None]}),
        (Image, 1, picture(1)),
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
        (list[int], [1, "a"], 'value[1] must be of type integer, not "a"'),
        (Color, "green", "must be one of red, blue"),
        (list[Color], ["green"], "value[0] must be one of red, blue"),
        (Point, {"y": 1}, "lacks 'x'"),
        (Point, {"x": 1, "z": 1}, "has 'z'; there are x, y"),
        (Point, {"x": "a"}, 'value.x="a" is not of type integer'),
        (Point, {"x": -1}, "value: x is negative"),
        (dict[str, list[int]], {"a": [True]}, "value.a[0]=true is not of type integer"),
        (dict[int, int], {"a": 1}, 'a key of value="a" is not of type integer'),
        (tuple[int, int], [1], "is no list of 2"),
        (set[Any], [[1]], "unhashable"),
        (int | list[int], "a", "fits none of its types"),
        (datetime.date, "soon", "is no date"),
        (Image, 2, "value=2 is audio, and Image is wanted"),
        (list[Image], [1, 3], "value[1]=3 is no medium of the conversation, which has 2"),
    ],
)
def test_values_that_do_not_fit_are_refused(hint: Any, value: object, says: str) -> None:
    result = Toolbox([tool_of(hint)]).run(ToolCall("work", json.dumps({"value": value})), SHOWN)
    assert says in result.error and result.error.startswith("refused: ")
    huge = Toolbox([tool_of(list[int])]).run(ToolCall("work", '{"value": [Infinity]}'), SHOWN)
    assert "must be of type integer" in huge.error


def test_schemas_of_hints() -> None:
    assert argument_type(Point).schema == {
        "type": "object",
        "properties": {
            "x": {"type": "integer", "description": "from the left."},
            "y": {"type": "number"},
        },
        "required": ["x"],
        "additionalProperties": False,
    }
    assert argument_type(Options).schema["required"] == ["name"]
    assert argument_type(int | str).schema == {"type": ["integer", "string"]}
    assert argument_type(int | None).schema == {"type": "integer", "nullable": True}
    assert argument_type(Color | int).schema["anyOf"][1] == {"type": "integer"}
    assert argument_type(set[int]).schema["uniqueItems"]
    for hint, says in ((complex, "type complex"), (Callable[[], int], "type"), (bytes, "bytes")):
        with pytest.raises(ValueError, match=says):
            argument_type(hint)


def test_models_of_pydantic_are_read() -> None:
    pydantic = pytest.importorskip("pydantic")
    inner = pydantic.create_model("Inner", size=(int, 2))
    outer = pydantic.create_model("Outer", inner=(inner, ...), names=(list[str], []))
    tool = tool_of(outer)
    (schema,) = tool.parameters["properties"].values()
    assert schema["properties"]["inner"]["properties"]["size"]["type"] == "integer"
    assert "$ref" not in json.dumps(schema) and "$defs" not in schema
    toolbox = Toolbox([tool])
    assert not toolbox.run(ToolCall("work", '{"value": {"inner": {"size": 3}}}'), []).error
    assert tool.function.given == outer(inner=inner(size=3))  # type: ignore[union-attr]
    assert "doesn't fit" in toolbox.run(ToolCall("work", '{"value": {"inner": 1}}'), []).error
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


@pytest.mark.parametrize("docstring", [GOOGLE, NUMPY, SPHINX])
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
    ],
)
def test_results_are_told_in_json(value: object, text: str) -> None:
    assert result_parts(value) == [text]
    with pytest.raises(TypeError, match="a medium within an object"):
        result_parts({"mask": picture()})
