"""Replies that are spoken: passages, streaming, sessions, errors."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from anymodal.chat.session import Session
from anymodal.cli.chat_settings import apply_setting, describe_settings
from anymodal.decoders.base import NonFiniteError
from anymodal.media import Speech
from anymodal.modality import Modality
from anymodal.model import AnyModal
from anymodal.serving.engine import Engine
from anymodal.serving.errors import ModelFaultError
from anymodal.serving.requests import ReplyRequest
from anymodal.types import (
    Done,
    Event,
    MediumDelta,
    MediumReady,
    MediumStarted,
    Message,
    TextDelta,
)
from tests.support.scripted import scripted_model
from tests.support.speakers import Beeper
from tests.support.speech_models import built, recording

PIECES = ["Look: <vo", "ice>One. Tw", "o words</v", "oice> and not this."]
REPLY = "".join(PIECES)


@cache
def model() -> AnyModal:
    """A model that answers in marks, with a speaker."""
    silent = scripted_model(PIECES)
    return AnyModal(silent.language, silent.projection, {"voice": Modality(speaker=Beeper())})


ALL = {"voice": {"passages": "all"}}


def test_marked_passages_are_spoken_sentence_by_sentence() -> None:
    events = list(model().stream("hi", seed=7))
    assert "".join(e.text for e in events if isinstance(e, TextDelta)) == REPLY
    sentences = [e.media for e in events if isinstance(e, MediumDelta)]
    assert [s.text for s in sentences if isinstance(s, Speech)] == ["One.", "Two words"]
    ready = next(e for e in events if isinstance(e, MediumReady))
    assert ready.media == Beeper().join(sentences)
    message = next(e.message for e in events if isinstance(e, Done))
    assert message.content == ["Look: <voice>", ready.media, "One. Two words</voice> and not this."]
    assert message.text == REPLY
    # Where the medium stands is told before its first word.
    place = events.index(MediumStarted(0, "voice"))
    assert "".join(e.text for e in events[:place] if isinstance(e, TextDelta)) == "Look: <voice>"
    assert message == model().chat("hi", seed=7)
    assert ready.media.provenance is not None


def test_a_whole_reply_is_spoken_or_nothing() -> None:
    whole = model().chat("hi", sampling=ALL)
    assert isinstance(whole.content[0], Speech)
    assert whole.content[0].text == "Look: One. Two words and not this."
    for settings in ({"sampling": {"voice": {"passages": "none"}}}, {"modalities": []}):
        assert model().chat("hi", **settings).content == [REPLY]
    only = model().chat("hi", modalities=["voice"])
    assert [type(part) for part in only.content] == [str, Speech, str]


def test_the_history_has_the_words_and_not_the_sound() -> None:
    reply = model().chat("hi", seed=7)
    history = [Message("user", "hi"), reply, Message("user", "again")]
    words = [Message("user", "hi"), Message("assistant", reply.text), Message("user", "again")]
    builder = model().prompts
    assert builder.build(history, reply=True).ids == builder.build(words, reply=True).ids


def test_batches_speak_as_single_replies() -> None:
    both = model().chat([["hi"], ["you"]], seed=7)
    assert both[0] == model().chat("hi", seed=7)
    assert both[1] == model().chat("you", seed=8)


def test_voices_and_errors() -> None:
    high = model().chat("hi", sampling={"voice": {"voice": "high"}}).media[0]
    assert high != model().chat("hi").media[0]
    for sampling, match in (
        ({"voice": {"voice": "nobody"}}, "no voice 'nobody'.*low, high"),
        ({"voise": {}}, "makes no 'voise'; it makes voice"),
        ({"voice": {"steps": 3}}, "no setting 'steps'"),
    ):
        with pytest.raises(ValueError, match=match):
            model().chat("hi", sampling=sampling)
    with pytest.raises(ValueError, match="makes no 'voice'; it makes text alone"):
        scripted_model(PIECES).chat("hi", sampling=ALL)


@pytest.mark.parametrize("fault", [float("nan"), 0.0])
def test_what_cannot_be_heard_is_an_error(fault: float) -> None:
    broken = AnyModal(
        model().language, model().projection, {"voice": Modality(speaker=Beeper(fault))}
    )
    with pytest.raises(ValueError, match="speaker of 'voice'.*'One.'"):
        broken.chat("hi")
    with pytest.raises(NonFiniteError, match="conversation 1, 2: the speaker of 'voice'.*'One.'"):
        broken.chat([["hi"], ["you"]])
    with pytest.raises(ModelFaultError, match="'One.'"):
        asyncio.run(_ask(broken))


async def _ask(answerer: AnyModal, **settings: object) -> list[Event]:
    engine = Engine(answerer)
    try:
        stream = await engine.submit(ReplyRequest("hi", seed=7, **settings))  # type: ignore[arg-type]
        return [event async for event in stream]
    finally:
        await asyncio.to_thread(engine.close)


@pytest.mark.parametrize("sampling", [{}, ALL])
def test_an_engine_speaks_as_a_stream_does(sampling: dict[str, dict[str, str]]) -> None:
    served = asyncio.run(_ask(model(), sampling=sampling))
    own = list(model().stream("hi", seed=7, sampling=sampling))
    assert served[-1] == own[-1]
    kinds = (MediumStarted, MediumDelta, MediumReady)
    assert [e for e in served if isinstance(e, kinds)] == [e for e in own if isinstance(e, kinds)]
    texts = [[e.text for e in some if isinstance(e, TextDelta)] for some in (served, own)]
    assert "".join(texts[0]) == "".join(texts[1]) == REPLY


def test_a_session_keeps_its_speech(tmp_path: Path) -> None:
    session = Session(model(), tmp_path / "out", seed=7)
    list(session.ask("hi"))
    (file,) = session.turns[0].reply_files
    assert file.name == "reply-1-speech.wav"
    path = session.save(tmp_path / "talk.json")
    assert json.loads(path.read_text())["messages"][1]["content"][1]["kind"] == "speech"
    again = Session(model(), tmp_path / "out", seed=7)
    again.load(path)
    assert again.turns[0].reply == session.turns[0].reply
    list(again.ask("and now?"))
    assert session.save(tmp_path / "talk.html").read_text().count("<audio") == 1


def test_a_stream_that_is_left_ends() -> None:
    events = model().stream("hi", sampling=ALL)
    assert isinstance(next(events), MediumStarted | TextDelta)
    events.close()


def test_a_modality_is_made_or_spoken() -> None:
    with pytest.raises(ValueError, match="both, or a speaker"):
        Modality()
    with pytest.raises(ValueError, match="no setting 'voise'"):
        Modality(speaker=Beeper(), sampling={"voise": "low"})
    two = {"a": Modality(speaker=Beeper()), "b": Modality(speaker=Beeper())}
    with pytest.raises(ValueError, match="both make Speech"):
        AnyModal(model().language, model().projection, two)


def test_marks_in_any_pieces() -> None:
    from anymodal.chat.passages import PassageEnd, PassageStart, ReplyPassages, Sentence

    texts = ["a <voice>b</voice>", "<voice></voice>x<voice> - <b>! c", "</voice> <voic <voice>d"]
    joined = "".join(texts)
    expected = ["b", "- <b>!", "c", "d"]

    def read(pieces: Sequence[str]) -> tuple[str, list[str], int]:
        passages = ReplyPassages(model(), {"voice": {}})
        items = [item for piece in pieces for item in passages.push(piece)] + passages.flush()
        starts = sum(isinstance(item, PassageStart) for item in items)
        assert starts == sum(isinstance(item, PassageEnd) for item in items)
        said = [item.text for item in items if isinstance(item, Sentence)]
        return "".join(item for item in items if isinstance(item, str)), said, starts

    assert read(texts) == read([*joined]) == read([joined]) == (joined, expected, 3)


def test_a_voice_of_a_file_is_set_and_a_speaker_added(tmp_path: Path) -> None:
    talker = scripted_model(PIECES)
    talker.add_modality("voice", Modality(speaker=built("pocket_tts")))
    with pytest.raises(ValueError, match="known already"):
        talker.add_modality("voice", Modality(speaker=Beeper()))
    session = Session(talker, tmp_path / "out", seed=7)
    recording().save(tmp_path / "me.wav")
    apply_setting(session, "voice", str(tmp_path / "me.wav"))
    apply_setting(session, "voice.temperature", "0")
    assert session.sampling["voice"]["voice"] == recording()
    list(session.ask("hi"))
    pieces = [
        built("pocket_tts").speak(each, voice=recording(), temperature=0.0)
        for each in ("One.", "Two words")
    ]
    assert session.turns[0].reply.media == [built("pocket_tts").join(pieces)]
    assert "Audio(" in describe_settings(session)
    assert session.transcript()["settings"]["sampling"] == {"voice": {"temperature": 0.0}}
    with pytest.raises(ValueError, match="there is no setting 'voixe'.*'voice'"):
        apply_setting(session, "voixe", "alba")


def test_messages_of_speech_are_written_and_read() -> None:
    reply = model().chat("hi", seed=7)
    assert Message.from_dict(reply.to_dict()) == dataclasses.replace(reply, steps=())
    assert np.abs(reply.media[0].samples).max() > 0.1  # type: ignore[attr-defined]
