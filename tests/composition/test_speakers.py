"""Models with a speaker: composed, saved, opened, planned, with the licences of its components."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from torch import nn

from anymodal.composition.card import model_card
from anymodal.config import ConfigError
from anymodal.decoders import TransformersSpeaker
from anymodal.decoders.licences import component_licences
from anymodal.io.checkpoint import log_origins, origins, read_manifest
from anymodal.modality import Modality
from anymodal.model import AnyModal
from anymodal.tools.plan.answering import inference
from anymodal.tools.plan.parts import list_parts
from tests.support.image_pipelines import sana
from tests.support.scripted import scripted_model
from tests.support.speakers import Beeper
from tests.support.speech_models import FAMILIES, RATE, built, folder


def config_with(speaker: Any, home: Path, **modality: Any) -> dict[str, Any]:
    scripted_model(["Hello", " you."]).language.save_pretrained(home / "words")
    words = {"path_or_name": str(home / "words")}
    return {
        "language": {"_target_": "anymodal.language.LanguageModel.from_pretrained", **words},
        "modalities": {"voice": {"speaker": speaker, **modality}},
    }


def pocket(**settings: Any) -> dict[str, Any]:
    target = "anymodal.decoders.TransformersSpeaker.from_pretrained"
    return {"_target_": target, "path_or_name": str(folder("pocket_tts")), **settings}


def test_a_composed_model_speaks_is_saved_and_planned(tmp_path: Path) -> None:
    config = config_with(pocket(), tmp_path, sampling={"passages": "all"})
    model = AnyModal.compose(config)
    own = {"voice": {"temperature": 0.0}}
    speech = model.chat("hi", sampling=own).media[0]
    model.save_pretrained(tmp_path / "model", with_parts=True)
    again = AnyModal.from_pretrained(tmp_path / "model")
    assert again.modalities["voice"].sampling == {"passages": "all"}
    assert again.chat("hi", sampling=own).media[0].digest() == speech.digest()
    assert (tmp_path / "model/voice-speaker/audio_tokenizer/config.json").exists()
    planned = AnyModal.from_pretrained(tmp_path / "model", weights=False)
    parts = {part.name: part for part in list_parts(planned, {})}
    count = sum(weight.numel() for weight in model.speakers["voice"].parameters())
    assert sum(p.parameters for name, p in parts.items() if "voice" in name) == count
    need = inference(planned, 16)
    assert not need.unknown
    assert any("voice" in name for _, name in need.sizes)


@pytest.mark.parametrize("name", FAMILIES)
def test_what_a_speaker_holds_at_work_is_planned(name: str) -> None:
    speaker = TransformersSpeaker.from_pretrained(str(folder(name)), weights=False)
    need = inference(nn.ModuleDict({"speaker": speaker}), 16)
    assert not need.unknown and need.assumed == ["speaker speaks 25 s at once"]
    seconds = 25
    if name == "speecht5":  # whose network has positions for so much alone
        hop = math.prod(built(name).codec.config.upsample_rates)
        steps = speaker.model.config.max_speech_positions * speaker.model.config.reduction_factor
        seconds = min(seconds, steps * hop / 16_000)
    rate = {"dia": 44_100, "speecht5": 16_000}.get(name, RATE)
    assert need.of("activations") > seconds * rate * 4, "all of a recording, or of what is said"


def test_a_speaker_of_which_nobody_knows_is_told() -> None:
    need = inference(nn.ModuleDict({"speaker": Beeper()}), 16)
    assert [reason.split(" (")[0] for reason in need.unknown] == ["speaker"]


def test_a_speaker_of_ones_own_is_saved_and_opened(tmp_path: Path) -> None:
    silent = scripted_model(["Hello", " you."])
    modality = Modality(speaker=Beeper(0.25), sampling={"voice": "high"})
    model = AnyModal(silent.language, silent.projection, {"voice": modality})
    model.save_pretrained(tmp_path / "model")
    opened = AnyModal.from_pretrained(tmp_path / "model", trusted_packages=["tests"])
    settings = {"voice": {"passages": "all"}}
    assert opened.chat("hi", sampling=settings) == model.chat("hi", sampling=settings)
    assert opened.modalities["voice"].sampling == {"voice": "high"}


def test_licences_of_components_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    codec = tmp_path / "codec"
    codec.mkdir()
    for file in (folder("pocket_tts") / "audio_tokenizer").iterdir():
        (codec / file.name).write_bytes(file.read_bytes())
    (codec / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    model = AnyModal.compose(config_with(pocket(codec=str(codec)), tmp_path))
    model.save_pretrained(tmp_path / "model")
    manifest = read_manifest(tmp_path / "model")
    caplog.clear()
    with caplog.at_level(logging.INFO, "anymodal"):
        log_origins(manifest)
    (line,) = [r for r in caplog.records if "speaker.voice.codec" in r.getMessage()]
    assert line.levelno == logging.WARNING
    assert "cc-by-nc-4.0" in line.getMessage()
    card = model_card(tmp_path / "model", "me/model")
    assert "| speaker.voice.codec" in card
    assert "speaker.voice.codec doesn't allow commercial use" in card


def test_licences_of_a_pipelines_networks_are_told() -> None:
    """As of Sana's text encoder, of which the card of its repository tells nothing."""
    parts = component_licences(sana().components)
    assert {name: part["licence"] for name, part in parts.items()} == {"text_encoder": "gemma"}
    entry = {"source": {"name": "me/sana", "licence": "apache-2.0"}, "components": parts}
    lines = origins({"decoder.image": entry})
    (line,) = [line for line in lines if line.startswith("decoder.image.text_encoder")]
    assert "under gemma: read it before commercial use" in line
    assert lines[line] == logging.WARNING


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"speaker": {"_target_": "anymodal.heads.LinearHead"}}, "must be a Speaker|speaker"),
        ({"speaker": pocket(voises={})}, "'voices'"),
        ({"sampling": {"voice": "nobody"}}, "no voice 'nobody'"),
        ({"sampling": {"steps": "many"}}, "steps='many'"),
        ({"decoder": pocket()}, "a decoder and a speaker"),
    ],
)
def test_wrong_configurations(change: dict[str, Any], match: str, tmp_path: Path) -> None:
    config = config_with(pocket(), tmp_path)
    config["modalities"]["voice"] |= change
    (tmp_path / "model.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises((ConfigError, ValueError), match=match):
        AnyModal.compose(tmp_path / "model.yaml")
