"""A part of a source made anew: by a mask, as diffusers' pipelines of inpainting do it."""

from __future__ import annotations

from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from diffusers.pipelines.flux import pipeline_flux_kontext
from PIL import Image as Pillow

from anymodal.decoders import DiffusionDecoder
from anymodal.decoders.references import MASK, SOURCE, Reference
from anymodal.media import Image
from tests.support.decoders import CAPTIONS, generator_of, values
from tests.support.pipelines import FAMILIES, SHORT

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "stable_diffusion": ("StableDiffusionInpaintPipeline", {}),
    "stable_diffusion_xl": ("StableDiffusionXLInpaintPipeline", {}),
    "flux_distilled": ("FluxInpaintPipeline", SHORT),
    "flux_kontext": ("FluxKontextInpaintPipeline", SHORT | {"_auto_resize": False}),
    "flux_2_klein": ("Flux2KleinInpaintPipeline", SHORT),
    "qwen_image": ("QwenImageInpaintPipeline", SHORT | {"negative_prompt": ""}),
    "z_image": ("ZImageInpaintPipeline", SHORT),
}
"""Diffusers' pipelines of inpainting, and what their own calls are told.

That of Stable Diffusion 3 keeps a source where latents have 16 channels alone, more than tiny ones.
"""
EDITING = ("flux_kontext", "flux_2_klein")
"""Families whose pipelines of inpainting show the denoiser the source, too."""


def masked(size: int = 16, seed: int = 0) -> list[Reference]:
    """A source, and a mask whose right half is white."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    mask = np.zeros_like(pixels)
    mask[:, size // 2 :] = 255
    return [Reference(Image(pixels)), Reference(Image(mask), MASK)]


@pytest.mark.parametrize("strength", [0.55, 1.0])
@pytest.mark.parametrize("name", CASES)
def test_a_mask_is_that_of_the_pipeline(
    name: str, strength: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Decoders take the mode; theirs draw, of the picture and of the masked picture.
    monkeypatch.setattr(
        DiagonalGaussianDistribution, "sample", lambda self, generator=None: self.mode()
    )
    monkeypatch.setattr(pipeline_flux_kontext, "PREFERRED_KONTEXT_RESOLUTIONS", [(16, 16)])
    torch.manual_seed(0)
    family, (theirs, call) = FAMILIES[name], CASES[name]
    size = 64 if name == "flux_2_klein" else 16  # which is shown none that is smaller
    more = {"references": [SOURCE]} if name in EDITING else {}
    options = family.options | ({"size": size} if "size" in family.options else {})
    decoder = DiffusionDecoder(family.build(), **options, **more).eval()
    references = masked(size)
    argument, added = family.guidance
    with torch.no_grad():
        conditioning = decoder.embed_captions(CAPTIONS[:1])
        made = decoder.sample(
            conditioning, steps=4, guidance=3.0, generator=generator_of(9),
            strength=strength, references=[references],
        )  # fmt: skip
        cls: Any = getattr(diffusers, theirs)
        parts = {k: v for k, v in decoder.pipeline.components.items() if v is not None}
        config = {"is_distilled": False} if name == "flux_2_klein" else {}
        if name == "stable_diffusion":
            config = {"safety_checker": None, "feature_extractor": None,
                      "requires_safety_checker": False}  # fmt: skip
        pipeline = cls(**parts, **config)
        pipeline.set_progress_bar_config(disable=True)
        source, mask = (Pillow.fromarray(each.media.pixels) for each in references)  # type: ignore[attr-defined]
        output = pipeline(
            prompt=CAPTIONS[:1], image=source, mask_image=mask, strength=strength,
            num_inference_steps=4, generator=generator_of(9), output_type="np",
            height=size, width=size, **{argument: 3.0 + added}, **call,
        )[0]  # fmt: skip
    np.testing.assert_allclose(
        values(made[0]), values(decoder.family.postprocess(output[0])), atol=1
    )


@pytest.mark.parametrize(
    "name", ["alpha", "sigma", "sana", "stable_diffusion_3", "stable_diffusion_1"]
)
def test_what_is_black_stays(name: str) -> None:
    torch.manual_seed(0)
    more = {"scheduler": "EulerDiscreteScheduler"} if name == "stable_diffusion_1" else {}
    decoder = DiffusionDecoder(FAMILIES[name].build(), **FAMILIES[name].options, **more).eval()
    size = decoder.family.media_shape[-1]
    first, second = masked(size), masked(size, seed=1)
    seen: list[Any] = []
    vae: Any = decoder.pipeline.vae
    decode = vae.decode

    def note(latents: Any, *args: Any, **options: Any) -> Any:
        seen.append(latents)
        return decode(latents, *args, **options)

    vae.decode = note
    with torch.no_grad():
        conditioning = decoder.embed_captions([CAPTIONS[0]] * 3)
        generators = [generator_of(seed) for seed in (3, 4, 3)]
        made = decoder.sample(
            conditioning, steps=3, guidance=2.0, generator=generators,
            references=[first, second, []],
        )  # fmt: skip
        alone = decoder.sample(
            conditioning.select(slice(1, 2)), steps=3, guidance=2.0, generator=generator_of(4),
            references=[second],
        )  # fmt: skip
        plain = decoder.sample(
            conditioning.select(slice(2, 3)), steps=3, guidance=2.0, generator=generator_of(3)
        )
    np.testing.assert_allclose(values(made[1]), values(alone[0]), atol=1)
    np.testing.assert_allclose(values(made[2]), values(plain[0]), atol=1)
    clean = decoder.encode(decoder.prepare(first[0].media)[None])
    scale, shift = (vae.config.get(n) for n in ("scaling_factor", "shift_factor"))
    ends = (seen[0] - (shift or 0)) * (scale or 1)
    half = clean.shape[-1] // 2
    torch.testing.assert_close(ends[0, ..., :half], clean[0, ..., :half], atol=1e-4, rtol=1e-4)
    assert not torch.allclose(ends[0, ..., half:], clean[0, ..., half:], atol=1e-2)


def test_refusals() -> None:
    decoder = DiffusionDecoder(FAMILIES["sigma"].build()).eval()
    source, mask = masked()
    black = Reference(Image(np.zeros((16, 16, 3), np.uint8)), MASK)
    small = Reference(Image(np.full((8, 8, 3), 255, np.uint8)), MASK)
    cases: list[tuple[list[Reference], dict[str, Any], str]] = [
        ([mask], {}, "a 'mask' and no 'source'"),
        ([source, black], {}, "nothing is white in the mask"),
        ([source, small], {}, "a mask of 8x8 pixels for a source of 16x16"),
        ([source, mask, mask], {}, "at most 1"),
    ]
    with torch.no_grad():
        conditioning = decoder.embed_captions(CAPTIONS[:1])
    for references, settings, says in cases:
        with pytest.raises(ValueError, match=says):
            decoder.sample(conditioning, steps=2, guidance=1.0, references=[references], **settings)
    film = DiffusionDecoder(FAMILIES["wan"].build(), **FAMILIES["wan"].options).eval()
    with torch.no_grad():
        conditioning = film.embed_captions(CAPTIONS[:1])
    with pytest.raises(ValueError, match="takes no Image as reference 'mask'"):
        film.sample(conditioning, steps=2, guidance=1.0, references=[[mask]])
