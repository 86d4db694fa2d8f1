"""Requests, replies and turns of every form, tools and regions among them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from anymodal.data.conversations import Conversations
from anymodal.data.schemas import name_of_schema
from anymodal.types import Target
from tests.support.entries import QUESTION, SEEN, read, talk, write_entry

SAID_BY_BING = {"from": "bing", "value": "red", "markdown": None}


@pytest.mark.parametrize(
    ("entry", "schema"),
    [
        ({"instruction": "what?", "input": "", "output": "red", "images": ["0.png"]}, "Alpaca"),
        ({"instruction": "what?", "output": "red", "image": "0.png"}, "Alpaca"),
        ({"query": "<image>what?", "response": "red", "images": ["0.png"]}, "query and response"),
        ({"query": "what?", "response": "red", "image": "0.png", "history": []}, "query and resp"),
        ({"question": "what?", "answer": "red", "image": "0.png"}, "question and answer"),
        (
            {"images": ["0.png"], "conversation": [{"human": "<image>what?", "assistant": "red"}]},
            "conversations",
        ),
        (
            {"images": ["0.png"], "texts": [{"user": "what?", "assistant": "red", "source": "a"}]},
            "pairs beside media",
        ),
        (
            {"image": "0.png", "conversations": [{"from": "user", "value": "what?"}, SAID_BY_BING]},
            "conversations",
        ),
    ],
)
def test_a_question_about_a_picture(folder: Path, entry: dict[str, Any], schema: str) -> None:
    assert read(folder, entry) == [("user", [SEEN[0], "what?"]), QUESTION]
    assert str(name_of_schema(entry)).startswith(schema)


def test_input_and_history(folder: Path) -> None:
    entry = {"instruction": "add", "input": "1, 2", "output": 3, "system": "be brief"}
    entry["history"] = [["hi", "yo"]]
    assert read(folder, entry) == [
        ("system", ["be brief"]),
        ("user", ["hi"]),
        ("assistant", ["yo"]),
        ("user", ["add\n1, 2"]),
        ("assistant", ["3"]),
    ]


CALL = {"name": "aqi", "arguments": {"city": "Rome"}}


def test_turns_of_tools_are_texts_of_both_sides(folder: Path) -> None:
    call, result = json.dumps(CALL), json.dumps({"aqi": 10})
    swift = [
        {"role": "user", "content": "air?"},
        {"role": "tool_call", "content": call},
        {"role": "tool_call", "content": call},
        {"role": "tool_response", "content": result},
        {"role": "tool", "content": result},
        {"role": "assistant", "content": "good"},
    ]
    expected = [
        ("system", ["[{}]"]),
        ("user", ["air?"]),
        ("assistant", [f"{call}\n{call}"]),
        ("user", [f"{result}\n{result}"]),
        ("assistant", ["good"]),
    ]
    assert read(folder, {"messages": swift, "tools": "[{}]"}) == expected
    function = {"name": "aqi", "arguments": json.dumps(CALL["arguments"])}
    calls = [{"id": n, "type": "function", "function": function} for n in "ab"]
    openai = [
        {"role": "user", "content": "air?"},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "a", "content": result},
        {"role": "tool", "tool_call_id": "b", "content": result},
        {"role": "assistant", "content": "good"},
    ]
    assert read(folder, {"messages": openai, "tools": [{}]}) == expected
    factory = [
        {"from": "human", "value": "air?"},
        {"from": "function_call", "value": call},
        {"from": "observation", "value": result},
        {"from": "gpt", "value": "good"},
    ]
    roles = [role for role, _ in read(folder, {"conversations": factory, "system": "s"})]
    assert roles == ["system", "user", "assistant", "user", "assistant"]


def test_openai_s_older_calls_are_read_as_its_newer(folder: Path) -> None:
    """The result that a `function` gave back, which no model learns to say."""
    older = [
        {"role": "user", "content": "air?"},
        {"role": "assistant", "content": None, "function_call": {"name": "aqi", "arguments": "{}"}},
        {"role": "function", "name": "aqi", "content": "10"},
        {"role": "assistant", "content": "good"},
    ]
    assert read(folder, {"messages": older, "functions": [{"name": "aqi"}]}) == [
        ("system", ['[{"name": "aqi"}]']),
        ("user", ["air?"]),
        ("assistant", ['{"name": "aqi", "arguments": {}}']),
        ("user", ["10"]),
        ("assistant", ["good"]),
    ]


def test_media_of_one_list_stand_on_both_sides(folder: Path) -> None:
    """ms-swift's rows for making pictures, for changing them, and for pretraining."""
    made = read(folder, {"images": ["0.png"], "messages": talk("Draw a sea", "<image>")})
    assert made == [("user", ["Draw a sea"]), ("assistant", [Target("image", "Draw a sea")])]
    edit = {"images": ["0.png", "1.png"], "messages": talk("<image>bluer", "So: <image>")}
    asked, (_, (text, target)) = read(folder, edit, load_targets=True)
    assert asked == ("user", [SEEN[0], "bluer"]) and text == "So:"
    assert target == Target("image", "bluer", SEEN[1])
    told = {"role": "assistant", "content": "<image>is red, <image>is blue"}
    assert read(folder, {"images": ["0.png", "1.png"], "messages": [told]}) == [
        ("user", [SEEN[0]]),
        ("assistant", ["is red,"]),
        ("user", [SEEN[1]]),
        ("assistant", ["is blue"]),
    ]
    with pytest.raises(ValueError, match="1 <image> in what is asked and 2 files"):
        read(folder, {"images": ["0.png", "1.png"], "messages": [{**told, "content": "<image>a"}]})


def test_openai_s_weights_and_no_tools(folder: Path) -> None:
    turns: list[dict[str, Any]] = [*talk("a", "b"), *talk("c", "d")]
    turns[1]["weight"], turns[3]["weight"] = 0, 1
    entry = {"messages": turns, "tools": "[]", "parallel_tool_calls": False}
    messages = Conversations(write_entry(folder, entry))[0]
    assert [message.supervised for message in messages] == [True, False, True, True]
    turns[1]["loss"] = True
    with pytest.raises(ValueError, match="both 'loss' and 'weight'"):
        read(folder, entry)


def test_turns_with_loss_false_are_not_learned(folder: Path) -> None:
    turns: list[dict[str, Any]] = [*talk("a", "b"), *talk("c", "<image>"), *talk("d", "e")]
    turns[1]["loss"], turns[3]["loss"], turns[5]["loss"] = False, 0, 1
    entry = {"messages": turns, "image_captions": ["red"]}
    messages = Conversations(write_entry(folder, entry))[0]
    assert [message.supervised for message in messages] == [True, False, True, False, True, True]
    assert messages[3].content == [Target("image", "")], "without a caption to align to"


def test_regions_are_written_into_the_texts(folder: Path) -> None:
    entry: dict[str, Any] = {
        "images": ["0.png", "1.png"],
        "messages": talk("<image><image>Where is the <ref-object>?", "<bbox> and <bbox>"),
        "objects": {"ref": ["dog"], "bbox": [[0, 2, 8, 4], [4, 4]]},
    }
    user, reply = read(folder, entry)
    assert user[1][2] == "Where is the dog?" and reply[1] == ["[0, 250, 1000, 500] and [500, 500]"]
    entry["objects"] |= {"bbox": [[0, 0.25, 1, 0.5], [0.5, 0.5]], "bbox_type": "norm1"}
    assert read(folder, entry)[1] == reply
    entry["objects"] |= {"bbox": [[0, 2, 8, 4], [4, 4]], "bbox_type": "real", "image_id": [1, 0]}
    assert read(folder, entry)[1] == reply
    for wrong, says in (
        ({"bbox": [[0, 2, 8, 4]]}, "2 <bbox> in the turns and 1 in objects"),
        ({"bbox": [[0, 2, 80, 4], [4, 4]]}, "leads out of the medium"),
        ({"bbox": [[0, 2, 8], [4, 4]]}, "not a point of two numbers or a box of four"),
        ({"bbox": [[0, "a"], [4, 4]]}, "its coordinates are numbers"),
        ({"bbox": [[0, True], [4, 4]]}, "its coordinates are numbers"),
        ({"image_id": [2, 0]}, "is of medium 2, and 2 are shown"),
        ({"bbox_type": "norm"}, "bbox_type is 'norm'; known are real, norm1, norm1000"),
        ({"color": 1}, "objects with the key 'color'"),
    ):
        with pytest.raises(ValueError, match=says):
            read(folder, {**entry, "objects": {**entry["objects"], **wrong}})
