"""A start from a reference with noise on it, as diffusers' pipelines of image to image begin."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import FluxImg2ImgPipeline, StableDiffusionImg2ImgPipeline, WanVideoToVideoPipeline
from PIL import Image as Pillow

from anymodal.decoders import DiffusionDecoder
from anymodal.decoders.base import NonFiniteError
from anymodal.decoders.references import FIRST, SOURCE, Reference
from anymodal.media import Image
from tests.support.decoders import CAPTIONS, generator_of, medium, values
from tests.support.pipelines import FAMILIES

SIZE = {"height": 16, "width": 16, "max_sequence_length": 12}
CASES: dict[str, tuple[Any, str, dict[str, Any], dict[str, Any]]] = {
    "stable_diffusion": (StableDiffusionImg2ImgPipeline, "image", {}, {}),
    "stable_diffusion_1": (
        StableDiffusionImg2ImgPipeline,
        "image",
        {"scheduler": "EulerDiscreteScheduler"},  # whose noise is no unit's
        {},
    ),
    "flux_distilled": (FluxImg2ImgPipeline, "image", {}, SIZE),  # its schedule shifts by the size
    "wan": (WanVideoToVideoPipeline, "video", {}, {"height": 16, "width": 32}),
}


@pytest.mark.parametrize("strength", [0.55, 1.0])
@pytest.mark.parametrize("name", CASES)
def test_a_start_is_that_of_the_pipeline(name: str, strength: float) -> None:
    torch.manual_seed(0)
    kind, argument, options, call = CASES[name]
    decoder = DiffusionDecoder(FAMILIES[name].build(), **FAMILIES[name].options, **options).eval()
    source = medium(decoder)
    seen: list[tuple[int, int]] = []
    with torch.no_grad():
        conditioning = decoder.embed_captions(CAPTIONS[:1])
        made = decoder.sample(
            conditioning, steps=4, guidance=3.0, generator=generator_of(9), strength=strength,
            references=[[Reference(source)]], progress=lambda *step: seen.append(step),
        )  # fmt: skip
        prepared = decoder.prepare(source)
        given: Any = decoder.encode(prepared[None])  # as it is taken for latents
        parts = dict(decoder.pipeline.components)
        parts.pop("transformer_2", None)
        more = {"requires_safety_checker": False} if "safety_checker" in parts else {}
        theirs = kind(**parts, **more)
        theirs.set_progress_bar_config(disable=True)
        prompt: dict[str, Any] = {"prompt": CAPTIONS[:1]}
        if argument == "video":  # which wants a package to clean captions
            frames = ((prepared + 1) * 127.5).round().byte().permute(1, 2, 3, 0)  # (T, H, W, 3)
            given = [Pillow.fromarray(frame.numpy()) for frame in frames]
            states = decoder.pipeline.encode_prompt(CAPTIONS[0], "", max_sequence_length=12)
            prompt = {"prompt_embeds": states[0], "negative_prompt_embeds": states[1]}
        output = theirs(
            strength=strength, num_inference_steps=4, guidance_scale=3.0,
            generator=generator_of(9), output_type="np", **prompt, **{argument: given}, **call,
        )[0]  # fmt: skip
    np.testing.assert_allclose(
        values(made[0]), values(decoder.family.postprocess(output[0])), atol=1
    )
    steps = len(seen)
    assert seen == [(step + 1, steps) for step in range(steps)] and steps <= 4
    assert (steps == 4) == (strength == 1.0)


def test_the_weaker_the_nearer_to_the_source() -> None:
    torch.manual_seed(0)
    decoder = DiffusionDecoder(FAMILIES["sigma"].build()).eval()
    source, vae = medium(decoder), decoder.pipeline.vae
    clean = decoder.encode(decoder.prepare(source)[None]) / vae.config.scaling_factor
    with torch.no_grad():  # what the autoencoder leaves of it
        pixels = vae.decode(clean).sample[0].clamp(-1, 1).permute(1, 2, 0).numpy()

    def distance(strength: float) -> float:
        (made,) = decoder.sample(
            decoder.unconditional(1), steps=20, guidance=1.0, generator=generator_of(3),
            references=[[Reference(source)]], strength=strength,
        )  # fmt: skip
        return float(np.square(values(made) / 127.5 - 1 - pixels).mean())

    distances = [distance(strength) for strength in (0.05, 0.5, 1.0)]
    assert distances == sorted(distances)


def test_items_without_a_source_start_from_noise() -> None:
    torch.manual_seed(0)
    decoder = DiffusionDecoder(FAMILIES["sigma"].build(), references=[SOURCE]).eval()
    reference = Reference(medium(decoder))

    def made(references: Any, **more: Any) -> list[np.ndarray]:
        generators = [generator_of(1), generator_of(2)]
        media = decoder.sample(
            decoder.unconditional(2), steps=4, guidance=3.0, generator=generators,
            references=references, **more,
        )  # fmt: skip
        return [values(each) for each in media]

    mixed, none = made([[reference], []], strength=0.5), made([[], []], strength=0.5)
    assert np.abs(mixed[1] - none[1]).max() <= 1 and np.abs(mixed[0] - none[0]).max() > 1
    plain = made(None)
    assert all(np.array_equal(a, b) for a, b in zip(none, plain, strict=True))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strength": 0}, "strength=0; it must be a number above 0"),
        ({"strength": 1.5}, "strength=1.5"),
        ({"strength": True}, "strength=True"),
        ({"strength": float("nan")}, "strength=nan"),
        ({"strength": 0.1, "steps": 4}, "leaves no step"),
        ({"strength": 0.5, "width": 32}, "own size, so that it takes no width=32"),
    ],
)
def test_a_strength_has_a_range(settings: dict[str, Any], message: str) -> None:
    decoder = DiffusionDecoder(FAMILIES["sigma"].build())
    with pytest.raises(ValueError, match=message):
        decoder.check_settings(settings)


def test_a_strength_needs_something_to_start_from() -> None:
    decoder = DiffusionDecoder(FAMILIES["sigma"].build())
    conditioning = decoder.unconditional(1)
    with pytest.raises(ValueError, match="strength=0.5, and no references"):
        decoder.sample(conditioning, steps=4, guidance=1.0, strength=0.5)
    picture = Image(np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match="takes no Image as reference 'first'"):
        decoder.sample(
            conditioning, steps=4, guidance=1.0, strength=0.5,
            references=[[Reference(picture, FIRST)]],
        )  # fmt: skip


def test_sounds_of_any_layout_start_from_their_source() -> None:
    for name in ("ace_step", "stable_audio_3"):
        torch.manual_seed(0)
        decoder = DiffusionDecoder(FAMILIES[name].build(), **FAMILIES[name].options).eval()
        references = [[Reference(medium(decoder, seed))] for seed in range(2)]
        with torch.no_grad():
            conditioning = decoder.embed_captions(CAPTIONS)
        ask: dict[str, Any] = {"steps": 4, "guidance": 1.0, "strength": 0.5}
        generators = [generator_of(1), generator_of(2)]
        both = decoder.sample(conditioning, generator=generators, references=references, **ask)
        for index, made in enumerate(both):
            (alone,) = decoder.sample(
                conditioning.select(slice(index, index + 1)),
                generator=[generator_of(1 + index)], references=references[index : index + 1],
                **ask,
            )  # fmt: skip
            np.testing.assert_allclose(values(made), values(alone), atol=1e-4)
        swapped = decoder.sample(
            conditioning, generator=[generator_of(1), generator_of(2)],
            references=references[::-1], **ask,
        )  # fmt: skip
        assert not np.allclose(values(both[0]), values(swapped[0]), atol=1e-4)


def test_a_schedule_of_no_numbers_is_told() -> None:
    """One step of a schedule that ends at a given level divides 0 by 0."""
    torch.manual_seed(0)
    decoder = DiffusionDecoder(
        FAMILIES["flux"].build(), **FAMILIES["flux"].options,
        scheduler={"name": "FlowMatchEulerDiscreteScheduler", "shift_terminal": 0.02},
    )  # fmt: skip
    ask: dict[str, Any] = {"steps": 1, "guidance": 1.0}
    for more in ({}, {"strength": 1.0, "references": [[Reference(medium(decoder))]]}):
        with pytest.raises(NonFiniteError, match="another number of steps"):
            decoder.sample(decoder.unconditional(1), **ask, **more)
