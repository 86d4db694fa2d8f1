"""Encoders from transformers give what their models give, from what their processors make."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as PILImage
from torch import Tensor

from anymodal.encoders import TransformersEncoder
from anymodal.encoders.transformers.families import FAMILIES, Sizes
from anymodal.media import Audio, Image, Video
from anymodal.tools.embed.opening import open_encoders
from anymodal.types import TokenLayout
from tests.support import huggingface_models as tiny
from tests.support.random_media import MEDIA

Inputs = Mapping[str, Any]


@pytest.fixture(scope="module", params=tiny.FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def pair(
    family: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, TransformersEncoder, Path]:
    """A model, the encoder opened from where it was saved, and that folder."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("hub") / family
    model = tiny.write(tiny.FAMILIES[family], folder)
    return model, TransformersEncoder.from_pretrained(str(folder), seconds=0.5), folder


def by_hand(frame: np.ndarray, short: int | None, size: int) -> Tensor:
    """A picture (3, size, size) resized and cropped by Pillow, from -1 to 1."""
    picture = PILImage.fromarray(frame)
    if short is not None:
        scale = short / min(picture.size)
        width, height = (int(side * scale) for side in picture.size)
        picture = picture.resize((width, height), PILImage.Resampling.BILINEAR)
        left, top = (width - size) // 2, (height - size) // 2
        picture = picture.crop((left, top, left + size, top + size))
    else:
        picture = picture.resize((size, size), PILImage.Resampling.BILINEAR)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1) / 127.5 - 1


def inputs_of(family: str, encoder: TransformersEncoder, medium: Any) -> Inputs:
    """What a user of transformers alone would give the model."""
    processor = encoder.processor
    if family == "dinov3_vit":
        return {"pixel_values": by_hand(medium.pixels, None, 32)[None]}
    if isinstance(medium, Image):
        return processor(images=[PILImage.fromarray(medium.pixels)], return_tensors="pt")  # type: ignore[no-any-return]
    if family == "pe_video":  # as many frames as are asked for
        return encoder._inputs(encoder.prepare(medium)[None])
    if isinstance(medium, Video):
        frames = [by_hand(medium.frames[index], 36, 32) for index in (0, 3, 5, 8)]
        return {"pixel_values_videos": torch.stack(frames)[None]}
    wave = medium.mono().resample(processor.sampling_rate).samples[0]
    if family == "pe_audio":
        wave = wave[:504]  # half a second, in whole steps of its codec
        return processor(wave, sampling_rate=1000, return_tensors="pt")  # type: ignore[no-any-return]
    if hasattr(encoder.model, "feature_extractor"):
        wave = wave[:8000]  # half a second
    return processor(wave, sampling_rate=processor.sampling_rate, return_tensors="pt")  # type: ignore[no-any-return]


def joint(tower: str, method: str) -> Callable[[Any, Inputs], tuple[Tensor, Tensor]]:
    return lambda model, inputs: (
        getattr(model, tower)(**inputs).last_hidden_state,
        getattr(model, method)(**inputs).pooler_output,
    )


def pooling(model: Any, inputs: Inputs) -> tuple[Tensor, Tensor]:
    given = model(**inputs)
    return given.last_hidden_state, given.pooler_output


def whisper(model: Any, inputs: Inputs) -> tuple[Tensor, Tensor]:
    states = model.encoder(**inputs).last_hidden_state
    return states, states[:, :29].mean(dim=1)  # 9000 samples are 28.1 steps of 20 ms


def waves(model: Any, inputs: Inputs) -> tuple[Tensor, Tensor]:
    states = model(**inputs).last_hidden_state
    return states, states.mean(dim=1)


def classing(model: Any, inputs: Inputs) -> tuple[Tensor, Tensor]:
    states = model(**inputs).last_hidden_state
    return states, states[:, 0]


def vjepa2(model: Any, inputs: Inputs) -> tuple[Tensor, Tensor]:
    states = model.get_vision_features(**inputs)
    return states, states.mean(dim=1)


def clap(model: Any, inputs: Inputs) -> tuple[Tensor, Tensor]:
    states, pooled = joint("audio_model", "get_audio_features")(model, inputs)
    return states.flatten(2).mT, pooled


def pe_audio(model: Any, inputs: Inputs) -> tuple[Tensor, Tensor]:
    return model.audio_encoder(**inputs).last_hidden_state, model.get_audio_embeds(**inputs)


def pe_video(model: Any, inputs: Inputs) -> tuple[Tensor, Tensor]:
    given = model(torch.ones(1, 3, dtype=torch.long), **inputs)
    return given.video_outputs.last_hidden_state, given.video_embeds


def blip2(model: Any, inputs: Inputs) -> tuple[Tensor, Tensor]:
    return pooling(model.vision_model, inputs)


PATCHES = (4, 4)
LAYOUTS = {
    **dict.fromkeys(("clip", "clip_vision_model", "vit", "dinov2"), TokenLayout(1, 0, PATCHES)),
    **dict.fromkeys(("blip-2", "instructblip"), TokenLayout(1, 0, PATCHES)),
    **dict.fromkeys(("siglip", "siglip_vision_model"), TokenLayout(0, 0, PATCHES)),
    **dict.fromkeys(("dinov2_with_registers", "dinov3_vit"), TokenLayout(1, 2, PATCHES)),
    "deit": TokenLayout(2, 0, PATCHES),
    "audio-spectrogram-transformer": TokenLayout(2, 0, (2, 5)),
    "vjepa2": TokenLayout(0, 0, (2, 4, 4)),
}

OWN: dict[str, Callable[[Any, Inputs], tuple[Tensor, Tensor]]] = {
    "clip": joint("vision_model", "get_image_features"),
    "blip-2": blip2,
    "instructblip": blip2,
    "siglip": joint("vision_model", "get_image_features"),
    "siglip2": joint("vision_model", "get_image_features"),
    "clap": clap,
    "clap-fused": clap,
    "whisper": whisper,
    **dict.fromkeys(("wav2vec2", "wav2vec2-layer", "hubert", "wavlm", "data2vec-audio"), waves),
    "vit": classing,
    "deit": classing,
    "vjepa2": vjepa2,
    "pe_audio": pe_audio,
    "pe_video": pe_video,
}
"""A model's own last hidden state and its own embedding; most others pool."""


class TestEveryFamily:
    @torch.no_grad()
    def test_tokens_are_in_the_order_that_the_layout_tells(
        self, family: str, pair: tuple[Any, TransformersEncoder, Path]
    ) -> None:
        _, encoder, _ = pair
        layout = encoder.layout
        tokens = encoder(encoder.prepare(MEDIA[encoder.media])[None]).values.shape[1]
        assert not layout.grid or tokens == layout.before + math.prod(layout.grid)
        assert layout == LAYOUTS.get(family, TokenLayout())

    @torch.no_grad()
    def test_tokens_and_embedding_are_the_models_own(
        self, family: str, pair: tuple[Any, TransformersEncoder, Path]
    ) -> None:
        model, encoder, _ = pair
        medium = MEDIA[encoder.media]
        tokens, pooled = OWN.get(family, pooling)(model, inputs_of(family, encoder, medium))
        batch = encoder.prepare(medium)[None]
        # Where a test can only resize by Pillow as well, its rounding to 8 bits is the same.
        torch.testing.assert_close(encoder(batch).values, tokens, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(encoder.embed(batch), pooled, rtol=1e-4, atol=1e-5)

    def test_a_saved_one_opens_and_has_its_identity(
        self, pair: tuple[Any, TransformersEncoder, Path], tmp_path: Path
    ) -> None:
        _, encoder, folder = pair
        encoder.save_pretrained(tmp_path / folder.name)
        other = TransformersEncoder.from_pretrained(str(tmp_path / folder.name), seconds=0.5)
        assert other.metadata() == encoder.metadata()
        batch = encoder.prepare(MEDIA[encoder.media])[None]
        torch.testing.assert_close(other.embed(batch), encoder.embed(batch))

    def test_what_it_has_no_use_for_is_not_kept(
        self, family: str, pair: tuple[Any, TransformersEncoder, Path]
    ) -> None:
        model, encoder, _ = pair
        names = {name.split(".")[1] for name, _ in encoder.named_parameters()}
        assert not names & {"text_model", "decoder", "predictor", "text_projection"}
        assert encoder.family is FAMILIES[model.config.model_type]

    def test_it_runs_in_half_precision(self, pair: tuple[Any, TransformersEncoder, Path]) -> None:
        _, encoder, folder = pair
        half = TransformersEncoder.from_pretrained(str(folder), dtype="bfloat16", seconds=0.5)
        batch = encoder.prepare(MEDIA[encoder.media])[None]
        rough, exact = half.embed(batch), encoder.embed(batch)
        assert rough.dtype == torch.bfloat16
        assert torch.cosine_similarity(rough.float(), exact).item() > 0.95

    def test_files_are_embedded_by_it(self, pair: tuple[Any, TransformersEncoder, Path]) -> None:
        _, encoder, folder = pair
        (found,) = open_encoders(str(folder)).items()
        assert found[0] == encoder.media.kind and isinstance(found[1], TransformersEncoder)


@torch.no_grad()
def test_pe_video_gives_its_own() -> None:
    model, processor = tiny.pe_video()
    texts = torch.ones(1, 3, dtype=torch.long)
    frames = [by_hand(MEDIA[Video].frames[index], None, 32) for index in (0, 3, 5, 8)]
    given = model.eval()(texts, torch.stack(frames)[None])
    encoder = TransformersEncoder(model, processor, Sizes(0.5, 4))
    batch = encoder.prepare(MEDIA[Video])[None]
    torch.testing.assert_close(encoder(batch).values, given.video_outputs.last_hidden_state)
    torch.testing.assert_close(encoder.embed(batch), given.video_embeds)
    assert model.text_model is None and model.text_video_head is None


@torch.no_grad()
def test_a_tower_of_several_opens_by_its_name(tmp_path: Path) -> None:
    model = tiny.write(tiny.pe_audio_video, tmp_path / "both")

    def opened(name: str, tower: str | None) -> TransformersEncoder:
        return TransformersEncoder.from_pretrained(str(tmp_path / name), seconds=0.5, tower=tower)

    encoder = opened("both", "audio")
    batch = encoder.prepare(MEDIA[Audio])[None]
    expected = model.get_audio_embeds(**encoder._inputs(batch))
    torch.testing.assert_close(encoder.embed(batch), expected)
    if tiny.TIMM:
        film = opened("both", "video")
        frames = film.prepare(MEDIA[Video])[None]
        _, seen = pe_video(model.video_model, film._inputs(frames))
        torch.testing.assert_close(film.embed(frames), seen)
    encoder.save_pretrained(tmp_path / "apart")
    for tower in (None, "audio"):
        torch.testing.assert_close(opened("apart", tower).embed(batch), expected)
    planned = TransformersEncoder.from_pretrained(
        str(tmp_path / "both"), seconds=0.5, tower="audio", weights=False
    )
    assert planned.pieces == encoder.pieces
    with pytest.raises(ValueError, match="tower=None of a 'pe_audio_video'; give .* audio, video"):
        opened("both", None)
    with pytest.raises(ValueError, match="a 'pe_audio' has no towers; leave it out"):
        opened("apart", "video")
