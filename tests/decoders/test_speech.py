"""Speakers: each family says what its class's own call says at the same seed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import AddedToken

from anymodal.decoders import TransformersSpeaker
from anymodal.decoders.base import NonFiniteError
from anymodal.decoders.speech.base import SilentSpeechError
from anymodal.decoders.speech.sentences import SentenceSplitter, sentences_of
from anymodal.decoders.speech.table import FAMILIES
from anymodal.media import Audio, Media, Speech
from tests.support import speech_models
from tests.support.speakers import Beeper
from tests.support.speech_models import built, folder, recording

TEXT, SEED = "Hello you.", 3
CLONING = ("pocket_tts", "vibevoice", "dia", "csm")


def _line(speaker: TransformersSpeaker, voice: Audio | None, role: str) -> Any:
    content: list[dict[str, Any]] = [{"type": "text", "text": TEXT}]
    if voice is not None:
        content.append({"type": "audio", "audio": voice.samples[0]})
    return speaker.processor.apply_chat_template(
        [{"role": role, "content": content}], tokenize=True, return_dict=True, return_tensors="pt"
    )


def _pocket(speaker: TransformersSpeaker, voice: Audio | None) -> Any:
    latents = (
        {} if "alba" not in speaker.voices else {"audio_prompt_latents": [speaker._voices["alba"]]}
    )
    sound = {} if voice is None else {"audio": [voice.samples[0]]}
    prompt = f"{'<|audio_prompt|>' if latents or sound else ''}{TEXT}<|audio_bos|>"
    inputs = speaker.processor(text=[prompt], return_tensors="pt", **latents, **sound)
    torch.manual_seed(SEED)
    output = speaker.model.generate(**inputs, return_dict_in_generate=True)
    return speaker.processor.decode(output.audio_latents, output.audio_latents_mask)[0]


def _vibevoice(speaker: TransformersSpeaker, voice: Audio | None) -> Any:
    inputs = _line(speaker, voice, "0")
    torch.manual_seed(SEED)
    return speaker.model.generate(**inputs)[0]


def _dia(speaker: TransformersSpeaker, voice: Audio | None) -> Any:
    sound = {} if voice is None else {"audio": [voice.resample(44_100).samples[0]]}
    inputs = speaker.processor(text=[f"[S1] {TEXT}"], return_tensors="pt", **sound)
    torch.manual_seed(SEED)
    codes = speaker.model.generate(**inputs)
    length = speaker.processor.get_audio_prompt_len(inputs["decoder_attention_mask"])
    return speaker.processor.batch_decode(codes, audio_prompt_len=length if sound else None)[0]


def _csm(speaker: TransformersSpeaker, voice: Audio | None) -> Any:
    turns: list[dict[str, Any]] = [{"role": "0", "content": [{"type": "text", "text": TEXT}]}]
    if voice is not None:
        heard = [{"type": "text", "text": ""}, {"type": "audio", "audio": voice.samples[0]}]
        turns.insert(0, {"role": "0", "content": heard})
    inputs = speaker.processor.apply_chat_template(
        turns, tokenize=True, return_dict=True, return_tensors="pt"
    )
    torch.manual_seed(SEED)
    return speaker.model.generate(**inputs, output_audio=True)[0]


def _bark(speaker: TransformersSpeaker, voice: Audio | None) -> Any:
    inputs = speaker.processor(TEXT, max_length=32)
    torch.manual_seed(SEED)
    return speaker.model.generate(**inputs)[0]


def _speecht5(speaker: TransformersSpeaker, voice: Audio | None) -> Any:
    ids = speaker.processor(text=TEXT, return_tensors="pt")["input_ids"]
    torch.manual_seed(SEED)
    return speaker.model.generate_speech(ids, speaker._voices["anna"][None], vocoder=speaker.codec)


OWN_CALLS: dict[str, Callable[[TransformersSpeaker, Audio | None], Any]] = {
    "pocket_tts": _pocket,
    "gradium_phonon_tts": _pocket,
    "vibevoice": _vibevoice,
    "dia": _dia,
    "csm": _csm,
    "bark": _bark,
    "speecht5": _speecht5,
}


def test_every_family_is_tried() -> None:
    assert set(OWN_CALLS) == set(FAMILIES) == set(speech_models.FAMILIES)


@pytest.mark.parametrize("name", FAMILIES)
def test_it_says_what_its_class_says(name: str) -> None:
    speaker = built(name)
    voices = [None, recording()] if name in CLONING else [None]
    assert speaker.takes_recordings == (name in CLONING)
    for voice in voices:
        state = torch.random.get_rng_state()
        speech = speaker.speak(TEXT, voice=voice, seed=SEED)
        assert torch.equal(torch.random.get_rng_state(), state)  # others' numbers stay theirs
        with torch.random.fork_rng():
            own = OWN_CALLS[name](speaker, voice).float().reshape(1, -1).numpy()
        assert isinstance(speech, Speech)
        assert speech.text == TEXT
        np.testing.assert_array_equal(speech.samples, own)


@pytest.mark.parametrize("name", FAMILIES)
def test_it_is_saved_and_opened(name: str) -> None:
    speaker = built(name)
    opened = TransformersSpeaker.from_pretrained(str(folder(name)))
    assert opened.voices == speaker.voices
    # Weights that are mapped from a file lie elsewhere, by which a processor may round otherwise.
    np.testing.assert_allclose(
        opened.speak(TEXT, seed=SEED).samples, speaker.speak(TEXT, seed=SEED).samples, atol=1e-4
    )
    planned = TransformersSpeaker.from_pretrained(str(folder(name)), weights=False)
    assert all(weight.is_meta for weight in planned.parameters())
    assert planned.voices == tuple(speaker._voices)
    counts = [sum(p.numel() for p in each.parameters()) for each in (planned, opened)]
    assert counts[0] == counts[1]
    with pytest.raises(ValueError, match="without weights"):
        planned.speak(TEXT)


def test_settings_are_the_familys() -> None:
    speaker = built("vibevoice")
    few = speaker.speak(TEXT, seed=SEED, steps=1, guidance=3.0)
    assert not np.array_equal(few.samples, speaker.speak(TEXT, seed=SEED).samples)
    settings = {"steps": 4, "guidance": 2.0, "passages": "all"}
    assert speaker.check_settings(settings) == settings
    for wrong, match in (
        ({"temperature": 1.0}, "no setting 'temperature'"),
        ({"voise": "a"}, "'voice'"),
        ({"steps": 0}, "steps=0"),
        ({"guidance": float("nan")}, "guidance=nan"),
        ({"passages": "some"}, "'marked', 'all' or 'none'"),
        ({"voice": 3}, "a recording as Audio"),
        (["voice"], "by name"),
    ):
        with pytest.raises(ValueError, match=match):
            speaker.check_settings(wrong)


def test_voices_have_names(tmp_path: Path) -> None:
    speaker = built("gradium_phonon_tts")
    assert list(speaker.voices) == ["alba", "bea"]
    other = speaker.speak(TEXT, voice="bea", seed=SEED)
    assert not np.array_equal(other.samples, speaker.speak(TEXT, seed=SEED).samples)
    with pytest.raises(ValueError, match="no voice 'albo'.*'alba'"):
        speaker.speak(TEXT, voice="albo")
    with pytest.raises(ValueError, match="the voice of a recording"):
        speaker.speak(TEXT, voice=recording())
    with pytest.raises(ValueError, match=r"\(frames, 6\), not \(5, 7\)"):
        speaker.add_voice("carl", torch.zeros(5, 7))
    recording().save(tmp_path / "me.wav")
    files = {"me": str(tmp_path / "me.wav")}
    (tmp_path / "me.txt").write_text("My words.\n")
    cloning = TransformersSpeaker.from_pretrained(str(folder("pocket_tts")), voices=files)
    assert list(cloning.voices) == ["me"]
    for voice in (None, "me"):  # the first is taken, so that all sentences have one voice
        np.testing.assert_array_equal(
            cloning.speak(TEXT, voice=voice, seed=1).samples,
            cloning.speak(TEXT, voice=recording(), seed=1).samples,
        )
    cloning.save_pretrained(tmp_path / "with-voice")
    again = TransformersSpeaker.from_pretrained(str(tmp_path / "with-voice"))
    assert {name: voice.text for name, voice in again._voices.items()} == {"me": "My words."}  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="can't be named '../me'"):
        again.add_voice("../me", recording())
    with pytest.raises(FileNotFoundError, match="no voice at"):
        TransformersSpeaker.from_pretrained(
            str(folder("pocket_tts")), voices={"you": str(tmp_path / "you.wav")}
        )


def test_a_voice_may_be_needed() -> None:
    speaker = built("speecht5")
    mute = TransformersSpeaker(speaker.model, speaker.processor, speaker.codec)
    with pytest.raises(ValueError, match="no voice of its own"):
        mute.speak(TEXT)


@pytest.mark.parametrize(
    ("text", "match"),
    [("", "nothing to say"), (" … - __", "nothing to say"), ("a" * 500, "too long.*500 tokens")],
)
def test_texts_that_cannot_be_spoken(text: str, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        built("pocket_tts").speak(text)


def test_typed_marks_of_the_model_are_not_its_own() -> None:
    speaker = built("vibevoice")
    speaker.processor.tokenizer.add_tokens([AddedToken("<|a|>", special=True)])
    plain = speaker.speak("Hello you.", seed=SEED)
    typed = speaker.speak("Hello <|vision_pad|><|a|> you.", seed=SEED)
    np.testing.assert_array_equal(plain.samples, typed.samples)


def test_silence_and_nan_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    speaker = built("csm")
    for sound, error in (
        (torch.zeros(100), SilentSpeechError),
        (torch.zeros(0), SilentSpeechError),
        (None, SilentSpeechError),
        (torch.tensor([0.1, float("nan")]), NonFiniteError),
    ):
        monkeypatch.setattr(type(speaker.family), "generate", lambda *_, sound=sound: sound)
        with pytest.raises(error, match="Hello you"):
            speaker.speak(TEXT)


def test_other_models_are_refused_by_their_type(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "vits"}')
    with pytest.raises(ValueError, match="'vits'.*vibevoice"):
        TransformersSpeaker.from_pretrained(str(tmp_path))
    with pytest.raises(ValueError, match="no codec apart"):
        TransformersSpeaker.from_pretrained(str(folder("csm")), codec="somebody/codec")


def test_a_speaker_of_ones_own() -> None:
    speaker = Beeper()
    assert speaker.settings == ("voice", "pace", "passages")
    assert speaker.check_settings({"pace": 0.5, "voice": "low"})
    with pytest.raises(ValueError, match="there are: low, high"):
        speaker.check_settings({"voice": "middle"})
    joined = speaker.join([speaker.speak("One."), speaker.speak("Two")])
    assert isinstance(joined, Speech)
    assert joined.samples.shape == (1, 700)
    assert joined.text == "One. Two"


def test_speech_is_a_kind_of_its_own(tmp_path: Path) -> None:
    speech = Beeper().speak("Hi")
    speech.save(tmp_path / "a.wav")
    assert type(Media.load(tmp_path / "a.wav")) is Audio
    read = Speech.load(tmp_path / "a.wav")
    assert read == speech
    assert read.kind == "speech"
    assert "Speech(" in repr(read)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("It is 3.5 m. Dr. Who said so, i.e. he.", ["It is 3.5 m.", "Dr. Who said so, i.e. he."]),
        ('He said "Stop." Then left…  End', ['He said "Stop."', "Then left…", "End"]),
        ("Line\n\nOther line\n- - -\n", ["Line", "Other line"]),
        ("At 10 a.m. the U.S. team won. Yes.", ["At 10 a.m. the U.S. team won.", "Yes."]),
        ("1. One\n2. Two\nIn 2020. End", ["1. One", "2. Two", "In 2020.", "End"]),
        ("كيف حالك؟ بخير. यह घर है। हाँ", ["كيف حالك؟", "بخير.", "यह घर है।", "हाँ"]),
        ("你好。再见！", ["你好。", "再见！"]),
        ("他说「好。」走！", ["他说「好。」", "走！"]),
        ("a, b c d e f g h", ["a, b c d", "e f g h"]),
        ("a, b c d e f g ___", ["a, b c d", "e f g"]),
        ("", []),
    ],
)
def test_sentences(text: str, sentences: list[str]) -> None:
    size = 8 if text.startswith("a,") else 300
    assert sentences_of(text, size) == sentences
    splitter = SentenceSplitter(size)
    in_letters = [each for letter in text for each in splitter.push(letter)]
    assert len(in_letters) >= len(sentences) - 1  # none is waited for longer than it must be
    assert [*in_letters, *splitter.flush()] == sentences
