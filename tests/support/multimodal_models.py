"""Multimodal language models of each family, tiny and with random weights, as the hub has them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from torch import Tensor
from transformers.models.mllama import processing_mllama

from anymodal.types import Message
from tests.support.language_models import on_bytes, on_pieces

SMALL_TEXT: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "max_position_embeddings": 400,
    "initializer_range": 0.3,
}
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


@dataclass(frozen=True)
class MultimodalModel:
    """A family of multimodal language models.

    Args:
        label: what readers call it.
        model: transformers' class.
        tokenizer: builds its tokenizer.
        text: its text configuration, beside the small sizes.
        vision: its tower's.
        ids: special ids of its configuration.
        files: further files of its checkpoint.
        config: more of its configuration.
        reads: kinds of media that it reads by itself.
        own: pictures as transformers' processor of it gives them: what stands for each in a text,
            and the model's inputs.
        mark: what stands for a picture in the chat template.
        types: the soft token that the model is told the places of.
        finish: completes the inputs by their ids.
        rowless: tokens at the vocabulary's end that the output layer has no rows for.
        is_exact: whether results are the own class's to the bit.
    """

    label: str
    model: Any
    tokenizer: Callable[[], Any]
    text: dict[str, Any]
    vision: dict[str, Any]
    ids: Callable[[Any], dict[str, int]]
    files: dict[str, Any]
    config: dict[str, Any] = field(default_factory=dict)
    reads: tuple[str, ...] = ("image",)
    own: Callable[[list[Any]], tuple[list[str], dict[str, Any]]] = lambda _: ([], {})
    mark: str = "<|image_pad|>"
    types: str = ""
    finish: Callable[[Tensor, dict[str, Any]], dict[str, Any]] = lambda _, inputs: inputs
    rowless: int = 0
    is_exact: bool = True

    def inputs(self, tokenizer: Any, messages: Sequence[Message]) -> dict[str, Tensor]:
        """The inputs of transformers' own class for a conversation with pictures."""
        parts = [
            {
                "role": message.role,
                "content": [
                    {"type": "text", "text": part} if isinstance(part, str) else {"type": "image"}
                    for part in message.content
                ],
            }
            for message in messages
        ]
        text = tokenizer.apply_chat_template(parts, tokenize=False, add_generation_prompt=True)
        media = [part.pixels for message in messages for part in message.media]
        marks, inputs = self.own(media) if media else ([], {})
        pieces = text.split(self.mark)
        text = pieces[0] + "".join(
            mark + rest for mark, rest in zip(marks, pieces[1:], strict=True)
        )
        ids = torch.tensor([tokenizer(text, add_special_tokens=False)["input_ids"]])
        if "image_grid_thw" in inputs and "video" in self.reads and "audio" not in self.reads:
            token = tokenizer.convert_tokens_to_ids(self.mark)
            inputs = {**inputs, "mm_token_type_ids": (ids == token).long()}
        if inputs and self.types:
            token = tokenizer.convert_tokens_to_ids(self.types)
            inputs = {**inputs, "token_type_ids": (ids == token).long()}
        inputs = self.finish(ids, inputs)
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids), **inputs}

    @property
    def model_type(self) -> str:
        """The name of its architecture."""
        return str(self.model.config_class.model_type)

    def write(self, folder: Path) -> None:
        """Save a new model, its tokenizer and its processors' settings."""
        torch.manual_seed(0)
        tokenizer = self.tokenizer()
        size = int(max(tokenizer.get_vocab().values())) + 1 - self.rowless
        ends = {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id}
        text = {**SMALL_TEXT, "vocab_size": size, "pad_token_id": None, **ends, **self.text}
        config = self.model.config_class(
            text_config=text, vision_config=self.vision, **self.ids(tokenizer), **self.config
        )
        model = self.model(config).eval()
        for name, weight in model.named_parameters():
            if weight.numel() == 1 and "gate" in name:
                weight.data.fill_(0.7)  # closed at first, so that nothing behind it would show
        model.generation_config.eos_token_id = tokenizer.eos_token_id
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        for name, value in self.files.items():
            (folder / name).write_text(json.dumps(value), "utf-8")


def _qwen_pictures(pictures: list[Any]) -> tuple[list[str], dict[str, Any]]:
    processor = hf.Qwen2VLImageProcessorPil(**QWEN_PICTURES)
    inputs = dict(processor(pictures, return_tensors="pt"))
    counts = (inputs["image_grid_thw"].prod(-1) // 4).tolist()
    return ["<|image_pad|>" * count for count in counts], inputs


_QWEN_FILES = {
    "preprocessor_config.json": QWEN_PICTURES,
    "video_preprocessor_config.json": QWEN_CLIPS,
}

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
    "{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}"
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


def _idefics(label: str, model: Any, processor: Any) -> MultimodalModel:
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
        {"preprocessor_config.json": NAMED_TILES},
        own=_named_pictures(processor),
        mark="<image>",
    )


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


SIGLIP: dict[str, Any] = {
    **{"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2},
    **{"num_attention_heads": 2, "image_size": 16, "patch_size": 4},
    "initializer_range": 0.3,
}
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


FRAMES = {"size": {"height": 16, "width": 16}, "num_frames": 3}
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
LLAMA_3 = (
    "{{ bos_token }}{% for m in messages %}"
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


MULTIMODAL_MODELS: dict[str, MultimodalModel] = {
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
    "smolvlm": _idefics("SmolVLM", hf.SmolVLMForConditionalGeneration, hf.SmolVLMImageProcessorPil),
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
