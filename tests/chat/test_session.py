"""A chat session: history, attachments, seeds, saved media, and turns that fail or are stopped."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from anymodal import media
from anymodal.chat.session import Session
from anymodal.media import Video
from anymodal.types import Done, MediumReady, MediumStarted
from tests.support.tiny import felt, picture, tiny_model


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(tiny_model(), tmp_path / "out", 7)


def say(session: Session, text: str) -> list:
    return list(session.ask(text))


def test_a_turn_enters_the_history_and_its_media_are_saved(session: Session) -> None:
    events = say(session, "draw and play a ball")
    assert isinstance(events[-1], Done)
    started = [event.modality for event in events if isinstance(event, MediumStarted)]
    assert started == ["image", "audio"]
    (turn,) = session.turns
    assert turn.reply.text == "Look:  and listen:  Done."
    assert [path.name for path in turn.reply_files] == ["reply-1-image.png", "reply-1-audio.wav"]
    assert media.load(turn.reply_files[0]) == turn.reply.media[0]
    assert [message.role for message in session.messages] == ["user", "assistant"]


def test_no_file_is_overwritten(session: Session) -> None:
    session.out.mkdir()
    old = session.out / "reply-1-image.png"
    old.write_bytes(b"mine")
    say(session, "draw a ball")
    assert old.read_bytes() == b"mine"
    assert [path.name for path in session.turns[0].reply_files] == ["reply-2-image.png"]


def test_the_same_seed_gives_the_same_turns(session: Session, tmp_path: Path) -> None:
    other = Session(tiny_model(), tmp_path / "other", 7)
    for text in ("draw a ball", "draw a ball"):
        say(session, text)
        say(other, text)
    first, second = (turn.reply.media[0] for turn in session.turns)
    assert [first, second] == [turn.reply.media[0] for turn in other.turns]
    assert first != second
    third = Session(tiny_model(), tmp_path / "third", 8)
    say(third, "draw a ball")
    assert third.turns[0].reply.media[0] != first
    assert [turn.seed for turn in session.turns] == [7, 8]


def test_attachments_go_with_one_message(session: Session, tmp_path: Path) -> None:
    files = [picture().save(tmp_path / "a.png"), felt().save(tmp_path / "b.csv")]
    for file in files:
        session.attach(file)
    say(session, "what is this?")
    assert [type(part).__name__ for part in session.messages[0].content] == ["Image", "IMU", "str"]
    assert session.turns[0].files == tuple(files)
    assert not session.attached
    say(session, "hello")
    assert session.messages[2].media == []


def test_files_that_do_not_fit_change_nothing(session: Session, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    clip = Video(picture().pixels[None].repeat(2, 0), 4).save(tmp_path / "clip.mp4")
    session.attach(picture().save(tmp_path / "good.png"))
    with pytest.raises(ValueError, match=r"bad\.png"):
        session.attach(bad)
    with pytest.raises(ValueError, match=r"clip\.mp4 is video; this model reads audio, image, imu"):
        session.attach(clip)
    with pytest.raises(FileNotFoundError):
        session.attach(tmp_path / "none.png")
    assert [item.path.name for item in session.attached] == ["good.png"]


def test_a_stopped_reply_is_dropped_and_the_session_goes_on(
    session: Session, tmp_path: Path
) -> None:
    session.attach(picture().save(tmp_path / "a.png"))
    events = session.ask("what is this?")
    next(events)
    events.close()  # type: ignore[attr-defined]
    assert not session.turns and len(session.attached) == 1
    say(session, "what is this?")
    assert session.turns[0].reply.text == "This is a ball."


@pytest.mark.parametrize("moment", [MediumStarted, MediumReady])
def test_a_reply_stopped_at_its_media_leaves_no_file(session: Session, moment: type) -> None:
    events = session.ask("draw a ball")
    assert any(isinstance(event, moment) for event in events)
    events.close()  # type: ignore[attr-defined]
    assert not session.out.exists() and not session.turns
    say(session, "hello")
    assert session.turns[0].reply.text == "Hello!"


def test_nothing_to_say_is_an_error(session: Session) -> None:
    with pytest.raises(ValueError, match="empty"):
        say(session, "  ")
    assert not session.turns


def test_reset_forgets_and_repeats(session: Session) -> None:
    say(session, "draw a ball")
    first = session.turns[0].reply.media[0]
    session.reset()
    assert not session.messages
    say(session, "draw a ball")
    assert session.turns[0].reply.media[0] == first


def test_a_turn_after_another_equals_one_computed_at_once(session: Session) -> None:
    say(session, "draw a ball")
    say(session, "draw and play a ball")
    told = [*session.messages[:2], session.messages[2]]
    alone = tiny_model().chat(told, seed=8)
    assert alone.text == session.messages[3].text
    assert [medium.kind for medium in alone.media] == ["image", "audio"]


def fed(session: Session, events: Iterator) -> int:
    """How many positions the language model was given to read before the first word."""
    widths: list[int] = []
    watch = session.model.language.register_forward_hook(
        lambda _module, inputs, _output: widths.append(inputs[0].shape[1])
    )
    try:
        list(events)
    finally:
        watch.remove()
    return widths[0]


def test_an_edit_takes_the_last_message_s_place(session: Session, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no message to edit"):
        list(session.edit("hello"))
    say(session, "hello")
    session.attach(picture().save(tmp_path / "a.png"))
    say(session, "draw a ball")
    whole = len(session.model.prompts.build(session.messages[:3], reply=True).ids)
    new = fed(session, session.edit("what is this?"))
    assert new < whole / 2, "what stands before the edit is not computed again"
    assert [turn.question.text for turn in session.turns] == ["hello", "what is this?"]
    edited = session.turns[1]
    assert edited.question.media == [picture()] and edited.files == (tmp_path / "a.png",)
    assert edited.reply.text == "This is a ball." and edited.seed == 8
    assert edited.reply == tiny_model().chat(session.messages[:3], seed=8)


def test_an_edit_that_is_stopped_changes_nothing(session: Session) -> None:
    say(session, "draw a ball")
    before = list(session.turns)
    events = session.edit("hello")
    next(events)
    events.close()  # type: ignore[attr-defined]
    assert session.turns == before


@pytest.mark.parametrize(
    ("memory", "shown"),
    [
        (None, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (1, [0, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
        (2, [0, 1, 2, 2, 2, 2, 2, 2, 2, 2]),
        (4, [0, 1, 2, 3, 4, 3, 4, 3, 4, 3]),
        (6, [0, 1, 2, 3, 4, 5, 6, 4, 5, 6]),
    ],
)
def test_a_full_memory_drops_half_at_once(
    session: Session, memory: int | None, shown: list[int]
) -> None:
    list(session.ask("hello"))
    (turn,) = session.turns
    session.model = copy.copy(session.model)  # the tiny model is shared
    session.model.history_turns = memory
    for count, wanted in enumerate(shown):
        session.turns = [turn] * count
        assert len(session.messages) == 2 * wanted


def test_media_of_the_history_can_not_be_changed(session: Session, tmp_path: Path) -> None:
    session.attach(picture().save(tmp_path / "a.png"))
    say(session, "what is this?")
    say(session, "draw a ball")
    for message in session.messages:
        for medium in message.media:
            with pytest.raises(ValueError, match="read-only"):
                medium.pixels[0] = 0


def test_the_transcript_names_every_file(session: Session, tmp_path: Path) -> None:
    file = picture().save(tmp_path / "a.png")
    session.attach(file)
    say(session, "what is this?")
    say(session, "draw a ball")
    path = session.save(tmp_path / "talk")
    told = json.loads(path.read_text())
    assert path.name == "talk.json" and told["seed"] == 7
    asked, answered, _, drawn = told["messages"]
    assert asked["content"] == [{"kind": "image", "file": str(file)}, {"text": "what is this?"}]
    assert answered["content"] == [{"text": "This is a ball."}]
    assert answered["seed"] == 7 and drawn["seed"] == 8
    assert drawn["content"][1]["file"] == str(session.turns[1].reply_files[0])
    with pytest.raises(ValueError, match=r"a\.json"):
        session.save(file)


def test_unusable_settings_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="top_p=3"):
        Session(tiny_model(), tmp_path, 0, top_p=3)
    with pytest.raises(ValueError, match="seed=-1"):
        Session(tiny_model(), tmp_path, -1)


def test_a_notice_stands_where_earlier_turns_are_dropped(session: Session) -> None:
    list(session.ask("hello"))
    (turn,) = session.turns
    session.model = copy.copy(session.model)  # the tiny model is shared
    session.model.history_turns, session.model.history_notice = 2, "(there was more)"
    session.system = ""
    session.turns = [turn] * 2
    assert "there was more" not in "".join(message.text for message in session.messages)
    session.turns = [turn] * 3
    first, *rest = session.messages
    assert first.content == ["(there was more)", *turn.question.content] and first.role == "user"
    assert not any("there was more" in message.text for message in rest)
    assert turn.question.content == ["hello"]  # the history stays as it was said
    list(session.ask("hello again"))
    assert session.turns[-1].reply.content
