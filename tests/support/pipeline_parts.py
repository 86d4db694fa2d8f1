"""Tiny parts that pipelines of several families share: tokenizers, autoencoders, networks."""

from __future__ import annotations

from typing import Any

from diffusers import AutoencoderKL, UNet2DConditionModel
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast, T5EncoderModel

from anymodal.toybox import decoders as nano

TOKENIZER_FILES = "a big small red blue ball bell bird moving left right fast slow"


LENGTH = 12


SMALL: dict[str, Any] = {"heads": 2, "head_width": 16, "layers": 1, "length": LENGTH, "width": 16}


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


def words() -> Any:
    return nano.caption_tokenizer(tokenizer(), LENGTH)


def small_vae() -> AutoencoderKL:
    return nano.image_autoencoder(size=16, channels=(8, 8), groups=4)


def shifted_vae() -> AutoencoderKL:
    vae = small_vae()
    vae.register_to_config(shift_factor=0.1, scaling_factor=0.9)
    return vae


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


def qwen_tokenizer(length: int = LENGTH) -> Any:
    """Words, with the tokens of Qwen's chat and of its pictures; it cuts texts as Qwen's does."""
    names = ("im_start", "im_end", "vision_start", "vision_end", "image_pad", "video_pad")
    special = [f"<|{name}|>" for name in names]
    vocabulary = {"<pad>": 0, "<unk>": 1, **{name: 2 + i for i, name in enumerate(special)}}
    for word in TOKENIZER_FILES.split():
        vocabulary[word] = len(vocabulary)
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    pieces = Regex(r"\n|\w+|[^\w\s]")
    made.pre_tokenizer = pre_tokenizers.Split(pieces, "removed", invert=True)
    made = PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token="<pad>",
        unk_token="<unk>",
        additional_special_tokens=special,
    )
    made.model_max_length = length
    return made
