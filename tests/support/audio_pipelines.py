"""Tiny pipelines of the audio families, with random weights."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import (
    AceStepPipeline,
    AceStepTransformer1DModel,
    AudioLDM2Pipeline,
    AudioLDM2ProjectionModel,
    AudioLDM2UNet2DConditionModel,
    AudioLDMPipeline,
    AutoencoderKL,
    AutoencoderSAME,
    CosineDPMSolverMultistepScheduler,
    DDIMScheduler,
    DiffusionPipeline,
    FlowMatchEulerDiscreteScheduler,
    StableAudio3DiTModel,
    StableAudio3Pipeline,
)
from diffusers.pipelines.ace_step import AceStepConditionEncoder
from diffusers.pipelines.stable_audio_3 import StableAudio3DurationEmbedder
from transformers import (
    ClapConfig,
    ClapFeatureExtractor,
    ClapModel,
    ClapTextConfig,
    ClapTextModelWithProjection,
    GPT2Config,
    GPT2LMHeadModel,
    Qwen3Config,
    Qwen3Model,
    RobertaTokenizer,
    SpeechT5HifiGan,
    SpeechT5HifiGanConfig,
    T5GemmaConfig,
    T5GemmaEncoderModel,
    T5Tokenizer,
)

from anymodal.toybox import decoders as nano
from tests.support.pipeline_parts import LENGTH, SMALL, TOKENIZER_FILES, t5, tokenizer, unet, words


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


def stable_audio_3(stochastic: bool = False) -> DiffusionPipeline:
    """Stable Audio 3; the distilled one draws noise at each step."""
    encoder = {
        "vocab_size": len(words()),
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 8,
    }
    pipeline = StableAudio3Pipeline(
        vae=AutoencoderSAME(
            patch_size=4,
            encoder_channels=8,
            encoder_c_mults=[2],
            encoder_strides=[4],
            encoder_transformer_depths=[1],
            latent_dim=8,
            dim_heads=8,
            sampling_rate=800,
        ).eval(),
        text_encoder=T5GemmaEncoderModel(
            T5GemmaConfig(encoder=encoder, decoder=encoder, is_encoder_decoder=False)
        ).eval(),
        tokenizer=words(),
        duration_embedder=StableAudio3DurationEmbedder(output_dim=16, fourier_dim=8, max_val=2.0),
        transformer=StableAudio3DiTModel(
            io_channels=8,
            embed_dim=16,
            depth=1,
            num_heads=2,
            cond_token_dim=16,
            global_cond_dim=16,
            local_add_cond_dim=9,
            timestep_features_dim=16,
            num_memory_tokens=2,
        ).eval(),
        scheduler=FlowMatchEulerDiscreteScheduler(
            num_train_timesteps=1, stochastic_sampling=stochastic
        ),
    )
    with torch.no_grad():  # zeros before training, which would let nothing through
        for weight in (*pipeline.vae.parameters(), *pipeline.transformer.parameters()):
            if not weight.any():
                weight.normal_(std=0.2)
    return pipeline


def ace_step() -> DiffusionPipeline:
    words = nano.caption_tokenizer(tokenizer(), 48)
    text = Qwen3Config(
        vocab_size=len(words),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
    )
    sizes: dict[str, Any] = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 8,
    }
    condition_encoder = AceStepConditionEncoder(
        text_hidden_dim=16,
        timbre_hidden_dim=4,
        num_lyric_encoder_hidden_layers=1,
        num_timbre_encoder_hidden_layers=1,
        **sizes,
    ).eval()
    condition_encoder.silence_latent.normal_()
    return AceStepPipeline(
        vae=nano.audio_autoencoder(width=8, ratios=(4, 4), multiples=(1, 2), rate=800),
        text_encoder=Qwen3Model(text).eval(),
        tokenizer=words,
        transformer=AceStepTransformer1DModel(
            num_hidden_layers=1, in_channels=12, audio_acoustic_hidden_dim=4, **sizes
        ).eval(),
        condition_encoder=condition_encoder,
        scheduler=FlowMatchEulerDiscreteScheduler(num_train_timesteps=1),
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
