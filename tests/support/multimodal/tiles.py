"""Those that cut pictures into tiles: InternVL, Idefics 3, SmolVLM, LLaVA-OneVision, Llama 3.2."""

from __future__ import annotations

from typing import Any

import torch
import transformers as hf
from torch import Tensor
from transformers.models.mllama import processing_mllama

from tests.support.language_models import on_bytes
from tests.support.multimodal.base import FRAMES, SIGLIP, MultimodalModel
from tests.support.multimodal.qwen import QWEN_VL

TILES = {
    "image_processor_type": "GotOcr2ImageProcessor",
    "size": {"height": 16, "width": 16},
    "max_patches": 4,
}
INTERNVL = QWEN_VL.replace(
    "<|vision_start|><|image_pad|><|vision_end|>", "{{ '<IMG_CONTEXT>\\n' }}"
).replace("<|vision_start|><|video_pad|><|vision_end|>", "{{ '<video>\\n' }}")


def _internvl_pictures(pictures: list[Any]) -> tuple[list[str], dict[str, Any]]:
    processor = hf.GotOcr2ImageProcessorPil(**TILES, crop_to_patches=True)
    inputs = dict(processor(pictures, return_tensors="pt"))
    counts = inputs.pop("num_patches").tolist()
    return [f"<img>{'<IMG_CONTEXT>' * 4 * count}</img>" for count in counts], inputs


def _internvl_tokenizer() -> Any:
    marks = ["<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>"]
    return on_bytes(
        hf.Qwen2Tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=marks,
        chat_template=INTERNVL,
    )


# Contents as lists of parts alone, and a colon that depends on what comes first.
IDEFICS = (
    "<|im_start|>{% for message in messages %}{{message['role'] | capitalize}}"
    "{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}"
    "{% for line in message['content'] %}"
    "{% if line['type'] == 'text' %}{{line['text']}}"
    "{% elif line['type'] == 'image' %}{{ '<image>' }}"
    "{% elif line['type'] == 'video' %}{{ '<video>' }}{% endif %}"
    "{% endfor %}<end_of_utterance>\n{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
NAMED_TILES = {
    "image_processor_type": "Idefics3ImageProcessor",
    "size": {"longest_edge": 48},
    "max_image_size": {"longest_edge": 16},
}


def _idefics_tokenizer() -> Any:
    rows = [f"<row_{row + 1}_col_{column + 1}>" for row in range(4) for column in range(4)]
    marks = ["<|im_start|>", "<end_of_utterance>", "<image>", "<fake_token_around_image>"]
    return on_bytes(
        hf.GPT2Tokenizer,
        bos_token="<|im_start|>",
        eos_token="<end_of_utterance>",
        unk_token="<|endoftext|>",
        extra_special_tokens=[*marks[2:], "<global-img>", *rows],
        chat_template=IDEFICS,
    )


def _named_pictures(kind: Any) -> Any:
    def pictures(items: list[Any]) -> tuple[list[str], dict[str, Any]]:
        processor = kind(**NAMED_TILES, return_row_col_info=True)
        inputs = dict(processor([items], return_tensors="pt"))
        rows, columns = inputs.pop("rows")[0], inputs.pop("cols")[0]
        around, tokens = "<fake_token_around_image>", "<image>" * 4
        texts = []
        for height, width in zip(rows, columns, strict=True):
            lines = [
                "".join(f"{around}<row_{r + 1}_col_{c + 1}>{tokens}" for c in range(width)) + "\n"
                for r in range(height)
            ]
            last = f"{around}<global-img>{tokens}{around}"
            texts.append("".join(lines) + ("\n" if height else "") + last)
        return texts, inputs

    return pictures


def _idefics(label: str, model: Any, processor: Any, clips: bool = False) -> MultimodalModel:
    sampling = {"fps": 2, "max_frames": 5, "video_size": {"longest_edge": 24}}
    settings = {**NAMED_TILES, **({"video_sampling": sampling} if clips else {})}
    return MultimodalModel(
        label,
        model,
        _idefics_tokenizer,
        {"model_type": "llama"},
        {
            **{"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2},
            **{"num_attention_heads": 2, "image_size": 16, "patch_size": 4},
            "initializer_range": 0.3,
        },
        lambda tokenizer: {"image_token_id": tokenizer.convert_tokens_to_ids("<image>")},
        {"preprocessor_config.json": settings},
        reads=("image", "video") if clips else ("image",),
        own=_named_pictures(processor),
        mark="<image>",
    )


PINPOINTS = [[16, 16], [16, 32], [16, 48], [32, 16], [32, 32], [32, 48], [48, 48]]
ANY_RESOLUTION = {
    "image_processor_type": "LlavaOnevisionImageProcessor",
    "size": {"height": 16, "width": 16},
    "image_grid_pinpoints": PINPOINTS,
}
# All pictures of a message first.
ONEVISION = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + ' '}}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}"
    "{{ '<image>' }}{% endfor %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'video') %}"
    "{{ '<video>' }}{% endfor %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{{ '\n' + content['text'] }}{% endfor %}{{'<|im_end|>'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def _onevision_tokenizer() -> Any:
    return on_bytes(
        hf.Qwen2Tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=["<|im_start|>", "<|im_end|>", "<image>", "<video>"],
        chat_template=ONEVISION,
    )


def _onevision_pictures(pictures: list[Any]) -> tuple[list[str], dict[str, Any]]:
    processor = hf.LlavaOnevisionImageProcessorPil(**ANY_RESOLUTION)
    inputs = dict(processor(pictures, return_tensors="pt"))
    del inputs["batch_num_images"]
    own = hf.LlavaOnevisionProcessor.__new__(hf.LlavaOnevisionProcessor)
    own.image_processor, own.num_image_tokens = processor, 16
    own.vision_aspect_ratio = "anyres_max_2"
    sizes = inputs["image_sizes"].tolist()
    counts = [own._get_number_of_features(*size, 16, 16) for size in sizes]
    return ["<image>" * count for count in counts], inputs


ACROSS = {
    "image_processor_type": "MllamaImageProcessor",
    "size": {"height": 16, "width": 16},
    "max_image_tiles": 4,
}
# In the style of the published one: where there are pictures, no system message stands by itself.
LLAMA_3 = (
    "{{ bos_token }}{% set seen = namespace(pictures=false, talk=messages, system='') %}"
    "{% if messages[0].role == 'system' %}"
    "{% set seen.system = messages[0].content | trim %}{% set seen.talk = messages[1:] %}"
    "{% endif %}"
    "{% for m in seen.talk %}{% for part in m.content %}"
    "{% if part['type'] == 'image' %}{% set seen.pictures = true %}{% endif %}"
    "{% endfor %}{% endfor %}"
    "{% if seen.system or not seen.pictures %}"
    "<|start_header_id|>system<|end_header_id|>\n\nToday\n\n{{ seen.system }}<|eot_id|>{% endif %}"
    "{% for m in seen.talk %}"
    "<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
    "{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for part in m.content %}"
    "{% if part.type == 'image' %}<|image|>{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}{% endif %}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)


def _llama_3_tokenizer() -> Any:
    marks = ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|image|>"]
    return on_bytes(
        hf.Qwen2Tokenizer,
        bos_token="<|endoftext|>",
        eos_token="<|eot_id|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=marks,
        chat_template=LLAMA_3,
    )


def _llama_pictures(pictures: list[Any]) -> tuple[list[str], dict[str, Any]]:
    processor = hf.MllamaImageProcessorPil(**ACROSS)
    return ["<|image|>"] * len(pictures), dict(processor([pictures], return_tensors="pt"))


def _cross_attention_mask(ids: Tensor, inputs: dict[str, Any]) -> dict[str, Any]:
    if not inputs:
        return inputs
    inputs = dict(inputs)
    counts = inputs.pop("num_tiles")
    image = int(ids.max())  # the last of the vocabulary
    places = [processing_mllama.get_cross_attention_token_mask(ids[0].tolist(), image)]
    mask = processing_mllama.convert_sparse_cross_attention_mask_to_dense(
        places, counts, 4, ids.shape[1]
    )
    return {**inputs, "cross_attention_mask": torch.tensor(mask)}


TILE_MODELS: dict[str, MultimodalModel] = {
    "internvl": MultimodalModel(
        "InternVL",
        hf.InternVLForConditionalGeneration,
        _internvl_tokenizer,
        {"model_type": "qwen2"},
        {
            **{"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2},
            **{"num_attention_heads": 2, "image_size": 16, "patch_size": 4},
            "initializer_range": 0.3,
        },
        lambda tokenizer: {"image_token_id": tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>")},
        {"preprocessor_config.json": TILES, "video_preprocessor_config.json": FRAMES},
        {"image_seq_length": 4, "tie_word_embeddings": False},
        reads=("image", "video"),
        own=_internvl_pictures,
        mark="<IMG_CONTEXT>",
    ),
    "idefics3": _idefics(
        "Idefics 3", hf.Idefics3ForConditionalGeneration, hf.Idefics3ImageProcessorPil
    ),
    "smolvlm": _idefics(
        "SmolVLM", hf.SmolVLMForConditionalGeneration, hf.SmolVLMImageProcessorPil, True
    ),
    "llava-onevision": MultimodalModel(
        "LLaVA-OneVision",
        hf.LlavaOnevisionForConditionalGeneration,
        _onevision_tokenizer,
        {"model_type": "qwen2"},
        {**SIGLIP, "model_type": "siglip_vision_model", "vision_use_head": False},
        lambda tokenizer: {
            "image_token_index": tokenizer.convert_tokens_to_ids("<image>"),
            "video_token_index": tokenizer.convert_tokens_to_ids("<video>"),
        },
        {
            "preprocessor_config.json": ANY_RESOLUTION,
            "video_preprocessor_config.json": FRAMES,
        },
        {"image_grid_pinpoints": PINPOINTS, "vision_aspect_ratio": "anyres_max_2"},
        reads=("image", "video"),
        own=_onevision_pictures,
        mark="<image>",
    ),
    "llama-3.2-vision": MultimodalModel(
        "Llama 3.2 Vision",
        hf.MllamaForConditionalGeneration,
        _llama_3_tokenizer,
        {
            **{"num_hidden_layers": 5, "cross_attention_layers": [1, 3], "bos_token_id": 0},
            **{"rope_parameters": {"rope_type": "default", "rope_theta": 1e4}},
        },
        {
            **{"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2},
            **{"num_global_layers": 1, "attention_heads": 2, "vision_output_dim": 32},
            **{"image_size": 16, "patch_size": 4, "intermediate_layers_indices": [0]},
            "initializer_range": 0.3,
        },
        lambda tokenizer: {"image_token_index": tokenizer.convert_tokens_to_ids("<|image|>")},
        {"preprocessor_config.json": ACROSS},
        own=_llama_pictures,
        mark="<|image|>",
        finish=_cross_attention_mask,
        rowless=1,
        is_exact=False,
    ),
}
