"""Published files of captions and conversations become samples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anymodal.data.conversations import Conversations
from anymodal.media import Image
from anymodal.types import Target


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "a.png")
    return tmp_path


def read(folder: Path, *entries: Any, **settings: Any) -> Conversations:
    (folder / "data.json").write_text(json.dumps(entries))
    return Conversations(folder / "data.json", **settings)


@pytest.mark.parametrize("key", ["image", "image_name"])
def test_captions_are_read_off_media_or_asked_for(folder: Path, key: str) -> None:
    entry = {"caption": "a black square", key: "a.png"}
    user, reply = read(folder, entry, ask="What is it?")[0]
    assert isinstance(user.content[0], Image) and user.content[1] == "What is it?"
    assert reply.content == ["a black square"]
    user, reply = read(folder, entry, make=True, ask="Draw")[0]
    assert user.content == ["Draw a black square"]
    assert reply.content == [Target("image", "a black square")]
    (target,) = read(folder, entry, make=True, load_targets=True)[0][1].content
    assert isinstance(target, Target) and isinstance(target.media, Image)


@pytest.mark.parametrize("key", ["image", "input_image"])
def test_conversations_about_a_medium(folder: Path, key: str) -> None:
    turns = [
        {"from": "human", "value": "<image>\nWhat is <b>this</b>?"},
        {"from": "gpt", "value": "A square."},
        {"from": "human", "value": "Sure?"},
        {"from": "gpt", "value": "Yes."},
    ]
    messages = read(folder, {key: "a.png", "conversations": turns})[0]
    assert [m.role for m in messages] == ["user", "assistant"] * 2
    assert isinstance(messages[0].content[0], Image)
    assert messages[0].text == "What is <b>this</b>?" and messages[2].content == ["Sure?"]


def test_conversations_that_ask_for_one(folder: Path) -> None:
    entry = {
        "output_image": "a.png",
        "image_captions": ["a square"],
        "conversations": [
            {"from": "human", "value": "Draw a square"},
            {"from": "gpt", "value": "Sure thing! <image>"},
        ],
    }
    _, reply = read(folder, entry)[0]
    assert reply.content == ["Sure thing!", Target("image", "a square")]
    _, reply = read(folder, {**entry, "image_captions": []})[0]
    assert reply.content == ["Sure thing!", Target("image", "")]  # it was "[]"


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"text": "a"}, "neither conversations nor a caption"),
        ({"conversations": [{"from": "dog", "value": "a"}]}, "a turn is from 'dog'"),
        ({"caption": "a", "image": "../a.png"}, "lies outside"),
        ({"caption": "a", "image": ["a.png", "a.png"]}, r"the file of 'image' is \['a.png'"),
        ({"caption": None, "image": "a.png"}, "the caption is None; give a text"),
        ({"conversations": [{"from": "human", "value": None}]}, "a turn's value is None"),
        ({"conversations": [{"from": "human"}]}, "a turn's value is None"),
        ({"conversations": ["hello"]}, "a turn is 'hello', not an object"),
    ],
)
def test_other_entries_are_refused(folder: Path, entry: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read(folder, entry)[0]
    with pytest.raises(ValueError, match="must hold a list"):
        (folder / "other.json").write_text("{}")
        Conversations(folder / "other.json")
