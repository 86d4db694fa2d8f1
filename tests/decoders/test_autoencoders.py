"""The nano pipelines and their autoencoders."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from anymodal.decoders import DiffusionDecoder
from anymodal.decoders.autoencoders import (
    PictureAutoencoderLoss,
    WaveformAutoencoderLoss,
    normalise_latents,
)
from anymodal.toybox import decoders as nano
from tests.support.audio_pipelines import stable_audio
from tests.support.decoders import CAPTIONS, generator_of, latents
from tests.support.image_pipelines import sigma
from tests.support.pipeline_parts import small_vae, tokenizer
from tests.support.video_pipelines import latte


def parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_nano_sizes() -> None:
    words = tokenizer()
    picture, video, sound = nano.nano_image(words), nano.nano_video(words), nano.nano_audio(words)
    assert parameters(picture.transformer) <= 3.0e6
    assert parameters(video.transformer) <= 3.5e6
    assert parameters(sound.transformer) <= 2.2e6
    assert parameters(picture.vae) <= 0.9e6 and parameters(sound.vae) <= 1.5e6
    assert DiffusionDecoder(picture).family.latent_shape == (4, 16, 16)
    assert DiffusionDecoder(video).family.latent_shape == (4, 8, 16, 16)
    assert DiffusionDecoder(sound, seconds=2.0).family.latent_shape == (16, 125)


def train(loss: torch.nn.Module, batch: Tensor, steps: int) -> list[float]:
    optimiser = torch.optim.Adam(loss.parameters(), 3e-3)
    totals = []
    for _ in range(steps):
        total = sum(loss(batch).values())
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        totals.append(float(total))
    return totals


def test_picture_autoencoder_learns() -> None:
    torch.manual_seed(0)
    loss = PictureAutoencoderLoss(small_vae())
    batch = torch.ones(2, 3, 16, 16)
    batch[:, :, 4:12, 4:12] = -1
    assert set(loss(batch)) >= {"l1", "edge", "kl"}
    totals = train(loss, batch, 20)
    assert totals[-1] < 0.75 * totals[0]


def test_waveform_autoencoder_learns() -> None:
    torch.manual_seed(0)
    vae = nano.audio_autoencoder(width=8, ratios=(4, 4), multiples=(1, 2), rate=800)
    loss = WaveformAutoencoderLoss(vae, windows=(64, 32))
    batch = torch.sin(torch.arange(512) * 0.3).expand(2, 1, -1) * 0.5
    assert set(loss(batch)) >= {"stft", "l2"}
    totals = train(loss, batch, 20)
    assert totals[-1] < 0.85 * totals[0]
    assert all(math.isfinite(float(v)) for v in loss(torch.zeros(2, 1, 512)).values())


def test_a_lapped_transform_gives_back_what_it_split() -> None:
    bands = nano.lapped_transform(4)[:, None]  # (4, 1, 8)
    wave = torch.randn(1, 1, 40)
    split = F.conv1d(wave, bands, stride=4, padding=2)
    joined = F.conv_transpose1d(split, bands, stride=4, padding=2)
    torch.testing.assert_close(joined[..., 8:-8], wave[..., 8:-8])


def test_an_autoencoder_of_sound_starts_as_one() -> None:
    wave = 0.3 * torch.sin(torch.arange(2048) / 5)[None, None]
    for seed in range(3):
        torch.manual_seed(seed)
        vae = nano.audio_autoencoder(width=16, ratios=(4,), multiples=(2,))
        again = vae.decode(vae.encode(wave).latent_dist.mode()).sample
        both = torch.stack([wave.flatten(), again.flatten()])[:, 30:-30]
        assert torch.corrcoef(both)[0, 1] > 0.6


def test_waveform_latents_get_unit_variance_and_decode_the_same(tmp_path: Path) -> None:
    torch.manual_seed(0)
    vae = nano.audio_autoencoder(width=8, ratios=(4, 4), multiples=(1, 2), rate=800)
    batch = torch.randn(2, 1, 512)
    with torch.no_grad():
        before = vae.encode(batch).latent_dist
        decoded = vae.decode(before.mode()).sample
        deviation = normalise_latents(vae, batch)
        vae.save_pretrained(tmp_path)
        vae = type(vae).from_pretrained(tmp_path)
        after = vae.encode(batch).latent_dist
        torch.testing.assert_close(after.mode() * deviation, before.mode(), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(float(after.mode().std()), 1.0, atol=1e-4, rtol=0)
        torch.testing.assert_close(vae.decode(after.mode()).sample, decoded, atol=1e-5, rtol=1e-4)


def test_picture_latents_get_unit_variance(tmp_path: Path) -> None:
    torch.manual_seed(0)
    pipeline = sigma()
    batch = torch.rand(4, 3, 16, 16) * 2 - 1
    normalise_latents(pipeline.vae, batch)
    pipeline.save_pretrained(tmp_path)
    encoded = DiffusionDecoder.from_pretrained(tmp_path).encode(batch)
    torch.testing.assert_close(float(encoded.std()), 1.0, atol=1e-4, rtol=0)
    with torch.no_grad():
        for weight in pipeline.vae.parameters():
            weight.zero_()
    with pytest.raises(ValueError, match="standard deviation is 0"):
        normalise_latents(pipeline.vae, batch)


@pytest.mark.parametrize("build", [sigma, latte, stable_audio])
def test_joint_training_in_bfloat16_lowers_the_loss(build: Any) -> None:
    torch.manual_seed(0)
    decoder = DiffusionDecoder(build())
    learned = [decoder.parts["transformer"], decoder.parts["text_encoder"]]
    weights = [p for part in learned for p in part.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(weights, 1e-2)
    clean, losses = latents(decoder).repeat_interleave(4, dim=0), []
    for step in range(50):
        with torch.autocast("cpu", torch.bfloat16):
            conditioning = decoder.embed_captions([c for c in CAPTIONS for _ in range(4)])
            loss = decoder.loss(clean, conditioning, generator_of(step))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss))
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])
