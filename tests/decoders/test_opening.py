"""Pipelines opened from files: families, options, schedulers, memory."""

from __future__ import annotations

import importlib
import json
import math
import sys
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from diffusers import (
    AsymmetricAutoencoderKL,
    WanImageToVideoPipeline,
)
from torch import Tensor

from anymodal.decoders import DiffusionDecoder
from anymodal.decoders.families.table import FAMILIES as FAMILIES_TABLE
from anymodal.decoders.families.table import REFUSED
from anymodal.decoders.references import FIRST, SOURCE, Reference
from anymodal.media import Audio, Image, Video
from tests.support.audio_pipelines import audioldm, audioldm_2, stable_audio, stable_audio_open
from tests.support.decoders import CAPTIONS, description, generator_of, medium, values
from tests.support.image_pipelines import alpha, flux, sigma, stable_diffusion, z_image
from tests.support.paths import ROOT as REPOSITORY
from tests.support.pipelines import FAMILIES
from tests.support.video_pipelines import cogvideox, latte, ltx, wan, wan_from_picture


def test_unknown_pipeline_is_named_before_it_is_opened(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text(
        json.dumps({"_class_name": "KandinskyPipeline", "_diffusers_version": "0.42.1"})
    )
    with pytest.raises(ValueError, match=r"KandinskyPipeline.*supported are .*LattePipeline"):
        DiffusionDecoder.from_pretrained(tmp_path)


def test_pipelines_that_can_be_no_decoders_are_refused_with_the_reason(tmp_path: Path) -> None:
    assert all(hasattr(diffusers, name) for name in REFUSED) and not REFUSED.keys() & FAMILIES_TABLE
    record = {"_class_name": "StableVideoDiffusionPipeline", "_diffusers_version": "0.42.1"}
    (tmp_path / "model_index.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match=r"StableVideoDiffusionPipeline: it takes no text"):
        DiffusionDecoder.from_pretrained(tmp_path)
    (tmp_path / "model_index.json").rename(tmp_path / "modular_model_index.json")
    with pytest.raises(ValueError, match="a modular pipeline has no call of its own"):
        DiffusionDecoder.from_pretrained(tmp_path)


def test_options_reach_the_family(tmp_path: Path) -> None:
    latte().save_pretrained(tmp_path / "latte")
    decoder = DiffusionDecoder.from_pretrained(tmp_path / "latte", fps=4.0)
    (made,) = decoder.sample(decoder.unconditional(1), steps=1, guidance=1.0)
    assert made.fps == 4.0 and len(made.frames) == 3
    frames = np.arange(9, dtype=np.uint8)[:, None, None, None].repeat(16, 1).repeat(16, 2)
    prepared = decoder.prepare(Video(frames.repeat(3, 3), 12.0))  # the same 0.75 s at three times
    assert ((prepared[0, :, 0, 0] + 1) * 127.5).round().tolist() == [0, 3, 6]
    sound = DiffusionDecoder(stable_audio(), seconds=0.25)
    (audio,) = sound.sample(sound.unconditional(1), steps=1, guidance=1.0)
    assert audio.samples.shape == (1, 200)
    assert sound.prepare(audio).shape == sound.family.media_shape
    with pytest.raises(ValueError, match="up to 0.3"):
        DiffusionDecoder(stable_audio(), seconds=9.0)


def test_sizes_that_a_pipeline_cannot_make_are_named() -> None:
    for build, options, message in (
        (flux, {"size": 17}, "multiple of 2 pixels"),
        (flux, {"size": 18}, "multiple of 4 pixels"),
        (z_image, {"size": 18}, "multiple of 4 pixels"),
        (ltx, {"frames": 6, "height": 32, "width": 32}, "frames=6.*nearest below is 5"),
        (ltx, {"frames": 5, "height": 16, "width": 32}, "height=16.*32 pixels"),
        (wan, {"frames": 5, "height": 16, "width": 24}, "width=24.*16 pixels"),
        (cogvideox, {"frames": 13}, "frames=13.*nearest below is 9"),
        (audioldm, {"seconds": 0}, "seconds=0"),
    ):
        with pytest.raises(ValueError, match=message):
            DiffusionDecoder(build(), **options)


def test_pipelines_of_which_only_a_part_would_learn_are_refused(tmp_path: Path) -> None:
    wan_from_picture().save_pretrained(tmp_path)
    index = tmp_path / "model_index.json"
    looks = {"image_encoder": ["transformers", "CLIPVisionModel"]}
    index.write_text(json.dumps(json.loads(index.read_text()) | looks))
    for file in tmp_path.rglob("*"):  # its index tells, before anything is read or fetched
        if file.is_file() and file != index:
            file.unlink()
    for weights in (True, False):
        with pytest.raises(ValueError, match=r"by CLIP, too.*use Wan 2\.2 A14B"):
            DiffusionDecoder.from_pretrained(tmp_path, weights=weights)
    small = WanImageToVideoPipeline(**wan().components, expand_timesteps=True)
    with pytest.raises(ValueError, match="opened as WanPipeline"):
        DiffusionDecoder(small)
    with pytest.raises(ValueError, match=r"low_noise_guidance=2\.0, but this Wan has one network"):
        DiffusionDecoder(wan(), low_noise_guidance=2.0)
    later = cogvideox()
    later.transformer.register_to_config(patch_size_t=2)
    with pytest.raises(ValueError, match=r"CogVideoX 1\.0"):
        DiffusionDecoder(later)


def test_a_noise_level_for_an_autoencoder_that_takes_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"decode_timestep=0\.05.*leave both out"):
        DiffusionDecoder(ltx(), frames=5, height=32, width=64, decode_timestep=0.05)


def test_audioldm_2_generates_with_the_body_of_a_language_model(tmp_path: Path) -> None:
    torch.manual_seed(0)
    pipeline = audioldm_2()
    wanted = DiffusionDecoder(pipeline).embed_captions(CAPTIONS)
    pipeline.register_modules(language_model=pipeline.language_model.transformer)
    pipeline.save_pretrained(tmp_path / "published")
    decoder = DiffusionDecoder.from_pretrained(tmp_path / "published")
    assert not any(p.is_meta for p in decoder.parameters())
    for one, other in zip(decoder.embed_captions(CAPTIONS)[:2], wanted[:2], strict=True):
        torch.testing.assert_close(one, other)
    decoder.save_pretrained(tmp_path / "again")
    again = DiffusionDecoder.from_pretrained(tmp_path / "again")
    torch.testing.assert_close(again.embed_captions(CAPTIONS).embeds, wanted.embeds)
    pipeline.text_encoder_2.config.model_type = "vits"
    with pytest.raises(ValueError, match="transcripts"):
        DiffusionDecoder(pipeline)


def test_a_tone_is_in_its_band_of_the_spectrogram() -> None:
    decoder = DiffusionDecoder(audioldm(), seconds=0.5)
    assert decoder.family.media_shape == (1, 400) and decoder.family.latent_shape == (4, 50, 4)
    seen: list[Tensor] = []
    encode = decoder.pipeline.vae.encode
    decoder.pipeline.vae.encode = lambda rows: (seen.append(rows), encode(rows))[1]
    waves = torch.sin(2 * math.pi * torch.tensor([[60.0], [300.0]]) * torch.arange(400) / 800)
    decoder.encode(waves.unsqueeze(1))
    assert seen[0].shape == (2, 1, 100, 8)
    low, high = seen[0].mean(dim=(1, 2)).argmax(dim=-1).tolist()
    assert low < 3 < 5 < high


def test_another_scheduler_is_saved_with_its_settings(tmp_path: Path) -> None:
    stable_diffusion().save_pretrained(tmp_path / "as it was")
    wanted = {"name": "DPMSolverMultistepScheduler", "solver_order": 3}
    new = DiffusionDecoder.from_pretrained(tmp_path / "as it was", scheduler=wanted)
    new.save_pretrained(tmp_path / "as it is")
    again = DiffusionDecoder.from_pretrained(tmp_path / "as it is")
    assert description(again) == description(new)
    assert again.pipeline.scheduler.config.solver_order == 3


def test_schedulers_that_do_not_fit_are_named() -> None:
    for build, wanted, message in (
        (sigma, "DDIMScheduler", "than flow_prediction"),
        (sigma, "FlowMatchEulerDiscreteScheduler", "no init_noise_sigma"),
        (alpha, "FlowMatchEulerDiscreteScheduler", "than epsilon"),
        (alpha, {"name": "DDIMScheduler", "prediction_type": "sample"}, "than epsilon"),
        (stable_diffusion, "EDMEulerScheduler", "than v_prediction"),
        (stable_audio_open, "EDMDPMSolverMultistepScheduler", "other things"),
        (alpha, "DiffusionPipeline", "names no scheduler"),
        (alpha, {"solver_order": 2}, "names no scheduler"),
        (alpha, {"name": "DDIMScheduler", "steps": 4}, "steps"),
    ):
        with pytest.raises(ValueError, match=message):
            DiffusionDecoder(build(), scheduler=wanted)


def test_memory_is_spared_by_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    pipeline = sigma()
    plain = DiffusionDecoder(pipeline)
    batch = torch.rand(2, 3, 16, 16) * 2 - 1
    whole = plain.encode(batch)
    spared = DiffusionDecoder(pipeline, vae_slicing=True, vae_tiling=True)
    assert pipeline.vae.use_slicing and pipeline.vae.use_tiling
    torch.testing.assert_close(spared.encode(batch), whole)
    pipeline = stable_diffusion()
    pipeline.vae = AsymmetricAutoencoderKL()
    with pytest.raises(ValueError, match="AsymmetricAutoencoderKL has no tiling"):
        DiffusionDecoder(pipeline, vae_tiling=True)
    with pytest.raises(ValueError, match="offload='disk' is not known"):
        DiffusionDecoder(pipeline, offload="disk")
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    with pytest.raises(ValueError, match="no accelerator"):
        DiffusionDecoder(pipeline, offload="model")


@pytest.mark.parametrize("how", ["model", "group", "leaf"])
@pytest.mark.parametrize("name", FAMILIES)
def test_offloaded_weights_make_the_same(
    name: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not torch.accelerator.is_available():  # the same hooks, from the CPU to the CPU
        monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
        monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cpu"))
    torch.manual_seed(0)
    known = FAMILIES[name]
    pipeline = known.build()
    tensors, media = [], []
    for offload in (None, how):
        decoder = DiffusionDecoder(pipeline, offload=offload, **known.options).eval()
        with torch.no_grad():
            conditioning = decoder.embed_captions(CAPTIONS)
            encoded = decoder.encode(decoder.prepare(medium(decoder))[None])
            made = decoder.sample(conditioning, steps=2, guidance=3.0, generator=generator_of(0))
        tensors.append([conditioning.embeds.cpu(), encoded.cpu()])
        media.append(values(made[0]))
    for there, here in zip(*tensors, strict=True):
        torch.testing.assert_close(here, there, rtol=1e-3, atol=1e-3)
    tolerance = 0.02 * media[0].std() if decoder.media is Audio else 2
    np.testing.assert_allclose(media[1], media[0], atol=tolerance)


@pytest.mark.parametrize("how", ["model", "group", "leaf"])
@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("flux_2_klein", SOURCE),
        *((name, FIRST) for name in ("wan_small", "wan_from_picture", "motif", "ltx2")),
    ],
)
def test_offloaded_encoders_look_at_references_the_same(
    name: str, role: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Encoders that work before the pipeline's own call, of which one is a part of another."""
    if not torch.accelerator.is_available():
        monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
        monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cpu"))
    torch.manual_seed(0)
    known = FAMILIES[name]
    pipeline = known.build()
    pixels = np.random.default_rng(0).integers(0, 256, (64, 128, 3), dtype=np.uint8)
    shown = [[Reference(Image(pixels), role)]]
    media = []
    for offload in (None, how):
        decoder = DiffusionDecoder(pipeline, offload=offload, references=[role], **known.options)
        with torch.no_grad():
            conditioning = decoder.eval().embed_captions(CAPTIONS[:1], shown)
            made = decoder.sample(
                conditioning, steps=2, guidance=3.0, generator=generator_of(0), references=shown
            )
        media.append(values(made[0]))
    np.testing.assert_allclose(media[1], media[0], atol=2)


def test_package_has_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(REPOSITORY))
    monkeypatch.delitem(sys.modules, "decoders", raising=False)
    with pytest.raises(ImportError, match=r"import anymodal\.decoders"):
        importlib.import_module("decoders")
