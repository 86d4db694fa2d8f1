"""The families of diffusers pipelines that there are, one small adapter each."""

from __future__ import annotations

from anymodal.decoders.families.audios import StableAudio
from anymodal.decoders.families.base import Family as Family
from anymodal.decoders.families.causal_videos import LTX, CogVideoX, Wan
from anymodal.decoders.families.flow_images import Flux, Sana, StableDiffusion3, ZImage
from anymodal.decoders.families.images import (
    PixArt,
    PixArtSigma,
    StableDiffusion,
    StableDiffusionXL,
)
from anymodal.decoders.families.spectrograms import AudioLDM, AudioLDM2
from anymodal.decoders.families.videos import Latte, TextToVideo

FAMILIES: dict[str, type[Family]] = {
    "PixArtAlphaPipeline": PixArt,
    "PixArtSigmaPipeline": PixArtSigma,
    "LattePipeline": Latte,
    "StableAudioPipeline": StableAudio,
    "StableDiffusionPipeline": StableDiffusion,
    "StableDiffusionXLPipeline": StableDiffusionXL,
    "StableDiffusion3Pipeline": StableDiffusion3,
    "FluxPipeline": Flux,
    "SanaPipeline": Sana,
    "ZImagePipeline": ZImage,
    "AudioLDMPipeline": AudioLDM,
    "AudioLDM2Pipeline": AudioLDM2,
    "TextToVideoSDPipeline": TextToVideo,
    "LTXPipeline": LTX,
    "WanPipeline": Wan,
    "CogVideoXPipeline": CogVideoX,
}
"""The families by the class name of their pipelines."""


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
    return FAMILIES[name]
