"""Tiny pipelines of the image families, with random weights."""

from __future__ import annotations

from typing import Any

import pytest
from diffusers import (
    AutoencoderDC,
    AutoencoderKLFlux2,
    AutoencoderKLQwenImage,
    DDIMScheduler,
    DiffusionPipeline,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
    FluxKontextPipeline,
    FluxPipeline,
    FluxTransformer2DModel,
    PixArtAlphaPipeline,
    PNDMScheduler,
    QwenImageEditPlusPipeline,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
    SanaPipeline,
    SanaTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from transformers import (
    CLIPTextModelWithProjection,
    Gemma2Config,
    Gemma2Model,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3Model,
)

from anymodal.toybox import decoders as nano
from tests.support.pipeline_parts import (
    LENGTH,
    SMALL,
    clip,
    qwen_tokenizer,
    shifted_vae,
    small_vae,
    t5,
    tokenizer,
    unet,
    words,
)


def sigma() -> DiffusionPipeline:
    return nano.nano_image(tokenizer(), small_vae(), size=16, **SMALL)


def published_variant(
    pipeline: DiffusionPipeline, scheduler: Any, kind: Any = None
) -> DiffusionPipeline:
    """Nano's pipeline as its family was published: it predicts the noise, and its variance."""
    parts = pipeline.components
    parts["scheduler"] = scheduler
    config = dict(parts["transformer"].config)
    config["out_channels"] = 2 * config["in_channels"]
    parts["transformer"] = type(parts["transformer"]).from_config(config)
    return (kind or type(pipeline))(**parts)


def alpha() -> DiffusionPipeline:
    return published_variant(sigma(), DPMSolverMultistepScheduler(), PixArtAlphaPipeline)


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


def flux_kontext() -> DiffusionPipeline:
    return FluxKontextPipeline(**flux(distilled=True).components)


def qwen_image(length: int = LENGTH, zero_cond_t: bool = False) -> DiffusionPipeline:
    words = qwen_tokenizer(length)
    token_ids = {
        f"{name}_token_id": words.convert_tokens_to_ids(f"<|{token}|>")
        for name, token in (
            ("vision_start", "vision_start"),
            ("vision_end", "vision_end"),
            ("image", "image_pad"),
            ("video", "video_pad"),
        )
    }
    text = {
        "vocab_size": len(words),
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "rope_scaling": {"rope_type": "default", "mrope_section": [1, 1, 2]},
    }
    vision = {
        "depth": 1,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_heads": 2,
        "out_hidden_size": 16,
        "fullatt_block_indexes": [0],
    }
    config = Qwen2_5_VLConfig(text_config=text, vision_config=vision, **token_ids)
    return QwenImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift_terminal=0.02),
        vae=AutoencoderKLQwenImage(
            base_dim=4,
            z_dim=4,
            dim_mult=[1, 1],
            num_res_blocks=1,
            temperal_downsample=[False],
            latents_mean=[0.1, -0.2, 0.3, 0.0],
            latents_std=[1.1, 0.9, 1.3, 0.8],
        ).eval(),
        text_encoder=Qwen2_5_VLForConditionalGeneration(config).eval(),
        tokenizer=words,
        transformer=QwenImageTransformer2DModel(
            in_channels=16,
            out_channels=4,
            num_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=16,
            axes_dims_rope=(4, 4, 8),
            zero_cond_t=zero_cond_t,
        ),
    )


def qwen_image_edit(length: int = 48) -> DiffusionPipeline:
    """Qwen-Image-Edit, as of 2511: its references are at timestep 0."""
    try:
        import torchvision  # noqa: F401 (its processor has a part for clips, which wants it)
    except (ImportError, OSError, RuntimeError) as error:
        pytest.skip(f"torchvision can't be imported: {error}")
    parts = qwen_image(length, zero_cond_t=True).components
    processor = Qwen2VLProcessor(
        Qwen2VLImageProcessor(size={"shortest_edge": 56 * 56, "longest_edge": 56 * 56}),
        parts["tokenizer"],
        Qwen2VLVideoProcessor(),
    )
    return QwenImageEditPlusPipeline(**parts, processor=processor)


def flux_2_klein(distilled: bool = False) -> DiffusionPipeline:
    chat = words()
    chat.chat_template = "{% for m in messages %}small {{ m['content'] }}{% endfor %}"
    text = Qwen3Config(
        vocab_size=len(chat),
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=28,  # its pipeline reads the states behind layers 9, 18 and 27
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=4,
    )
    vae = AutoencoderKLFlux2(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8),
        layers_per_block=1,
        latent_channels=2,
        norm_num_groups=4,
        sample_size=16,
    ).eval()
    vae.bn.running_mean.uniform_(-0.3, 0.3)
    vae.bn.running_var.uniform_(0.5, 1.5)
    return Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift=3.0),
        vae=vae,
        text_encoder=Qwen3ForCausalLM(text).eval(),
        tokenizer=chat,
        transformer=Flux2Transformer2DModel(
            in_channels=8,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=24,
            timestep_guidance_channels=16,
            axes_dims_rope=(4, 4, 4, 4),
            guidance_embeds=False,
        ),
        is_distilled=distilled,
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
