"""Tiny pipelines of every family of decoders, with random weights, and what is known of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from diffusers import (
    AudioLDM2Pipeline,
    AudioLDM2ProjectionModel,
    AudioLDM2UNet2DConditionModel,
    AudioLDMPipeline,
    AutoencoderDC,
    AutoencoderKL,
    AutoencoderKLCogVideoX,
    AutoencoderKLLTXVideo,
    AutoencoderKLWan,
    CogVideoXDDIMScheduler,
    CogVideoXPipeline,
    CogVideoXTransformer3DModel,
    CosineDPMSolverMultistepScheduler,
    DDIMScheduler,
    DiffusionPipeline,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    LTXPipeline,
    LTXVideoTransformer3DModel,
    PixArtAlphaPipeline,
    PNDMScheduler,
    SanaPipeline,
    SanaTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    TextToVideoSDPipeline,
    UNet2DConditionModel,
    UNet3DConditionModel,
    UniPCMultistepScheduler,
    WanPipeline,
    WanTransformer3DModel,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    ClapConfig,
    ClapFeatureExtractor,
    ClapModel,
    ClapTextConfig,
    ClapTextModelWithProjection,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    Gemma2Config,
    Gemma2Model,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3Model,
    RobertaTokenizer,
    SpeechT5HifiGan,
    SpeechT5HifiGanConfig,
    T5EncoderModel,
    T5Tokenizer,
)

from anymodal.toybox import decoders as nano

TOKENIZER_FILES = "a big small red blue ball bell bird moving left right fast slow"
LENGTH = 12


def tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = {"<pad>": 0, "</s>": 1, "<unk>": 2}
    for word in TOKENIZER_FILES.split():
        vocabulary[word] = len(vocabulary)
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


SMALL: dict[str, Any] = {"heads": 2, "head_width": 16, "layers": 1, "length": LENGTH, "width": 16}


def small_vae() -> AutoencoderKL:
    return nano.image_autoencoder(size=16, channels=(8, 8), groups=4)


def sigma() -> DiffusionPipeline:
    return nano.nano_image(tokenizer(), small_vae(), size=16, **SMALL)


def published(pipeline: DiffusionPipeline, scheduler: Any, kind: Any = None) -> DiffusionPipeline:
    """What nano has, as its family was published: it predicts the noise, and its variance."""
    parts = pipeline.components
    parts["scheduler"] = scheduler
    config = dict(parts["transformer"].config)
    config["out_channels"] = 2 * config["in_channels"]
    parts["transformer"] = type(parts["transformer"]).from_config(config)
    return (kind or type(pipeline))(**parts)


def alpha() -> DiffusionPipeline:
    return published(sigma(), DPMSolverMultistepScheduler(), PixArtAlphaPipeline)


def latte() -> DiffusionPipeline:
    longer = SMALL | {"length": 120}  # to which its pipeline pads, whatever the tokenizer says
    return nano.nano_video(tokenizer(), small_vae(), size=16, frames=3, **longer)


def stable_audio() -> DiffusionPipeline:
    vae = nano.audio_autoencoder(width=8, ratios=(4, 4), multiples=(1, 2), rate=800)
    return nano.nano_audio(tokenizer(), vae, seconds=0.3, **SMALL)


def stable_audio_open() -> DiffusionPipeline:
    """Stable Audio with the scheduler of its published weights."""
    pipeline = stable_audio()
    pipeline.scheduler = CosineDPMSolverMultistepScheduler()
    with torch.no_grad():
        pipeline.transformer.time_proj.weight *= 1000
    return pipeline


def words() -> Any:
    return nano.caption_tokenizer(tokenizer(), LENGTH)


def clip(kind: Any = CLIPTextModel, **options: Any) -> Any:
    text = CLIPTextConfig(
        vocab_size=len(words()),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=LENGTH,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=1,
        **options,
    )
    return kind(text).eval()


def t5(width: int = 16) -> T5EncoderModel:
    return nano.caption_encoder(words(), width=width, layers=1, heads=2, head_width=8)


def shifted_vae() -> AutoencoderKL:
    vae = small_vae()
    vae.register_to_config(shift_factor=0.1, scaling_factor=0.9)
    return vae


def unet(**options: Any) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        attention_head_dim=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        **options,
    )


def stable_diffusion_1() -> DiffusionPipeline:
    pipeline = stable_diffusion()
    pipeline.scheduler = PNDMScheduler(
        beta_schedule="scaled_linear", skip_prk_steps=True, steps_offset=1
    )
    return pipeline


def stable_diffusion() -> DiffusionPipeline:
    return StableDiffusionPipeline(
        vae=small_vae(),
        text_encoder=clip(),
        tokenizer=words(),
        unet=unet(cross_attention_dim=16),
        scheduler=DDIMScheduler(prediction_type="v_prediction"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def stable_diffusion_xl(zeros: bool = True) -> DiffusionPipeline:
    return StableDiffusionXLPipeline(
        vae=small_vae(),
        text_encoder=clip(),
        text_encoder_2=clip(CLIPTextModelWithProjection, projection_dim=24),
        tokenizer=words(),
        tokenizer_2=words(),
        unet=unet(
            cross_attention_dim=32,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=24 + 6 * 8,
        ),
        scheduler=EulerDiscreteScheduler(beta_schedule="scaled_linear"),
        force_zeros_for_empty_prompt=zeros,
        add_watermarker=False,
    )


def stable_diffusion_3() -> DiffusionPipeline:
    return StableDiffusion3Pipeline(
        transformer=SD3Transformer2DModel(
            sample_size=8,
            in_channels=4,
            out_channels=4,
            num_layers=2,
            attention_head_dim=8,
            num_attention_heads=2,
            joint_attention_dim=40,
            caption_projection_dim=16,
            pooled_projection_dim=20,
            pos_embed_max_size=8,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=shifted_vae(),
        text_encoder=clip(CLIPTextModelWithProjection, projection_dim=8),
        tokenizer=words(),
        text_encoder_2=clip(CLIPTextModelWithProjection, projection_dim=12),
        tokenizer_2=words(),
        text_encoder_3=t5(40),
        tokenizer_3=words(),
    )


def flux(distilled: bool = False) -> DiffusionPipeline:
    return FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=distilled),
        vae=shifted_vae(),
        text_encoder=clip(),
        tokenizer=words(),
        text_encoder_2=t5(24),
        tokenizer_2=words(),
        transformer=FluxTransformer2DModel(
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=24,
            pooled_projection_dim=16,
            axes_dims_rope=(4, 4, 8),
            guidance_embeds=distilled,
        ),
    )


def sana() -> DiffusionPipeline:
    blocks = ("ResBlock", "EfficientViTBlock")
    text = Gemma2Config(
        vocab_size=len(words()),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=1,
    )
    return SanaPipeline(
        tokenizer=words(),
        text_encoder=Gemma2Model(text).eval(),
        vae=AutoencoderDC(
            latent_channels=4,
            attention_head_dim=4,
            encoder_block_types=blocks,
            decoder_block_types=blocks,
            encoder_block_out_channels=(8, 8),
            decoder_block_out_channels=(8, 8),
            encoder_layers_per_block=(1, 1),
            decoder_layers_per_block=(1, 1),
            encoder_qkv_multiscales=((), (5,)),
            decoder_qkv_multiscales=((), (5,)),
            scaling_factor=0.4,
        ),
        transformer=SanaTransformer2DModel(
            sample_size=16,
            in_channels=4,
            out_channels=4,
            num_layers=1,
            num_attention_heads=2,
            attention_head_dim=4,
            num_cross_attention_heads=2,
            cross_attention_head_dim=4,
            cross_attention_dim=8,
            caption_channels=16,
        ),
        scheduler=DPMSolverMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
        ),
    )


def z_image() -> DiffusionPipeline:
    chat = words()
    chat.chat_template = "{% for m in messages %}small {{ m['content'] }}{% endfor %}"
    text = Qwen3Config(
        vocab_size=len(chat),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
    )
    return ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=shifted_vae(),
        text_encoder=Qwen3Model(text).eval(),
        tokenizer=chat,
        transformer=ZImageTransformer2DModel(
            in_channels=4,
            dim=32,
            n_layers=1,
            n_refiner_layers=1,
            n_heads=2,
            n_kv_heads=2,
            cap_feat_dim=16,
            axes_dims=[4, 4, 8],
            axes_lens=[128, 32, 32],
        ),
    )


CLAP_TEXT: dict[str, Any] = {
    "vocab_size": 40,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 32,
    "projection_dim": 16,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 1,
}


def vocoder() -> SpeechT5HifiGan:
    config = SpeechT5HifiGanConfig(
        model_in_dim=8,
        sampling_rate=800,
        upsample_initial_channel=8,
        upsample_rates=[2, 2],
        upsample_kernel_sizes=[4, 4],
        resblock_kernel_sizes=[3],
        resblock_dilation_sizes=[[1, 3]],
        normalize_before=False,
    )
    return SpeechT5HifiGan(config).eval()


def spectrogram_vae() -> AutoencoderKL:
    return AutoencoderKL(
        in_channels=1,
        out_channels=1,
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=4,
    )


def audioldm() -> DiffusionPipeline:
    return AudioLDMPipeline(
        vae=spectrogram_vae(),
        text_encoder=ClapTextModelWithProjection(ClapTextConfig(**CLAP_TEXT)).eval(),
        tokenizer=words(),
        unet=unet(
            cross_attention_dim=(8, 16),
            class_embed_type="simple_projection",
            projection_class_embeddings_input_dim=16,
            class_embeddings_concat=True,
        ),
        scheduler=DDIMScheduler(beta_schedule="scaled_linear"),
        vocoder=vocoder(),
    )


def audioldm_2() -> DiffusionPipeline:
    """AudioLDM 2, whose pipeline tells captions from transcripts by the tokenizers' classes."""
    sound = {
        "spec_size": 64,
        "num_mel_bins": 16,
        "window_size": 4,
        "hidden_size": 16,
        "patch_embeds_hidden_size": 8,
        "depths": [1, 1],
        "num_attention_heads": [2, 2],
    }
    clap = ClapConfig(audio_config=sound, text_config=CLAP_TEXT, projection_dim=12)
    letters = ["<pad>", "</s>", "<s>", "<unk>", "<mask>", "Ġ", *"abcdefghijklmnopqrstuvwxyz"]
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -9.0)]
    language = GPT2Config(
        n_embd=16, n_head=2, n_layer=1, n_positions=64, vocab_size=4, max_new_tokens=4
    )
    return AudioLDM2Pipeline(
        vae=spectrogram_vae(),
        text_encoder=ClapModel(clap).eval(),
        text_encoder_2=t5(24),
        projection_model=AudioLDM2ProjectionModel(12, 24, 16),
        language_model=GPT2LMHeadModel(language).eval(),
        tokenizer=RobertaTokenizer(
            vocab={letter: i for i, letter in enumerate(letters)}, merges=[], model_max_length=20
        ),
        tokenizer_2=T5Tokenizer(
            vocab=pieces + [("▁" + word, -1.0) for word in TOKENIZER_FILES.split()],
            extra_ids=0,
            model_max_length=LENGTH,
        ),
        feature_extractor=ClapFeatureExtractor(
            feature_size=16, sampling_rate=800, max_length_s=1, hop_length=64, fft_window_size=256
        ),
        unet=AudioLDM2UNet2DConditionModel(
            sample_size=8,
            block_out_channels=(8, 16),
            layers_per_block=1,
            norm_num_groups=4,
            attention_head_dim=8,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=((None, 16, 24), (None, 16, 24)),
        ),
        scheduler=DDIMScheduler(beta_schedule="scaled_linear"),
        vocoder=vocoder(),
    )


def text_to_video() -> DiffusionPipeline:
    return TextToVideoSDPipeline(
        vae=small_vae(),
        text_encoder=clip(),
        tokenizer=words(),
        unet=UNet3DConditionModel(
            sample_size=8,
            block_out_channels=(8, 16),
            layers_per_block=1,
            norm_num_groups=4,
            attention_head_dim=8,
            cross_attention_dim=16,
            down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"),
            up_block_types=("UpBlock3D", "CrossAttnUpBlock3D"),
        ),
        scheduler=DDIMScheduler(beta_schedule="scaled_linear"),
    )


def ltx(timed: bool = False) -> DiffusionPipeline:
    """LTX-Video; from 0.9.1 on its autoencoder is told how much noise is left."""
    return LTXPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=AutoencoderKLLTXVideo(
            latent_channels=8,
            block_out_channels=(8, 8),
            decoder_block_out_channels=(8, 8),
            down_block_types=("LTXVideoDownBlock3D",) * 2,
            downsample_type=("conv",) * 2,
            layers_per_block=(1, 1, 1),
            decoder_layers_per_block=(1, 1, 1),
            spatio_temporal_scaling=(True, False),
            decoder_spatio_temporal_scaling=(True, False),
            decoder_inject_noise=(False,) * 3,
            upsample_residual=(False,) * 2,
            upsample_factor=(1,) * 2,
            patch_size=2,
            timestep_conditioning=timed,
        ),
        text_encoder=t5(),
        tokenizer=words(),
        transformer=LTXVideoTransformer3DModel(
            in_channels=8,
            out_channels=8,
            num_attention_heads=2,
            attention_head_dim=8,
            cross_attention_dim=16,
            num_layers=1,
            caption_channels=16,
        ),
    )


def wan(expanded: bool = False) -> DiffusionPipeline:
    return WanPipeline(
        tokenizer=words(),
        text_encoder=t5(),
        vae=AutoencoderKLWan(
            base_dim=4,
            z_dim=16,
            dim_mult=[1, 1, 1, 1],
            num_res_blocks=1,
        ),
        scheduler=UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
        ),
        transformer=WanTransformer3DModel(
            num_attention_heads=2,
            attention_head_dim=12,
            text_dim=16,
            freq_dim=32,
            ffn_dim=32,
            num_layers=1,
            rope_max_seq_len=32,
        ),
        expand_timesteps=expanded,
    )


def cogvideox(rotary: bool = False) -> DiffusionPipeline:
    return CogVideoXPipeline(
        tokenizer=words(),
        text_encoder=t5(),
        vae=AutoencoderKLCogVideoX(
            block_out_channels=(8, 8, 8, 8),
            latent_channels=4,
            layers_per_block=1,
            norm_num_groups=2,
            sample_height=16,
            sample_width=16,
        ),
        transformer=CogVideoXTransformer3DModel(
            num_attention_heads=2,
            attention_head_dim=16,
            in_channels=4,
            out_channels=4,
            time_embed_dim=4,
            text_embed_dim=16,
            num_layers=1,
            sample_width=2,
            sample_height=2,
            sample_frames=9,
            max_text_seq_length=LENGTH,
            use_rotary_positional_embeddings=rotary,
        ),
        scheduler=CogVideoXDDIMScheduler(
            prediction_type="v_prediction",
            rescale_betas_zero_snr=True,
            timestep_spacing="trailing",
        ),
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
        guidance: the name of its guidance there, and what is added to it.
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
    "alpha": Family(
        "PixArt-α", "PixArtAlphaPipeline", alpha, "epsilon", call=BINLESS, schedulers=(LCM, DPM)
    ),
    "sigma_published": Family(
        "PixArt-Σ",
        "PixArtSigmaPipeline",
        lambda: published(sigma(), DPMSolverMultistepScheduler()),
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
        lambda: published(latte(), DDIMScheduler(beta_schedule="linear")),
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
        lambda: ltx(timed=True),
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
        lambda: wan(expanded=True),
        FLOW,
        options={"frames": 5, "height": 32, "width": 16},
        call=SHORT | {"num_frames": 5, "height": 32, "width": 16},
        schedulers=(EULER, DPM),
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
}
