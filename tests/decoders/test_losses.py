"""The denoising loss of every family, against its scheduler's definition."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import (
    CosineDPMSolverMultistepScheduler,
)
from torch import Tensor

from anymodal.decoders.noise import sample_noise_levels
from anymodal.types import Conditioning
from tests.support.decoders import CAPTIONS, generator_of, latents, medium
from tests.support.pipelines import FAMILIES


def test_loss_passes_gradients_to_conditioning(case: Any) -> None:
    name, _, decoder = case
    spec = decoder.spec
    embeds = torch.randn(2, spec.length, spec.width, generator=generator_of(2)).requires_grad_()
    pooled = None if spec.pooled is None else torch.randn(2, spec.pooled).requires_grad_()
    mask = torch.ones(2, spec.length, dtype=torch.bool)
    mask[1, 5:] = False
    decoder.loss(latents(decoder), Conditioning(embeds, mask, pooled), generator_of(0)).backward()
    assert embeds.grad is not None and torch.isfinite(embeds.grad).all()
    assert embeds.grad[0].abs().sum() > 0
    assert pooled is None or (pooled.grad is not None and pooled.grad.abs().sum() > 0)
    if FAMILIES[name].masked:
        assert embeds.grad[1, 5:].abs().max() < 1e-6


def test_loss_of_media_is_the_loss_of_their_latents(case: Any) -> None:
    _, _, decoder = case
    batch = torch.stack([decoder.prepare(medium(decoder, seed)) for seed in range(2)])
    assert batch.shape[1:] == decoder.family.media_shape and batch.abs().max() <= 1.2
    encoded = decoder.encode(batch)
    assert encoded.shape[1:] == decoder.family.latent_shape and not encoded.requires_grad
    with torch.no_grad():
        conditioning = decoder.embed_captions(CAPTIONS)
        a = decoder.loss(batch, conditioning, generator_of(3))
        b = decoder.loss(encoded, conditioning, generator_of(3))
        other = decoder.loss(encoded, conditioning, generator_of(4))
    assert torch.equal(a, b) and not torch.equal(a, other)


def by_definition(
    prediction: str, scheduler: Any, clean: Tensor, noise: Tensor, levels: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Input, time and target as papers and schedulers define them, written out once more."""
    level = levels.view(-1, *[1] * (clean.ndim - 1))
    if prediction == "flow_prediction":  # a straight line from picture to noise
        return (1 - level) * clean + level * noise, len(scheduler) * levels, noise - clean
    if isinstance(scheduler, CosineDPMSolverMultistepScheduler):  # Karras et al. 2022, with -v
        s, d = level, scheduler.config.sigma_data
        noisy, root = clean + s * noise, (s**2 + d**2).sqrt()
        target = (d**2 / root**2 * noisy - clean) * root / (s * d)
        return noisy / root, levels.atan() / math.pi * 2, target
    kept = scheduler.alphas_cumprod[level].float()
    noisy = kept.sqrt() * clean + (1 - kept).sqrt() * noise
    v = kept.sqrt() * noise - (1 - kept).sqrt() * clean
    return noisy, levels, noise if prediction == "epsilon" else v


def test_loss_is_that_of_the_scheduler_s_definition(case: Any) -> None:
    name, _, decoder = case
    scheduler, clean, generator = decoder.pipeline.scheduler, latents(decoder), generator_of(5)
    noise = torch.randn(clean.shape, generator=generator)
    family = decoder.family
    levels = sample_noise_levels(scheduler, 2, generator, tokens=family.tokens, shift=family.shift)
    prediction = FAMILIES[name].prediction
    inputs, times, target = by_definition(prediction, scheduler, clean, noise, levels)
    with torch.no_grad():
        conditioning = decoder.embed_captions(CAPTIONS)
        output = decoder.family.denoise(inputs, times, decoder.family.apply_mask(conditioning))
        loss = decoder.loss(clean, conditioning, generator_of(5))
    # A film and its sound count alike, however many numbers each has.
    parts = family.error_parts or output.shape[-1:]
    errors = [
        F.mse_loss(*pair)
        for pair in zip(output.split(parts, -1), target.split(parts, -1), strict=True)
    ]
    torch.testing.assert_close(loss, sum(errors) / len(errors), rtol=1e-4, atol=1e-5)


def test_loss_after_sampling_is_the_loss_before(case: Any) -> None:
    _, _, decoder = case
    with torch.no_grad():
        conditioning = decoder.embed_captions(CAPTIONS)
        before = decoder.loss(latents(decoder), conditioning, generator_of(0))
        decoder.sample(conditioning, steps=3, guidance=1.0, generator=generator_of(0))
        assert torch.equal(before, decoder.loss(latents(decoder), conditioning, generator_of(0)))
