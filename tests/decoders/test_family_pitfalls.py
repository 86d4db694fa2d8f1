"""What families of pipelines do unlike others: schedules by steps, channels, processors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from diffusers.pipelines.flux2.pipeline_flux2_klein import compute_empirical_mu

from anymodal.decoders import DiffusionDecoder
from anymodal.decoders.calls import isolated_state
from tests.support.decoders import generator_of, medium
from tests.support.pipelines import FAMILIES


def built(name: str, **options: Any) -> DiffusionDecoder:
    torch.manual_seed(0)
    return DiffusionDecoder(FAMILIES[name].build(), **FAMILIES[name].options, **options).eval()


def times_of(decoder: DiffusionDecoder, steps: int, **more: Any) -> list[float]:
    """The times at which the denoiser is asked."""
    seen: list[float] = []
    hook = decoder.family.network.register_forward_pre_hook(
        lambda _module, _args, keywords: seen.append(float(keywords["timestep"][0])),
        with_kwargs=True,
    )
    asked = decoder.unconditional(1)
    decoder.sample(asked, steps=steps, guidance=1.0, generator=generator_of(0), **more)
    hook.remove()
    return seen


def test_a_schedule_that_depends_on_the_steps_is_that_of_as_many() -> None:
    decoder = built("flux_2_klein")
    for steps in (2, 5):
        with isolated_state(decoder.pipeline, None):
            scheduler: Any = decoder.pipeline.scheduler
            mu = compute_empirical_mu(decoder.family.tokens, steps)
            sigmas = np.linspace(1, 1 / steps, steps)
            scheduler.set_timesteps(sigmas=sigmas.tolist(), mu=mu)
            wanted = (scheduler.timesteps / 1000).tolist()
        np.testing.assert_allclose(times_of(decoder, steps), wanted, rtol=1e-5)
    assert compute_empirical_mu(decoder.family.tokens, 2) != compute_empirical_mu(
        decoder.family.tokens, 5
    )


@pytest.mark.parametrize("name", ["flux_2_klein", "ace_step", "ltx2", "qwen_image", "flux"])
def test_latents_are_the_autoencoder_s_whatever_the_network_takes_in(name: str) -> None:
    decoder = built(name)
    with torch.no_grad():
        latents = decoder.encode(decoder.prepare(medium(decoder))[None])
    assert latents.shape[1:] == decoder.family.latent_shape
    channels = int(decoder.family.network.config.in_channels)
    assert channels != decoder.family.latent_shape[0] or name == "flux_2_klein"


def test_a_processor_s_tokenizer_is_among_what_decides_captions() -> None:
    decoder = built("qwen_image_edit")
    before = decoder.captioning().metadata()
    assert decoder.spec.length == 48 and before["tokenizers"], "its own, not the processor's"
    other = built("qwen_image_edit")
    other.pipeline.tokenizer.add_tokens(["penguin"])  # type: ignore[attr-defined]
    assert other.captioning().metadata() != before
