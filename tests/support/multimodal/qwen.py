"""Qwen's: VL 2.5 and 3, and the thinkers of Omni 2.5 and 3."""

from __future__ import annotations

from typing import Any

import transformers as hf

from tests.support.language_models import on_bytes
from tests.support.multimodal.base import MultimodalModel

QWEN_TOWER: dict[str, Any] = {
    "depth": 2,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_heads": 2,
    "out_hidden_size": 16,
    "patch_size": 4,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "initializer_range": 0.3,
}
QWEN_ROPE = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1]}
QWEN_PICTURES = {
    "image_processor_type": "Qwen2VLImageProcessor",
    "patch_size": 4,
    "merge_size": 2,
    "temporal_patch_size": 2,
    "size": {"shortest_edge": 128, "longest_edge": 1024},
}
QWEN_CLIPS = {
    **QWEN_PICTURES,
    "image_processor_type": None,
    "size": {"shortest_edge": 128, "longest_edge": 4096},
    "fps": 2,
}

QWEN_VL = (
    "{% for m in messages %}"
    "{% if loop.first and m.role != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "<|im_start|>{{ m.role }}\n"
    "{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for part in m.content %}"
    "{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif part.type == 'video' %}<|vision_start|><|video_pad|><|vision_end|>"
    "{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
QWEN_MARKS = [
    *("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"),
    *("<|image_pad|>", "<|video_pad|>"),
]


def _qwen_tokenizer() -> Any:
    return on_bytes(
        hf.Qwen2Tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=QWEN_MARKS,
        chat_template=QWEN_VL,
    )


def _qwen_ids(tokenizer: Any) -> dict[str, int]:
    names = {
        "image_token_id": "<|image_pad|>",
        "video_token_id": "<|video_pad|>",
        "vision_start_token_id": "<|vision_start|>",
        "vision_end_token_id": "<|vision_end|>",
    }
    return {key: tokenizer.convert_tokens_to_ids(token) for key, token in names.items()}


def _qwen_pictures(pictures: list[Any]) -> tuple[list[str], dict[str, Any]]:
    processor = hf.Qwen2VLImageProcessorPil(**QWEN_PICTURES)
    inputs = dict(processor(pictures, return_tensors="pt"))
    counts = (inputs["image_grid_thw"].prod(-1) // 4).tolist()
    return ["<|image_pad|>" * count for count in counts], inputs


_QWEN_FILES = {
    "preprocessor_config.json": QWEN_PICTURES,
    "video_preprocessor_config.json": QWEN_CLIPS,
}

OMNI_MARKS = {
    "<|vision_start|>": "<|vision_bos|>",
    "<|vision_end|>": "<|vision_eos|>",
    "<|image_pad|>": "<|IMAGE|>",
    "<|video_pad|>": "<|VIDEO|>",
}
SOUNDS = {"feature_size": 8, "n_fft": 64, "hop_length": 160, "chunk_length": 4}
SOUND_TOWER = {
    **{"num_mel_bins": 8, "encoder_layers": 2, "encoder_attention_heads": 2, "d_model": 16},
    **{"encoder_ffn_dim": 24, "n_window": 10, "output_dim": 16, "max_source_positions": 100},
    "initializer_range": 0.3,
}


def _omni_tokenizer() -> Any:
    template = QWEN_VL
    for mark, own in OMNI_MARKS.items():
        template = template.replace(mark, own)
    marks = ["<|im_start|>", "<|im_end|>", *OMNI_MARKS.values()]
    return on_bytes(
        hf.Qwen2Tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=[*marks, "<|audio_bos|>", "<|audio_eos|>", "<|AUDIO|>"],
        chat_template=template,
    )


def _omni_ids(tokenizer: Any) -> dict[str, int]:
    names = {
        "image_token_index": "<|IMAGE|>",
        "video_token_index": "<|VIDEO|>",
        "audio_token_index": "<|AUDIO|>",
        "vision_start_token_id": "<|vision_bos|>",
        "vision_end_token_id": "<|vision_eos|>",
        "audio_start_token_id": "<|audio_bos|>",
        "audio_end_token_id": "<|audio_eos|>",
    }
    return {key: tokenizer.convert_tokens_to_ids(token) for key, token in names.items()}


def _omni_pictures(pictures: list[Any]) -> tuple[list[str], dict[str, Any]]:
    marks, inputs = _qwen_pictures(pictures)
    return [mark.replace("<|image_pad|>", "<|IMAGE|>") for mark in marks], inputs


SOUND_MARKS = ["<|audio_start|>", "<|audio_end|>", "<|audio_pad|>"]


def _qwen3_omni_tokenizer() -> Any:
    return on_bytes(
        hf.Qwen2Tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=[*QWEN_MARKS, *SOUND_MARKS],
        chat_template=QWEN_VL,
    )


def _qwen3_omni_ids(tokenizer: Any) -> dict[str, int]:
    names = zip(("audio_start", "audio_end", "audio"), SOUND_MARKS, strict=True)
    sounds = {f"{name}_token_id": tokenizer.convert_tokens_to_ids(mark) for name, mark in names}
    return {**_qwen_ids(tokenizer), **sounds}


QWEN_MODELS: dict[str, MultimodalModel] = {
    "qwen2.5-vl": MultimodalModel(
        "Qwen2.5-VL",
        hf.Qwen2_5_VLForConditionalGeneration,
        _qwen_tokenizer,
        {"rope_parameters": QWEN_ROPE},
        {**QWEN_TOWER, "fullatt_block_indexes": [1], "window_size": 16, "tokens_per_second": 3},
        _qwen_ids,
        _QWEN_FILES,
        reads=("image", "video"),
        own=_qwen_pictures,
    ),
    "qwen3-vl": MultimodalModel(
        "Qwen3-VL",
        hf.Qwen3VLForConditionalGeneration,
        _qwen_tokenizer,
        {"rope_parameters": {**QWEN_ROPE, "mrope_interleaved": True}},
        {**QWEN_TOWER, "deepstack_visual_indexes": [0, 1], "num_position_embeddings": 64},
        _qwen_ids,
        _QWEN_FILES,
        reads=("image", "video"),
        own=_qwen_pictures,
    ),
    "qwen2.5-omni": MultimodalModel(
        "Qwen2.5-Omni's thinker",
        hf.Qwen2_5OmniThinkerForConditionalGeneration,
        _omni_tokenizer,
        {"rope_parameters": QWEN_ROPE, "tie_word_embeddings": False},
        {**QWEN_TOWER, "fullatt_block_indexes": [1], "window_size": 16},
        _omni_ids,
        {
            "preprocessor_config.json": {**QWEN_PICTURES, **SOUNDS},
            "video_preprocessor_config.json": QWEN_CLIPS,
        },
        {"audio_config": SOUND_TOWER},
        reads=("image", "video", "audio"),
        own=_omni_pictures,
        mark="<|IMAGE|>",
    ),
    "qwen3-omni": MultimodalModel(
        "Qwen3-Omni's thinker",
        hf.Qwen3OmniMoeThinkerForConditionalGeneration,
        _qwen3_omni_tokenizer,
        {
            "rope_parameters": {**QWEN_ROPE, "mrope_interleaved": True},
            **{"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16},
        },
        {**QWEN_TOWER, "deepstack_visual_indexes": [0, 1], "num_position_embeddings": 64},
        _qwen3_omni_ids,
        {
            "preprocessor_config.json": {**QWEN_PICTURES, **SOUNDS},
            "video_preprocessor_config.json": QWEN_CLIPS,
        },
        {"audio_config": {**SOUND_TOWER, "n_window": 50, "downsample_hidden_size": 4}},
        reads=("image", "video", "audio"),
        own=_qwen_pictures,
    ),
}
