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


def pair(asked: str, said: str, **more: Any) -> list[dict[str, Any]]:
    return [{"from": "human", "value": asked}, {"from": "gpt", "value": said, **more}]


def test_captions_alone_ask_for_media(folder: Path) -> None:
    """As NExT-GPT's T2M has them, before and after its own preparation: without files."""
    entry = {"image_captions": ["a square"], "image_caption_embeddings": ["it_img_0.jpg.npy"]}
    wanted = [Target("image", "a square")]
    _, reply = read(folder, {**entry, "conversations": pair("Draw", "Sure. <image>")})[0]
    assert reply.content == ["Sure.", *wanted]
    for caption in ("a square", ["a square"]):
        told = {"output_modality": "image", "caption": caption}
        _, reply = read(folder, {"conversations": pair("Draw", "Sure.", **told)})[0]
        assert reply.content == ["Sure.", *wanted]
    told = {"output_modality": "text", "caption": ""}
    _, reply = read(folder, {"conversations": pair("Hi", "Hello. <image>", **told)})[0]
    assert reply.content == ["Hello. <image>"], "there is none"


def test_several_media_stand_in_their_order(folder: Path) -> None:
    """As in MosIT, of which the first kind of entry is prepared and the second is not."""
    Image(np.full((8, 8, 3), 255, np.uint8)).save(folder / "b.png")
    turns = [*pair("Two", "<image> and <image>"), *pair("Another", "<image>")]
    entry = {"image_captions": ["a", "b", "c"], "conversations": turns}
    messages = read(folder, entry)[0]
    assert messages[1].content == [Target("image", "a"), "and", Target("image", "b")]
    assert messages[3].content == [Target("image", "c")]
    listed = [{"image_name": f"{name}.png", "caption": name} for name in "ab"]
    entry = {
        "image_list": listed,
        "audio_list": [],
        "conversation": pair("<image> Go on", "<image>"),
    }
    user, reply = read(folder, entry, load_targets=True)[0]
    assert user.content == [Image.load(folder / "a.png"), "Go on"]
    assert reply.content == [Target("image", "b", Image.load(folder / "b.png"))]
    entry = {"input_image": "a.png", "output_image": "b.png", "image_captions": ["white"]}
    entry["conversations"] = pair("<image> Make it white", "<image>")
    user, reply = read(folder, entry, load_targets=True)[0]
    assert user.content[0] == Image.load(folder / "a.png")
    assert reply.content == [Target("image", "white", Image.load(folder / "b.png"))]
    entry = {"image": ["a.png", "b.png"], "conversations": pair("<image><image><image>", "Hm")}
    with pytest.raises(
        ValueError, match="3 <image> in what is asked and 2 files of image under 'image'"
    ):
        read(folder, entry)[0]


def test_a_system_turn_stays_one(folder: Path) -> None:
    turns = [{"from": "system", "value": "Be brief."}, *pair("Hi", "Hello.")]
    assert [m.role for m in read(folder, {"conversations": turns})[0]] == [
        *("system", "user", "assistant"),
    ]


def test_a_medium_that_no_turn_has_is_shown_first(folder: Path) -> None:
    entry = {"image": "a.png", "conversations": pair("What is this?", "A square.")}
    user, _ = read(folder, entry)[0]
    assert user.content == [Image.load(folder / "a.png"), "What is this?"]


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"text": "a"}, "neither a conversation nor a caption with a file; there is text"),
        (
            {"conversations": [{"from": "dog", "value": "a"}]},
            "a turn is from 'dog'; known: assistant, ",
        ),
        ({"caption": "a", "image": "../a.png"}, "lies outside"),
        ({"caption": "a", "image": ["a.png", "a.png"]}, "one caption and 2 files"),
        ({"caption": None, "image": "a.png"}, "the caption is None; give a text"),
        ({"conversations": [{"from": "human", "value": None}]}, "a turn's value is None"),
        ({"conversations": [{"from": "human"}]}, "a turn's value is None"),
        ({"conversations": ["hello"]}, "a turn is 'hello', not an object"),
        ({"conversations": None}, "conversations are None, not a list"),
    ],
)
def test_other_entries_are_refused(folder: Path, entry: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read(folder, entry)[0]
    with pytest.raises(ValueError, match="must hold a list"):
        (folder / "other.json").write_text("{}")
        Conversations(folder / "other.json")
