"""Media, captions and latents for the decoders that are tested."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from diffusers.guiders import ClassifierFreeGuidance
from torch import Tensor

from anymodal.decoders import DiffusionDecoder
from anymodal.decoders.calls import isolated_state
from anymodal.media import Audio, Image, Video
from tests.support.pipelines import Family

CAPTIONS = [
    "a Big red ball",
    "a small blue bird moving left " * 3,
]  # shorter and longer than LENGTH


def generator_of(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def medium(decoder: DiffusionDecoder, seed: int = 0) -> Any:
    """A medium of the decoder's class, larger or longer than what it makes."""
    rng = np.random.default_rng(seed)
    if decoder.media is Image:
        return Image(rng.integers(0, 256, (24, 30, 3), dtype=np.uint8))
    if decoder.media is Video:
        frames = rng.integers(0, 256, (7, 24, 20, 3), dtype=np.uint8)
        return Video(frames, 16.0, sound(rng))
    return sound(rng)


def sound(rng: np.random.Generator) -> Audio:
    return Audio(rng.uniform(-1, 1, (2, 1600)).astype(np.float32), 1600)


def values(media: Any) -> np.ndarray:
    for name in ("pixels", "frames", "samples"):
        if hasattr(media, name):
            return np.asarray(getattr(media, name), dtype=np.float32)
    raise AssertionError(type(media))


def latents(decoder: DiffusionDecoder, count: int = 2) -> Tensor:
    return torch.randn(count, *decoder.family.latent_shape, generator=generator_of(1))


def ours(decoder: DiffusionDecoder, captions: list[str], guidance: float) -> list[Any]:
    conditioning = decoder.embed_captions(captions)
    return decoder.sample(conditioning, steps=3, guidance=guidance, generator=generator_of(9))


def theirs(
    family: Family, decoder: DiffusionDecoder, captions: list[str], guidance: float
) -> list[Any]:
    argument, offset = family.guidance
    generator, pipeline = generator_of(9), decoder.family.pipeline
    told = {argument: guidance + offset}
    if argument == "guider":  # a part of the pipeline
        pipeline.guider = ClassifierFreeGuidance(guidance_scale=told.pop(argument))
    with isolated_state(pipeline, generator):  # flow's pipelines give their schedulers none
        output: Any = pipeline(
            prompt=list(captions),
            **family.call,
            **told,
            num_inference_steps=3,
            generator=generator,
            output_type="np",
        )
    return decoder.family.items(output)


def assert_alike(decoder: DiffusionDecoder, media: list[Any], references: list[Any]) -> None:
    for each, their in zip(media, references, strict=True):
        deviation = values(their).std()
        assert deviation > 0
        tolerance = 1e-3 * deviation if decoder.media is Audio else 1  # or one step of 255
        np.testing.assert_allclose(values(each), values(their), rtol=0, atol=tolerance)
        if isinstance(each, Video) and each.sound is not None:
            assert their.sound is not None and their.sound.rate == each.sound.rate
            atol = 1e-3 * float(their.sound.samples.std())
            np.testing.assert_allclose(each.sound.samples, their.sound.samples, rtol=0, atol=atol)


def description(decoder: DiffusionDecoder) -> dict[str, Any]:
    """A decoder's metadata without its source and its parts' settings."""
    beside = ("source", "settings")
    return {key: value for key, value in decoder.metadata().items() if key not in beside}
