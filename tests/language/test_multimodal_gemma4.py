"""Gemma 4: clips, sounds and what its layers are told of ids, as in transformers' own class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Gemma4AudioFeatureExtractor, Gemma4UnifiedAudioFeatureExtractor

from anymodal.chat.turn import embed_prompts
from anymodal.language.kv_cache import PrefixCache
from anymodal.language.model import LanguageModel
from anymodal.media import Audio
from anymodal.model import AnyModal
from anymodal.types import Message
from tests.support.language_kinds import make
from tests.support.multimodal.gemma import GEMMA_SOUNDS, NO_THOUGHT, UNIFIED_SOUNDS, unified_patches
from tests.support.multimodal.talks import PICTURES, clip, picture, sound


@torch.no_grad()
@pytest.mark.parametrize("name", ["gemma-4-small", "gemma-4-large"])
def test_clips_are_read_as_by_transformers(models: dict[str, AnyModal], name: str) -> None:
    model = models[name]
    film, reader = clip(7, 20, 37, 0.1), model.readers["video"]
    talk = [Message("user", [film, "then", PICTURES[0], "?"])]
    assert reader.chosen(film).tolist() == [0, 2, 4]
    prompt = model.prompts.build(talk, reply=True)
    tokenizer = model.language.tokenizer
    count = len(prompt.media[0].places) // 3
    shown = " ".join(
        f"{time} <|image>{'<|video|>' * count}<image|>" for time in ("00:00", "00:20", "00:40")
    )
    seen = f"<|image>{'<|image|>' * len(prompt.media[1].places)}<image|>"
    text = f"<bos><|turn>user\n\n\n{shown}\n\nthen\n\n{seen}\n\n?<turn|>\n<|turn>model\n"
    text += NO_THOUGHT if name == "gemma-4-large" else ""
    assert prompt.ids == tokenizer(text, add_special_tokens=False)["input_ids"]
    ids = torch.tensor([prompt.ids])
    kinds = (ids == model.signals.placeholder("image")).long()
    kinds += 2 * (ids == model.signals.placeholder("video")).long()
    patches, places = reader.patches(reader.prepare(film))
    image = model.readers["image"]
    pixels, picture_places = image.patches(image.prepare(PICTURES[0]))
    whole = model.language.model(
        ids,
        pixel_values=pixels,
        image_position_ids=picture_places,
        pixel_values_videos=patches,
        video_position_ids=places,
        num_frames_per_video=torch.tensor([3]),
        mm_token_type_ids=kinds,
        output_hidden_states=True,
    )
    (embedded,) = embed_prompts(model, [talk])
    hidden = model.language(embedded.embeds[None])
    torch.testing.assert_close(hidden, whole.hidden_states[-1])


@torch.no_grad()
def test_sounds_are_heard_as_by_transformers(models: dict[str, AnyModal]) -> None:
    model = models["gemma-4-small"]
    sounds = [sound(samples) for samples in (3_000, 16_000, 321)]
    extractor, reader = Gemma4AudioFeatureExtractor(**GEMMA_SOUNDS), model.readers["audio"]
    heard = extractor([each.samples[0] for each in sounds], return_tensors="pt")
    mask = heard["input_features_mask"]
    for row, each in enumerate(sounds):
        mel = heard["input_features"][row, mask[row]]
        torch.testing.assert_close(reader.prepare(each), mel)
        (run,) = reader.positions(each)[1:-1]
        assert run.count == int(mask[row, ::2][::2].sum())
    talk = [Message("user", [sounds[0], "and", sounds[1], "or", sounds[2]])]
    ids = torch.tensor([model.prompts.build(talk, reply=True).ids])
    whole = model.language.model(
        ids,
        input_features=heard["input_features"],
        input_features_mask=mask,
        output_hidden_states=True,
    )
    (embedded,) = embed_prompts(model, [talk])
    hidden = model.language(embedded.embeds[None])
    torch.testing.assert_close(hidden, whole.hidden_states[-1], rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match=r"0\.0100 seconds is too short .* at least 0\.0101"):
        reader.positions(Audio(sounds[0].samples[:, :160], 16_000))


@torch.no_grad()
def test_unified_models_read_patches_and_samples_as_transformers_do(
    models: dict[str, AnyModal],
) -> None:
    model = models["gemma-4-unified"]
    film, sounds, reader = clip(7, 20, 37, 0.1), [sound(3_001), sound(39)], model.readers["video"]
    talk = [Message("user", [film, "and", sounds[0], "or", sounds[1], "?"])]
    heard = Gemma4UnifiedAudioFeatureExtractor(**UNIFIED_SOUNDS)(
        [each.samples[0] for each in sounds], return_tensors="pt"
    )
    ids = torch.tensor([model.prompts.build(talk, reply=True).ids])
    counts = [int(each) for each in heard["input_features_mask"].sum(-1)]
    assert [int((ids == model.signals.placeholder("audio")).sum())] == [sum(counts)] == [77]
    patches, places = unified_patches(
        *(each.numpy() for each in reader.patches(reader.prepare(film)))
    )
    whole = model.language.model(
        ids,
        pixel_values_videos=patches,
        video_position_ids=places,
        num_frames_per_video=torch.tensor([3]),
        mm_token_type_ids=2 * (ids == model.signals.placeholder("video")).long(),
        **heard,
        output_hidden_states=True,
    )
    (embedded,) = embed_prompts(model, [talk])
    hidden = model.language(embedded.embeds[None])
    torch.testing.assert_close(hidden, whole.hidden_states[-1], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_models_of_text_alone_tell_layers_of_soft_tokens_as_padding() -> None:
    language = make("gemma-4")
    assert language.family is not None and not language.readers
    (new,) = language.add_tokens(["<new>"])
    embeds = language.embed([7, new, 9])
    embeds[1] = 0.3  # a soft token; transformers alone would look for the id that it is of
    backbone: Any = language.backbone
    own = backbone(
        inputs_embeds=embeds[None, :, : language.width],
        per_layer_inputs=backbone.get_per_layer_inputs(torch.tensor([[7, 0, 9]])),
    )
    embeds[1, language.width :] = 0
    assert torch.equal(language(embeds[None]), own.last_hidden_state)


@torch.no_grad()
def test_signals_and_soft_tokens_are_to_layers_as_padding(folders: dict[str, Path]) -> None:
    language = LanguageModel.from_pretrained(str(folders["gemma-4-small"]))
    (new,) = language.add_tokens(["<new>"])
    embeds = language.embed([7, new])
    assert embeds.shape[-1] == language.input_width == 2 * language.width
    backbone: Any = language.backbone
    hidden = language(embeds[None])
    own = backbone(
        inputs_embeds=embeds[None, :, : language.width],
        per_layer_inputs=backbone.get_per_layer_inputs(torch.tensor([[7, 0]])),
    )
    assert torch.equal(hidden, own.last_hidden_state)
    ids = torch.tensor([299_999, 255, 0, -1])
    family: Any = language.family
    marks = family.id_marks(ids)
    assert torch.equal(marks.bfloat16().long(), marks), "exact in half precision"
    assert family.ids_of(marks, padding=0).tolist() == [299_999, 255, 0, 0]


def test_names_of_adapted_layers_mean_the_language_part(folders: dict[str, Path]) -> None:
    def adapted(*names: str) -> set[str]:
        lora: Any = {"r": 2, "target_modules": [*names]}
        language = LanguageModel.from_pretrained(str(folders["gemma-4-small"]), lora=lora)
        assert language.lora is not None and language.lora["target_modules"] == [*names]
        return {name for name, _ in language.named_parameters() if "lora_" in name}

    own = adapted("q_proj", "v_proj")
    assert own and all(".language_model.layers." in name for name in own)
    assert all(".audio_tower." in name for name in adapted("ffw_layer_1.linear"))


@torch.no_grad()
def test_a_clip_and_a_sound_stay_in_the_cache_over_turns(models: dict[str, AnyModal]) -> None:
    model = models["gemma-4-small"]
    cache, settings = PrefixCache(model.language), {"max_new_tokens": 5, "temperature": 0.0}
    talk = [Message("user", [clip(4, 20, 37, 1.0), sound(2_000), "?"])]
    for more in ([], ["and", picture(30, 30, 5), sound(4_000)]):
        talk = [*talk, Message("assistant", "a"), Message("user", more)] if more else talk
        warm = model.chat(talk, cache=cache, **settings)
        assert warm.text == model.chat(talk, **settings).text
    assert warm.usage is not None and warm.usage.cached > 50
