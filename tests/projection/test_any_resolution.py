"""LLaVA-NeXT's tiles: encoder and projection together give what transformers' class gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf

from anymodal.encoders import AnyResEncoder, TransformersEncoder
from anymodal.encoders.transformers.families import Sizes
from anymodal.fusion import GatedCrossAttention
from anymodal.io.checkpoint import WEIGHTS, load_weights
from anymodal.language.packing import Place
from anymodal.media import Image
from anymodal.modality import Modality
from anymodal.model import AnyModal
from anymodal.projection import AnyResProjection, LinearProjection
from anymodal.tools.convert.importers import convert
from anymodal.types import Features, Message, SoftRun, TokenLayout
from tests.support import huggingface_models
from tests.support.language_kinds import make
from tests.support.random_media import pixels

RESOLUTIONS = [[32, 64], [64, 32], [64, 64], [96, 32]]
SIZES = ((40, 40), (20, 61), (61, 20), (50, 47), (5, 200), (200, 5), (100, 29))


def clip(**settings: Any) -> TransformersEncoder:
    model, processor = huggingface_models.clip_vision()
    return TransformersEncoder(model.eval(), processor, Sizes(0.5, 4), **settings)


@pytest.fixture(scope="module")
def encoder() -> AnyResEncoder:
    torch.manual_seed(0)
    return AnyResEncoder(clip(tokens="patches", layer=-2), RESOLUTIONS).eval()


def llava_next(encoder: AnyResEncoder) -> hf.LlavaNextModel:
    tower: Any = encoder.encoder.model
    text = {"model_type": "llama", "hidden_size": 16, "intermediate_size": 16, "vocab_size": 32}
    config = hf.LlavaNextConfig(
        vision_config=tower.config,
        text_config={**text, "num_hidden_layers": 1, "num_attention_heads": 2},
        image_grid_pinpoints=RESOLUTIONS,
        image_token_index=31,
    )
    model = hf.LlavaNextModel(config).eval()
    model.vision_tower.load_state_dict(tower.state_dict())
    return model


@torch.no_grad()
def test_tokens_are_those_of_transformers(encoder: AnyResEncoder, tmp_path: Path) -> None:
    model = llava_next(encoder)
    keys = ("multi_modal_projector", "image_newline")
    state = {name: v for name, v in model.state_dict().items() if name.startswith(keys)}
    torch.save(state, tmp_path / "published")
    convert("llava-next", tmp_path / "published", tmp_path / "out")
    projection = AnyResProjection(widths={"image": encoder.width}, output_width=16)
    weights = load_weights(tmp_path / "out" / WEIGHTS)
    projection.load_state_dict({n.removeprefix("projection."): v for n, v in weights.items()})
    projection.set_layout("image", encoder.layout)

    images = [Image(pixels(*size, 3)) for size in SIZES]
    size = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    processor = hf.LlavaNextImageProcessorPil(**size, image_grid_pinpoints=RESOLUTIONS)
    arrays = [each.pixels.transpose(2, 0, 1) for each in images]
    inputs = processor(arrays, input_data_format="channels_first", return_tensors="pt")
    expected = model.get_image_features(**inputs, return_dict=True).pooler_output

    prepared = [encoder.prepare(image) for image in images]
    for each, theirs in zip(prepared, inputs["pixel_values"], strict=True):
        views = each[:, : encoder.shape.numel()].view(-1, *encoder.shape)
        torch.testing.assert_close(views, theirs[: len(views)])
    features = encoder(encoder.collate(prepared))
    output = projection("image", features)
    counts = features.mask.sum(1).tolist()
    for image, soft, theirs, count in zip(images, output, expected, counts, strict=True):
        assert count == len(theirs) and encoder.token_runs(image) == (count,)
        assert projection.positions_of("image", (count,)) == (SoftRun(count),)
        torch.testing.assert_close(soft[:count], theirs, atol=1e-5, rtol=1e-4)


def test_encoders_without_lines_are_pooled() -> None:
    projection = AnyResProjection(widths={"sound": 4}, output_width=8, num_tokens=3)
    assert projection.positions_of("sound", ()) == (SoftRun(3),)
    projection.set_layout("sound", TokenLayout())
    assert projection.positions_of("sound", ()) == (SoftRun(3),)


def test_what_has_no_tiles_is_refused(encoder: AnyResEncoder) -> None:
    with pytest.raises(ValueError, match=r"resolutions=\[\[32, 60\]\] must be multiples of the 32"):
        AnyResEncoder(encoder.encoder, [[32, 60]])
    with pytest.raises(ValueError, match=r"takes \(3, 32, 32\) and has places \[\]"):
        AnyResEncoder(clip(tokens="class"))
    siglip = huggingface_models.from_parts(huggingface_models.FAMILIES["siglip2"])
    with pytest.raises(ValueError, match="take one such as CLIP"):
        AnyResEncoder(siglip)
    with pytest.raises(TypeError, match="takes Image, not str"):
        encoder.prepare("a picture")  # type: ignore[arg-type]
    image = Image(np.zeros((4, 900, 3), np.uint8))
    assert len(encoder.prepare(image)) == 3, "a long picture is fitted into tiles as any other"


@torch.no_grad()
def test_ends_of_lines_are_nothing_to_projections_without_lines(encoder: AnyResEncoder) -> None:
    """As to cross-attention, which would see a token of zeros at the end of each."""
    images = [Image(pixels(*size, 3)) for size in SIZES[:2]]
    features = encoder(encoder.collate([encoder.prepare(image) for image in images]))
    projection = LinearProjection(
        widths={"image": encoder.width}, output_width=16, num_tokens=3
    ).eval()
    projection.set_layout("image", encoder.layout)
    patches = [v[m & v.any(-1)] for v, m in zip(*features, strict=True)]
    assert all(len(p) < m.sum() for p, m in zip(patches, features.mask, strict=True))
    soft = projection("image", features)
    plain = LinearProjection(widths={"image": encoder.width}, output_width=16, num_tokens=3)
    plain.load_state_dict(projection.state_dict())
    for row, own in enumerate(patches):
        mask = torch.ones(1, len(own), dtype=torch.bool)
        torch.testing.assert_close(soft[row], plain("image", Features(own[None], mask))[0])
    language = make("llama-2")
    fusion = GatedCrossAttention(widths={"image": encoder.width}, every=1, num_latents=None)
    model = AnyModal(language, None, {"image": Modality(encoder=encoder)}, fusion=fusion)
    prompt = model.prompts.build([Message("user", [images[0], "?"])], reply=True)
    media = model.fuse([prompt], [Place(0, 0)])
    assert media is not None and media.mask.sum() == len(patches[0])
