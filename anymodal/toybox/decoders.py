"""Builders of nano's diffusion pipelines with random weights, to train on a CPU in minutes.

All three are diffusion transformers over few tokens, conditioned by a small T5 encoder of their
own. They predict the flow, which a second-order solver integrates in few steps, and save and load
as any diffusers pipeline.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Protocol

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderOobleck,
    DPMSolverMultistepScheduler,
    LattePipeline,
    LatteTransformer3DModel,
    PixArtSigmaPipeline,
    PixArtTransformer2DModel,
    StableAudioDiTModel,
    StableAudioPipeline,
    StableAudioProjectionModel,
)
from diffusers.models.autoencoders.autoencoder_oobleck import OobleckResidualUnit
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase, T5Config, T5EncoderModel

POSTERIOR_BIAS = -4.0
"""Initial bias of the posteriors' spread, so that latents aren't drowned in noise at first."""

RANDOM_SHARE = 0.1
"""Share of its random weights that a layer keeps where it is initialised to a known transform."""


class WeightNormalised(Protocol):
    """A layer under `torch.nn.utils.weight_norm`."""

    weight_g: Tensor
    weight_v: Tensor
    bias: Tensor | None


def caption_encoder(
    tokenizer: PreTrainedTokenizerBase,
    *,
    width: int = 128,
    layers: int = 2,
    heads: int = 4,
    head_width: int = 32,
) -> T5EncoderModel:
    """Build a T5 encoder for captions (Raffel et al. 2020, https://arxiv.org/abs/1910.10683)."""
    return T5EncoderModel(
        T5Config(
            vocab_size=len(tokenizer),
            d_model=width,
            d_kv=head_width,
            d_ff=2 * width,
            num_layers=layers,
            num_heads=heads,
            dropout_rate=0.0,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    ).eval()


def caption_tokenizer(tokenizer: PreTrainedTokenizerBase, length: int) -> PreTrainedTokenizerBase:
    """Copy a tokenizer with the captions' length as its own, which is where decoders read it."""
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.model_max_length = length
    return tokenizer


def flow_scheduler() -> DPMSolverMultistepScheduler:
    """Build the flow-predicting second-order solver (Lu et al. 2022, arXiv:2211.01095)."""
    # Its tables are read on the CPU, also where networks are built on another device.
    with torch.device("cpu"):
        return DPMSolverMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True)


def image_autoencoder(
    *,
    size: int = 64,
    channels: Sequence[int] = (16, 32, 64),
    latent_channels: int = 4,
    layers: int = 1,
    groups: int = 8,
) -> AutoencoderKL:
    """Build the autoencoder of images: (3, size, size) -> (latent_channels, size/4, size/4)."""
    autoencoder = AutoencoderKL(
        block_out_channels=tuple(channels),
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        layers_per_block=layers,
        latent_channels=latent_channels,
        norm_num_groups=groups,
        sample_size=size,
        scaling_factor=1.0,
    )
    with torch.no_grad():
        autoencoder.quant_conv.bias[latent_channels:] = POSTERIOR_BIAS  # the log variances
    return autoencoder


def audio_autoencoder(
    *,
    width: int = 32,
    ratios: Sequence[int] = (8, 8, 4),
    multiples: Sequence[int] = (1, 2, 4),
    rate: int = 16000,
    channels: int = 1,
) -> AutoencoderOobleck:
    """Build the autoencoder of audio: (channels, n) -> (width / 2, n / prod(ratios)).

    It is initialised close to a cascade of lapped transforms and their inverse, so that training
    needn't find out from random filters how a waveform is analysed and synthesised.
    """
    autoencoder = AutoencoderOobleck(
        encoder_hidden_size=width,
        downsampling_ratios=list(ratios),
        channel_multiples=list(multiples),
        decoder_channels=width,
        decoder_input_channels=width // 2,
        audio_channels=channels,
        sampling_rate=rate,
    )
    _initialise_as_transform(autoencoder)
    with torch.no_grad():
        last = autoencoder.encoder.conv2
        last.bias[width // 2 :] = POSTERIOR_BIAS  # the deviations, before softplus
    return autoencoder


@torch.no_grad()
def _initialise_as_transform(autoencoder: AutoencoderOobleck) -> None:
    """Initialise the encoder's strided layers as lapped transforms, the decoder's as their inverse.

    The first channel of the first layer carries the waveform; every strided layer splits each
    channel that carries signal into as many bands as its stride, while there is room for them.
    """
    encoder, decoder = autoencoder.encoder, autoencoder.decoder
    for unit in (m for m in autoencoder.modules() if isinstance(m, OobleckResidualUnit)):
        unit.conv2.weight_g *= RANDOM_SHARE  # nearly the identity, by the unit's skip connection
    through = torch.zeros_like(encoder.conv1.weight_v)  # (width, 1, 7)
    through[0, 0, through.shape[-1] // 2] = 1
    _initialise(encoder.conv1, through)
    _initialise(decoder.conv2, through.transpose(0, 1))
    num_channels = 1
    for down, up in zip(encoder.block, reversed(decoder.block), strict=True):
        stride = down.conv1.stride[0]
        bands = lapped_transform(stride)  # (stride, 2 * stride)
        split = torch.zeros_like(down.conv1.weight_v)  # (out, in, 2 * stride)
        wide = min(num_channels * stride, len(split))
        for channel in range(wide):
            split[channel, channel // stride] = bands[channel % stride]
        num_channels = wide
        _initialise(down.conv1, split)
        _initialise(up.conv_t1, split)  # a transposed layer's weights lie the same way
    narrow = torch.empty_like(encoder.conv2.weight_v)  # (2 * latents, used, 3)
    nn.init.orthogonal_(narrow.view(len(narrow), -1))
    latents, taps = len(narrow) // 2, narrow.shape[-1]
    widen = torch.zeros_like(decoder.conv1.weight_v)  # (used, latents, 7)
    first = (widen.shape[-1] - taps) // 2
    widen[..., first : first + taps] = narrow[:latents].transpose(0, 1).flip(-1)
    narrow[latents:] = 0  # the deviations
    _initialise(encoder.conv2, narrow)
    _initialise(decoder.conv1, widen)


def _initialise(layer: WeightNormalised, weight: Tensor) -> None:
    """Set a weight-normalised layer to some weights, plus a small share of its random ones."""
    # Rows of zeros would have no norm that weight normalisation could divide by.
    weight = weight + RANDOM_SHARE * layer.weight_v
    layer.weight_v.copy_(weight)
    layer.weight_g.copy_(weight.flatten(1).norm(dim=1).view_as(layer.weight_g))
    if layer.bias is not None:
        layer.bias.zero_()


def lapped_transform(bands: int) -> Tensor:
    """The modulated lapped transform (bands, 2 * bands), whose shifts are orthonormal.

    Source: Malvar 1990, "Lapped transforms for efficient transform/subband coding".
    """
    times = torch.arange(2 * bands) + 0.5
    tones = torch.arange(bands)[:, None] + 0.5
    window = torch.sin(math.pi * times / (2 * bands))
    waves = torch.cos(math.pi / bands * (times + bands / 2) * tones)
    return math.sqrt(2 / bands) * window * waves


def nano_image(
    tokenizer: PreTrainedTokenizerBase,
    vae: AutoencoderKL | None = None,
    *,
    size: int = 64,
    heads: int = 5,
    head_width: int = 32,
    layers: int = 6,
    patch: int = 2,
    length: int = 24,
    width: int = 128,
) -> PixArtSigmaPipeline:
    """Build a small PixArt-Σ (Chen et al. 2024, https://arxiv.org/abs/2403.04692).

    Args:
        tokenizer: of the captions.
        vae: the autoencoder; a new one if None.
        size: of the images, in pixels.
        heads: attention heads.
        head_width: of a head.
        layers: transformer blocks.
        patch: latents along a side of a token.
        length: of the captions, in tokens.
        width: of the caption encoder.
    """
    vae = vae or image_autoencoder(size=size)
    encoder = caption_encoder(tokenizer, width=width)
    transformer = PixArtTransformer2DModel(
        sample_size=size // 2 ** (len(vae.config.block_out_channels) - 1),
        in_channels=vae.config.latent_channels,
        out_channels=vae.config.latent_channels,
        patch_size=patch,
        num_layers=layers,
        num_attention_heads=heads,
        attention_head_dim=head_width,
        cross_attention_dim=heads * head_width,
        caption_channels=encoder.config.d_model,
        use_additional_conditions=False,
    )
    return PixArtSigmaPipeline(
        tokenizer=caption_tokenizer(tokenizer, length),
        text_encoder=encoder,
        vae=vae,
        transformer=transformer,
        scheduler=flow_scheduler(),
    )


def nano_video(
    tokenizer: PreTrainedTokenizerBase,
    vae: AutoencoderKL | None = None,
    *,
    size: int = 64,
    frames: int = 8,
    heads: int = 5,
    head_width: int = 32,
    layers: int = 4,
    patch: int = 4,
    length: int = 24,
    width: int = 128,
) -> LattePipeline:
    """Build a small Latte over an image autoencoder (Ma et al. 2024, arXiv:2401.03048).

    Args:
        tokenizer: of the captions.
        vae: the autoencoder of frames; a new one if None.
        size: of the frames, in pixels.
        frames: of a video.
        heads: attention heads.
        head_width: of a head.
        layers: transformer blocks.
        patch: latents along a side of a token.
        length: of the captions, in tokens.
        width: of the caption encoder.
    """
    vae = vae or image_autoencoder(size=size)
    encoder = caption_encoder(tokenizer, width=width)
    transformer = LatteTransformer3DModel(
        sample_size=size // 2 ** (len(vae.config.block_out_channels) - 1),
        in_channels=vae.config.latent_channels,
        # The pipeline drops the second half of the output, a learned variance in Latte.
        out_channels=2 * vae.config.latent_channels,
        patch_size=patch,
        video_length=frames,
        num_layers=layers,
        num_attention_heads=heads,
        attention_head_dim=head_width,
        cross_attention_dim=heads * head_width,
        caption_channels=encoder.config.d_model,
        attention_bias=True,
        activation_fn="gelu-approximate",
        norm_type="ada_norm_single",
        norm_elementwise_affine=False,
        norm_eps=1e-6,
    )
    return LattePipeline(
        tokenizer=caption_tokenizer(tokenizer, length),
        text_encoder=encoder,
        vae=vae,
        transformer=transformer,
        scheduler=flow_scheduler(),
    )


def nano_audio(
    tokenizer: PreTrainedTokenizerBase,
    vae: AutoencoderOobleck | None = None,
    *,
    seconds: float = 2.0,
    heads: int = 4,
    head_width: int = 32,
    layers: int = 6,
    length: int = 24,
    width: int = 128,
) -> StableAudioPipeline:
    """Build a small Stable Audio (Evans et al. 2024, https://arxiv.org/abs/2407.14358).

    Args:
        tokenizer: of the captions.
        vae: the autoencoder; a new one if None.
        seconds: the longest audio.
        heads: attention heads.
        head_width: of a head.
        layers: transformer blocks.
        length: of the captions, in tokens.
        width: of the caption encoder.
    """
    vae = vae or audio_autoencoder()
    encoder = caption_encoder(tokenizer, width=width)
    scheduler = flow_scheduler()
    latent_channels = vae.config.decoder_input_channels
    rate, hop = vae.config.sampling_rate, vae.hop_length
    size = math.ceil(seconds * rate / hop)
    transformer = StableAudioDiTModel(
        sample_size=size,
        in_channels=latent_channels,
        out_channels=latent_channels,
        num_layers=layers,
        num_attention_heads=heads,
        num_key_value_attention_heads=heads,
        attention_head_dim=head_width,
        cross_attention_dim=heads * head_width,
        cross_attention_input_dim=width,
        global_states_input_dim=2 * width,
    )
    with torch.no_grad():
        # The Fourier features expect a time from 0 to 1, this scheduler's runs to 1000.
        transformer.time_proj.weight /= len(scheduler)
    return StableAudioPipeline(
        tokenizer=caption_tokenizer(tokenizer, length),
        text_encoder=encoder,
        projection_model=StableAudioProjectionModel(
            text_encoder_dim=width,
            conditioning_dim=width,
            min_value=0,
            max_value=math.ceil(size * hop / rate),
        ),
        vae=vae,
        transformer=transformer,
        scheduler=scheduler,
    )
