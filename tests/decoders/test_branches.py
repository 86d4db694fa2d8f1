"""Guidance in three branches: away from no caption, and away from no references."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionInstructPix2PixPipeline, UNet2DConditionModel

from anymodal.decoders import DiffusionDecoder
from anymodal.decoders.references import SOURCE, Reference
from tests.support.decoders import CAPTIONS, generator_of, latents, medium, values
from tests.support.pipelines import FAMILIES


def edits(name: str) -> DiffusionDecoder:
    """A decoder whose denoiser looks at a source, as after training."""
    torch.manual_seed(0)
    decoder = DiffusionDecoder(FAMILIES[name].build(), references=[SOURCE]).eval()
    layer = decoder.family.network.get_submodule(decoder.family.input_layer)
    channels = decoder.family.latent_shape[0]
    with torch.no_grad():
        torch.nn.init.normal_(layer.weight[:, channels:], generator=generator_of(3))
    return decoder


def test_three_branches_are_those_of_instruct_pix2pix() -> None:
    decoder = edits("stable_diffusion")
    network = decoder.family.network
    with torch.no_grad():
        network.conv_in.weight[:, -1] = 0  # of the mask, which InstructPix2Pix does without
    config = {k: v for k, v in network.config.items() if k[0] != "_"} | {"in_channels": 8}
    unet = UNet2DConditionModel.from_config(config).eval()
    weights = network.state_dict()
    unet.load_state_dict(weights | {"conv_in.weight": weights["conv_in.weight"][:, :8]})
    parts = {**decoder.pipeline.components, "unet": unet}
    theirs = StableDiffusionInstructPix2PixPipeline(**parts, requires_safety_checker=False)
    theirs.set_progress_bar_config(disable=True)
    source = medium(decoder)
    with torch.no_grad():
        conditioning = decoder.embed_captions(CAPTIONS[:1])
        made = decoder.sample(
            conditioning, steps=3, guidance=3.0, generator=generator_of(9),
            references=[[Reference(source)]], reference_guidance=1.5,
        )  # fmt: skip
        image = decoder.encode(decoder.prepare(source)[None])
    output = theirs(
        prompt=CAPTIONS[:1], image=image, num_inference_steps=3, guidance_scale=3.0,
        image_guidance_scale=1.5, generator=generator_of(9), output_type="np",
    )[0]  # fmt: skip
    np.testing.assert_allclose(
        values(made[0]), values(decoder.family.postprocess(output[0])), atol=1
    )


@pytest.mark.parametrize("name", ["sigma", "latte"])
def test_three_branches_follow_their_formula(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = edits(name)
    given: list[Any] = []
    scheduler = type(decoder.pipeline.scheduler)
    step = scheduler.step

    def watched(own: Any, output: Any, time: Any, sample: Any, *args: Any, **more: Any) -> Any:
        given.append((output, time))
        return step(own, output, time, sample, *args, **more)

    references = [[Reference(medium(decoder))], []]
    with torch.no_grad():
        caption = decoder.embed_captions(CAPTIONS)
        with monkeypatch.context() as patch:
            patch.setattr(scheduler, "step", watched)
            decoder.sample(
                caption, steps=2, guidance=4.0, generator=generator_of(9), references=references,
                reference_guidance=1.5,
            )  # fmt: skip
        output, time = given[0]
        noise = torch.randn(latents(decoder).shape, generator=generator_of(9))
        encoded = decoder.encode_references(references)
        caption, empty = (
            decoder.family.check_conditioning(each) for each in (caption, decoder.unconditional(2))
        )

        def estimate(conditioning: Any, shown: Any) -> torch.Tensor:
            return decoder._denoiser(noise, time.expand(2), conditioning, shown)

        neither, shown = estimate(empty, None), estimate(empty, encoded)
        both = estimate(caption, encoded)
    wanted = neither + 1.5 * (shown - neither) + 4.0 * (both - shown)
    if output.shape != wanted.shape:  # frames one by one
        output = output.unflatten(0, (2, -1)).transpose(1, 2)
    torch.testing.assert_close(output, wanted, rtol=1e-3, atol=1e-4)


def test_what_was_not_trained_for_three_branches_is_refused() -> None:
    edit = edits("sigma")
    klein = DiffusionDecoder(FAMILIES["flux_2_klein"].build(), size=16, references=[SOURCE])
    plain = DiffusionDecoder(FAMILIES["sigma"].build())
    for decoder in (klein, plain):
        with pytest.raises(ValueError, match="can't lead this decoder away from references"):
            decoder.check_settings({"reference_guidance": 1.5})
    with pytest.raises(ValueError, match="needs guidance above 1, not 1.0"):
        edit.check_settings({"reference_guidance": 1.5, "guidance": 1.0})
    with pytest.raises(ValueError, match="reference_guidance=-1"):
        edit.check_settings({"reference_guidance": -1})
    settings = {"reference_guidance": 1.5, "guidance": 4.0}
    assert edit.check_settings(settings) == settings
