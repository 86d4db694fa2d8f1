"""Media made by every family, item by item and in batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from anymodal.decoders import DiffusionDecoder
from anymodal.media import Audio, Video
from anymodal.types import Conditioning
from tests.support.audio_pipelines import stable_audio_3
from tests.support.decoders import (
    CAPTIONS,
    assert_alike,
    description,
    generator_of,
    latents,
    medium,
    ours,
    theirs,
    values,
)
from tests.support.pipelines import FAMILIES


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_items_of_a_batch_are_what_they_are_alone(case: Any, guidance: float) -> None:
    _, _, decoder = case
    with torch.no_grad():
        both = decoder.embed_captions(CAPTIONS)
    ask: dict[str, Any] = {"steps": 2, "guidance": guidance}
    batch = decoder.sample(both, **ask, generator=[generator_of(7), generator_of(8)])
    again = decoder.sample(both, **ask, generator=[generator_of(7), generator_of(8)])
    for i, (made, same) in enumerate(zip(batch, again, strict=True)):
        assert isinstance(made, decoder.media)
        assert np.array_equal(values(made), values(same))
        single = Conditioning(*(None if part is None else part[i : i + 1] for part in both))
        (alone,) = decoder.sample(single, **ask, generator=[generator_of(7 + i)])
        tolerance = 1.0 if decoder.media is not Audio else 1e-4
        np.testing.assert_allclose(values(made), values(alone), atol=tolerance)
    assert not np.array_equal(values(batch[0]), values(batch[1]))


def test_progress_counts_the_steps(case: Any) -> None:
    _, _, decoder = case
    seen: list[tuple[int, int]] = []
    made = decoder.sample(
        decoder.unconditional(2),
        steps=4,
        guidance=2.0,
        generator=generator_of(0),
        progress=lambda step, steps: seen.append((step, steps)),
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert len(made) == 2


def test_media_come_out_as_they_go_in(case: Any) -> None:
    _, _, decoder = case
    (made,) = decoder.sample(
        decoder.unconditional(1), steps=2, guidance=1.0, generator=generator_of(0)
    )
    prepared = decoder.prepare(made)
    if isinstance(made, Audio):
        assert made.rate == 800 and made.samples.shape == decoder.family.media_shape
        np.testing.assert_array_equal(prepared.numpy(), made.samples)
    else:
        pixels = made.frames if isinstance(made, Video) else made.pixels[None]
        assert pixels.dtype == np.uint8 and pixels.shape == (*decoder.family.pixels, 3)
        if prepared.ndim == 1:  # film and sound
            film = decoder.family.film_shape
            prepared = prepared[: int(np.prod(film))].view(film)
        back = prepared if prepared.ndim == 4 else prepared[:, None]  # (3, T, H, W)
        np.testing.assert_allclose(
            (back.permute(1, 2, 3, 0).numpy() + 1) * 127.5, pixels, atol=1e-3
        )


def test_unconditional_follows_the_weights(case: Any) -> None:
    name, _, decoder = case
    first = decoder.unconditional(2)
    wanted = (3, decoder.spec.length, decoder.spec.width)
    assert decoder.unconditional(3).embeds.shape == wanted
    assert decoder.unconditional(2).embeds.data_ptr() == first.embeds.data_ptr()
    kept = {k: v.clone() for k, v in decoder.pipeline.text_encoder.state_dict().items()}
    with torch.no_grad():
        for weight in decoder.pipeline.text_encoder.parameters():
            weight.mul_(1.5)
    changed = decoder.unconditional(2)
    same = torch.equal(changed.embeds, first.embeds)
    if first.pooled is not None:
        same = same and torch.equal(changed.pooled, first.pooled)
    assert same == (name == "stable_diffusion_xl")  # where it is zero, whatever the weights
    decoder.pipeline.text_encoder.load_state_dict(kept)
    torch.testing.assert_close(decoder.unconditional(2).embeds, first.embeds)


def test_wrong_shapes_are_named(case: Any) -> None:
    _, _, decoder = case
    good = decoder.unconditional(2)
    wrong = good._replace(embeds=good.embeds[:, :-1], mask=good.mask[:, :-1])
    with pytest.raises(ValueError, match=f"{decoder.spec.length}, {decoder.spec.width}"):
        decoder.sample(wrong, steps=2, guidance=1.0)
    if decoder.spec.pooled is not None:
        with pytest.raises(ValueError, match=f"width {decoder.spec.pooled}, not None"):
            decoder.loss(latents(decoder), good._replace(pooled=None))
    with pytest.raises(ValueError, match="3 media .* 2"):
        decoder.loss(latents(decoder, 3), good)
    with pytest.raises(ValueError, match="neither prepared media"):
        decoder.loss(torch.zeros(2, 5), good)
    with pytest.raises(ValueError, match="steps=0"):
        decoder.sample(good, steps=0, guidance=1.0)
    with pytest.raises(TypeError, match="cannot learn from str"):
        decoder.prepare("a ball")


def test_another_scheduler_keeps_what_was_learned(case: Any) -> None:
    name, _, decoder = case
    old = decoder.pipeline.scheduler
    with torch.no_grad():
        conditioning = decoder.embed_captions(CAPTIONS)
        before = decoder.loss(latents(decoder), conditioning, generator_of(0))
        for scheduler in FAMILIES[name].schedulers:
            new = DiffusionDecoder(
                decoder.pipeline, scheduler=scheduler, **FAMILIES[name].options
            ).eval()
            assert description(new) == description(decoder) | {"scheduler": scheduler}
            after = new.loss(latents(new), conditioning, generator_of(0))
            torch.testing.assert_close(after, before)  # the same levels, inputs and targets
            captions = CAPTIONS[:1] if FAMILIES[name].alone else CAPTIONS
            made = ours(new, captions, 1.0)
            assert_alike(new, made, theirs(FAMILIES[name], new, captions, 1.0))
            again = zip(made, ours(new, captions, 1.0), strict=True)
            assert all(np.array_equal(values(a), values(b)) for a, b in again), "by the seed alone"
            decoder.pipeline.scheduler = old


def test_an_autoencoder_takes_items_one_by_one(case: Any) -> None:
    name, _, decoder = case
    vae = decoder.pipeline.vae
    batch = torch.stack([decoder.prepare(medium(decoder, seed)) for seed in range(2)])
    if not FAMILIES[name].sliced:
        with pytest.raises(ValueError, match="spares memory too|has no slicing"):
            DiffusionDecoder(decoder.pipeline, vae_slicing=True, **FAMILIES[name].options)
        return
    captions = CAPTIONS[:1] if FAMILIES[name].alone else CAPTIONS
    whole, made = decoder.encode(batch), ours(decoder, captions, 1.0)
    sliced = DiffusionDecoder(decoder.pipeline, vae_slicing=True, **FAMILIES[name].options)
    try:
        assert vae.use_slicing
        torch.testing.assert_close(sliced.encode(batch), whole)
        assert_alike(decoder, ours(sliced, captions, 1.0), made)
    finally:
        vae.disable_slicing()


def test_a_distilled_sampler_draws_its_noise_by_each_item_s_generator() -> None:
    torch.manual_seed(0)
    decoder = DiffusionDecoder(stable_audio_3(stochastic=True), seconds=0.3).eval()
    conditioning = decoder.unconditional(2)
    generators = [generator_of(7), generator_of(8)]
    batch = decoder.sample(conditioning, steps=3, guidance=1.0, generator=generators)
    for index, made in enumerate(batch):
        single = conditioning.select(slice(index, index + 1))
        generators = [generator_of(7 + index)]
        (alone,) = decoder.sample(single, steps=3, guidance=1.0, generator=generators)
        np.testing.assert_allclose(values(made), values(alone), atol=1e-4)
    output = decoder.pipeline(
        prompt="", duration=0.3, num_inference_steps=3, generator=generator_of(7), output_type="np"
    )[0]  # type: ignore[index]
    np.testing.assert_allclose(values(batch[0]), output[0], atol=1e-4)
