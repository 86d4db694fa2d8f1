"""The families of diffusers pipelines that there are, one small adapter each."""

from __future__ import annotations

import importlib

from anymodal.decoders.families.base import Family

FAMILIES = {
    "PixArtAlphaPipeline": "images.PixArt",
    "PixArtSigmaPipeline": "images.PixArtSigma",
    "LattePipeline": "videos.Latte",
    "StableAudioPipeline": "audios.StableAudio",
    "StableDiffusionPipeline": "images.StableDiffusion",
    "StableDiffusionXLPipeline": "images.StableDiffusionXL",
    "StableDiffusion3Pipeline": "flow_images.StableDiffusion3",
    "FluxPipeline": "flow_images.Flux",
    "Flux2KleinPipeline": "flux2.Flux2Klein",
    "SanaPipeline": "flow_images.Sana",
    "ZImagePipeline": "flow_images.ZImage",
    "AudioLDMPipeline": "spectrograms.AudioLDM",
    "AudioLDM2Pipeline": "spectrograms.AudioLDM2",
    "TextToVideoSDPipeline": "videos.TextToVideo",
    "LTXPipeline": "causal_videos.LTX",
    "WanPipeline": "causal_videos.Wan",
    "CogVideoXPipeline": "causal_videos.CogVideoX",
}
"""The families by the class name of their pipelines: module and class, imported when asked for."""


def find_family(name: str) -> type[Family]:
    """The family of a pipeline, by its class's name.

    Raises:
        ValueError: there is none; it names those that there are.
    """
    if name not in FAMILIES:
        raise ValueError(
            f"no decoder for the pipeline {name}; supported are {', '.join(sorted(FAMILIES))}. "
            "A new family is a subclass of anymodal.decoders.families.base.Family, "
            "entered in FAMILIES"
        )
    module, _, family = FAMILIES[name].partition(".")
    cls: type[Family] = getattr(importlib.import_module(f"{__package__}.{module}"), family)
    return cls
