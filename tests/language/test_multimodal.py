"""Multimodal language models read media as transformers' own classes do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import WhisperFeatureExtractor

from anymodal.chat.turn import embed_prompts
from anymodal.encoders import Encoder
from anymodal.io.feature_cache import FeatureCache
from anymodal.language.continuous import ContinuousBatch
from anymodal.language.kv_cache import PrefixCache
from anymodal.language.model import IGNORED, LanguageModel
from anymodal.language.sampling import Sampling
from anymodal.language.text_stream import TextToken
from anymodal.media import IMU, Audio, Image, Video
from anymodal.modality import Modality, own_readers
from anymodal.model import AnyModal
from anymodal.projection.linear import LinearProjection
from anymodal.training.objectives import Dialogue
from anymodal.types import Features, Message
from tests.support.multimodal_models import (
    MULTIMODAL_MODELS,
    QWEN_PICTURES,
    SOUNDS,
    MultimodalModel,
)
from tests.support.own_encoders import Colours

QWEN = ("qwen2.5-vl", "qwen3-vl")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A checkpoint of each family, written when it is first asked for."""
    root = tmp_path_factory.mktemp("multimodal")

    class Folders(dict[str, Path]):
        def __missing__(self, name: str) -> Path:
            MULTIMODAL_MODELS[name].write(root / name)
            return self.setdefault(name, root / name)

    return Folders()


@pytest.fixture(scope="module")
def models(folders: dict[str, Path]) -> dict[str, AnyModal]:
    """A model of each family, opened when it is first asked for."""

    class Models(dict[str, AnyModal]):
        def __missing__(self, name: str) -> AnyModal:
            language = LanguageModel.from_pretrained(str(folders[name]))
            return self.setdefault(name, AnyModal(language, None, {}))

    return Models()


@pytest.fixture(params=MULTIMODAL_MODELS)
def model(request: pytest.FixtureRequest, models: dict[str, AnyModal]) -> AnyModal:
    """A model of each family."""
    return models[request.param]


@pytest.fixture(params=QWEN)
def qwen(request: pytest.FixtureRequest, models: dict[str, AnyModal]) -> AnyModal:
    """A model of Qwen's."""
    return models[request.param]


def picture(height: int, width: int, seed: int = 0) -> Image:
    return Image(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def clip(count: int, height: int, width: int, fps: float) -> Video:
    shape = (count, height, width, 3)
    return Video(np.random.default_rng(1).integers(0, 256, shape, np.uint8), fps)


PICTURES = [picture(20, 37), picture(9, 60, 1), picture(64, 64, 2)]
TALKS = [
    [Message("user", [PICTURES[0], "What do you hear?"])],
    [
        Message("user", ["One", PICTURES[1], "and", PICTURES[0], "then"]),
        Message("assistant", "Make it green."),
        Message("user", ["now", PICTURES[2]]),
    ],
    [Message("user", "Draw a ball")],
]


def own_inputs(model: AnyModal, talk: list[Message]) -> dict[str, Tensor]:
    """The inputs of transformers' own class for a conversation with pictures."""
    return family_of(model).inputs(model.language.tokenizer, talk)


def own_class(model: AnyModal, folders: dict[str, Path]) -> Any:
    """Transformers' own class; anew where modules of it wait for passes of the composed model's."""
    if not model.language.is_fused:
        return model.language.model
    family = family_of(model)
    (name,) = (name for name, each in MULTIMODAL_MODELS.items() if each is family)
    return family.model.from_pretrained(folders[name]).eval()


def family_of(model: AnyModal) -> MultimodalModel:
    """The family of a model."""
    kind = model.language.model.config.model_type
    (family,) = (each for each in MULTIMODAL_MODELS.values() if each.model_type == kind)
    return family


@torch.no_grad()
def test_hidden_states_are_those_of_transformers_own_class(
    model: AnyModal, folders: dict[str, Path]
) -> None:
    own = own_class(model, folders)
    for talk in TALKS:
        inputs = own_inputs(model, talk)
        prompt = model.prompts.build(talk, reply=True)
        assert prompt.ids == inputs["input_ids"][0].tolist()
        whole = own(**inputs, output_hidden_states=True)
        (embedded,) = embed_prompts(model, [talk])
        positions = None if embedded.positions is None else embedded.positions[:, None]
        hidden = model.language(embedded.embeds[None], positions=positions, media=embedded.media)
        tolerance = {"rtol": 0, "atol": 0} if family_of(model).is_exact else {}
        torch.testing.assert_close(hidden, whole.hidden_states[-1], **tolerance)
        width = min(model.language.first_new, whole.logits.shape[-1])
        logits = model.language.logits(hidden)[..., :width]
        torch.testing.assert_close(logits, whole.logits[..., :width], **tolerance)


@torch.no_grad()
def test_greedy_text_is_that_of_transformers_own_class(
    model: AnyModal, folders: dict[str, Path]
) -> None:
    alone, own = [], own_class(model, folders)
    for talk in TALKS:
        inputs = own_inputs(model, talk)
        ids = own.generate(**inputs, max_new_tokens=9, do_sample=False)
        text = model.language.decode(ids[0, inputs["input_ids"].shape[1] :].tolist())
        reply = model.chat(talk, max_new_tokens=9, temperature=0.0)
        assert reply.text == text
        alone.append(reply.text)
    together = model.chat(TALKS, max_new_tokens=9, temperature=0.0)
    assert [reply.text for reply in together] == alone
    batch = ContinuousBatch(model.language, model.signals)
    prompts = embed_prompts(model, TALKS)
    rows = [batch.join(prompt, Sampling(max_new_tokens=9)) for prompt in prompts]
    while len(batch):
        batch.step()
    texts = ["".join(e.text for e in row.drain() if isinstance(e, TextToken)) for row in rows]
    assert texts == alone


@torch.no_grad()
def test_keys_and_values_are_reused_over_turns(model: AnyModal) -> None:
    cache, talk = PrefixCache(model.language), [*TALKS[0]]
    for number in range(2):
        warm = model.chat(talk, max_new_tokens=6, temperature=0.0, cache=cache)
        assert warm.text == model.chat(talk, max_new_tokens=6, temperature=0.0).text
        if number == 0:
            first = len(model.prompts.build(talk, reply=True).ids)
        # Where a new picture changes what came before, only texts go on.
        more = [] if model.language.reads_across else [PICTURES[1 + number]]
        talk = [*talk, warm, Message("user", ["and", *more])]
    assert warm.usage is not None and warm.usage.cached >= first - 1
    talk = [*talk, Message("assistant", "a"), Message("user", [PICTURES[2], PICTURES[1], "?"])]
    warm = model.chat(talk, max_new_tokens=6, temperature=0.0, cache=cache)
    assert warm.text == model.chat(talk, max_new_tokens=6, temperature=0.0).text


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
    for row, sound in enumerate(sounds):
        mel = heard["input_features"][row, :, mask[row].bool()]
        torch.testing.assert_close(reader.prepare(sound), mel, rtol=1e-5, atol=1e-5)
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


def test_rows_are_packed_padded_or_flat_with_the_same_loss(model: AnyModal) -> None:
    talks = [[*talk, Message("assistant", "a big red ball")] for talk in TALKS]
    objective = Dialogue(model)
    objective.use_losses({"text": 1.0})
    family = model.language.family
    assert family is not None
    losses = {}
    for packed in (False, True, None):
        objective.packed = packed
        objective.use_flat_rows(packed is None)
        batch = objective.collate(talks)
        assert packed is not True or (len(batch.packed.ids) < len(talks)) is family.is_causal
        is_flat = family.is_causal and not model.language.is_fused
        assert packed is not None or (batch.needs is not None) is is_flat
        losses[packed] = objective.named_losses(batch)["text"]
    objective.use_flat_rows(False)
    torch.testing.assert_close(losses[True], losses[False])
    torch.testing.assert_close(losses[None], losses[False])


def test_what_is_learned_is_the_reply_and_its_end(model: AnyModal) -> None:
    talk = [*TALKS[1][:2], *TALKS[0], Message("assistant", "a big ball")]
    prompt = model.prompts.build(talk, reply=False)
    learned = [token for token in prompt.labels if token != IGNORED]
    # A template may have a space before a reply, which its first token has too.
    assert model.language.decode(learned).replace(" ", "") == "Makeitgreen.abigball"
    ends = [place for place, token in enumerate(learned) if token in model.language.stops]
    assert len(ends) == 2 and ends[-1] == len(learned) - 1


def test_no_typed_text_becomes_a_placeholder(model: AnyModal) -> None:
    readers = model.language.readers.values()
    text = " ".join(f"{each.placeholder}{each.written}" for each in readers)
    prompt = model.prompts.build([Message("user", [text, PICTURES[0], text])], reply=True)
    soft = {*model.signals.placeholders.values()}
    places = [place for place, token in enumerate(prompt.ids) if token in soft]
    (item,) = prompt.media
    assert places == [*item.places] or (not item.places and places == [item.start])


class Moves(Encoder):
    """What a recording's sensors tell on average."""

    media: Any = IMU
    width = 6

    def prepare(self, media: Any) -> Tensor:
        return torch.tensor(np.array(media.samples)).mean(1, keepdim=True).T

    def forward(self, batch: Tensor) -> Features:
        return Features(batch, torch.ones(batch.shape[:2], dtype=torch.bool))

    def embed(self, batch: Tensor) -> Tensor:
        return batch[:, 0]


def test_other_modalities_are_added_and_change_nothing_else(folders: dict[str, Path]) -> None:
    torch.manual_seed(0)
    language = LanguageModel.from_pretrained(str(folders["qwen3-vl"]))
    projection = LinearProjection(widths={"imu": 6}, output_width=language.width, num_tokens=2)
    model = AnyModal(language, projection, {"imu": Modality(encoder=Moves())})
    assert sorted(model.readers) == ["image", "imu", "video"]
    felt = IMU(np.random.default_rng(0).standard_normal((6, 40)).astype(np.float32), 20.0)
    talk = [Message("user", [PICTURES[0], felt, "?"]), Message("assistant", "a ball")]
    with torch.no_grad():
        before = embed_prompts(model, [TALKS[0]])[0]
        hidden = language(before.embeds[None], positions=before.positions[:, None])
    objective = Dialogue(model)
    objective.use_losses({"text": 1.0})
    model.requires_grad_(False)
    projection.requires_grad_(True)
    optimizer = torch.optim.AdamW(projection.parameters(), 0.1)
    losses = []
    for cache in (None, FeatureCache()):
        objective.feature_cache = cache
        loss = objective.named_losses(objective.collate([talk]))["text"]
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    assert losses[1] < losses[0]
    batch = objective.collate([talk])
    assert not batch.prepared, "frozen towers' features are cached"
    with torch.no_grad():
        after = embed_prompts(model, [TALKS[0]])[0]
        assert torch.equal(after.embeds, before.embeds)
        assert torch.equal(language(after.embeds[None], positions=after.positions[:, None]), hidden)


def test_a_template_may_write_pictures_before_other_media(folders: dict[str, Path]) -> None:
    language = LanguageModel.from_pretrained(str(folders["llava-onevision"]))
    projection = LinearProjection(widths={"imu": 6}, output_width=language.width, num_tokens=2)
    model = AnyModal(language, projection, {"imu": Modality(encoder=Moves())})
    felt = IMU(np.random.default_rng(0).standard_normal((6, 40)).astype(np.float32), 20.0)
    talk = [Message("user", [felt, "then", PICTURES[1], "or", PICTURES[0]])]
    prompt = model.prompts.build(talk, reply=True)
    assert [item.media for item in prompt.media] == [PICTURES[1], PICTURES[0], felt]
    for item in prompt.media:
        assert {prompt.ids[at] for at in item.places} == {model.signals.placeholder(item.modality)}
    (embedded,) = embed_prompts(model, [talk])
    for item in prompt.media:
        tokens = model.soft_tokens({item.modality: [item.media]})[item.modality][0]
        assert torch.equal(embedded.embeds[item.places], tokens)


def test_an_encoder_takes_the_place_of_the_models_own_way(folders: dict[str, Path]) -> None:
    language = LanguageModel.from_pretrained(str(folders["internvl"]))
    projection = LinearProjection(widths={"photo": 6}, output_width=language.width, num_tokens=2)
    model = AnyModal(language, projection, {"photo": Modality(encoder=Colours(6))})
    prompt = model.prompts.build(TALKS[0], reply=True)
    assert model.readers.keys() == {"photo", "video"} and len(prompt.media[0].places) == 2
    with pytest.raises(ValueError, match="itself reads image, .* another name"):
        own_readers(language.readers, {"image": Moves()})


def test_a_model_is_saved_with_what_prepares_its_media(model: AnyModal, tmp_path: Path) -> None:
    model.language.save_pretrained(tmp_path)
    again = LanguageModel.from_pretrained(str(tmp_path))
    for media, reader in model.language.readers.items():
        assert again.readers[media].metadata() == reader.metadata()
    meta = LanguageModel.from_pretrained(str(tmp_path), weights=False)
    assert meta.device.type == "meta" and meta.readers.keys() == again.readers.keys()


def test_a_model_may_have_no_modality_but_its_own(folders: dict[str, Path], tmp_path: Path) -> None:
    target = "anymodal.language.LanguageModel.from_pretrained"
    language = {"_target_": target, "path_or_name": str(folders["gemma-3"])}
    model = AnyModal.compose({"language": language, "modalities": {}})
    assert model.readable_kinds == ["image"]
    model.save_pretrained(tmp_path / "model", with_parts=True)
    again = AnyModal.from_pretrained(tmp_path / "model")
    replies = [each.chat(TALKS[0], seed=0, max_new_tokens=5).text for each in (model, again)]
    assert replies[0] == replies[1]


def test_no_place_is_left_without_its_soft_token(models: dict[str, AnyModal]) -> None:
    model = models["qwen3-vl"]
    reader = model.readers["image"]
    with pytest.MonkeyPatch.context() as patch:
        # As with a processor's settings of another checkpoint: shorter than the prompt has places.
        patch.setattr(reader, "read", lambda batch: [tokens[:1] for tokens in read(batch)])
        read = type(reader).read.__get__(reader)
        with pytest.raises(ValueError, match=r"\d+ places .* tower gives 1: .* published with"):
            embed_prompts(model, TALKS[:2])


def test_adapters_go_to_the_language_part_alone(folders: dict[str, Path]) -> None:
    language = LanguageModel.from_pretrained(str(folders["qwen3-vl"]), lora={"r": 2})
    trained = [name for name, each in language.named_parameters() if each.requires_grad]
    assert any("language_model" in name for name in trained)
    assert not any("visual" in name for name in trained)
