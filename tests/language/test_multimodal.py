"""Multimodal language models read media as transformers' own classes do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from anymodal.chat.turn import embed_prompts
from anymodal.language.kv_cache import PrefixCache
from anymodal.language.model import LanguageModel
from anymodal.media import Image, Video
from anymodal.model import AnyModal
from anymodal.training.objectives import Dialogue
from anymodal.types import Message
from tests.support.multimodal_models import MULTIMODAL_MODELS, QWEN_PICTURES

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
    kind = model.language.model.config.model_type
    (family,) = (each for each in MULTIMODAL_MODELS.values() if each.model_type == kind)
    return family.inputs(model.language.tokenizer, talk)


@torch.no_grad()
def test_hidden_states_are_those_of_transformers_own_class(model: AnyModal) -> None:
    for talk in TALKS:
        inputs = own_inputs(model, talk)
        prompt = model.prompts.build(talk, reply=True)
        assert prompt.ids == inputs["input_ids"][0].tolist()
        own: Any = model.language.model
        whole = own(**inputs, output_hidden_states=True)
        (embedded,) = embed_prompts(model, [talk])
        positions = None if embedded.positions is None else embedded.positions[:, None]
        hidden = model.language(embedded.embeds[None], positions=positions)
        assert torch.equal(hidden, whole.hidden_states[-1])
        logits = model.language.logits(hidden)[..., : model.language.first_new]
        assert torch.equal(logits, whole.logits[..., : model.language.first_new])


@torch.no_grad()
def test_greedy_text_is_that_of_transformers_own_class(model: AnyModal) -> None:
    alone = []
    for talk in TALKS:
        own: Any = model.language.model
        inputs = own_inputs(model, talk)
        ids = own.generate(**inputs, max_new_tokens=9, do_sample=False)
        text = model.language.decode(ids[0, inputs["input_ids"].shape[1] :].tolist())
        reply = model.chat(talk, max_new_tokens=9, temperature=0.0)
        assert reply.text == text
        alone.append(reply.text)
    together = model.chat(TALKS, max_new_tokens=9, temperature=0.0)
    assert [reply.text for reply in together] == alone


@torch.no_grad()
def test_keys_and_values_are_reused_over_turns(model: AnyModal) -> None:
    cache, talk = PrefixCache(model.language), [*TALKS[0]]
    for number in range(2):
        warm = model.chat(talk, max_new_tokens=6, temperature=0.0, cache=cache)
        assert warm.text == model.chat(talk, max_new_tokens=6, temperature=0.0).text
        if number == 0:
            first = len(model.prompts.build(talk, reply=True).ids)
        talk = [*talk, warm, Message("user", ["and", PICTURES[1 + number]])]
    assert warm.usage is not None and warm.usage.cached >= first - 1


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
    losses = {}
    for packed in (False, True, None):
        objective.packed = packed
        objective.use_flat_rows(packed is None)
        batch = objective.collate(talks)
        assert packed is not True or len(batch.packed.ids) < len(talks)
        assert packed is not None or batch.needs is not None
        losses[packed] = objective.named_losses(batch)["text"]
    objective.use_flat_rows(False)
    torch.testing.assert_close(losses[True], losses[False])
    torch.testing.assert_close(losses[None], losses[False])


def test_a_model_is_saved_with_what_prepares_its_media(model: AnyModal, tmp_path: Path) -> None:
    model.language.save_pretrained(tmp_path)
    again = LanguageModel.from_pretrained(str(tmp_path))
    for media, reader in model.language.readers.items():
        assert again.readers[media].metadata() == reader.metadata()
    meta = LanguageModel.from_pretrained(str(tmp_path), weights=False)
    assert meta.device.type == "meta" and meta.readers.keys() == again.readers.keys()


def test_adapters_go_to_the_language_part_alone(folders: dict[str, Path]) -> None:
    language = LanguageModel.from_pretrained(str(folders["qwen3-vl"]), lora={"r": 2})
    trained = [name for name, each in language.named_parameters() if each.requires_grad]
    assert any("language_model" in name for name in trained)
    assert not any("visual" in name for name in trained)
