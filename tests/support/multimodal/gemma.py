"""Gemma's: 3 and 4."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import transformers as hf
from torch import Tensor

from tests.support.language_models import on_pieces
from tests.support.multimodal.base import SIGLIP, MultimodalModel

GEMMA_PICTURES = {
    "image_processor_type": "Gemma3ImageProcessor",
    "size": {"height": 16, "width": 16},
}
GEMMA = (
    "{{ bos_token }}{% for m in messages %}"
    "<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n"
    "{% if m.content is string %}{{ m.content | trim }}{% else %}"
    "{% for item in m.content %}{% if item.type == 'image' %}{{ '<start_of_image>' }}"
    "{% else %}{{ item.text | trim }}{% endif %}{% endfor %}{% endif %}"
    "<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)


def _gemma_tokenizer() -> Any:
    marks = ["<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>"]
    marks.append("<image_soft_token>")
    # Lines' ends are one token, as in Gemma's vocabulary.
    return on_pieces(
        hf.GemmaTokenizer,
        ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *marks),
        ("a\n\n\nb\n\nc\n",),
        extra_special_tokens=marks,
        chat_template=GEMMA,
    )


def _gemma_pictures(pictures: list[Any]) -> tuple[list[str], dict[str, Any]]:
    processor = hf.Gemma3ImageProcessorPil(**GEMMA_PICTURES)
    inputs = dict(processor(pictures, return_tensors="pt"))
    del inputs["num_crops"]
    text = f"\n\n<start_of_image>{'<image_soft_token>' * 4}<end_of_image>\n\n"
    return [text] * len(pictures), inputs


BUDGET = {
    "image_processor_type": "Gemma4ImageProcessor",
    "patch_size": 4,
    "pooling_kernel_size": 2,
    "max_soft_tokens": 70,
}
BUDGET_CLIPS = {**BUDGET, "image_processor_type": None, "num_frames": 3}
GEMMA_SOUNDS = {
    "feature_extractor_type": "Gemma4AudioFeatureExtractor",
    **{"feature_size": 8, "sampling_rate": 16_000, "frame_length_ms": 20, "hop_length_ms": 10},
}
# In the style of the published ones: contents are trimmed, the system's is taken as a text alone,
# thoughts are taken out of replies, and lines' ends stand around what is seen.
GEMMA_4 = (
    "{%- macro spoken(text) -%}{%- set kept = namespace(text='') -%}"
    "{%- for piece in text.split('<channel|>') -%}"
    "{%- set kept.text = kept.text + piece.split('<|channel>')[0] -%}{%- endfor -%}"
    "{{- kept.text | trim -}}{%- endmacro -%}"
    "{%- set state = namespace(talk=messages) -%}{{ bos_token }}"
    "{%- if enable_thinking | default(false) or tools or messages[0].role == 'system' -%}"
    "{{- '<|turn>system\n' -}}"
    "{%- if messages[0].role == 'system' -%}"
    "{{- messages[0].content | trim -}}{%- set state.talk = messages[1:] -%}{%- endif -%}"
    "{{- '<turn|>\n' -}}{%- endif -%}"
    "{%- for m in state.talk -%}"
    "{%- set role = 'model' if m.role == 'assistant' else m.role -%}{{- '<|turn>' + role + '\n' -}}"
    "{%- if m.content is string -%}"
    "{{- spoken(m.content) if role == 'model' else m.content | trim -}}"
    "{%- else -%}{%- for item in m.content -%}"
    "{%- if item.type == 'text' -%}"
    "{{- spoken(item.text) if role == 'model' else item.text | trim -}}"
    "{%- elif item.type == 'audio' -%}{{- '<|audio|>' -}}"
    "{%- else -%}{{- '\n\n<|' + item.type + '|>\n\n' -}}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}{{- '<turn|>\n' -}}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|turn>model\n' -}}THOUGHT{%- endif -%}"
)
NO_THOUGHT = "<|channel>thought\n<channel|>"
"""Of the large models' template, where thinking is off: the end of a prompt."""
MARKS_4 = [
    *("<|turn>", "<turn|>", "<|image>", "<image|>", "<|image|>", "<|video|>"),
    *("<|audio>", "<audio|>", "<|audio|>", "<|channel>", "<channel|>"),
    *("<|tool>", "<tool|>", "<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>"),
    '<|"|>',
]


def _gemma_4_tokenizer(thought: str = "") -> Any:
    return on_pieces(
        hf.GemmaTokenizer,
        ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *MARKS_4),
        ("00:00 01:23 a\n\n\nthought\n",),
        eos_token="<turn|>",
        extra_special_tokens=MARKS_4,
        chat_template=GEMMA_4.replace("THOUGHT", thought),
    )


def _large_tokenizer() -> Any:
    off = "{%- if not enable_thinking | default(false) -%}{{- '" + NO_THOUGHT + "' -}}{%- endif -%}"
    return _gemma_4_tokenizer(off.replace("\n", "\\n"))


def _gemma_4_ids(tokenizer: Any) -> dict[str, int]:
    marks = {
        **{"boi_token_id": "<|image>", "image_token_id": "<|image|>", "eoi_token_id": "<image|>"},
        **{"boa_token_id": "<|audio>", "audio_token_id": "<|audio|>"},
        **{"eoa_token_index": "<audio|>", "video_token_id": "<|video|>"},
    }
    return {name: tokenizer.convert_tokens_to_ids(mark) for name, mark in marks.items()}


def _gemma_4_pictures(pictures: list[Any]) -> tuple[list[str], dict[str, Any]]:
    processor = hf.Gemma4ImageProcessorPil(**BUDGET)
    inputs = dict(processor(pictures, return_tensors="pt"))
    counts = inputs.pop("num_soft_tokens_per_image")
    return [f"<|image>{'<|image|>' * int(count)}<image|>" for count in counts], inputs


def unified_patches(pixels: Any, places: Any) -> tuple[Tensor, Tensor]:
    """Patches as large as a soft token's place, and these, of a processor's small ones.

    The unified models' own processor is torchvision's alone.
    """
    small, pool = BUDGET["patch_size"], BUDGET["pooling_kernel_size"]
    side, most = small * pool, BUDGET["max_soft_tokens"]
    large, at = torch.zeros(len(pixels), most, 3 * side**2), torch.full((len(pixels), most, 2), -1)
    for number, (values, points) in enumerate(zip(pixels, places, strict=True)):
        columns, rows = (int(points[:, axis].max()) + 1 for axis in (0, 1))
        canvas = np.zeros((rows * small, columns * small, 3), np.float32)
        for value, (x, y) in zip(values, points.tolist(), strict=True):
            if x >= 0:
                square = value.reshape(small, small, 3)
                canvas[y * small : (y + 1) * small, x * small : (x + 1) * small] = square
        corners = [(x, y) for y in range(rows // pool) for x in range(columns // pool)]
        for place, (x, y) in enumerate(corners):
            square = canvas[y * side : (y + 1) * side, x * side : (x + 1) * side]
            large[number, place] = torch.tensor(square.flatten())
            at[number, place] = torch.tensor([x, y])
    return large, at


def _unified_pictures(pictures: list[Any]) -> tuple[list[str], dict[str, Any]]:
    texts, inputs = _gemma_4_pictures(pictures)
    pixels, places = unified_patches(inputs["pixel_values"], inputs["image_position_ids"])
    return texts, {"pixel_values": pixels, "image_position_ids": places}


def _with_kinds(ids: Tensor, inputs: dict[str, Any]) -> dict[str, Any]:
    image = _gemma_4_ids(_gemma_4_tokenizer())["image_token_id"]
    return {**inputs, "mm_token_type_ids": (ids == image).long()} if inputs else inputs


TEXT_4 = {
    **{"num_hidden_layers": 4, "pad_token_id": 0, "global_head_dim": 8, "sliding_window": 4096},
    "layer_types": ["sliding_attention", "full_attention"] * 2,
    **{"final_logit_softcapping": 30.0, "max_position_embeddings": 800},
}
VISION_4 = {
    **{"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "head_dim": 8},
    **{"num_attention_heads": 2, "num_key_value_heads": 2, "patch_size": 4},
    **{"pooling_kernel_size": 2, "position_embedding_size": 80, "initializer_range": 0.3},
}
AUDIO_4 = {
    **{"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2},
    # The first number is that of bands, too.
    **{"subsampling_conv_channels": [8, 4], "conv_kernel_size": 3, "output_proj_dims": 16},
    **{"attention_chunk_size": 4, "attention_context_left": 5, "initializer_range": 0.3},
}
FILES_4 = {
    "preprocessor_config.json": {**BUDGET, **GEMMA_SOUNDS},
    "video_preprocessor_config.json": BUDGET_CLIPS,
}

UNIFIED_SOUNDS = {
    "feature_extractor_type": "Gemma4UnifiedAudioFeatureExtractor",
    **{"feature_size": 40, "sampling_rate": 16_000, "audio_samples_per_token": 40},
}

GEMMA_MODELS: dict[str, MultimodalModel] = {
    "gemma-3": MultimodalModel(
        "Gemma 3",
        hf.Gemma3ForConditionalGeneration,
        _gemma_tokenizer,
        {
            "query_pre_attn_scalar": 8,
            "layer_types": ["sliding_attention", "full_attention"],
            "sliding_window": 4096,
            "pad_token_id": 0,
        },
        {**SIGLIP, "model_type": "siglip_vision_model"},
        lambda tokenizer: {
            "image_token_index": tokenizer.convert_tokens_to_ids("<image_soft_token>"),
            "boi_token_index": tokenizer.convert_tokens_to_ids("<start_of_image>"),
            "eoi_token_index": tokenizer.convert_tokens_to_ids("<end_of_image>"),
        },
        {"preprocessor_config.json": GEMMA_PICTURES},
        {"mm_tokens_per_image": 4},
        own=_gemma_pictures,
        mark="<start_of_image>",
        types="<image_soft_token>",
    ),
    "gemma-4-small": MultimodalModel(
        "Gemma 4: E2B, E4B",
        hf.Gemma4ForConditionalGeneration,
        _gemma_4_tokenizer,
        {**TEXT_4, "hidden_size_per_layer_input": 4, "num_kv_shared_layers": 2},
        VISION_4,
        _gemma_4_ids,
        FILES_4,
        {"audio_config": AUDIO_4},
        reads=("image", "video", "audio"),
        own=_gemma_4_pictures,
        mark="<|image|>",
        finish=_with_kinds,
    ),
    "gemma-4-large": MultimodalModel(
        "Gemma 4: 26B, 31B",
        hf.Gemma4ForConditionalGeneration,
        _large_tokenizer,
        {
            **TEXT_4,
            **{"hidden_size_per_layer_input": 0, "use_bidirectional_attention": "vision"},
            **{"attention_k_eq_v": True, "num_global_key_value_heads": 1, "num_experts": 4},
            **{"enable_moe_block": True, "top_k_experts": 2, "moe_intermediate_size": 28},
        },
        VISION_4,
        _gemma_4_ids,
        {**FILES_4, "preprocessor_config.json": BUDGET},
        {"audio_config": None},
        reads=("image", "video"),
        own=_gemma_4_pictures,
        mark="<|image|>",
        finish=_with_kinds,
    ),
    "gemma-4-unified": MultimodalModel(
        "Gemma 4: 12B, without towers",
        hf.Gemma4UnifiedForConditionalGeneration,
        _large_tokenizer,
        {**TEXT_4, "use_bidirectional_attention": "vision"},
        {
            **{"patch_size": 4, "pooling_kernel_size": 2, "mm_embed_dim": 32},
            **{"output_proj_dims": 32, "mm_posemb_size": 80, "initializer_range": 0.3},
        },
        _gemma_4_ids,
        {**FILES_4, "preprocessor_config.json": {**BUDGET, **UNIFIED_SOUNDS}},
        {"audio_config": {"audio_embed_dim": 40}},
        reads=("image", "video", "audio"),
        own=_unified_pictures,
        mark="<|image|>",
        finish=_with_kinds,
        is_exact=False,
    ),
}
