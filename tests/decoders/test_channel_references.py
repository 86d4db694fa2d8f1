"""References on channels that a denoiser was trained with, and denoisers that share the noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import MotifVideoImage2VideoPipeline, MotifVideoPipeline
from diffusers.guiders import ClassifierFreeGuidance
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from PIL import Image as Pillow

from anymodal.decoders import DiffusionDecoder
from anymodal.decoders.references import FIRST, SOURCE, Reference
from anymodal.media import Image
from tests.support.decoders import CAPTIONS, generator_of, latents, values
from tests.support.pipelines import FAMILIES

CASES = ("cogvideox_from_picture", "wan_from_picture", "motif")


@pytest.fixture(scope="module", params=CASES)
def decoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A decoder, opened from a folder, that takes a first frame."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp(request.param)
    FAMILIES[request.param].build().save_pretrained(folder)
    options = FAMILIES[request.param].options
    return DiffusionDecoder.from_pretrained(folder, references=[FIRST], **options)


def picture(decoder: DiffusionDecoder) -> Image:
    """A picture of the clips' size, which no pipeline resizes."""
    shape = (*decoder.family.media_shape[-2:], 3)
    return Image(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_a_first_frame_is_that_of_the_pipeline(
    decoder: Any, guidance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # CogVideoX's own call draws the picture's latents; here they are the mode.
    mode = DiagonalGaussianDistribution.mode
    monkeypatch.setattr(
        DiagonalGaussianDistribution, "sample", lambda own, generator=None: mode(own)
    )
    shown = picture(decoder)
    with torch.no_grad():
        conditioning = decoder.embed_captions(CAPTIONS)
        made = decoder.sample(
            conditioning, steps=3, guidance=guidance, references=[[Reference(shown, FIRST)], []],
            generator=[generator_of(9), generator_of(10)],
        )  # fmt: skip
        plain = decoder.sample(
            conditioning, steps=3, guidance=guidance, generator=[generator_of(9), generator_of(10)]
        )
    frames, height, width = (int(side) for side in decoder.family.media_shape[1:])
    states = decoder.family.pipeline.encode_prompt(
        CAPTIONS[0], "", max_sequence_length=decoder.spec.length
    )
    asked: dict[str, Any] = {"prompt_embeds": states[0], "guidance_scale": guidance}
    if guidance > 1:
        asked["negative_prompt_embeds"] = states[1]
    pipeline = decoder.pipeline
    if isinstance(pipeline, MotifVideoPipeline):  # of the same folder
        pipeline = MotifVideoImage2VideoPipeline(**pipeline.components)
        pipeline.set_progress_bar_config(disable=True)
        pipeline.guider = ClassifierFreeGuidance(guidance_scale=guidance)
        asked = {"prompt": CAPTIONS[0], "max_sequence_length": decoder.spec.length}
    output = pipeline(
        image=Pillow.fromarray(shown.pixels), height=height, width=width, num_frames=frames,
        num_inference_steps=3, output_type="np", generator=generator_of(9), **asked,
    ).frames[0]  # fmt: skip
    np.testing.assert_allclose(values(made[0]), values(decoder.family.postprocess(output)), atol=1)
    assert not np.array_equal(values(plain[0]), values(made[0]))
    np.testing.assert_allclose(values(plain[1]), values(made[1]), atol=1)


def test_the_loss_sees_a_first_frame_in_its_own_item_alone(decoder: Any) -> None:
    clean, shown = latents(decoder), Reference(picture(decoder), FIRST)
    with torch.no_grad():
        conditioning = decoder.embed_captions(CAPTIONS)
        none = decoder.losses(clean, conditioning, generator_of(5))
        empty = decoder.losses(clean, conditioning, generator_of(5), [[], []])
        encoded = decoder.encode_references([[shown], []])
        one = decoder.losses(clean, conditioning, generator_of(5), encoded)
    torch.testing.assert_close(none, empty)
    torch.testing.assert_close(none[1], one[1])
    assert not torch.isclose(none[0], one[0])


def test_another_role_is_refused(decoder: Any) -> None:
    with pytest.raises(ValueError, match=r"this pipeline takes first; leave out 'source'"):
        DiffusionDecoder(decoder.pipeline, references=[SOURCE])


def test_each_item_asks_the_network_of_its_noise(tmp_path: Path) -> None:
    torch.manual_seed(0)
    decoder = DiffusionDecoder(FAMILIES["wan_large"].build(), **FAMILIES["wan_large"].options)
    high, low = decoder.family.networks  # type: ignore[attr-defined]
    inputs, times = latents(decoder), torch.tensor([874.0, 876.0])
    with torch.no_grad():
        conditioning = decoder.family.apply_mask(decoder.embed_captions(CAPTIONS))
        made = decoder.family.denoise(inputs, times, conditioning)
        for row, network in enumerate((low, high)):
            own = network(
                hidden_states=inputs[row : row + 1], timestep=times[row : row + 1],
                encoder_hidden_states=conditioning.embeds[row : row + 1],
            ).sample  # fmt: skip
            torch.testing.assert_close(made[row : row + 1], own)
    assert not torch.allclose(high.proj_out.weight, low.proj_out.weight)


def test_the_network_for_little_noise_has_a_guidance_of_its_own() -> None:
    torch.manual_seed(0)
    pipeline, options = FAMILIES["wan_large"].build(), FAMILIES["wan_large"].options
    clips = []
    for guidance in (None, 3.0, 5.0):
        decoder = DiffusionDecoder(pipeline, low_noise_guidance=guidance, **options)
        with torch.no_grad():
            conditioning = decoder.embed_captions(CAPTIONS[:1])
        (clip,) = decoder.sample(conditioning, steps=3, guidance=3.0, generator=generator_of(9))
        clips.append(values(clip))
    assert np.array_equal(clips[0], clips[1]) and not np.array_equal(clips[0], clips[2])
