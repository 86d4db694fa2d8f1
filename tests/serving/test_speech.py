"""Speech on a server, by the official `openai` client and by ours."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import openai
import pytest

from anymodal.media import Audio, Speech, load
from anymodal.media.base import data_uri
from anymodal.modality import Modality
from anymodal.model import AnyModal
from anymodal.serving.client.http_client import ServerClient
from anymodal.serving.client.remote_model import RemoteModel
from anymodal.serving.errors import EngineClosedError
from anymodal.serving.job import SpeechTask
from anymodal.serving.speech_worker import SpeechWorker
from anymodal.types import MediumDelta
from tests.support.scripted import scripted_model
from tests.support.serving import model_to_serve, serving
from tests.support.speakers import Beeper
from tests.support.speech_models import built, recording

PIECES = ["Look: <voice>", "One. Two", " words</voice>", " Bye."]
WORDS = "Good day. How are you?"


def _with_speaker(speaker: Any) -> AnyModal:
    silent = scripted_model(PIECES)
    return AnyModal(silent.language, silent.projection, {"voice": Modality(speaker=speaker)})


@pytest.fixture(scope="module")
def model() -> AnyModal:
    return _with_speaker(Beeper())


@pytest.fixture(scope="module")
def url(model: AnyModal) -> Iterator[str]:
    models = {
        "talker": model,
        "mute": scripted_model(PIECES),
        "broken": _with_speaker(Beeper(float("nan"))),
        "cloner": _with_speaker(built("pocket_tts")),
    }
    served = [
        model_to_serve(each, name, content_filter=_no_secrets) for name, each in models.items()
    ]
    with serving(served) as url:
        yield url


def _no_secrets(item: object, _: str) -> str | None:
    return "it is secret" if isinstance(item, str) and "secret" in item else None


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=60) as client:
        yield client


def _spoken(voice: str = "low") -> Speech:
    beeper = Beeper()
    return beeper.join([beeper.speak(each, voice=voice) for each in ("Good day.", "How are you?")])  # type: ignore[return-value]


def test_words_are_spoken_as_they_stand(client: openai.OpenAI) -> None:
    for form in ("wav", "flac"):
        made = client.audio.speech.create(
            model="talker", voice="high", input=WORDS, response_format=form, speed=1.0
        )
        assert made.response.headers["content-type"] == f"audio/{form}"
        sound = load(made.content)
        assert isinstance(sound, Audio)
        np.testing.assert_allclose(sound.samples, _spoken("high").samples, atol=1e-6)
        assert b"Made by AI" in made.content


def test_samples_come_sentence_by_sentence(client: openai.OpenAI) -> None:
    sentences = [Beeper().speak(each) for each in ("Good day.", "How are you?")]
    sound = np.concatenate([each.resample(24_000).samples[0] for each in sentences])
    wanted = (np.clip(sound, -1, 1) * 32767).round().astype("<i2").tobytes()
    how: dict[str, Any] = {"model": "talker", "voice": "default", "input": WORDS}
    with client.audio.speech.with_streaming_response.create(response_format="pcm", **how) as answer:
        assert answer.headers["content-type"] == "audio/pcm"
        assert b"".join(answer.iter_bytes()) == wanted
    for form, count in (("pcm", 2), ("wav", 1)):
        lines = client.audio.speech.create(
            response_format=form,
            stream_format="sse",
            **how,  # type: ignore[arg-type]
        ).text.splitlines()
        events = [json.loads(line.removeprefix("data: ")) for line in lines if "{" in line]
        assert [e["type"] for e in events] == ["speech.audio.delta"] * count + ["speech.audio.done"]
        data = b"".join(b64decode(event["audio"]) for event in events[:-1])
        if form == "pcm":
            assert data == wanted
        else:
            assert Speech.load(data) == _spoken()


@pytest.mark.parametrize(
    ("form", "mime"), [("mp3", "mpeg"), ("opus", "ogg"), ("aac", "aac"), ("flac", "flac")]
)
def test_speech_comes_in_the_formats_of_openai(client: openai.OpenAI, form: Any, mime: str) -> None:
    how: dict[str, Any] = {"model": "talker", "voice": "low", "input": WORDS}
    answer = client.audio.speech.create(**how, response_format=form)
    assert answer.response.headers["content-type"] == f"audio/{mime}"
    made = load(answer.content)
    assert isinstance(made, Audio)
    own = _spoken()
    assert made.duration == pytest.approx(own.duration, abs=0.3)  # AAC is padded
    heard, said = (np.abs(np.fft.rfft(each.resample(8000).samples[0])) for each in (made, own))
    pitch = said.argmax() * own.duration**-1
    assert heard.argmax() / made.duration == pytest.approx(pitch, rel=0.02)


def test_speech_is_faster_at_the_same_pitch(client: openai.OpenAI) -> None:
    how: dict[str, Any] = {"model": "talker", "voice": "low", "input": WORDS * 3}
    plain, fast, slow = (
        load(client.audio.speech.create(**how, speed=speed).content) for speed in (1.0, 2.0, 0.5)
    )
    for made, factor in (fast, 2), (slow, 0.5):
        assert isinstance(made, Audio) and isinstance(plain, Audio)
        assert made.duration == pytest.approx(plain.duration / factor, rel=0.1)
        heard, said = (np.abs(np.fft.rfft(each.samples[0])) for each in (made, plain))
        pitch = said.argmax() / plain.duration
        assert heard.argmax() / made.duration == pytest.approx(pitch, rel=0.02)
    data = client.audio.speech.create(**how, speed=2.0, response_format="pcm").content
    assert len(data) / 2 / 24000 == pytest.approx(plain.duration / 2, rel=0.15)


def test_a_voice_may_be_a_recording(client: openai.OpenAI) -> None:
    how: dict[str, Any] = {"model": "cloner", "voice": {"id": "default"}, "input": "Hello you."}
    heard = data_uri("audio/wav", recording().encode(".wav"))
    extra = {"seed": 3, "ref_audio": heard, "ref_text": "ah", "sampling": {"temperature": 0.0}}
    made = client.audio.speech.create(**how, extra_body=extra)
    own = built("pocket_tts").speak("Hello you.", voice=recording(), temperature=0.0)
    np.testing.assert_allclose(load(made.content).samples, own.samples, atol=1e-4)  # type: ignore[attr-defined]
    for change in ({"input": "a secret"}, {"extra_body": {**extra, "ref_text": "a secret"}}):
        with pytest.raises(openai.BadRequestError, match="it is secret"):
            client.audio.speech.create(**{**how, **change})
    with pytest.raises(openai.BadRequestError, match="data URL"):
        client.audio.speech.create(**how, extra_body={"ref_audio": "/etc/passwd"})
    with pytest.raises(openai.BadRequestError, match="the voice of a recording"):
        client.audio.speech.create(**{**how, "model": "talker"}, extra_body={"ref_audio": heard})


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"voice": "nobody"}, "no voice 'nobody'.*low, high"),
        ({"input": "a" * 4097}, "4096"),
        ({"input": "  "}, "empty"),
        ({"input": "…!"}, "nothing to say"),
        ({"model": "mute"}, "'mute' makes no speech; it makes text"),
        ({"speed": 5.0}, "speed: .*less than or equal to 4"),
        ({"instructions": "whisper"}, "'instructions' isn't supported"),
        ({"response_format": "ogg"}, "response_format"),
        ({"extra_body": {"sampling": {"steps": 3}}}, "no setting 'steps'"),
    ],
)
def test_what_is_refused(client: openai.OpenAI, change: dict[str, Any], match: str) -> None:
    how: dict[str, Any] = {"model": "talker", "voice": "low", "input": WORDS, **change}
    with pytest.raises(openai.BadRequestError, match=match):
        client.audio.speech.create(**how)


@pytest.mark.parametrize("form", ["wav", "pcm"])
def test_what_cannot_be_heard_is_a_fault(client: openai.OpenAI, form: Any) -> None:
    with pytest.raises(openai.InternalServerError, match="its log has it"):
        client.audio.speech.create(model="broken", voice="low", input=WORDS, response_format=form)


def test_models_tell_their_voices(client: openai.OpenAI) -> None:
    facts = {each.id: each.model_extra or {} for each in client.models.list()}
    assert facts["talker"]["modalities"]["output"] == ["text", "speech"]
    assert facts["talker"]["voices"] == ["low", "high"]
    assert "voices" not in facts["mute"]


def _ask(client: openai.OpenAI, **more: Any) -> Any:
    message = {"role": "user", "content": "hi"}
    return client.chat.completions.create(model="talker", messages=[message], seed=7, **more)  # type: ignore[call-overload]


def test_replies_are_spoken(client: openai.OpenAI, model: AnyModal) -> None:
    message = _ask(client).choices[0].message
    reply = model.chat("hi", seed=7)
    assert message.content == reply.text
    assert [part["type"] for part in message.parts] == ["text", "speech_url", "text"]
    assert message.audio.transcript == "One. Two words"
    assert Speech.load(b64decode(message.audio.data)) == reply.media[0]
    # OpenAI's way to have a whole reply spoken.
    how = {"modalities": ["text", "audio"], "audio": {"voice": "high", "format": "wav"}}
    whole = _ask(client, **how).choices[0].message
    assert whole.audio.transcript == "Look: One. Two words Bye."
    settings = {"voice": {"passages": "all", "voice": "high"}}
    assert Speech.load(b64decode(whole.audio.data)) == model.chat("hi", sampling=settings).media[0]
    silent = _ask(client, modalities=["text"]).choices[0].message
    assert silent.audio is None
    assert silent.content == reply.text
    # The reply goes on as the history of the next question.
    history = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": message.content, "parts": message.parts},
        {"role": "user", "content": "and now?"},
    ]
    again = client.chat.completions.create(model="talker", messages=history)  # type: ignore[arg-type]
    assert again.choices[0].message.content == reply.text


def test_our_client_hears_sentences_and_speech(url: str, model: AnyModal) -> None:
    remote = RemoteModel(ServerClient(url), "talker")
    events = list(remote.stream("hi", seed=7))
    own = list(model.stream("hi", seed=7))
    assert [e for e in events if isinstance(e, MediumDelta)] == [
        MediumDelta(e.index, "speech", e.media) for e in own if isinstance(e, MediumDelta)
    ]
    assert events[-1] == own[-1]


def test_a_sentence_for_a_closed_worker_ends_its_reply(model: AnyModal) -> None:
    worker, errors = SpeechWorker(model), list[Exception]()
    worker.close()
    job: Any = SimpleNamespace(fail=errors.append)
    worker.submit(SpeechTask(job, 0))
    assert isinstance(errors[0], EngineClosedError)
