"""Clips, sounds and whole checkpoints of multimodal language models, each in its family's way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import WhisperFeatureExtractor

from anymodal.chat.turn import embed_prompts
from anymodal.language.families.idefics import TimedFrameReader, number_words
from anymodal.language.model import LanguageModel
from anymodal.media import Audio, Media, Video
from anymodal.model import AnyModal
from anymodal.types import Message
from tests.support.multimodal.qwen import QWEN_PICTURES, SOUNDS
from tests.support.multimodal.talks import PICTURES, clip, own_inputs, picture, sound
from tests.support.multimodal_models import MULTIMODAL_MODELS

INTERNVL_CLIPS_FIRST = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% for part in m.content if part.type == 'video' %}{{ '<video>\n' }}{% endfor %}"
    "{% for part in m.content if part.type == 'image' %}{{ '<IMG_CONTEXT>\n' }}{% endfor %}"
    "{% for part in m.content if part.type == 'text' %}{{ part.text }}{% endfor %}"
    "<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
QWEN = ("qwen2.5-vl", "qwen3-vl")


@pytest.fixture(params=QWEN)
def qwen(request: pytest.FixtureRequest, models: dict[str, AnyModal]) -> AnyModal:
    """A model of Qwen's."""
    return models[request.param]


@torch.no_grad()
def test_positions_of_clips_are_those_of_transformers(qwen: AnyModal) -> None:
    talk = [Message("user", [clip(9, 16, 30, 4.0), "then", PICTURES[0], "?"])]
    own: Any = qwen.language.model.model
    prompt = qwen.prompts.build(talk, reply=True)
    video, image = qwen.readers["video"], qwen.readers["image"]
    ids = torch.tensor([prompt.ids])
    kinds = (ids == qwen.signals.placeholder("image")).long()
    kinds += 2 * (ids == qwen.signals.placeholder("video")).long()
    frames = video.chosen(prompt.media[0].media)
    assert len(frames) == 4
    seconds = 2 * 9 / (4 * 4.0)
    positions, _ = own.get_rope_index(
        ids,
        mm_token_type_ids=kinds,
        image_grid_thw=torch.tensor([image.grid(prompt.media[1].media)]),
        video_grid_thw=torch.tensor([video.grid(prompt.media[0].media)]),
        second_per_grid_ts=torch.tensor([seconds]),
    )
    assert prompt.axes is not None and torch.equal(prompt.axes, positions[:, 0])
    (embedded,) = embed_prompts(qwen, [talk])
    pixels = [video.patches(video.prepare(prompt.media[0].media))]
    whole = qwen.language.model(
        ids,
        pixel_values_videos=pixels[0],
        video_grid_thw=torch.tensor([video.grid(prompt.media[0].media)]),
        pixel_values=image.patches(image.prepare(prompt.media[1].media)),
        image_grid_thw=torch.tensor([image.grid(prompt.media[1].media)]),
        mm_token_type_ids=kinds,
        second_per_grid_ts=torch.tensor([seconds]),
        output_hidden_states=True,
    )
    assert embedded.positions is not None
    hidden = qwen.language(embedded.embeds[None], positions=embedded.positions[:, None])
    assert torch.equal(hidden, whole.hidden_states[-1])


@torch.no_grad()
def test_frames_of_clips_are_read_as_by_transformers(models: dict[str, AnyModal]) -> None:
    model = models["llava-onevision"]
    film = clip(7, 20, 37, 4.0)
    talk = [Message("user", [film, "then", PICTURES[0], "?"])]
    prompt = model.prompts.build(talk, reply=True)
    reader = model.readers["video"]
    assert [int(place) for place in reader.chosen(film)] == [1, 3, 5]
    (embedded,) = embed_prompts(model, [talk])
    picture_inputs = own_inputs(model, [Message("user", PICTURES[0])])
    whole = model.language.model(
        torch.tensor([prompt.ids]),
        pixel_values=picture_inputs["pixel_values"],
        image_sizes=picture_inputs["image_sizes"],
        pixel_values_videos=reader.prepare(film)[None],
        output_hidden_states=True,
    )
    hidden = model.language(embedded.embeds[None])
    assert torch.equal(hidden, whole.hidden_states[-1])


@torch.no_grad()
def test_pictures_and_clips_may_have_one_placeholder(models: dict[str, AnyModal]) -> None:
    model = models["internvl"]
    film = clip(7, 20, 37, 4.0)
    talk = [Message("user", [PICTURES[0], "then", film, PICTURES[1], "?"])]
    inputs = own_inputs(model, [Message("user", [PICTURES[0], "then", PICTURES[1], "?"])])
    frame = f"<img>{'<IMG_CONTEXT>' * 4}</img>"
    frames = "\n".join(f"Frame{number}: {frame}" for number in (1, 2, 3))
    tokenizer = model.language.tokenizer
    text = tokenizer.decode(inputs["input_ids"][0], skip_special_tokens=False)
    text = text.replace("then", f"then{frames}\n")
    ids = torch.tensor([tokenizer(text, add_special_tokens=False)["input_ids"]])
    prompt = model.prompts.build(talk, reply=True)
    assert prompt.ids == ids[0].tolist()
    assert [item.modality for item in prompt.media] == ["image", "video", "image"]
    pixels, shown = inputs["pixel_values"], model.readers["video"].prepare(film)
    first = len(model.readers["image"].prepare(PICTURES[0]))
    whole = model.language.model(
        ids,
        pixel_values=torch.cat([pixels[:first], shown, pixels[first:]]),
        output_hidden_states=True,
    )
    (embedded,) = embed_prompts(model, [talk])
    hidden = model.language(embedded.embeds[None])
    torch.testing.assert_close(hidden, whole.hidden_states[-1])


@torch.no_grad()
def test_clips_are_timed_pictures_to_smolvlm(models: dict[str, AnyModal]) -> None:
    model = models["smolvlm"]
    film, reader = clip(9, 20, 37, 4.0), model.readers["video"]
    assert reader.chosen(film).tolist() == [0, 2, 5, 8]  # of two a second, in 2.25 seconds
    frame = f"<fake_token_around_image><global-img>{'<image>' * 4}<fake_token_around_image>"
    times = "".join(f"\nFrame from 00:0{int(number / 4)}:{frame}" for number in (0, 2, 5, 8))
    intro = "You are provided the following series of four frames from a 0:00:02 [H:MM:SS] video.\n"
    talk = [Message("user", ["See", film, "and?"])]
    prompt = model.prompts.build(talk, reply=True)
    tokenizer = model.language.tokenizer
    text = f"<|im_start|>User: See{intro}{times}\n\nand?<end_of_utterance>\nAssistant:"
    assert tokenizer.decode(prompt.ids) == text
    pixels = reader.prepare(film)
    assert pixels.shape == (4, 3, 16, 16)
    whole = model.language.model(
        torch.tensor([prompt.ids]), pixel_values=pixels[None], output_hidden_states=True
    )
    (embedded,) = embed_prompts(model, [talk])
    hidden = model.language(embedded.embeds[None])
    torch.testing.assert_close(hidden, whole.hidden_states[-1])
    # A size of the file goes before that of its sampling, as in transformers; then a default does.
    sizes = [{**reader.settings, "size": {"longest_edge": 20}}, reader.settings, {}]
    sizes[1] = {name: value for name, value in sizes[1].items() if name != "size"}
    sizes[2] = {"max_image_size": {"longest_edge": 16}}
    longest = [TimedFrameReader(model.language.model, each).longest for each in sizes]
    assert longest == [20, 24, 1456]
    long = Video(np.zeros((40, 4, 4, 3), np.uint8), 2.0)
    assert reader.chosen(long).tolist() == [2, 11, 20, 29, 38]  # without the first and last second


def test_numbers_are_written_as_words() -> None:
    words = {0: "zero", 13: "thirteen", 40: "forty", 64: "sixty-four", 300: "three hundred"}
    words |= {128: "one hundred and twenty-eight", 999: "nine hundred and ninety-nine"}
    assert {number: number_words(number) for number in words} == words
    with pytest.raises(ValueError, match="1000 frames .* 999 at most"):
        number_words(1000)


PICTURES_ALONE = "processor .* takes pictures alone; give some .* frames"


@pytest.mark.parametrize(
    ("name", "medium", "reason"),
    [
        ("gemma-3", clip(3, 9, 9, 1.0), PICTURES_ALONE),
        ("idefics3", clip(3, 9, 9, 1.0), PICTURES_ALONE),
        ("llama-3.2-vision", clip(3, 9, 9, 1.0), PICTURES_ALONE),
        ("phi-4-multimodal", clip(3, 9, 9, 1.0), PICTURES_ALONE),
        ("gemma-4-large", sound(900), "only the small models of Gemma 4"),
    ],
)
def test_what_a_family_has_no_way_for_is_refused_with_the_reason(
    models: dict[str, AnyModal], name: str, medium: Media, reason: str
) -> None:
    with pytest.raises(
        ValueError, match=f"no encoder .* reads {type(medium).__name__}; .*{reason}"
    ):
        models[name].prompts.build([Message("user", medium)], reply=True)


def test_a_template_that_turns_shared_placeholders_around_is_refused(
    folders: dict[str, Path],
) -> None:
    language = LanguageModel.from_pretrained(
        str(folders["internvl"]), chat_template=INTERNVL_CLIPS_FIRST
    )
    model = AnyModal(language, None, {})
    film = clip(3, 20, 37, 4.0)
    prompt = model.prompts.build([Message("user", [film, PICTURES[0], "?"])], reply=True)
    assert [item.modality for item in prompt.media] == ["video", "image"]
    for talk in (
        [Message("user", [PICTURES[0], "then", film])],
        [Message("user", [film, PICTURES[0], film])],
    ):
        with pytest.raises(ValueError, match="writes video before image, .* give video first"):
            model.prompts.build(talk, reply=True)
    apart = [Message("user", PICTURES[0]), Message("assistant", "a"), Message("user", film)]
    assert len(model.prompts.build(apart, reply=True).media) == 2


@pytest.mark.parametrize(
    ("name", "kind"), [("qwen2.5-omni", "qwen2_5_omni"), ("qwen3-omni", "qwen3_omni_moe")]
)
def test_a_thinker_is_opened_out_of_the_whole_checkpoint(
    name: str, kind: str, tmp_path: Path
) -> None:
    MULTIMODAL_MODELS[name].write(tmp_path)
    file = tmp_path / "config.json"
    whole = {"model_type": kind, "thinker_config": json.loads(file.read_text())}
    file.write_text(json.dumps(whole))
    language = LanguageModel.from_pretrained(str(tmp_path))
    assert {media.kind for media in language.readers} == {"image", "video", "audio"}
    meta = LanguageModel.from_pretrained(str(tmp_path), weights=False)
    assert meta.device.type == "meta" and meta.metadata() == language.metadata()
    if name == "qwen3-omni":  # whose positions along time may be fractions
        clips = tmp_path / "video_preprocessor_config.json"
        clips.write_text(json.dumps({**json.loads(clips.read_text()), "fps": 3}))
        with pytest.raises(ValueError, match="fps=3 of clips .* 16.67 positions"):
            LanguageModel.from_pretrained(str(tmp_path))


@torch.no_grad()
@pytest.mark.parametrize("name", ["qwen2.5-omni", "qwen3-omni"])
def test_sounds_are_heard_as_by_transformers(models: dict[str, AnyModal], name: str) -> None:
    model = models[name]
    extractor = WhisperFeatureExtractor(**SOUNDS)
    waves = [np.random.default_rng(n).standard_normal(n) / 9 for n in (7_040, 16_000, 9_999)]
    sounds = [Audio(wave[None].astype(np.float32), 16_000) for wave in waves]
    talk = [Message("user", [sounds[0], "and", PICTURES[0], sounds[1], "or", sounds[2]])]
    heard = extractor(waves, sampling_rate=16_000, return_attention_mask=True, return_tensors="pt")
    mask = heard["attention_mask"]
    reader = model.readers["audio"]
    for row, each in enumerate(sounds):
        mel = heard["input_features"][row, :, mask[row].bool()]
        torch.testing.assert_close(reader.prepare(each), mel, rtol=1e-5, atol=1e-5)
    prompt = model.prompts.build(talk, reply=True)
    ids = torch.tensor([prompt.ids])
    (embedded,) = embed_prompts(model, [talk])
    own: Any = model.language.model
    image = model.readers["image"]
    whole = own(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        input_features=heard["input_features"],
        feature_attention_mask=mask,
        pixel_values=image.patches(image.prepare(PICTURES[0])),
        image_grid_thw=torch.tensor([image.grid(PICTURES[0])]),
        output_hidden_states=True,
    )
    assert embedded.positions is not None
    hidden = model.language(embedded.embeds[None], positions=embedded.positions[:, None])
    torch.testing.assert_close(hidden, whole.hidden_states[-1], rtol=1e-4, atol=1e-4)
    if name == "qwen2.5-omni":  # the other one reads what is as short
        short = Audio(np.zeros((1, 300), np.float32), 16_000)
        with pytest.raises(ValueError, match="too short"):
            model.prompts.build([Message("user", short)], reply=True)


def test_pictures_are_prepared_as_by_transformers(qwen: AnyModal) -> None:
    from transformers import Qwen2VLImageProcessorPil

    reader = qwen.readers["image"]
    processor = Qwen2VLImageProcessorPil(**QWEN_PICTURES)
    for item in [*PICTURES, picture(7, 5), picture(200, 90)]:
        inputs = processor(item.pixels, return_tensors="pt")
        assert inputs["image_grid_thw"].tolist() == [list(reader.grid(item))]
        assert torch.equal(reader.patches(reader.prepare(item)), inputs["pixel_values"])
    with pytest.raises(ValueError, match="600×2 pixels is more than 200 times"):
        reader.prepare(picture(2, 600))
