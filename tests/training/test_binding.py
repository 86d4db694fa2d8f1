"""Binding: media are told apart by their captions, and by each detail on its own."""

import math

import pytest
import torch

from anymodal.data.captioned import Captioned
from anymodal.encoders import ImageBind
from anymodal.toybox.dataset import ToyboxScenes
from anymodal.training.losses import contrastive
from anymodal.training.objectives import Binding
from tests.support.composed import small_tokenizer

Scene = dict[str, Captioned]


@pytest.fixture(scope="module")
def binding() -> Binding:
    torch.manual_seed(0)
    size = {"width": 16, "blocks": 1, "heads": 2}
    model = ImageBind.preset(
        "nano", ["vision", "text"], vision=size, text={**size, "vocab_size": 261}
    )
    return Binding(model, ["image"], tokenizer=small_tokenizer())


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    data = ToyboxScenes(["image"], 8, seed=3)
    return [scene for index in range(len(data)) for scene in data[index]]


def loss_of(binding: Binding, scenes: list[Scene]) -> torch.Tensor:
    return binding.named_losses(binding.collate(scenes))["image"]


def told_by(scenes: list[Scene], texts: list[str]) -> list[Scene]:
    """The same media, told by one text each."""
    return [
        {"image": Captioned("image", scene["image"].media, text)}
        for scene, text in zip(scenes, texts, strict=True)
    ]


def test_contrastive_is_the_mean_of_both_directions() -> None:
    media = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    apart = contrastive(media, media, torch.eye(2, dtype=torch.bool), scale=2.0)
    assert apart.item() == pytest.approx(math.log(1 + math.exp(-2)))
    alike = contrastive(media, media, torch.ones(2, 2, dtype=torch.bool), scale=2.0)
    assert alike.item() == pytest.approx(math.log(1 + math.exp(-2)) + 1)  # half of 2 is missed


def test_a_toybox_picture_tells_its_attributes_one_by_one() -> None:
    sample = ToyboxScenes(["image", "video"], 4)[0][0]
    thing, color, size = sample["image"].details
    assert sample["image"].caption.split()[1:] == [
        size.split()[1],
        color.split()[1],
        *thing.split()[1:],
    ]
    assert len(sample["video"].details) == 5


def test_each_text_of_a_medium_counts_alike(binding: Binding, scenes: list[Scene]) -> None:
    count = len(scenes[0]["image"].details)
    columns = [[scene["image"].details[place] for scene in scenes] for place in range(count)]
    columns.append([scene["image"].caption for scene in scenes])
    alone = torch.stack([loss_of(binding, told_by(scenes, texts)) for texts in columns])
    torch.testing.assert_close(loss_of(binding, scenes), alone.mean())


def test_what_a_medium_does_not_tell_is_left_out(binding: Binding, scenes: list[Scene]) -> None:
    captions = [scene["image"].caption for scene in scenes]
    some = [
        {"image": scene["image"]._replace(details=(text if index < 5 else "", ""))}
        for index, (scene, text) in enumerate(zip(scenes, captions, strict=True))
    ]
    alone = [loss_of(binding, told_by(scenes[:n], captions[:n])) for n in (len(scenes), 5)]
    torch.testing.assert_close(loss_of(binding, some), torch.stack(alone).mean())
