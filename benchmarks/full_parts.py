"""Parts of published sizes with random weights, and the same parts tiny.

Sizes are those of the models' own configuration files: Vicuna 7B (Llama 2's sizes) or Qwen3 8B,
ImageBind huge (its trunks of vision and sound), Stable Diffusion 1.5, AudioLDM (s-full) and
Zeroscope v2 576w. Nothing is downloaded: weights are drawn on the device, and tokenizers are
learned from the Toybox's texts and filled up to the published number of ids.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import diffusers
import torch
import transformers
from tokenizers import Tokenizer
from torch import nn
from transformers import PreTrainedTokenizerFast

from anymodal import AnyModal
from anymodal.decoders import DiffusionDecoder
from anymodal.encoders import ImageBind, ImageBindEncoder
from anymodal.heads import MapperHead
from anymodal.language.model import LanguageModel
from anymodal.modality import Modality
from anymodal.projection import LinearProjection, PerceiverProjection, UniversalProjection
from anymodal.toybox import decoders as nano
from anymodal.toybox.dataset import toybox_tokenizer

SOFT_TOKENS = 30

LANGUAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "vicuna-7b": (
        "Llama",
        {
            **{"vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008},
            **{"num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32},
            **{"max_position_embeddings": 4096, "rms_norm_eps": 1e-5},
        },
    ),
    "qwen3-8b": (
        "Qwen3",
        {
            **{"vocab_size": 151936, "hidden_size": 4096, "intermediate_size": 12288},
            **{"num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 8},
            **{"head_dim": 128, "max_position_embeddings": 40960, "rms_norm_eps": 1e-6},
        },
    ),
}
TINY_LANGUAGE = {
    **{"vocab_size": 1000, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2},
    **{"num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 16},
}
PROJECTIONS = {
    "universal": UniversalProjection,
    "perceiver": PerceiverProjection,
    "linear": LinearProjection,
}
SIGNALS = {"image": 4, "audio": 8, "video": 24}
"""Signals of a span, as NExT-GPT has them (Wu et al. 2024, arXiv:2309.05519)."""

SAMPLING = {
    "image": {"steps": 50, "guidance": 7.5},
    "audio": {"steps": 10, "guidance": 2.5},
    "video": {"steps": 50, "guidance": 9.0},
}
"""The default of the pipelines' own `__call__`."""


def build(full: bool, device: torch.device, language: str, projection: str) -> AnyModal:
    """A model of published sizes, or a tiny one of the same classes.

    Language model and pipelines are bfloat16 at full size and float32 else; what trains, and
    ImageBind, as its loader gives it, are float32.
    """
    dtype = torch.bfloat16 if full else torch.float32
    torch.manual_seed(0)
    words = _language(language, full, device, dtype)
    decoders = {
        name: DiffusionDecoder(pipeline(full, device, dtype), **options).eval()
        for name, (pipeline, options) in _pipelines(full).items()
    }
    with device:
        binder = _binder(full)
        encoders = {name: ImageBindEncoder(binder, name) for name in decoders}
        widths = {name: encoder.width for name, encoder in encoders.items()}
        sizes: Mapping[str, Any] = {} if full else {"width": 32, "depth": 1, "heads": 2}
        fit = {"output_width": words.width, "output_scale": words.embedding_scale}
        connector = PROJECTIONS[projection](
            widths=widths,
            num_tokens=SOFT_TOKENS,
            **fit,
            **(sizes if projection == "universal" else {}),  # type: ignore[arg-type]
        )
        modalities = {
            name: Modality(
                encoder=encoders[name],
                decoder=decoder,
                head=MapperHead(
                    input_width=words.width,
                    num_signal_tokens=SIGNALS[name],
                    spec=decoder.spec,
                    **({} if full else {"hidden_width": 32, "depth": 1}),
                ),
                num_signal_tokens=SIGNALS[name],
                sampling=SAMPLING[name] if full else {"steps": 2, "guidance": 2.0},
            )
            for name, decoder in decoders.items()
        }
    model = AnyModal(words, connector, modalities)
    for part in (*model.encoders.values(), *model.decoders.values()):
        part.requires_grad_(False)
    return model.to(device)


@cache
def shared_model(full: bool, device: str, language: str, projection: str) -> AnyModal:
    """The one model that every stage trains and that chats."""
    return build(full, torch.device(device), language, projection)


def model_of_run(
    full: bool, device: str, language: str, projection: str, lora: bool = False
) -> AnyModal:
    """The model of a run's configuration: the shared one, with NExT-GPT's adapters if asked."""
    model = shared_model(full, device, language, projection)
    if lora and not hasattr(model.language.model, "peft_config"):
        names = ["q_proj", "k_proj", "v_proj", "o_proj"]
        model.language.enable_lora(r=32, alpha=32, dropout=0.1, target_modules=names)
    return model


# ---- Language model and encoders ---------------------------------------------------------------


@cache
def learned_tokenizer(append_end: bool) -> PreTrainedTokenizerFast:
    """The Toybox's tokenizer, made once for every part."""
    return toybox_tokenizer(count=500, append_end=append_end)


def _language(name: str, full: bool, device: torch.device, dtype: torch.dtype) -> LanguageModel:
    kind, sizes = LANGUAGES[name]
    sizes = {**sizes, **({} if full else TINY_LANGUAGE)}
    tokenizer = filled_up(learned_tokenizer(False), sizes["vocab_size"])
    config = getattr(transformers, f"{kind}Config")(
        **sizes,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with device:
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=dtype)
    return LanguageModel(model, tokenizer, name=f"{name}, random").eval()


def filled_up(tokenizer: Any, count: int) -> PreTrainedTokenizerFast:
    """A tokenizer with so many ids; the new ones stand for texts that nothing is split into."""
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    size = len(tokenizer)
    state["model"]["vocab"] |= {f"\u2400{number}": number for number in range(size, count)}
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(state)),
        pad_token=tokenizer.pad_token,
        eos_token=tokenizer.eos_token,
        extra_special_tokens=["<|system|>", "<|user|>", "<|assistant|>"],
        clean_up_tokenization_spaces=False,
        chat_template=tokenizer.chat_template,
    )


def _binder(full: bool) -> ImageBind:
    trunks = ["vision", "audio"]
    if full:
        return ImageBind.preset("huge", trunks).eval()
    small = {"width": 16, "blocks": 1, "heads": 2}
    return ImageBind(
        {
            "vision": {**small, "size": 16, "patch": 8, "clips": 2, "frame_seconds": 0.25},
            "audio": {**small, "mel_bins": 32, "stride": 16, "clips": 1},
        },
        embedding=16,
    ).eval()


# ---- Pipelines ---------------------------------------------------------------------------------

Pipeline = Callable[[bool, torch.device, torch.dtype], Any]


def _pipelines(full: bool) -> dict[str, tuple[Pipeline, dict[str, Any]]]:
    """Builders of the pipelines, with the options of their families."""
    film = {"frames": 24, "height": 320, "width": 576} if full else {"frames": 3}
    return {
        "image": (stable_diffusion, {}),
        "audio": (audioldm, {}),
        "video": (zeroscope, film),
    }


def _part(device: torch.device, dtype: torch.dtype, build: Callable[[], nn.Module]) -> Any:
    """A part with weights drawn on a device."""
    with device:
        part = build().eval()
    return part if dtype == torch.float32 else part.to(dtype)


def _caption_words(length: int, full: bool) -> Any:
    return nano.caption_tokenizer(learned_tokenizer(True), length if full else 12)


def _clip(full: bool, words: Any, **sizes: Any) -> transformers.CLIPTextModel:
    if not full:
        sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
        sizes |= {"num_attention_heads": 2, "vocab_size": len(words)}
        sizes["max_position_embeddings"] = words.model_max_length
    ids = {"pad_token_id": words.pad_token_id, "bos_token_id": None}
    return transformers.CLIPTextModel(
        transformers.CLIPTextConfig(**sizes, **ids, eos_token_id=words.eos_token_id)
    )


def _autoencoder(full: bool, *channels: int, **options: Any) -> diffusers.AutoencoderKL:
    channels = channels if full else (8, 8)
    return diffusers.AutoencoderKL(
        block_out_channels=channels,
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        layers_per_block=2 if full else 1,
        norm_num_groups=32 if full else 4,
        **options,
    )


def _crossing(kind: str, count: int, first: bool) -> dict[str, Any]:
    """A UNet's blocks: attention in all but its last level, or in all but its `first`."""
    down = [f"CrossAttnDownBlock{kind}"] * count
    up = [f"CrossAttnUpBlock{kind}"] * count
    down[0 if first else -1], up[-1 if first else 0] = f"DownBlock{kind}", f"UpBlock{kind}"
    return {"down_block_types": tuple(down), "up_block_types": tuple(up)}


_NOISE = {"beta_schedule": "scaled_linear", "clip_sample": False, "steps_offset": 1}


def _schedule(first: float, last: float) -> diffusers.DDIMScheduler:
    return diffusers.DDIMScheduler(
        beta_start=first, beta_end=last, set_alpha_to_one=False, **_NOISE
    )


_TINY: dict[str, Any] = {
    **{"block_out_channels": (8, 16), "cross_attention_dim": 16, "sample_size": 8},
    **{"attention_head_dim": 8, "layers_per_block": 1, "norm_num_groups": 4},
}
"""A UNet's sizes where there is no GPU."""


def _beside_unet(
    full: bool, device: torch.device, dtype: torch.dtype, text: dict[str, Any]
) -> dict[str, Any]:
    """Parts of Stable Diffusion, and of its descendants, beside the UNet."""
    words = _caption_words(77, full)
    text = {**text, "vocab_size": 49408, "max_position_embeddings": 77}
    return {
        "vae": _part(
            device, dtype, lambda: _autoencoder(full, 128, 256, 512, 512, scaling_factor=0.18215)
        ),
        "text_encoder": _part(device, dtype, lambda: _clip(full, words, **text)),
        "tokenizer": words,
        "scheduler": _schedule(0.00085, 0.012),
    }


def stable_diffusion(full: bool, device: torch.device, dtype: torch.dtype) -> Any:
    """Stable Diffusion 1.5 (https://arxiv.org/abs/2112.10752): 512 by 512 pixels."""
    sizes: dict[str, Any] = {"block_out_channels": (320, 640, 1280, 1280)}
    sizes |= {"cross_attention_dim": 768, "attention_head_dim": 8, "sample_size": 64}
    text = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12}
    text["num_attention_heads"] = 12
    if not full:
        sizes = _TINY
    blocks = _crossing("2D", len(sizes["block_out_channels"]), first=False)
    return diffusers.StableDiffusionPipeline(
        **_beside_unet(full, device, dtype, text),
        unet=_part(device, dtype, lambda: diffusers.UNet2DConditionModel(**sizes, **blocks)),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def audioldm(full: bool, device: torch.device, dtype: torch.dtype) -> Any:
    """AudioLDM, s-full (https://arxiv.org/abs/2301.12503): 5.12 seconds at 16 kHz."""
    words = _caption_words(512, full)
    sizes: dict[str, Any] = {"block_out_channels": (128, 256, 384, 640), "sample_size": 128}
    sizes |= {"in_channels": 8, "out_channels": 8, "attention_head_dim": 8}
    text: dict[str, Any] = {"projection_dim": 512}
    voice: dict[str, Any] = {"model_in_dim": 64, "upsample_initial_channel": 1024}
    voice |= {"upsample_rates": [5, 4, 2, 2, 2], "upsample_kernel_sizes": [16, 16, 8, 4, 4]}
    if not full:
        sizes = {"block_out_channels": (8, 16), "sample_size": 8, "attention_head_dim": 8}
        sizes |= {"layers_per_block": 1, "norm_num_groups": 4}
        text = {"projection_dim": 16, "hidden_size": 16, "intermediate_size": 32}
        text |= {"num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 32}
        voice = {"model_in_dim": 8, "upsample_initial_channel": 8, "upsample_rates": [2, 2]}
        voice |= {"upsample_kernel_sizes": [4, 4], "resblock_kernel_sizes": [3]}
        voice |= {"resblock_dilation_sizes": [[1, 3]], "sampling_rate": 800}
    # Positions count from the padding's id, so it is the published one; a mask says what is real.
    text_config = transformers.ClapTextConfig(
        vocab_size=50265 if full else len(words), pad_token_id=1, **text
    )
    width = text["projection_dim"]
    class_dim = {
        "cross_attention_dim": sizes["block_out_channels"],
        "class_embed_type": "simple_projection",
        "projection_class_embeddings_input_dim": width,
        "class_embeddings_concat": True,
        **_crossing("2D", len(sizes["block_out_channels"]), first=True),
    }
    one = {"in_channels": 1, "out_channels": 1, "scaling_factor": 0.9227914214134216}
    return diffusers.AudioLDMPipeline(
        vae=_part(
            device,
            dtype,
            lambda: _autoencoder(
                full, 128, 256, 512, latent_channels=sizes.get("in_channels", 4), **one
            ),
        ),
        text_encoder=_part(
            device, dtype, lambda: transformers.ClapTextModelWithProjection(text_config)
        ),
        tokenizer=words,
        unet=_part(device, dtype, lambda: diffusers.UNet2DConditionModel(**sizes, **class_dim)),
        scheduler=_schedule(0.0015, 0.0195),
        vocoder=_part(
            device,
            dtype,
            lambda: transformers.SpeechT5HifiGan(
                transformers.SpeechT5HifiGanConfig(**voice, normalize_before=False)
            ),
        ),
    )


def zeroscope(full: bool, device: torch.device, dtype: torch.dtype) -> Any:
    """Zeroscope v2 576w, of ModelScope's sizes (https://arxiv.org/abs/2308.06571)."""
    sizes: dict[str, Any] = {"block_out_channels": (320, 640, 1280, 1280), "sample_size": 32}
    sizes |= {"cross_attention_dim": 1024, "attention_head_dim": 64}
    text = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 23}
    text |= {"num_attention_heads": 16, "hidden_act": "gelu"}
    if not full:
        sizes = _TINY
    blocks = _crossing("3D", len(sizes["block_out_channels"]), first=False)
    return diffusers.TextToVideoSDPipeline(
        **_beside_unet(full, device, dtype, text),
        unet=_part(device, dtype, lambda: diffusers.UNet3DConditionModel(**sizes, **blocks)),
    )
