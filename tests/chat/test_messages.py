"""Messages: roles and texts, to JSON and back without loss, and in a chat."""

from __future__ import annotations

import contextlib
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image as pil

from anymodal.chat.messages import conversation_of
from anymodal.chat.session import Session
from anymodal.media import (
    IMU,
    Audio,
    Depth,
    Image,
    Media,
    Normal,
    PointCloud,
    Thermal,
    Video,
)
from anymodal.types import Done, Message, Target, valid_text
from tests.support.messages import data_url, parts, turn
from tests.support.tiny import REPLIES, felt, picture, sound, tiny_model

BALL = "This is a ball."


def test_a_content_alone_is_one_part(tmp_path: Path) -> None:
    assert Message("user", "text").content == ["text"] == Message("user", ["text"]).content
    assert Message("user", "text") == Message("user", ("text",)) == Message("user", iter(["text"]))
    assert Message("user", picture()).media == [picture()]
    assert Message("user", tmp_path).content == [tmp_path]
    assert len(Message("user", (np.zeros(9), 8000)).content) == 1
    assert Message("user").content == [] == Message("user", []).content
    assert Message("user", "").text == ""
    with pytest.raises(ValueError, match="content is None"):
        Message("user", None)
    given_parts = ["a"]
    Message("user", given_parts).content.append("b")
    assert given_parts == ["a"], "a list that somebody else holds stays"
    assert pickle.loads(pickle.dumps(Message("user", "a"))) == Message("user", "a")


@pytest.mark.parametrize(("role", "near"), [("asistant", "'assistant'"), ("User", "'user'")])
def test_a_role_that_nobody_has_is_refused(role: str, near: str) -> None:
    with pytest.raises(ValueError, match=f"no role '{role}'; did you mean {near}"):
        Message(role, "hi")
    with pytest.raises(ValueError, match=f"no role '{role}'; did you mean {near}"):
        conversation_of([{"role": role, "content": "hi"}])
    for other in ("tools", "function", 3, None, ["user"]):
        with pytest.raises(ValueError, match="there is no role"):
            conversation_of([{"role": other, "content": "hi"}])


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("caf\udce9", "caf\ufffd"),
        ("\ud83d\ude00", "\U0001f600"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
        ("\ufeffx\udfff", "\ufeffx\ufffd"),
        ("a\0\x1b[2J\u200b\ufffe\U0010ffff", "a\0\x1b[2J\u200b\ufffe\U0010ffff"),
    ],
)
def test_texts_become_ones_that_can_be_encoded(text: str, valid: str) -> None:
    assert Message("user", ["a", text]).content == ["a", valid]
    assert Target("image", text).caption == valid
    assert parts([text]) == [valid] == parts({"type": "text", "text": text})


@given(st.text(st.characters(categories=["Cs", "Lu", "So", "Cc"])))
def test_every_text_can_be_encoded(text: str) -> None:
    valid = valid_text(text)
    assert valid == valid_text(valid) and valid.encode().decode() == valid
    if not any("\ud800" <= c <= "\udfff" for c in text):
        assert valid is text


# ---- To JSON and back ----------------------------------------------------------------------------

FLOATS = st.floats(-1, 1, width=32)
SIDES = st.tuples(*[st.integers(1, 9)] * 2)
RATES = st.floats(1, 1000)
PIXELS = SIDES.flatmap(lambda side: arrays(np.uint8, (*side, 3)))
SOUNDS = arrays(
    np.float32, st.tuples(st.integers(1, 3), st.integers(1, 50)), elements=FLOATS
).flatmap(lambda samples: st.builds(Audio, st.just(samples), st.integers(100, 192_000)))
MEDIA = st.one_of(
    PIXELS.map(Image),
    arrays(np.uint8, st.tuples(*[st.integers(1, 4)] * 3).map(lambda s: (*s, 3))).flatmap(
        lambda frames: st.builds(Video, st.just(frames), RATES, st.none() | SOUNDS)
    ),
    SOUNDS,
    arrays(np.float32, st.tuples(st.just(6), st.integers(1, 9)), elements=FLOATS).flatmap(
        lambda samples: st.builds(IMU, st.just(samples), RATES)
    ),
    arrays(np.float32, SIDES, elements=FLOATS).map(Depth),
    arrays(np.uint8, SIDES).map(Thermal),
    arrays(np.float32, SIDES.map(lambda side: (*side, 3)), elements=FLOATS).map(Normal),
    st.integers(1, 9).flatmap(
        lambda count: st.builds(
            PointCloud,
            arrays(np.float32, (count, 3), elements=FLOATS),
            st.none() | arrays(np.uint8, (count, 3)),
        )
    ),
)
TEXTS = st.text(st.characters())
TARGETS = st.builds(Target, st.sampled_from(["image", "x"]), TEXTS, st.none() | MEDIA)
MESSAGES = st.builds(
    Message,
    st.sampled_from(["system", "user", "assistant"]),
    st.lists(TEXTS | MEDIA | TARGETS, max_size=4),
)


@settings(max_examples=60)
@given(MESSAGES)
def test_a_message_comes_back_from_json(message: Message) -> None:
    written = json.dumps(message.to_dict())
    again = Message.from_dict(json.loads(written), files=False)
    assert again == message
    assert [m.digest() for m in again.media] == [m.digest() for m in message.media]


def test_a_written_message_has_the_form_of_openai_s_api() -> None:
    written = Message("user", ["look", picture(), sound(seconds=0.01), felt()]).to_dict()
    text, seen, heard, moved = written["content"]
    assert written["role"] == "user" and text == {"type": "text", "text": "look"}
    assert seen.keys() == {"type", "image_url"} and seen["type"] == "image_url"
    assert seen["image_url"]["url"].startswith("data:image/png;base64,")
    assert heard["audio_url"]["url"].startswith("data:audio/")
    assert moved["type"] == "imu" and moved["imu"]["rate"] == 200.0
    assert conversation_of([written]) == [
        Message("user", ["look", picture(), *parts(heard), felt()])
    ]
    for part in (Path("a"), b"a", np.zeros(3), 3):
        with pytest.raises(ValueError, match="can't be written as JSON"):
            Message("user", [part]).to_dict()


# ---- Chat ----------------------------------------------------------------------------------------


def test_every_form_is_answered(tmp_path: Path) -> None:
    model = tiny_model()
    asked = {"type": "text", "text": "what is this?"}
    for form in (
        turn({"type": "image_url", "image_url": {"url": data_url(picture())}}, asked),
        turn({"type": "imu", "imu": {"samples": felt().samples.tolist(), "rate": 200}}, asked),
        [pil.fromarray(picture().pixels), "what is this?"],
        [picture().pixels, "what is this?"],
        [(sound().samples, 16000), "what is this?"],
        [picture().encode(".png"), "what is this?"],
        [Message("user", [(16000, sound().samples), "what is this?"])],
    ):
        assert model.chat(form).text == BALL
    drawn = model.chat(turn("draw a ball"), seed=1)
    assert (
        drawn
        == model.chat("draw a ball", seed=1)
        == model.chat(Message("user", "draw a ball"), seed=1)
    )
    assert drawn == model.chat([Message("user", "draw a ball")], seed=1)
    pairs = [[(sound().samples, 16000), "what is this?"], ["hello"]]
    assert [reply.text for reply in model.chat(pairs)] == [BALL, "Hello!"]
    talk = [*turn("draw a ball"), drawn.to_dict(), *turn("what is this?")]
    assert model.chat(talk, seed=2) == model.chat(
        [Message("user", "draw a ball"), drawn, Message("user", "what is this?")], seed=2
    )


@pytest.mark.parametrize(
    "text",
    ["caf\udce9", "\0", "a\0b\x1b[2J\x07\r", "\u202e\u0000", "\ud83d", "\x7f\x80\x9f", "\ufffe"],
)
def test_any_text_is_answered_and_saved(text: str, tmp_path: Path) -> None:
    session = Session(tiny_model(), tmp_path / "caf\udce9", 7, max_new_tokens=4)
    list(session.ask(f"a{text}b"))
    list(session.ask("draw a ball"))
    assert len(session.turns) == 2
    saved = session.save(tmp_path / "talk.json")
    told_file = json.loads(saved.read_text("utf-8"))
    assert told_file["messages"][0]["content"] == [{"text": f"a{valid_text(text)}b"}]
    for message in [*session.messages, Message("assistant", "a", supervised=False)]:
        assert Message.from_dict(message.to_dict()) == message


def test_a_transcript_is_a_conversation_again(tmp_path: Path) -> None:
    session = Session(tiny_model(), tmp_path / "out", 7)
    session.attach(picture().save(tmp_path / "a.png"))
    list(session.ask("what is this?"))
    list(session.ask("draw a ball"))
    transcript = json.loads(session.save(tmp_path / "talk").read_text())["messages"]
    again = conversation_of([*transcript, *turn("hello")])
    assert again[:-1] == session.messages


def test_a_turn_that_fails_in_any_way_leaves_the_history(tmp_path: Path) -> None:
    session = Session(tiny_model(), tmp_path / "out", 7)
    list(session.ask("hello"))
    session.attach(picture().save(tmp_path / "a.png"))
    before, attached = list(session.turns), list(session.attached)

    def fail(*_: Any) -> None:
        raise RuntimeError("out of memory")

    for part in (session.model.encoders["image"], session.model.language):
        hook = part.register_forward_pre_hook(fail)
        with pytest.raises(RuntimeError, match="out of memory"):
            list(session.ask("what is this?"))
        hook.remove()
        assert session.turns == before and session.attached == attached
    events = list(session.ask("what is this?"))
    assert (
        isinstance(events[-1], Done) and session.turns[-1].reply.text == REPLIES["what is this?"][0]
    )


NAMES = st.sampled_from(
    [
        *("type", "text", "role", "content", "image", "image_url", "input_audio", "audio", "imu"),
        *("url", "data", "samples", "rate", "sample_rate", "units", "kind", "file", "path"),
        *("bytes", "array", "fps", "frames", "target", "modality", "caption", "media", "points"),
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | NAMES
    | st.sampled_from(["user", "assistant", "data:,a", "data:;base64,AAAA", "file:///x", "text"])
    | st.just(np.ones((2, 2, 3), np.uint8))
    | st.just((np.ones(9, np.float32), 8000)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(NAMES | st.integers(), inner, max_size=4)
        | st.tuples(inner, inner)
    ),
    max_leaves=10,
)


@settings(max_examples=300)
@given(VALUES)
def test_anything_is_a_conversation_or_refused(given_value: Any) -> None:
    for whole in (given_value, [{"role": "user", "content": given_value}]):
        with contextlib.suppress(ValueError, OSError):
            for message in conversation_of(whole):
                assert all(isinstance(part, str | Media) for part in message.content)
