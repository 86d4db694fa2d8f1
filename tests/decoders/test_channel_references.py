"""References on channels that a denoiser was trained with, and denoisers that share the noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import MotifVideoImage2VideoPipeline, MotifVideoPipeline
from diffusers.guiders import BaseGuidance, ClassifierFreeGuidance
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from PIL import Image as Pillow

from anymodal.decoders import DiffusionDecoder
from anymodal.decoders.references import FIRST, SOURCE, Reference
from anymodal.media import Image
from tests.support.decoders import CAPTIONS, generator_of, latents, values
from tests.support.pipelines import FAMILIES
from tests.support.video_pipelines import cogvideox_from_picture, motif, wan, wan_large

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


def test_guidance_counts_alike_in_either_formulation_and_without_a_guider() -> None:
    torch.manual_seed(0)
    pipeline, options = motif(), FAMILIES["motif"].options
    decoder = DiffusionDecoder(pipeline, **options)
    with torch.no_grad():
        conditioning = decoder.embed_captions(CAPTIONS[:1])
    clips: dict[float, list[Any]] = {}
    for guidance in (0.5, 1.0, 3.0):
        for original in (False, True, None):
            own = {} if original is None else {"use_original_formulation": original}
            pipeline.guider = None if original is None else ClassifierFreeGuidance(**own)
            (clip,) = decoder.sample(
                conditioning, steps=2, guidance=guidance, generator=generator_of(9)
            )
            clips.setdefault(guidance, []).append(values(clip))
        for clip in clips[guidance][1:]:
            np.testing.assert_allclose(clip, clips[guidance][0], atol=1)
    assert np.array_equal(clips[0.5][0], clips[1.0][0])
    assert not np.allclose(clips[3.0][0], clips[1.0][0], atol=1)


def test_a_tower_that_looks_at_references_decides_what_is_kept_of_them() -> None:
    pipeline = motif()
    decoder = DiffusionDecoder(pipeline, references=[FIRST], **FAMILIES["motif"].options)
    key = decoder.reference_encoding(FIRST)
    assert any(part is pipeline.text_encoder for part in key.modules)
    assert not any(part is pipeline.text_encoder for part in decoder.encoding().modules)
    settings = key.metadata()["family"]
    assert isinstance(settings, dict) and "image_mean" in settings["feature_extractor"]
    pipeline.transformer.register_to_config(image_embed_dim=None)
    with pytest.raises(ValueError, match="no image_embed_dim in its network"):
        DiffusionDecoder(pipeline, references=[FIRST], **FAMILIES["motif"].options)


def test_a_guider_of_several_weights_is_refused() -> None:
    pipeline = motif()
    apart = type("Apart", (BaseGuidance,), {"_input_predictions": ["pred_cond"]})
    pipeline.guider = apart()  # as FrequencyDecoupledGuidance, which needs a package more
    with pytest.raises(ValueError, match="guided by Apart, which has other weights"):
        DiffusionDecoder(pipeline, **FAMILIES["motif"].options)


def test_networks_of_which_nothing_says_what_noise_they_are_for_are_refused() -> None:
    options = FAMILIES["wan_large"].options
    lacking, without = wan_large(), wan()
    lacking.register_modules(transformer_2=None)
    without.register_modules(transformer_2=without.transformer)
    with pytest.raises(ValueError, match=r"this Wan has transformer, with boundary_ratio=0\.875"):
        DiffusionDecoder(lacking, **options)
    with pytest.raises(ValueError, match=r"transformer and transformer_2, with boundary_ratio=No"):
        DiffusionDecoder(without, **options)
    with pytest.raises(ValueError, match="low_noise_guidance=-1"):
        DiffusionDecoder(wan_large(), low_noise_guidance=-1, **options)


def test_positions_that_were_learned_fix_a_clip_s_size() -> None:
    pipeline = cogvideox_from_picture()
    pipeline.transformer.register_to_config(use_learned_positional_embeddings=True)
    decoder = DiffusionDecoder(pipeline)
    frames, height, _ = decoder.family.media_shape[1:]
    assert decoder.check_settings({"height": height, "frames": frames})
    with pytest.raises(ValueError, match=r"frames=1, but this CogVideoX has learned its positions"):
        decoder.check_settings({"frames": 1})
    with pytest.raises(ValueError, match=rf"height={2 * height}, but this CogVideoX has learned"):
        DiffusionDecoder(pipeline, height=2 * height)
