"""Adapters that a checkpoint has beside its model: Phi-4-multimodal's for pictures and sounds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import Phi4MultimodalFeatureExtractor, Phi4MultimodalForCausalLM

from anymodal.chat.turn import embed_prompts
from anymodal.language.model import LanguageModel
from anymodal.model import AnyModal
from anymodal.types import Message
from tests.support.multimodal.phi import PHI_SOUNDS, phi_pictures
from tests.support.multimodal.talks import PICTURES, TALKS, own_hidden, own_inputs, sound

LAYERS = r"model\.layers\.\d+\.(self_attn\.(qkv|o)_proj|mlp\.(gate_up|down)_proj)"
"""The linear layers that the published adapters are of."""
CLOSE = {"rtol": 1e-4, "atol": 1e-4}


@pytest.fixture(scope="module")
def folder(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with both adapters, of other ranks and scales, as PEFT itself saves them."""
    folder = tmp_path_factory.mktemp("adapters") / "phi"
    shutil.copytree(folders["phi-4-multimodal"], folder)
    for seed, (name, rank) in enumerate({"vision": 2, "speech": 3}.items()):
        torch.manual_seed(seed)
        settings = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.1, target_modules=LAYERS)
        adapted = get_peft_model(Phi4MultimodalForCausalLM.from_pretrained(folder), settings)
        for key, weight in adapted.named_parameters():
            if "lora_B" in key:  # zeros at first, which would add nothing
                torch.nn.init.normal_(weight, std=0.3)
        adapted.save_pretrained(folder / f"{name}-lora")
    return folder


def own_class(folder: Path, adapter: str) -> Any:
    """Transformers' own class with an adapter set, as its documentation loads it."""
    own = Phi4MultimodalForCausalLM.from_pretrained(folder)
    place = {"subfolder": f"{adapter}-lora"}
    own.load_adapter(str(folder), adapter_name=adapter, adapter_kwargs=place)
    own.set_adapter(adapter)
    return own.eval()


def opened(folder: Path, **settings: Any) -> AnyModal:
    return AnyModal(LanguageModel.from_pretrained(str(folder), **settings), None, {})


@torch.no_grad()
def test_pictures_are_read_as_by_transformers_with_the_adapter(folder: Path) -> None:
    own, base = own_class(folder, "vision"), opened(folder)
    model = opened(folder, adapter="vision")
    named = "phi-4-multimodal"
    for talk in TALKS:
        model.language.name = named  # by which the support finds the family
        inputs = own_inputs(model, talk)
        whole, scores = own_hidden(own, inputs)
        (embedded,) = embed_prompts(model, [talk])
        hidden = model.language(embedded.embeds[None])
        torch.testing.assert_close(hidden, whole, **CLOSE)
        torch.testing.assert_close(model.language.logits(hidden), scores, **CLOSE)
        (plain,) = embed_prompts(base, [talk])
        assert not torch.allclose(base.language(plain.embeds[None]), whole, **CLOSE)
        ids = own.generate(**inputs, max_new_tokens=9, do_sample=False)
        text = model.language.decode(ids[0, inputs["input_ids"].shape[1] :].tolist())
        assert model.chat(talk, max_new_tokens=9, temperature=0.0).text == text


@torch.no_grad()
@pytest.mark.parametrize("adapter", ["speech", "vision"])
def test_sounds_are_heard_as_by_transformers_with_the_adapter(folder: Path, adapter: str) -> None:
    own, model = own_class(folder, adapter), opened(folder, adapter=adapter)
    pictures = [PICTURES[0]] if adapter == "vision" else []
    heard = Phi4MultimodalFeatureExtractor(**PHI_SOUNDS)(
        [sound(9_000).samples[0]], sampling_rate=16_000
    )
    inputs = {name: heard[name] for name in ("audio_input_features", "audio_embed_sizes")}
    inputs |= phi_pictures([each.pixels for each in pictures])[1] if pictures else {}
    talk = [Message("user", [sound(9_000), *pictures, "What is it?"])]
    ids = torch.tensor([model.prompts.build(talk, reply=True).ids])
    whole, _ = own_hidden(own, {"input_ids": ids, **inputs})
    (embedded,) = embed_prompts(model, [talk])
    torch.testing.assert_close(model.language(embedded.embeds[None]), whole, **CLOSE)
    # By embeddings, for it would look for the sound behind each mark of one that it says itself.
    embeds = {"inputs_embeds": embedded.embeds[None], "attention_mask": torch.ones_like(ids)}
    said = own.generate(**embeds, max_new_tokens=9, do_sample=False)
    text = model.language.decode(said[0].tolist())
    assert model.chat(talk, max_new_tokens=9, temperature=0.0).text == text


def test_a_saved_model_has_the_adapter_in_it(folder: Path, tmp_path: Path) -> None:
    """By its name beside the published files, and in the weights of files of its own."""
    model = opened(folder, adapter="vision")
    settings = {"max_new_tokens": 6, "temperature": 0.0}
    text = model.chat(TALKS[0], **settings).text
    for with_parts in (False, True):
        saved = tmp_path / str(with_parts)
        model.save_pretrained(saved, with_parts=with_parts)
        assert AnyModal.from_pretrained(saved).chat(TALKS[0], **settings).text == text
    model.language.enable_lora(r=2)  # a stage's own, on the merged weights
    model.language.merge_adapters()
    assert model.chat(TALKS[0], **settings).text == text


def test_what_is_not_there_is_refused(folder: Path, folders: dict[str, Path]) -> None:
    bare = folders["phi-4-multimodal"]
    for weights in (True, False):
        with pytest.raises(FileNotFoundError, match="no adapter 'vision'.*vision-lora.*leave"):
            LanguageModel.from_pretrained(str(bare), adapter="vision", weights=weights)
    with pytest.raises(ValueError, match="adapter='hearing' is unknown.*vision or speech"):
        LanguageModel.from_pretrained(str(folder), adapter="hearing")
    with pytest.raises(ValueError, match="is a 'qwen3_vl', .* none of their own; leave it out"):
        LanguageModel.from_pretrained(str(folders["qwen3-vl"]), adapter="vision")
    with pytest.raises(ValueError, match="can't be merged into quantised weights"):
        LanguageModel.from_pretrained(str(folder), adapter="vision", quantize="4bit")
    language = LanguageModel.from_pretrained(str(folder), adapter="vision", weights=False)
    assert language.device.type == "meta"


def test_an_adapter_of_another_model_is_refused(folder: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "phi"
    shutil.copytree(folder, wrong)
    file = wrong / "vision-lora" / "adapter_config.json"
    settings = json.loads(file.read_text("utf-8"))
    fewer = {**settings, "target_modules": r"model\.layers\.0\.mlp\.down_proj"}
    file.write_text(json.dumps(fewer), "utf-8")
    with pytest.raises(ValueError, match=r"has besides \d+ weights.*another model"):
        LanguageModel.from_pretrained(str(wrong), adapter="vision")
    more = {**settings, "target_modules": settings["target_modules"] + r"|lm_head"}
    file.write_text(json.dumps(more), "utf-8")
    with pytest.raises(ValueError, match=r"lacks 2 weights.*another model"):
        LanguageModel.from_pretrained(str(wrong), adapter="vision")
    file.write_text(json.dumps({**settings, "peft_type": "LOHA"}), "utf-8")
    with pytest.raises(ValueError, match="is LOHA .* only a LoRA"):
        LanguageModel.from_pretrained(str(wrong), adapter="vision")
