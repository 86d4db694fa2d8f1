"""References beside a denoiser's noise: a widened network, its losses and its samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from anymodal.decoders import DiffusionDecoder
from anymodal.decoders.deferred import DecoderNote, interface
from anymodal.decoders.references import (
    FIRST,
    LAST,
    SOURCE,
    Reference,
    ReferenceSlot,
    check_references,
    fill_slots,
)
from anymodal.decoders.stacked import StackedReferences
from anymodal.media import Audio, Image, Video
from tests.support.decoders import CAPTIONS, generator_of, latents, medium, values
from tests.support.pipelines import FAMILIES

STACKED = ["latte", "sigma", "stable_diffusion"]  # one of each network


@pytest.fixture(scope="module", params=STACKED)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A decoder as it was, the same with references, and the folder of both."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp(request.param)
    FAMILIES[request.param].build().save_pretrained(folder)
    options = FAMILIES[request.param].options
    plain = DiffusionDecoder.from_pretrained(folder, **options)
    roles = list(plain.family.stacked_roles)
    return plain, DiffusionDecoder.from_pretrained(folder, references=roles, **options), folder


def sample(decoder: DiffusionDecoder, **more: Any) -> list[np.ndarray]:
    with torch.no_grad():
        conditioning = decoder.embed_captions(CAPTIONS)
    generators = [generator_of(7), generator_of(8)]
    media = decoder.sample(conditioning, steps=3, guidance=3.0, generator=generators, **more)
    return [values(each) for each in media]


def references_of(decoder: DiffusionDecoder, seed: int = 0) -> list[Reference]:
    rng = np.random.default_rng(seed)
    picture = Image(rng.integers(0, 256, (24, 30, 3), dtype=np.uint8))
    return [
        Reference(picture if slot.media is Image else medium(decoder, seed), slot.role)
        for slot in decoder.references
    ]


def teach(decoder: DiffusionDecoder) -> None:
    """Let the first layer look at references, as training would."""
    layer = decoder.family.network.get_submodule(decoder.family.input_layer)
    start = decoder.family.latent_shape[0]
    with torch.no_grad():
        layer.weight[:, start:] = torch.randn(
            layer.weight[:, start:].shape, generator=generator_of(3)
        )


def test_a_widened_network_computes_what_it_did(pair: Any) -> None:
    plain, wide, _ = pair
    batch, conditioning = latents(plain), plain.unconditional(2)
    losses = [each.loss(batch, conditioning, generator_of(5)) for each in (plain, wide)]
    torch.testing.assert_close(*losses)
    for one, other in zip(sample(plain), sample(wide), strict=True):
        np.testing.assert_allclose(one, other, atol=1.0)


def test_references_are_looked_at_item_by_item(pair: Any, tmp_path: Path) -> None:
    _, wide, _ = pair
    wide.save_pretrained(tmp_path)
    roles = [slot.role for slot in wide.references]
    options = {name: value for name, value in vars(wide.family).items() if name == "fps"}
    decoder = DiffusionDecoder.from_pretrained(tmp_path, references=roles, **options)
    teach(decoder)
    without = sample(decoder)
    shown = sample(decoder, references=[references_of(decoder), []])
    assert not np.array_equal(without[0], shown[0])
    np.testing.assert_allclose(without[1], shown[1], atol=1.0)
    with torch.no_grad():
        encoded = decoder.encode_references([references_of(decoder), references_of(decoder, 1)])
        batch, conditioning = latents(decoder), decoder.unconditional(2)
        alone = decoder.loss(batch, conditioning, generator_of(5))
        beside = decoder.loss(batch, conditioning, generator_of(5), encoded)
    assert beside.isfinite() and not torch.equal(alone, beside)
    assert decoder.family.network.config.in_channels > decoder.family.latent_shape[0]


def test_a_saved_network_says_that_roles_are_missing(pair: Any, tmp_path: Path) -> None:
    _, wide, _ = pair
    wide.save_pretrained(tmp_path)
    options = {name: value for name, value in vars(wide.family).items() if name == "fps"}
    with pytest.raises(ValueError, match="name the roles that it was trained with"):
        DiffusionDecoder.from_pretrained(tmp_path, **options)


def test_a_clip_begins_or_ends_with_a_picture() -> None:
    decoder = DiffusionDecoder(FAMILIES["latte"].build(), references=[FIRST, LAST, SOURCE])
    picture = Reference(Image(np.full((16, 16, 3), 200, np.uint8)), LAST)
    (encoded,) = decoder.encode_references([[picture]])
    like = latents(decoder, 1)
    assert isinstance(decoder._denoiser.mechanism, StackedReferences)
    further = decoder._denoiser.mechanism.channels([encoded], like)
    channels = decoder.family.latent_shape[0]
    assert further.shape[1] == 3 * (channels + 1)
    first, last, source = further[0].split(channels + 1)
    assert not first.any() and not source.any()
    mask = last[-1].flatten(1).mean(1)  # (T,)
    assert mask.tolist() == [0.0] * (len(mask) - 1) + [1.0]
    assert torch.equal(last[:-1, 0], last[:-1, -1])  # the picture stands beside every frame


@pytest.mark.parametrize(
    ("references", "message"),
    [
        ([[Reference(Audio(np.zeros((1, 99), np.float32), 99))], []], "takes no Audio"),
        ([[Reference(Image(np.zeros((8, 8, 3), np.uint8)), "style")], []], "'style'; it takes"),
        ([[Reference(Image(np.zeros((8, 8, 3), np.uint8)))] * 2, []], "at most 1"),
        ([[]], "references of 1 items for 2"),
        ([Reference(Image(np.zeros((8, 8, 3), np.uint8)))] * 2, "give a list for each item"),
        (Reference(Image(np.zeros((8, 8, 3), np.uint8))), "give a list for each item"),
        (
            [[Reference(Image(np.zeros((8, 8, 3), np.uint8)), span=(0, 1))], []],
            "leave the span out",
        ),
    ],
)
def test_references_that_are_not_taken_are_refused(references: Any, message: str) -> None:
    decoder = DiffusionDecoder(FAMILIES["sigma"].build(), references=[SOURCE])
    with pytest.raises(ValueError, match=message):
        decoder.sample(decoder.unconditional(2), steps=2, guidance=1.0, references=references)


def test_roles_that_a_network_can_not_have_are_refused() -> None:
    for name, roles in (("sigma", ["voice"]), ("flux", [SOURCE]), ("latte", [SOURCE, SOURCE])):
        with pytest.raises(ValueError, match="references="):
            DiffusionDecoder(FAMILIES[name].build(), references=roles, **FAMILIES[name].options)


def test_media_fill_the_slots_that_they_fit() -> None:
    decoder = DiffusionDecoder(FAMILIES["latte"].build(), references=[SOURCE, FIRST])
    picture, clip = Image(np.zeros((8, 8, 3), np.uint8)), medium(decoder)
    sound = Audio(np.zeros((1, 99), np.float32), 99)
    filled = fill_slots(decoder.references, [picture, clip, sound, picture])
    assert [(each.role, type(each.media)) for each in filled] == [(SOURCE, Video), (FIRST, Image)]


def test_a_note_tells_the_slots() -> None:
    decoder = DiffusionDecoder(FAMILIES["sigma"].build(), references=[SOURCE])
    record = interface(decoder)
    assert DecoderNote.of(record, metadata={}).references == decoder.references
    plain = interface(DiffusionDecoder(FAMILIES["sigma"].build()))
    assert DecoderNote.of(plain, metadata={}).references == ()


@pytest.mark.parametrize("shape", ["flat", "media", "none", "one"])
def test_references_are_lists_of_references(shape: str) -> None:
    picture = Image(np.zeros((8, 8, 3), np.uint8))
    given: Any = {
        "flat": [Reference(picture)], "media": [[picture]], "none": [None],
        "one": Reference(picture),
    }[shape]  # fmt: skip
    slots = [ReferenceSlot("source", Image)]
    with pytest.raises(ValueError, match=r"references=.*give a list for each item, of Reference"):
        check_references(slots, given, 1, "it")
