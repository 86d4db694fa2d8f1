"""The families of diffusers pipelines that there are, one small adapter each."""

from __future__ import annotations

import importlib

from anymodal.decoders.families.base import Family

FAMILIES = {
    "PixArtAlphaPipeline": "images.PixArt",
    "PixArtSigmaPipeline": "images.PixArtSigma",
    "LattePipeline": "videos.Latte",
    "StableAudioPipeline": "audios.StableAudio",
    "AceStepPipeline": "music.AceStep",
    "StableAudio3Pipeline": "audios.StableAudio3",
    "StableDiffusionPipeline": "images.StableDiffusion",
    "StableDiffusionXLPipeline": "images.StableDiffusionXL",
    "StableDiffusion3Pipeline": "flow_images.StableDiffusion3",
    "FluxPipeline": "flow_images.Flux",
    "Flux2KleinPipeline": "flux2.Flux2Klein",
    "FluxKontextPipeline": "kontext.FluxKontext",
    "QwenImagePipeline": "qwen.QwenImage",
    "QwenImageEditPlusPipeline": "qwen.QwenImageEdit",
    "SanaPipeline": "flow_images.Sana",
    "ZImagePipeline": "flow_images.ZImage",
    "AudioLDMPipeline": "spectrograms.AudioLDM",
    "AudioLDM2Pipeline": "spectrograms.AudioLDM2",
    "TextToVideoSDPipeline": "videos.TextToVideo",
    "LTXPipeline": "causal_videos.LTX",
    "LTX2Pipeline": "ltx2.LTX2",
    "WanPipeline": "wan.Wan",
    "WanImageToVideoPipeline": "wan.WanImageToVideo",
    "MotifVideoPipeline": "motif.MotifVideo",
    "HunyuanVideo15Pipeline": "hunyuan_video.HunyuanVideo15",
    "CogVideoXPipeline": "cogvideox.CogVideoX",
    "CogVideoXImageToVideoPipeline": "cogvideox.CogVideoXImageToVideo",
}
"""The families by the class name of their pipelines: module and class, imported when asked for."""


REFUSED = {
    "StableVideoDiffusionPipeline": "it takes no text, so a head has nothing to stand for; clips "
    "from a picture make Wan 2.2 5B (WanPipeline) and Latte with references=[first]",
    "MotifVideoImage2VideoPipeline": "its call makes nothing without a picture; open it as the "
    "MotifVideoPipeline that its folder names, with references=[first]",
    "HunyuanVideo15ImageToVideoPipeline": "no family here shows its network what its encoder of "
    "pictures sees; use Wan 2.2 5B (WanPipeline) or MotifVideoPipeline with references=[first]",
    "LTX2ImageToVideoPipeline": "its call makes nothing without a picture; open it as the "
    "LTX2Pipeline that its folder names, with references=[first]",
    "WanVACEPipeline": "its references go through a control network, which no loss here teaches; "
    "use Wan 2.2 5B (WanPipeline) with references=[first]",
    "QwenImageEditPipeline": "it is the one of August 2025, which takes a single picture; use "
    "Qwen-Image-Edit from 2509 on (QwenImageEditPlusPipeline)",
    "FluxFillPipeline": "its network makes nothing without a mask; use FluxPipeline or "
    "FluxKontextPipeline, which take one as a reference",
    "StableAudio3AudioToAudioPipeline": "open it as the StableAudio3Pipeline that it shares its "
    "parts with; a sound as the reference `source`, with strength, is the start there",
    "StableAudio3InpaintPipeline": "open it as the StableAudio3Pipeline that it shares its parts "
    "with, with references=[source]; the setting span says which part is made anew",
    "LongCatImagePipeline": "its call wants a prompt beside the embeddings, and refuses both "
    "together",
    "LongCatImageEditPipeline": "its call wants a prompt beside the embeddings, and refuses both "
    "together; pictures are edited by FLUX.2 klein and Qwen-Image-Edit",
    "DreamLitePipeline": "its call takes a prompt alone, not the prompt's embeddings",
    "OmniGenPipeline": "its call takes a prompt alone, not the prompt's embeddings",
    "Cosmos3OmniPipeline": "its call takes a prompt alone, not the prompt's embeddings",
    "LongCatAudioDiTPipeline": "its call takes a prompt alone, not the prompt's embeddings",
}
"""Pipelines that can't be decoders, by the class's name, and why."""


def find_family(name: str) -> type[Family]:
    """The family of a pipeline, by its class's name.

    Raises:
        ValueError: there is none; it says why, or names those that there are.
    """
    if name in REFUSED:
        raise ValueError(f"no decoder for the pipeline {name}: {REFUSED[name]}")
    if name not in FAMILIES:
        raise ValueError(
            f"no decoder for the pipeline {name}; supported are {', '.join(sorted(FAMILIES))}. "
            "A new family is a subclass of anymodal.decoders.families.base.Family, "
            "entered in FAMILIES"
        )
    module, _, family = FAMILIES[name].partition(".")
    cls: type[Family] = getattr(importlib.import_module(f"{__package__}.{module}"), family)
    return cls
