"""Phi-4-multimodal: crops of pictures, and sounds that are others beside pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import Phi4MultimodalFeatureExtractor

from anymodal.chat.turn import embed_prompts
from anymodal.language.families.phi4 import PICTURE_DEFAULTS, CropReader
from anymodal.language.kv_cache import PrefixCache
from anymodal.language.model import LanguageModel
from anymodal.media import Audio
from anymodal.modality import Modality
from anymodal.model import AnyModal
from anymodal.projection.linear import LinearProjection
from anymodal.types import Message, SoftRun
from tests.support.multimodal.phi import PHI_PICTURES, PHI_SOUNDS, SIDE, crops_of, phi_pictures
from tests.support.multimodal.talks import PICTURES, own_hidden, picture, sound
from tests.support.own_encoders import Photo, PhotoColours


@pytest.fixture
def phi(models: dict[str, AnyModal]) -> AnyModal:
    return models["phi-4-multimodal"]


@torch.no_grad()
@pytest.mark.parametrize("size", [(100, 170), (81, 30), (20, 300)])
def test_crops_are_those_of_transformers(phi: AnyModal, size: tuple[int, int]) -> None:
    reader, item = phi.readers["image"], picture(*size)
    prepared = reader.prepare(item)
    cut = reader.cut(*size)
    crops, masks = crops_of(item.pixels)
    canvas = torch.ones(3, cut.rows * SIDE, cut.columns * SIDE)  # white
    canvas[:, : prepared.shape[1], : prepared.shape[2]] = prepared
    own = canvas.view(3, cut.rows, SIDE, cut.columns, SIDE).permute(1, 3, 0, 2, 4).flatten(0, 1)
    torch.testing.assert_close(own, crops[1:])
    assert int(masks[1:].sum()) == cut.patch_rows * cut.patch_columns
    (text,), inputs = phi_pictures([item.pixels])
    assert reader.positions(item) == (SoftRun(text.count("<|image|>")),)
    embed = phi.language.model.model.embed_tokens_extend
    ids = torch.full((1, text.count("<|image|>")), phi.signals.placeholder("image"))
    whole = embed(ids, torch.zeros(*ids.shape, phi.language.width), **inputs)
    torch.testing.assert_close(reader([prepared]).values, whole, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_picture_is_the_same_alone_and_beside_padded_ones(phi: AnyModal) -> None:
    reader = phi.readers["image"]
    embed = phi.language.model.model.embed_tokens_extend
    for items in ([PICTURES[2]], [PICTURES[1], PICTURES[2]]):  # the first one fills its crop
        texts, inputs = phi_pictures([item.pixels for item in items])
        count = "".join(texts).count("<|image|>")
        ids = torch.full((1, count), phi.signals.placeholder("image"))
        whole = embed(ids, torch.zeros(*ids.shape, phi.language.width), **inputs)[0]
        own = reader([reader.prepare(PICTURES[2])]).values[0]
        torch.testing.assert_close(own, whole[-len(own) :], rtol=1e-4, atol=1e-4)


def test_the_shape_of_what_is_prepared_tells_the_cut(phi: AnyModal) -> None:
    reader = CropReader(phi.language.model, {**PICTURE_DEFAULTS, **PHI_PICTURES}, "<|image|>")
    sizes = ((height, width) for height in range(12, 700, 57) for width in range(12, 700, 43))
    for size in sizes:
        if max(size) > 8 * min(size):
            continue
        cut, told = reader.cut(*size), reader.cut_of(reader.prepare(picture(*size)))
        assert told._replace(height=cut.height, width=cut.width) == cut


def test_a_picture_has_the_published_number_of_soft_tokens(phi: AnyModal) -> None:
    reader = CropReader(phi.language.model, PICTURE_DEFAULTS, "<|image|>")
    # 256 and 16 lines' ends of the whole, 1 between, and crops of 16 lines each.
    assert reader.count(reader.cut(448, 448)) == 256 + 16 + 1 + 16 * (16 + 1)
    assert reader.count(reader.cut(500, 896)) == 256 + 16 + 1 + 18 * (32 + 1)
    cut = reader.cut(9_000, 3_000)
    assert (cut.rows, cut.columns) == (9, 3)
    with pytest.raises(ValueError, match="7000×20 pixels is 10 pixels|less than 10; cut it"):
        reader.cut(7, 4_480)


@torch.no_grad()
def test_sounds_are_others_beside_pictures(phi: AnyModal) -> None:
    sounds = [sound(3_000), sound(9_000)]
    extractor = Phi4MultimodalFeatureExtractor(**PHI_SOUNDS)
    for pictures in ([], [PICTURES[0]]):
        talk = [Message("user", [sounds[0], "and", *pictures, "?"])]
        heard = extractor([sounds[0].samples[0]], sampling_rate=16_000)
        shown = phi_pictures([each.pixels for each in pictures])[1] if pictures else {}
        ids = torch.tensor([phi.prompts.build(talk, reply=True).ids])
        sizes = {name: heard[name] for name in ("audio_input_features", "audio_embed_sizes")}
        whole, _ = own_hidden(phi.language.model, {"input_ids": ids, **sizes, **shown})
        (embedded,) = embed_prompts(phi, [talk])
        hidden = phi.language(embedded.embeds[None])
        torch.testing.assert_close(hidden, whole, rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="too short .* at least 0.0250 seconds"):
        phi.prompts.build([Message("user", Audio(sounds[0].samples[:, :399], 16_000))], reply=True)


@torch.no_grad()
def test_a_picture_that_comes_later_changes_what_was_heard(phi: AnyModal) -> None:
    cache, settings = PrefixCache(phi.language), {"max_new_tokens": 5, "temperature": 0.0}
    talk = [Message("user", ["Now:", sound(3_000), "?"])]
    before = len(phi.prompts.build(talk, reply=True).ids)
    for more, reused in (["again"], True), ([PICTURES[0]], False), (["and"], True):
        warm = phi.chat(talk, cache=cache, **settings)
        talk = [*talk, warm, Message("user", more)]
        warm = phi.chat(talk, cache=cache, **settings)
        assert warm.text == phi.chat(talk, **settings).text
        assert warm.usage is not None and (warm.usage.cached >= before) is reused


def test_what_an_encoder_reads_is_not_beside(folders: dict[str, Path]) -> None:
    language = LanguageModel.from_pretrained(str(folders["phi-4-multimodal"]))
    projection = LinearProjection(widths={"photo": 6}, output_width=language.width, num_tokens=2)
    model = AnyModal(language, projection, {"photo": Modality(encoder=PhotoColours())})
    photo = Photo(PICTURES[0].pixels)
    for shown, is_beside in ([], False), ([photo], False), ([photo, PICTURES[0]], True):
        prompt = model.prompts.build([Message("user", [sound(3_000), *shown])], reply=True)
        assert prompt.media[0].is_beside is is_beside


def test_blocks_and_adapters_are_the_language_parts(folders: dict[str, Path]) -> None:
    language = LanguageModel.from_pretrained(str(folders["phi-4-multimodal"]), lora={"r": 2})
    assert [type(block).__name__ for block in language.blocks] == ["Phi4MultimodalDecoderLayer"] * 2
    trained = [name for name, each in language.named_parameters() if each.requires_grad]
    assert trained and not any("embed_tokens_extend" in name for name in trained)
