"""References in the place of noise: Wan 2.2's first frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from diffusers import WanImageToVideoPipeline
from PIL import Image as Pillow

from anymodal.decoders import DiffusionDecoder
from anymodal.decoders.noise import sample_noise_levels
from anymodal.decoders.references import FIRST, SOURCE, Reference
from anymodal.media import Image
from tests.support.decoders import CAPTIONS, generator_of, latents, ours, values
from tests.support.pipelines import FAMILIES


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> DiffusionDecoder:
    """A small Wan 2.2, opened from a folder, that takes a first frame."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("wan")
    FAMILIES["wan_small"].build().save_pretrained(folder)
    options = FAMILIES["wan_small"].options
    return DiffusionDecoder.from_pretrained(folder, references=[FIRST], **options)


@pytest.fixture(scope="module")
def picture(decoder: DiffusionDecoder) -> Image:
    """A picture of the clips' size, which no pipeline resizes."""
    height, width = decoder.family.media_shape[-2:]
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image(pixels)


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_a_first_frame_is_that_of_the_pipeline(
    decoder: DiffusionDecoder, picture: Image, guidance: float
) -> None:
    theirs = WanImageToVideoPipeline(**decoder.pipeline.components, expand_timesteps=True)
    theirs.set_progress_bar_config(disable=True)
    with torch.no_grad():
        conditioning = decoder.embed_captions(CAPTIONS)
    generators = [generator_of(9), generator_of(10)]
    calls: list[Any] = []
    hook = decoder.family.network.register_forward_hook(
        lambda _module, args, keywords, output: calls.append((keywords, output[0])),
        with_kwargs=True,
    )
    made = decoder.sample(
        conditioning, steps=3, guidance=guidance, generator=generators,
        references=[[Reference(picture, FIRST)], []],
    )  # fmt: skip
    mine, calls[:] = list(calls), []
    frames, height, width = (int(side) for side in decoder.family.media_shape[1:])
    length = decoder.spec.length
    positive, negative = decoder.pipeline.encode_prompt(  # theirs wants a package to clean captions
        CAPTIONS[0], "", max_sequence_length=length
    )
    output = theirs(
        image=Pillow.fromarray(picture.pixels), prompt_embeds=positive,
        negative_prompt_embeds=negative if guidance > 1 else None, height=height, width=width,
        num_frames=frames, guidance_scale=guidance, num_inference_steps=3, output_type="np",
        generator=generator_of(9),
    ).frames[0]  # fmt: skip
    hook.remove()
    assert len(mine) == len(calls)
    for (a, made_out), (b, their_out) in zip(mine, calls, strict=True):
        for name in ("hidden_states", "timestep", "encoder_hidden_states"):
            torch.testing.assert_close(a[name][:1], b[name])
        torch.testing.assert_close(made_out[:1], their_out, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(values(made[0]), values(decoder.family.postprocess(output)), atol=1)
    plain = ours_from(decoder, conditioning, guidance)
    assert np.array_equal(values(plain[1]), values(made[1]))
    assert not np.array_equal(values(plain[0]), values(made[0]))


def ours_from(decoder: DiffusionDecoder, conditioning: Any, guidance: float) -> list[Any]:
    generators = [generator_of(9), generator_of(10)]
    return decoder.sample(conditioning, steps=3, guidance=guidance, generator=generators)


def test_without_references_nothing_changes(decoder: DiffusionDecoder) -> None:
    plain = DiffusionDecoder(decoder.pipeline, **FAMILIES["wan_small"].options)
    for one, other in zip(ours(plain, CAPTIONS, 3.0), ours(decoder, CAPTIONS, 3.0), strict=True):
        assert np.array_equal(values(one), values(other))
    batch, conditioning = latents(decoder), decoder.unconditional(2)
    with torch.no_grad():
        losses = [each.loss(batch, conditioning, generator_of(5)) for each in (plain, decoder)]
        none = decoder.loss(batch, conditioning, generator_of(5), [[], []])
    assert torch.equal(losses[0], losses[1]) and torch.equal(losses[1], none)


def test_a_clean_frame_carries_no_loss(decoder: DiffusionDecoder, picture: Image) -> None:
    clean, generator = latents(decoder), generator_of(5)
    noise = torch.randn(clean.shape, generator=generator)
    levels = sample_noise_levels(decoder.pipeline.scheduler, 2, generator)
    shown = decoder.encode_references([[Reference(picture, FIRST)], []])
    (first,) = shown[0]
    with torch.no_grad():
        conditioning = decoder.embed_captions(CAPTIONS)
        loss = decoder.loss(clean, conditioning, generator_of(5), shown)
        level = levels.view(-1, 1, 1, 1, 1)
        inputs = (1 - level) * clean + level * noise
        inputs[0, :, :1] = first.latents
        frames, height, width = clean.shape[2:]
        tokens = height // 2 * width // 2
        times = (1000 * levels)[:, None].repeat(1, frames * tokens)
        times[0, :tokens] = 0
        conditioning = decoder.family.apply_mask(conditioning)
        output = decoder.pipeline.transformer(
            hidden_states=inputs, timestep=times, encoder_hidden_states=conditioning.embeds
        ).sample
    errors = F.mse_loss(output, noise - clean, reduction="none")
    # An item counts as much as another, whatever is known of it.
    learned = torch.stack([errors[0, :, 1:].mean(), errors[1].mean()])
    torch.testing.assert_close(loss, learned.mean(), rtol=1e-4, atol=1e-5)
    losses = decoder.losses(clean, conditioning, generator_of(5), shown)
    torch.testing.assert_close(losses, learned, rtol=1e-4, atol=1e-5)


def test_a_wan_without_times_for_its_patches_takes_no_frame(tmp_path: Path) -> None:
    for name, roles in (("wan", [FIRST]), ("wan_small", [SOURCE])):
        with pytest.raises(ValueError, match="leave out"):
            DiffusionDecoder(FAMILIES[name].build(), references=roles, **FAMILIES[name].options)
