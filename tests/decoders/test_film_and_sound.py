"""LTX-2: a film and its sound from one span, with a first frame or without, equal to its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import LTX2ImageToVideoPipeline
from PIL import Image as Pillow

from anymodal.decoders import DiffusionDecoder
from anymodal.decoders.noise import sample_noise_levels
from anymodal.decoders.references import FIRST, SOURCE, Reference
from anymodal.media import Image, Video
from tests.support.decoders import (
    CAPTIONS,
    assert_alike,
    generator_of,
    latents,
    medium,
    values,
)
from tests.support.pipelines import FAMILIES

SIZE = {"frames": 3, "height": 32, "width": 64, "fps": 25.0}
CALL: dict[str, Any] = {"num_frames": 3, "height": 32, "width": 64, "frame_rate": 25.0}


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> DiffusionDecoder:
    """An LTX-2 that takes a first frame, with all kinds of guidance that its pipeline has."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("ltx2")
    FAMILIES["ltx2"].build().save_pretrained(folder)
    return DiffusionDecoder.from_pretrained(
        folder, references=[FIRST], skipped_blocks=[1], **SIZE
    ).eval()


@pytest.fixture(scope="module")
def picture() -> Image:
    return Image(np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8))


def made_by(decoder: DiffusionDecoder, guidance: float = 3.0, **more: Any) -> list[Any]:
    with torch.no_grad():
        conditioning = decoder.embed_captions(CAPTIONS)
    generators = [generator_of(9), generator_of(10)]
    return decoder.sample(conditioning, steps=3, guidance=guidance, generator=generators, **more)


def test_its_guidance_is_that_of_the_pipeline(decoder: DiffusionDecoder) -> None:
    output = decoder.pipeline(
        prompt=CAPTIONS[0], guidance_scale=3.0, num_inference_steps=3, generator=generator_of(9),
        output_type="np", max_sequence_length=decoder.spec.length,
        spatio_temporal_guidance_blocks=[1], **CALL,
    )  # fmt: skip
    made = made_by(decoder)
    assert_alike(decoder, made[:1], decoder.family.items(output))
    assert made[1].sound is not None and made[1].sound != made[0].sound


def test_a_first_frame_is_that_of_the_pipeline(decoder: DiffusionDecoder, picture: Image) -> None:
    theirs = LTX2ImageToVideoPipeline(**decoder.pipeline.components)
    theirs.set_progress_bar_config(disable=True)
    output = theirs(
        image=Pillow.fromarray(picture.pixels), prompt=CAPTIONS[0], guidance_scale=3.0,
        num_inference_steps=3, generator=generator_of(9), output_type="np",
        max_sequence_length=decoder.spec.length, spatio_temporal_guidance_blocks=[1], **CALL,
    )  # fmt: skip
    made = made_by(decoder, references=[[Reference(picture, FIRST)], []])
    assert_alike(decoder, made[:1], decoder.family.items(output))
    plain = made_by(decoder)
    assert_alike(decoder, made[1:], plain[1:])
    assert not np.array_equal(values(made[0]), values(plain[0]))


def test_film_and_sound_count_alike_and_a_known_frame_does_not(
    decoder: DiffusionDecoder, picture: Image
) -> None:
    clean, generator, family = latents(decoder), generator_of(5), decoder.family
    noise = torch.randn(clean.shape, generator=generator)
    levels = sample_noise_levels(
        decoder.pipeline.scheduler, 2, generator, tokens=family.tokens
    ).view(-1, 1)
    shown = decoder.encode_references([[Reference(picture, FIRST)], []])
    frame = family.pack_film(shown[0][0].latents[None]).flatten()
    with torch.no_grad():
        conditioning = decoder.embed_captions(CAPTIONS)
        inputs = (1 - levels) * clean + levels * noise
        inputs[0, : len(frame)] = frame
        film, sound = family.split(inputs)
        times = (1000 * levels).repeat(1, film.shape[1])
        times[0, : film.shape[1] // 2] = 0
        of_film, of_sound = conditioning.embeds.split([16, 16], -1)
        output = decoder.pipeline.transformer(
            hidden_states=film, audio_hidden_states=sound, encoder_hidden_states=of_film,
            audio_encoder_hidden_states=of_sound, timestep=times,
            audio_timestep=1000 * levels[:, 0], sigma=1000 * levels[:, 0], num_frames=2, height=4,
            width=8, fps=25.0, audio_num_frames=3, use_cross_timestep=True,
        )  # fmt: skip
        loss = decoder.losses(clean, conditioning, generator_of(5), shown)
    errors = (family.join(output.sample, output.audio_sample) - (noise - clean)).square()
    half, whole = family.error_parts[0] // 2, family.error_parts[0]
    film_errors = torch.stack([errors[0, half:whole].mean(), errors[1, :whole].mean()])
    wanted = (film_errors + errors[:, whole:].mean(1)) / 2
    torch.testing.assert_close(loss, wanted, rtol=1e-4, atol=1e-5)
    mean = decoder.loss(clean, conditioning, generator_of(5), shown)
    torch.testing.assert_close(mean, wanted.mean(), rtol=1e-4, atol=1e-5)


def test_a_start_is_of_both_and_a_silent_clip_is_none(decoder: DiffusionDecoder) -> None:
    (source,) = made_by(decoder)[:1]
    start = [[Reference(source, SOURCE)], []]
    seen: list[Any] = []
    hook = decoder.family.network.register_forward_pre_hook(
        lambda _module, _args, keywords: seen.append(keywords), with_kwargs=True
    )
    made = made_by(decoder, 1.0, references=start, strength=0.4)
    hook.remove()
    clean = decoder.encode(decoder.prepare(source)[None])
    for name, known in zip(
        ("hidden_states", "audio_hidden_states"), decoder.family.split(clean), strict=True
    ):
        level = seen[0]["timestep"][0] / 1000
        noise = (seen[0][name] - (1 - level) * known) / level
        assert 0.3 < level < 1 and 0.6 < float(noise.std()) < 1.5
    plain = made_by(decoder, 1.0)
    assert_alike(decoder, made[1:], plain[1:])  # it has no source
    with pytest.raises(ValueError, match="no sound.*sound=True"):
        decoder.prepare(Video(source.frames, source.fps))
    with pytest.raises(ValueError, match="can't begin a film"):
        made_by(decoder, references=[[Reference(Image(source.frames[0]), FIRST)]] * 2, frames=5)


def test_what_spoils_the_sound_alone_is_told(decoder: DiffusionDecoder) -> None:
    def spoil(_module: Any, _inputs: Any, output: Any) -> None:
        output[0].fill_(torch.inf)

    hook = decoder.pipeline.audio_vae.decoder.register_forward_hook(spoil)
    try:
        with pytest.raises(ValueError, match="item 1 of 2"):
            made_by(decoder)
    finally:
        hook.remove()
    again = decoder.prepare(medium(decoder))
    assert again.shape == decoder.family.media_shape


def test_a_film_is_saved_with_its_sound(decoder: DiffusionDecoder, tmp_path: Path) -> None:
    (made, _) = made_by(decoder)
    again = Video.load(made.save(tmp_path / "film.mp4"), sound=True)
    assert again.sound is not None and len(again.sound.samples) == 2
    assert len(again.frames) == 3 and again.sound.duration >= made.sound.duration
