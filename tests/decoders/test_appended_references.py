"""References behind the tokens of a denoiser's input, as their own pipelines put them there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from diffusers.pipelines.flux import pipeline_flux_kontext
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus
from PIL import Image as Pillow

from anymodal.decoders import DiffusionDecoder
from anymodal.decoders.references import SOURCE, Reference
from anymodal.media import Image
from tests.support.decoders import CAPTIONS, generator_of, latents, values
from tests.support.pipelines import FAMILIES

CASES: dict[str, tuple[int, dict[str, Any], str]] = {
    "flux_2_klein": (2, {"max_sequence_length": 12}, "guidance_scale"),
    "flux_kontext": (1, {"max_sequence_length": 12, "max_area": 256}, "guidance_scale"),
    "qwen_image_edit": (2, {"negative_prompt": ""}, "true_cfg_scale"),
}
"""How many references are shown, what the pipeline's own call is told, and its guidance's name."""
SIZES = ((64, 70, 3), (80, 64, 3))


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A decoder that takes references, and its name; references are small ones here."""
    sizes = [(16, 20), (20, 16)]
    monkeypatch.setattr(pipeline_flux_kontext, "PREFERRED_KONTEXT_RESOLUTIONS", sizes)
    monkeypatch.setattr(pipeline_qwenimage_edit_plus, "VAE_IMAGE_SIZE", 32 * 32)
    monkeypatch.setattr(pipeline_qwenimage_edit_plus, "CONDITION_IMAGE_SIZE", 64 * 64)
    torch.manual_seed(0)
    pipeline = FAMILIES[request.param].build()
    return request.param, DiffusionDecoder(pipeline, size=16, references=[SOURCE]).eval()


def pictures(count: int, seed: int = 0) -> list[Reference]:
    rng = np.random.default_rng(seed)
    sizes = SIZES[:count]
    return [Reference(Image(rng.integers(0, 256, size, dtype=np.uint8))) for size in sizes]


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_appended_references_are_those_of_the_pipeline(case: Any, guidance: float) -> None:
    name, decoder = case
    number, call, argument = CASES[name]
    items = [pictures(number), []]
    with torch.no_grad():
        conditioning = decoder.embed_captions(CAPTIONS, items)
    generators = [generator_of(9), generator_of(10)]
    ask: dict[str, Any] = {"steps": 3, "guidance": guidance}
    made = decoder.sample(conditioning, **ask, generator=generators, references=items)
    for index, references in enumerate(items):
        shown = [Pillow.fromarray(each.media.pixels) for each in references]  # type: ignore[attr-defined]
        if not shown and decoder.sees_references:
            continue  # its pipeline makes nothing without
        image = (shown[0] if name == "flux_kontext" else shown) if shown else None
        output = decoder.pipeline(
            image=image, prompt=CAPTIONS[index], height=16, width=16, num_inference_steps=3,
            generator=generator_of(9 + index), output_type="np", **{argument: guidance}, **call,
        )[0]  # fmt: skip
        theirs = decoder.family.postprocess(output[0])
        np.testing.assert_allclose(values(made[index]), values(theirs), atol=1)
    generators = [generator_of(9), generator_of(10)]
    plain = decoder.sample(conditioning, **ask, generator=generators)
    assert np.abs(values(plain[1]) - values(made[1])).max() <= 1
    assert not np.array_equal(values(plain[0]), values(made[0]))


def test_the_loss_calls_the_network_as_the_pipeline_does(case: Any) -> None:
    name, decoder = case
    number, call, argument = CASES[name]
    references = pictures(number)
    seen: list[Any] = []
    hook = decoder.family.network.register_forward_hook(
        lambda _module, args, keywords, output: seen.append((keywords, output[0])),
        with_kwargs=True,
    )
    shown = [Pillow.fromarray(each.media.pixels) for each in references]  # type: ignore[attr-defined]
    decoder.pipeline(
        image=shown[0] if name == "flux_kontext" else shown, prompt=CAPTIONS[0], height=16,
        width=16, num_inference_steps=2, generator=generator_of(9), output_type="np",
        **{argument: 1.0}, **call,
    )  # fmt: skip
    hook.remove()
    keywords, output = seen[0]
    if getattr(decoder.family, "distilled", False):
        decoder.family.guidance = 1.0
    noise = torch.randn(decoder.family.latent_shape, generator=generator_of(9))[None]
    with torch.no_grad():
        encoded = decoder.encode_references([references])
        conditioning = decoder.embed_captions(CAPTIONS[:1], [references])
        again = decoder._denoiser(noise, keywords["timestep"] * 1000, conditioning, encoded)
    own = decoder.family.unpack(output[:, : decoder.family.tokens])
    torch.testing.assert_close(again, own, rtol=1e-4, atol=1e-5)


def test_items_of_other_references_are_learned_from_one_by_one(case: Any) -> None:
    name, decoder = case
    one, other = pictures(1), pictures(CASES[name][0], seed=1)
    shown = decoder.encode_references([one, other])
    batch, conditioning = latents(decoder), decoder.unconditional(2)
    with torch.no_grad():
        both = decoder.loss(batch, conditioning, generator_of(5), shown)
        alike = [decoder.loss(batch, conditioning, generator_of(5), [item] * 2) for item in shown]
        none = decoder.loss(batch, conditioning, generator_of(5))
    assert len({each.item() for each in (both, *alike, none)}) == 4


def test_an_encoder_that_looks_at_references_embeds_captions_beside_them(case: Any) -> None:
    name, decoder = case
    items = [pictures(CASES[name][0]), []]
    with torch.no_grad():
        plain, beside = decoder.embed_captions(CAPTIONS), decoder.embed_captions(CAPTIONS, items)
        alone = decoder.embed_captions(CAPTIONS[:1], items[:1])
    torch.testing.assert_close(beside.select(slice(1)).embeds, alone.embeds)
    torch.testing.assert_close(beside.select(slice(1, 2)).embeds, plain.select(slice(1, 2)).embeds)
    assert torch.equal(plain.embeds[0], beside.embeds[0]) != decoder.sees_references
    assert decoder.sees_references == (name == "qwen_image_edit")
    with pytest.raises(ValueError, match="references of 1 items for 2"):
        decoder.embed_captions(CAPTIONS, items[:1])
    if decoder.sees_references:
        with pytest.raises(ValueError, match=r"positions, of 48; make it shorter"):
            decoder.embed_captions(["a ball " * 30], items[:1])
