"""Tiny pipelines of the video families, with random weights."""

from __future__ import annotations

from typing import Any

from diffusers import (
    AutoencoderKLCogVideoX,
    AutoencoderKLHunyuanVideo15,
    AutoencoderKLLTX2Audio,
    AutoencoderKLLTX2Video,
    AutoencoderKLLTXVideo,
    AutoencoderKLWan,
    CogVideoXDDIMScheduler,
    CogVideoXImageToVideoPipeline,
    CogVideoXPipeline,
    CogVideoXTransformer3DModel,
    DDIMScheduler,
    DiffusionPipeline,
    FlowMatchEulerDiscreteScheduler,
    HunyuanVideo15Pipeline,
    HunyuanVideo15Transformer3DModel,
    LTX2Pipeline,
    LTX2VideoTransformer3DModel,
    LTXPipeline,
    LTXVideoTransformer3DModel,
    MotifVideoPipeline,
    MotifVideoTransformer3DModel,
    TextToVideoSDPipeline,
    UNet3DConditionModel,
    UniPCMultistepScheduler,
    WanImageToVideoPipeline,
    WanPipeline,
    WanTransformer3DModel,
)
from diffusers.guiders import ClassifierFreeGuidance
from diffusers.pipelines.ltx2 import LTX2TextConnectors
from diffusers.pipelines.ltx2.vocoder import LTX2Vocoder
from transformers import (
    ByT5Tokenizer,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Qwen2_5_VLTextConfig,
    Qwen2_5_VLTextModel,
    SiglipImageProcessorPil,
    T5Config,
    T5EncoderModel,
)
from transformers.models.t5gemma2.configuration_t5gemma2 import T5Gemma2EncoderConfig
from transformers.models.t5gemma2.modeling_t5gemma2 import T5Gemma2Encoder

from anymodal.toybox import decoders as nano
from tests.support.pipeline_parts import (
    LENGTH,
    SMALL,
    clip,
    qwen_tokenizer,
    small_vae,
    t5,
    tokenizer,
    words,
)


def latte() -> DiffusionPipeline:
    longer = SMALL | {"length": 120}  # to which its pipeline pads, whatever the tokenizer says
    return nano.nano_video(tokenizer(), small_vae(), size=16, frames=3, **longer)


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


def ltx(timestep_conditioning: bool = False) -> DiffusionPipeline:
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
            timestep_conditioning=timestep_conditioning,
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


def ltx2() -> DiffusionPipeline:
    """LTX-2: film and sound, with learned tokens in the place of padding."""
    text = {
        **{"vocab_size": len(words()), "hidden_size": 16, "intermediate_size": 16},
        **{"num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1},
        "head_dim": 8,
    }
    vision = {
        **{"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1},
        **{"num_attention_heads": 1, "image_size": 8, "patch_size": 4},
    }
    half = {"num_attention_heads": 2, "num_layers": 1, "num_learnable_registers": 4}
    return LTX2Pipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift_terminal=0.1),
        vae=AutoencoderKLLTX2Video(
            latent_channels=4,
            block_out_channels=(8,),
            down_block_types=("LTX2VideoDownBlock3D",),
            decoder_block_out_channels=(8,),
            layers_per_block=(1, 1),
            decoder_layers_per_block=(1, 1),
            spatio_temporal_scaling=(True,),
            decoder_spatio_temporal_scaling=(True,),
            decoder_inject_noise=(False, False),
            downsample_type=("spatiotemporal",),
            upsample_type=("spatiotemporal",),
            upsample_residual=(False,),
            upsample_factor=(1,),
            patch_size=4,
        ),
        audio_vae=AutoencoderKLLTX2Audio(
            base_channels=4,
            ch_mult=(1, 1, 1),
            num_res_blocks=1,
            resolution=32,
            latent_channels=2,
            mel_bins=8,
            sample_rate=1600,
            mel_hop_length=16,
        ),
        text_encoder=Gemma3ForConditionalGeneration(
            Gemma3Config(text_config=text, vision_config=vision)
        ).eval(),
        tokenizer=words(),
        connectors=LTX2TextConnectors(
            caption_channels=16,
            text_proj_in_factor=2,
            **{f"video_connector_{name}": value for name, value in half.items()},
            video_connector_attention_head_dim=8,
            **{f"audio_connector_{name}": value for name, value in half.items()},
            audio_connector_attention_head_dim=8,
        ),
        transformer=LTX2VideoTransformer3DModel(
            in_channels=4,
            out_channels=4,
            num_attention_heads=2,
            attention_head_dim=8,
            cross_attention_dim=16,
            vae_scale_factors=(2, 8, 8),
            audio_in_channels=4,
            audio_out_channels=4,
            audio_num_attention_heads=2,
            audio_attention_head_dim=4,
            audio_cross_attention_dim=8,
            audio_sampling_rate=1600,
            audio_hop_length=16,
            num_layers=2,
            caption_channels=16,
        ),
        vocoder=LTX2Vocoder(
            in_channels=16,
            hidden_channels=8,
            upsample_kernel_sizes=[8, 4],
            upsample_factors=[4, 4],
            resnet_kernel_sizes=[3],
            resnet_dilations=[[1, 3]],
            output_sampling_rate=1600,
        ),
    )


def _wan_parts(channels: int = 16) -> dict[str, Any]:
    return {
        "tokenizer": words(),
        "text_encoder": t5(),
        "vae": AutoencoderKLWan(
            base_dim=4,
            z_dim=16,
            dim_mult=[1, 1, 1, 1],
            num_res_blocks=1,
        ),
        "scheduler": UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
        ),
        "transformer": _wan_network(channels),
    }


def _wan_network(channels: int = 16) -> WanTransformer3DModel:
    return WanTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=channels,
        text_dim=16,
        freq_dim=32,
        ffn_dim=32,
        num_layers=1,
        rope_max_seq_len=32,
    )


def wan(expand_timesteps: bool = False) -> DiffusionPipeline:
    return WanPipeline(**_wan_parts(), expand_timesteps=expand_timesteps)


def wan_large() -> DiffusionPipeline:
    """Wan 2.2 of two networks."""
    return WanPipeline(**_wan_parts(), transformer_2=_wan_network(), boundary_ratio=0.875)


def wan_from_picture() -> DiffusionPipeline:
    """Wan 2.2 of two networks, whose input has a mask and a clip's latents beside the noise."""
    low = _wan_network(channels=36)
    return WanImageToVideoPipeline(**_wan_parts(36), transformer_2=low, boundary_ratio=0.9)


def motif() -> DiffusionPipeline:
    text = {
        **{"vocab_size": len(words()), "hidden_size": 16, "intermediate_size": 16},
        **{"num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1},
        **{"head_dim": 8, "dropout_rate": 0.0},
    }
    vision = {
        **{"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1},
        **{"num_attention_heads": 1, "image_size": 8, "patch_size": 4},
    }
    config = T5Gemma2EncoderConfig(
        text_config=text, vision_config={"model_type": "siglip_vision_model", **vision}
    )
    parts = _wan_parts()
    return MotifVideoPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=parts["vae"],
        text_encoder=T5Gemma2Encoder(config).eval(),
        tokenizer=words(),
        transformer=MotifVideoTransformer3DModel(
            num_attention_heads=2,
            attention_head_dim=16,
            num_layers=1,
            num_single_layers=1,
            text_embed_dim=16,
            image_embed_dim=8,
            rope_axes_dim=(4, 6, 6),
        ),
        guider=ClassifierFreeGuidance(guidance_scale=5.0),
        feature_extractor=SiglipImageProcessorPil(size={"height": 8, "width": 8}),
    )


def hunyuan_video() -> DiffusionPipeline:
    chat = qwen_tokenizer()
    # Its pipeline cuts off so many tokens, which its own system message takes.
    chat.chat_template = "{{ 'small ' * 108 }}{{ messages[-1]['content'] }}"
    text = Qwen2_5_VLTextConfig(
        vocab_size=len(chat),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=3,  # its pipeline reads the states before the last two
        num_attention_heads=2,
        num_key_value_heads=1,
        rope_scaling={"rope_type": "default", "mrope_section": [1, 1, 2]},
    )
    quoted = T5Config(
        vocab_size=384, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2, dropout_rate=0.0
    )
    pipeline = HunyuanVideo15Pipeline(
        text_encoder=Qwen2_5_VLTextModel(text).eval(),
        tokenizer=chat,
        transformer=HunyuanVideo15Transformer3DModel(
            in_channels=9,
            out_channels=4,
            num_attention_heads=2,
            attention_head_dim=16,
            num_layers=1,
            num_refiner_layers=1,
            text_embed_dim=16,
            text_embed_2_dim=8,
            image_embed_dim=8,
            rope_axes_dim=(4, 6, 6),
        ).eval(),
        vae=AutoencoderKLHunyuanVideo15(
            latent_channels=4,
            block_out_channels=(8, 8, 8, 8),
            layers_per_block=1,
            spatial_compression_ratio=8,
            temporal_compression_ratio=4,
        ).eval(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=5.0),
        text_encoder_2=T5EncoderModel(quoted).eval(),
        tokenizer_2=ByT5Tokenizer(),
        guider=ClassifierFreeGuidance(guidance_scale=6.0),
    )
    pipeline.vision_num_semantic_tokens = 4  # of zeros, which are masked
    return pipeline


def cogvideox(rotary: bool = False) -> DiffusionPipeline:
    return CogVideoXPipeline(**_cogvideox_parts(rotary))


def cogvideox_from_picture() -> DiffusionPipeline:
    """CogVideoX whose input has a first frame's latents beside the noise."""
    return CogVideoXImageToVideoPipeline(**_cogvideox_parts(rotary=True, channels=8))


def _cogvideox_parts(rotary: bool, channels: int = 4) -> dict[str, Any]:
    return {
        "tokenizer": words(),
        "text_encoder": t5(),
        "vae": AutoencoderKLCogVideoX(
            block_out_channels=(8, 8, 8, 8),
            latent_channels=4,
            layers_per_block=1,
            norm_num_groups=2,
            sample_height=16,
            sample_width=16,
        ),
        "transformer": CogVideoXTransformer3DModel(
            num_attention_heads=2,
            attention_head_dim=16,
            in_channels=channels,
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
        "scheduler": CogVideoXDDIMScheduler(
            prediction_type="v_prediction",
            rescale_betas_zero_snr=True,
            timestep_spacing="trailing",
        ),
    }
