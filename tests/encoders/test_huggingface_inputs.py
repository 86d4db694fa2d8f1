"""Encoders from transformers: the media they prepare, and the tokens they are asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as PILImage

from anymodal.encoders import TransformersEncoder
from anymodal.encoders.transformers.processors import PillowProcessor, processing_steps
from anymodal.media import Audio, Image, Video
from tests.support import huggingface_models as tiny
from tests.support.random_media import MEDIA, noise, pixels


@torch.no_grad()
def test_tokens_and_their_layer_can_be_chosen(tmp_path: Path) -> None:
    model = tiny.write(tiny.clip, tmp_path / "tiny")

    def opened(**settings: Any) -> TransformersEncoder:
        return TransformersEncoder.from_pretrained(str(tmp_path / "tiny"), **settings)

    batch = opened().prepare(MEDIA[Image])[None]
    given = model.vision_model(batch, output_hidden_states=True)
    patches = opened(tokens="patches", layer=-2)
    torch.testing.assert_close(patches(batch).values, given.hidden_states[-2][:, 1:])
    assert patches(batch).mask.shape == (1, 16)
    summed = opened(tokens="class")
    torch.testing.assert_close(summed(batch).values[:, 0], given.pooler_output)
    projected = opened(tokens="projected")
    joint = projected(batch).values
    assert joint.shape == (1, 17, projected.width) and projected.width == 24
    assert projected.layout == opened().layout
    own = model.get_image_features(batch)
    torch.testing.assert_close(joint[:, 0], getattr(own, "pooler_output", own))
    tokens = model.vision_model.post_layernorm(given.last_hidden_state)
    torch.testing.assert_close(joint, model.visual_projection(tokens))
    assert len({str(e.metadata()) for e in (opened(), patches, summed, projected)}) == 4
    torch.testing.assert_close(summed.embed(batch), opened().embed(batch))
    planned = TransformersEncoder.from_pretrained(
        str(tmp_path / "tiny"), tokens="patches", layer=-2, weights=False
    )
    assert (planned.tokens, planned.layer) == ("patches", -2)
    with pytest.raises(ValueError, match="choose all, patches, class, projected"):
        opened(tokens="patch")
    tiny.write(tiny.whisper, tmp_path / "sound")
    with pytest.raises(ValueError, match="has no class token"):
        TransformersEncoder.from_pretrained(str(tmp_path / "sound"), tokens="class")
    tiny.write(tiny.clip_vision, tmp_path / "tower")
    with pytest.raises(ValueError, match="has no map to a space of texts"):
        TransformersEncoder.from_pretrained(str(tmp_path / "tower"), tokens="projected")


def test_thread_like_pictures_cost_no_more_than_others() -> None:
    encoder = tiny.open_saved(tiny.clip)
    picture = pixels(4, 40_000, 3)
    batch = torch.stack(
        [encoder.prepare(Image(picture)), encoder.prepare(Image(picture[:, 18_000:22_000]))]
    )
    torch.testing.assert_close(batch[0], batch[1])


def test_sizes_belong_to_the_identity(tmp_path: Path) -> None:
    tiny.write(tiny.vjepa2, tmp_path / "tiny")
    four = TransformersEncoder.from_pretrained(str(tmp_path / "tiny"))
    eight = TransformersEncoder.from_pretrained(str(tmp_path / "tiny"), frames=8)
    assert (four.sizes.frames, eight.sizes.frames) == (4, 8)
    assert eight.prepare(MEDIA[Video]).shape == (8, 3, 32, 32)
    assert four.metadata() != eight.metadata()


@pytest.mark.parametrize("build", [tiny.clip, tiny.siglip, tiny.dinov2])
def test_a_backend_is_no_part_of_the_identity(build: tiny.Build) -> None:
    """Settings tell the same steps to a processor of its own and to the one in its place."""
    own = build()[1]
    other = PillowProcessor(own.to_dict(), moving=False)
    assert processing_steps(other) == processing_steps(own)
    picture = PILImage.fromarray(pixels(40, 52, 3))
    one, two = (made(images=picture, return_tensors="pt") for made in (own, other))
    assert torch.equal(one["pixel_values"], two["pixel_values"])
    smaller = PillowProcessor({**own.to_dict(), "size": {"height": 16, "width": 16}}, moving=False)
    assert processing_steps(smaller) != processing_steps(own)


def test_padding_is_masked() -> None:
    encoder = tiny.open_saved(tiny.siglip2)
    wide, square = (
        encoder.prepare(Image(pixels(10, 90, 3))),
        encoder.prepare(Image(pixels(9, 9, 3))),
    )
    _, mask = encoder(torch.stack([wide, square]))
    assert mask.sum(dim=1).tolist() != [20, 20] and mask[:, 0].all()


def test_a_processor_without_a_fixed_size_is_named(tmp_path: Path) -> None:
    tiny.write(tiny.dinov2, tmp_path / "tiny")
    path = tmp_path / "tiny" / "preprocessor_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "do_center_crop": False}))
    encoder = TransformersEncoder.from_pretrained(str(tmp_path / "tiny"))
    with pytest.raises(ValueError, match="'tiny' gives pixel_values of shape"):
        encoder.prepare(Image(pixels(20, 60, 3)))


@torch.no_grad()
def test_silence_behind_a_sound_changes_nothing_where_a_mask_is_read() -> None:
    encoder = tiny.open_saved(tiny.FAMILIES["wav2vec2-layer"])
    wave = noise(1, 4000)
    values, mask = encoder(encoder.prepare(Audio(wave, 16000))[None])
    inputs = encoder.processor(wave[0], sampling_rate=16000, return_tensors="pt")
    alone = encoder.model(inputs["input_values"]).last_hidden_state
    assert mask.sum() == alone.shape[1] < mask.shape[1]
    torch.testing.assert_close(values[mask], alone[0], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(
        encoder.embed(encoder.prepare(Audio(wave, 16000))[None]),
        alone.mean(dim=1), rtol=1e-3, atol=1e-4,
    )  # fmt: skip


def test_media_are_prepared_in_full_precision_within_a_run_in_half() -> None:
    encoder = tiny.open_saved(tiny.whisper)
    sound = Audio(np.sin(np.arange(8000, dtype=np.float32))[None], 16000)
    plain = encoder.prepare(sound)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(encoder.prepare(sound), plain)
