"""A folder without a causal language model is refused by what it is, before weights are read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import transformers as hf

from anymodal.composition import SHIPPED
from anymodal.language.model import LanguageModel
from tests.support import huggingface_models as tiny

BERT = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
        "num_attention_heads": 2, "vocab_size": 60}  # fmt: skip
BART = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "vocab_size": 60,
        "encoder_attention_heads": 2, "decoder_attention_heads": 2}  # fmt: skip


def config(made: Any) -> Callable[[Path], Any]:
    return lambda folder: made.save_pretrained(folder)


def file(name: str, **content: Any) -> Callable[[Path], Any]:
    def write(folder: Path) -> None:
        folder.mkdir()
        (folder / name).write_text(json.dumps(content))

    return write


MEDIA = "TransformersEncoder.from_pretrained opens it"
CASES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "whisper": (lambda folder: tiny.write(tiny.whisper, folder), f"'whisper', .*{MEDIA}"),
    "clip": (lambda folder: tiny.write(tiny.clip, folder), f"a 'clip', .*{MEDIA}"),
    "vit": (lambda folder: tiny.write(tiny.vit, folder), f"a 'vit', .*{MEDIA}"),
    "several": (config(hf.PeAudioVideoConfig()), f"'pe_audio_video', .*{MEDIA}"),
    "bert": (config(hf.BertConfig(**BERT)), "a 'bert', which fills gaps"),
    "roberta": (config(hf.RobertaConfig(**BERT)), "a 'roberta', which fills gaps"),
    "t5": (config(hf.T5Config(d_model=16)), "a 't5', an encoder-decoder"),
    "bart": (config(hf.BartConfig(**BART)), "a 'bart', an encoder-decoder"),
    "a picture's words": (config(hf.LlavaConfig()), "a 'llava'; a language model here"),
    "a pipeline": (file("model_index.json", _class_name="X"), "a diffusers pipeline; Diffusion"),
    "its autoencoder": (file("config.json", _class_name="AutoencoderKL"), "names no model_type"),
    "no configuration": (file("config.json"), "names no model_type"),
    "adapters": (file("adapter_config.json", peft_type="LORA"), "adapters alone; merge them"),
    "AnyModal's": (file("manifest.json", parts={}), "AnyModal.from_pretrained opens"),
}


@pytest.mark.parametrize("weights", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_by_what_it_is(case: str, weights: bool, tmp_path: Path) -> None:
    write, says = CASES[case]
    write(tmp_path / "part")
    with pytest.raises(ValueError, match=says):
        LanguageModel.from_pretrained(str(tmp_path / "part"), weights=weights)


def test_what_is_shipped_names_its_language_model() -> None:
    with pytest.raises(ValueError, match="AnyModal's own"):
        LanguageModel.from_pretrained(str(SHIPPED / "nano"))
    with pytest.raises(ValueError, match="names no model_type"):
        LanguageModel.from_pretrained(str(SHIPPED / "nano" / "imagebind"))
