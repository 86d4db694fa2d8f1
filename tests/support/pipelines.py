"""Every family of decoders as a test case: a tiny pipeline, and how a decoder over it behaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from diffusers import DDIMScheduler, DiffusionPipeline, DPMSolverMultistepScheduler

from tests.support.audio_pipelines import (
    ace_step,
    audioldm,
    audioldm_2,
    stable_audio,
    stable_audio_3,
    stable_audio_open,
)
from tests.support.image_pipelines import (
    alpha,
    flux,
    flux_2_klein,
    flux_kontext,
    published_variant,
    qwen_image,
    qwen_image_edit,
    sana,
    sigma,
    stable_diffusion,
    stable_diffusion_1,
    stable_diffusion_3,
    stable_diffusion_xl,
    z_image,
)
from tests.support.pipeline_parts import LENGTH
from tests.support.video_pipelines import (
    cogvideox,
    cogvideox_from_picture,
    hunyuan_video,
    latte,
    ltx,
    ltx2,
    motif,
    text_to_video,
    wan,
    wan_from_picture,
    wan_large,
)


@dataclass(frozen=True)
class Family:
    """A builder of tiny pipelines and what a decoder over one should say and do.

    Args:
        title: its name in the documents' table, which is made of these.
        pipeline: the class of its pipelines.
        build: gives a pipeline.
        prediction: what its denoiser predicts.
        length, width, pooled: its conditioning's shape.
        options: what the decoder is told beside the pipeline.
        call: what the pipeline's own `__call__` is told, to make the same from captions.
        guidance: the name of its guidance there, and what is added to it; `guider` for the part.
        masked: whether padding stays out of its network.
        alone: whether its pipeline makes another thing of a caption in a batch than of it alone.
        schedulers: others that its network takes.
        sliced: whether its autoencoder takes a batch item by item.
    """

    title: str
    pipeline: str
    build: Callable[[], DiffusionPipeline]
    prediction: str
    length: int = LENGTH
    width: int = 16
    pooled: int | None = None
    options: dict[str, Any] = field(default_factory=dict)
    call: dict[str, Any] = field(default_factory=dict)
    guidance: tuple[str, float] = ("guidance_scale", 0.0)
    masked: bool = True
    alone: bool = False
    schedulers: tuple[str, ...] = ()
    sliced: bool = True


FLOW = "flow_prediction"
SQUARE = {"height": 16, "width": 16}
SHORT = {"max_sequence_length": LENGTH}
BINLESS = SQUARE | SHORT | {"use_resolution_binning": False}
LCM, DPM, UNIPC = "LCMScheduler", "DPMSolverMultistepScheduler", "UniPCMultistepScheduler"
EULER, FLOW_LCM = "FlowMatchEulerDiscreteScheduler", "FlowMatchLCMScheduler"

FAMILIES: dict[str, Family] = {
    "stable_diffusion_1": Family(
        "Stable Diffusion 1",
        "StableDiffusionPipeline",
        stable_diffusion_1,
        "epsilon",
        masked=False,
        schedulers=(LCM, DPM),
    ),
    "stable_diffusion": Family(
        "Stable Diffusion 2",
        "StableDiffusionPipeline",
        stable_diffusion,
        "v_prediction",
        masked=False,
        schedulers=(LCM, DPM),
    ),
    "stable_diffusion_xl": Family(
        "Stable Diffusion XL",
        "StableDiffusionXLPipeline",
        stable_diffusion_xl,
        "epsilon",
        width=32,
        pooled=24,
        masked=False,
        schedulers=(LCM, DPM),
    ),
    "stable_diffusion_3": Family(
        "Stable Diffusion 3",
        "StableDiffusion3Pipeline",
        stable_diffusion_3,
        FLOW,
        2 * LENGTH,
        40,
        20,
        call=SHORT,
        masked=False,
        schedulers=(FLOW_LCM, DPM),
    ),
    "flux": Family(
        "Flux",
        "FluxPipeline",
        flux,
        FLOW,
        width=24,
        pooled=16,
        options={"size": 16},
        call=SQUARE | SHORT | {"negative_prompt": ""},
        guidance=("true_cfg_scale", 0.0),
        masked=False,
        schedulers=(FLOW_LCM,),
    ),
    "flux_distilled": Family(
        "Flux, guidance distilled",
        "FluxPipeline",
        lambda: flux(distilled=True),
        FLOW,
        width=24,
        pooled=16,
        options={"size": 16},
        call=SQUARE | SHORT,
        masked=False,
        schedulers=(FLOW_LCM, DPM),
    ),
    "flux_2_klein": Family(
        "FLUX.2 klein",
        "Flux2KleinPipeline",
        flux_2_klein,
        FLOW,
        width=24,
        options={"size": 16},
        call=SQUARE | SHORT,
        masked=False,
        schedulers=(FLOW_LCM,),
    ),
    "flux_kontext": Family(
        "FLUX.1 Kontext",
        "FluxKontextPipeline",
        flux_kontext,
        FLOW,
        width=24,
        pooled=16,
        options={"size": 16},
        call=SQUARE | SHORT | {"max_area": 256},
        masked=False,
        schedulers=(FLOW_LCM,),
    ),
    "qwen_image": Family(
        "Qwen-Image",
        "QwenImagePipeline",
        qwen_image,
        FLOW,
        options={"size": 16},
        call=SQUARE | SHORT | {"negative_prompt": ["", ""]},
        guidance=("true_cfg_scale", 0.0),
        schedulers=(FLOW_LCM,),
    ),
    "qwen_image_edit": Family(
        "Qwen-Image-Edit from 2509 on",
        "QwenImageEditPlusPipeline",
        qwen_image_edit,
        FLOW,
        length=48,
        options={"size": 16},
        call=SQUARE | {"max_sequence_length": 48, "negative_prompt": ["", ""]},
        guidance=("true_cfg_scale", 0.0),
        schedulers=(FLOW_LCM,),
    ),
    "alpha": Family(
        "PixArt-α", "PixArtAlphaPipeline", alpha, "epsilon", call=BINLESS, schedulers=(LCM, DPM)
    ),
    "sigma_published": Family(
        "PixArt-Σ",
        "PixArtSigmaPipeline",
        lambda: published_variant(sigma(), DPMSolverMultistepScheduler()),
        "epsilon",
        call=BINLESS,
        schedulers=(LCM, DPM),
    ),
    "sigma": Family(
        "PixArt-Σ, as nano has it",
        "PixArtSigmaPipeline",
        sigma,
        FLOW,
        call=BINLESS,
        schedulers=(DPM, UNIPC),
    ),
    "sana": Family(
        "Sana",
        "SanaPipeline",
        sana,
        FLOW,
        call=BINLESS | {"height": 32, "width": 32},
        schedulers=(EULER, FLOW_LCM),
    ),
    "z_image": Family(
        "Z-Image",
        "ZImagePipeline",
        z_image,
        FLOW,
        options={"size": 16},
        call=SQUARE | SHORT,
        guidance=("guidance_scale", -1.0),
        schedulers=(FLOW_LCM,),
    ),
    "ace_step": Family(
        "ACE-Step 1.5",
        "AceStepPipeline",
        ace_step,
        FLOW,
        length=48,
        options={"seconds": 0.32},
        call={"audio_duration": 0.32, "max_text_length": 48},
        alone=True,
    ),
    "audioldm": Family(
        "AudioLDM",
        "AudioLDMPipeline",
        audioldm,
        "epsilon",
        length=1,
        masked=False,
        schedulers=(LCM, DPM),
    ),
    "audioldm_2": Family(
        "AudioLDM 2",
        "AudioLDM2Pipeline",
        audioldm_2,
        "epsilon",
        length=4 + LENGTH,
        width=24,
        alone=True,
        schedulers=(LCM, DPM),
    ),
    "stable_audio": Family(
        "Stable Audio, as nano has it",
        "StableAudioPipeline",
        stable_audio,
        FLOW,
        call={"negative_prompt": ["", ""]},
        schedulers=(DPM, UNIPC),
    ),
    "stable_audio_open": Family(
        "Stable Audio Open",
        "StableAudioPipeline",
        stable_audio_open,
        "v_prediction",
        options={"zeros": True},
    ),
    "stable_audio_3": Family(
        "Stable Audio 3",
        "StableAudio3Pipeline",
        stable_audio_3,
        FLOW,
        options={"seconds": 0.3},
        call={"duration": 0.3},
        sliced=False,
    ),
    "text_to_video": Family(
        "ModelScope's text to video",
        "TextToVideoSDPipeline",
        text_to_video,
        "epsilon",
        options={"frames": 3, "height": 16, "width": 32},
        call={"num_frames": 3, "height": 16, "width": 32},
        masked=False,
        schedulers=(LCM, DPM),
    ),
    "latte_published": Family(
        "Latte",
        "LattePipeline",
        lambda: published_variant(latte(), DDIMScheduler(beta_schedule="linear")),
        "epsilon",
        length=120,
        options={"padded": True},
        call=SQUARE | {"video_length": 3},
        schedulers=(LCM, DPM),
    ),
    "latte": Family(
        "Latte, as nano has it",
        "LattePipeline",
        latte,
        FLOW,
        length=120,
        options={"padded": True},
        call=SQUARE | {"video_length": 3},
        schedulers=(DPM, UNIPC),
    ),
    "ltx": Family(
        "LTX-Video",
        "LTXPipeline",
        ltx,
        FLOW,
        options={"frames": 5, "height": 32, "width": 64},
        call=SHORT | {"num_frames": 5, "height": 32, "width": 64, "frame_rate": 25.0},
        schedulers=(FLOW_LCM,),
    ),
    "ltx_timed": Family(
        "LTX-Video from 0.9.1 on",
        "LTXPipeline",
        lambda: ltx(timestep_conditioning=True),
        FLOW,
        options={
            "frames": 5,
            "height": 32,
            "width": 64,
            "decode_timestep": 0.05,
            "decode_noise_scale": 0.025,
        },
        call=SHORT
        | {
            "num_frames": 5,
            "height": 32,
            "width": 64,
            "frame_rate": 25.0,
            "decode_timestep": 0.05,
            "decode_noise_scale": 0.025,
        },
        schedulers=(FLOW_LCM,),
        sliced=False,
    ),
    "ltx2": Family(
        "LTX-2, with sound",
        "LTX2Pipeline",
        ltx2,
        FLOW,
        width=32,
        options={
            **{"frames": 3, "height": 32, "width": 64, "fps": 25.0},
            **{"sound_guidance": None, "skip_guidance": 0.0, "apart_guidance": 1.0},
            "rescale": 0.0,
        },
        call=SHORT
        | {"num_frames": 3, "height": 32, "width": 64, "frame_rate": 25.0}
        | {"audio_guidance_scale": None, "stg_scale": 0.0, "modality_scale": 1.0}
        | {"audio_stg_scale": None, "audio_modality_scale": None}
        | {"guidance_rescale": 0.0, "audio_guidance_rescale": None},
        masked=False,
    ),
    "wan": Family(
        "Wan 2.1",
        "WanPipeline",
        wan,
        FLOW,
        options={"frames": 5, "height": 16, "width": 32},
        call=SHORT | {"num_frames": 5, "height": 16, "width": 32},
        schedulers=(EULER, DPM),
    ),
    "wan_small": Family(
        "Wan 2.2, 5B",
        "WanPipeline",
        lambda: wan(expand_timesteps=True),
        FLOW,
        options={"frames": 5, "height": 32, "width": 16},
        call=SHORT | {"num_frames": 5, "height": 32, "width": 16},
        schedulers=(EULER, DPM),
    ),
    "wan_large": Family(
        "Wan 2.2, A14B",
        "WanPipeline",
        wan_large,
        FLOW,
        options={"frames": 5, "height": 16, "width": 32},
        call=SHORT | {"num_frames": 5, "height": 16, "width": 32},
        schedulers=(EULER, DPM),
    ),
    "wan_from_picture": Family(
        "Wan 2.2, A14B from a picture",
        "WanImageToVideoPipeline",
        wan_from_picture,
        FLOW,
        options={"frames": 5, "height": 16, "width": 32},
        call=SHORT | {"num_frames": 5, "height": 16, "width": 32},
        schedulers=(EULER, DPM),
    ),
    "motif": Family(
        "Motif-Video",
        "MotifVideoPipeline",
        motif,
        FLOW,
        options={"frames": 5, "height": 16, "width": 32},
        call=SHORT | {"num_frames": 5, "height": 16, "width": 32},
        guidance=("guider", 0.0),
        schedulers=(FLOW_LCM,),
    ),
    "hunyuan_video": Family(
        "HunyuanVideo 1.5",
        "HunyuanVideo15Pipeline",
        hunyuan_video,
        FLOW,
        LENGTH + 8,
        options={
            "frames": 5,
            "height": 16,
            "width": 32,
            "caption_tokens": LENGTH,
            "quoted_tokens": 8,
        },
        call={"num_frames": 5, "height": 16, "width": 32},
        guidance=("guider", 0.0),
        schedulers=(FLOW_LCM,),
    ),
    "cogvideox": Family(
        "CogVideoX 1.0, 2B",
        "CogVideoXPipeline",
        cogvideox,
        "v_prediction",
        call=SHORT,
        masked=False,
        schedulers=("CogVideoXDPMScheduler",),
    ),
    "cogvideox_rotary": Family(
        "CogVideoX 1.0, 5B",
        "CogVideoXPipeline",
        lambda: cogvideox(rotary=True),
        "v_prediction",
        call=SHORT,
        masked=False,
        schedulers=("CogVideoXDPMScheduler",),
    ),
    "cogvideox_from_picture": Family(
        "CogVideoX 1.0, 5B from a picture",
        "CogVideoXImageToVideoPipeline",
        cogvideox_from_picture,
        "v_prediction",
        call=SHORT,
        masked=False,
        schedulers=("CogVideoXDPMScheduler",),
    ),
}
