"""Phi-4-multimodal."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import transformers as hf
from PIL import Image as Picture
from torch import Tensor

from tests.support.language_models import on_bytes
from tests.support.multimodal.base import MultimodalModel

SIDE, PATCH = 80, 20
PHI_PICTURES = {
    "image_processor_type": "Phi4MultimodalImageProcessor",
    "size": {"height": SIDE, "width": SIDE},
    "patch_size": PATCH,
    "dynamic_hd": 8,
}
PHI_SOUNDS = {"feature_size": 8, "sampling_rate": 16_000}
# In the style of the published one: a text or parts, and the end of the whole text where no reply
# is to come.
PHI = (
    "{% for m in messages %}{{ '<|' + m.role + '|>' }}"
    "{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for part in m.content %}"
    "{% if part.type == 'image' %}{{ '<|image|>' }}{% elif part.type == 'audio' %}<|audio|>"
    "{% elif part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}{% endif %}"
    "{% if m.role == 'system' and 'tools' in m and m.tools is not none %}"
    "{{ '<|tool|>' + m.tools + '<|/tool|>' }}{% endif %}{{ '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% else %}{{ eos_token }}{% endif %}"
)


def _tokenizer() -> Any:
    return on_bytes(
        hf.GPT2Tokenizer,
        bos_token="<|endoftext|>",
        eos_token="<|endoftext|>",
        unk_token="<|endoftext|>",
        extra_special_tokens=[
            *("<|end|>", "<|user|>", "<|assistant|>", "<|system|>", "<|image|>", "<|audio|>")
        ],
        chat_template=PHI,
    )


def crops_of(pixels: Any) -> tuple[Tensor, Tensor]:
    """The whole of a picture and its crops (1 + r · c, 3, S, S), and masks of their patches."""
    height, width, _ = pixels.shape
    rows, columns = math.ceil(height / SIDE), math.ceil(width / SIDE)
    scale = min(rows * SIDE / height, columns * SIDE / width)
    size = int(height * scale), int(width * scale)
    resized = Picture.fromarray(pixels).resize(size[::-1], Picture.Resampling.BILINEAR)
    canvas = np.full((rows * SIDE, columns * SIDE, 3), 255, np.uint8)
    canvas[: size[0], : size[1]] = np.asarray(resized)
    seen = np.ones((canvas.shape[0] // PATCH, canvas.shape[1] // PATCH))
    if missing := (canvas.shape[0] - size[0]) // PATCH:
        seen[-missing:] = 0
    if missing := (canvas.shape[1] - size[1]) // PATCH:
        seen[:, -missing:] = 0
    values = torch.tensor((canvas / 255 - 0.5) / 0.5, dtype=torch.float32).permute(2, 0, 1)[None]
    whole = F.interpolate(values, size=(SIDE, SIDE), mode="bicubic")
    places = [(r, c) for r in range(rows) for c in range(columns)]
    n = SIDE // PATCH
    parts = [values[:, :, r * SIDE : (r + 1) * SIDE, c * SIDE : (c + 1) * SIDE] for r, c in places]
    masks = [seen[r * n : (r + 1) * n, c * n : (c + 1) * n] for r, c in places]
    return torch.cat([whole, *parts]), torch.tensor(np.stack([np.ones((n, n)), *masks]))


def phi_pictures(pictures: list[Any]) -> tuple[list[str], dict[str, Any]]:
    """The inputs that transformers' processor makes of pictures, which is torchvision's alone."""
    pairs = [crops_of(each) for each in pictures]
    most = max(len(crops) for crops, _ in pairs)
    pixels = [F.pad(crops, (*(0, 0) * 3, 0, most - len(crops))) for crops, _ in pairs]
    masks = [F.pad(each, (*(0, 0) * 2, 0, most - len(each)), value=1) for _, each in pairs]
    grids = [[math.ceil(side / SIDE) for side in each.shape[:2]] for each in pictures]
    texts = []
    for (rows, columns), (_, mask) in zip(grids, pairs, strict=True):
        half = mask[1:, ::2, ::2]
        n = half.shape[-1]
        merged = half.reshape(rows, columns, n, n).transpose(1, 2).reshape(rows * n, columns * n)
        texts.append("<|image|>" * int(n * n + 1 + merged.sum() + merged[:, 0].sum() + n))
    sizes = torch.tensor([[row * SIDE, column * SIDE] for row, column in grids])
    inputs = {
        "image_pixel_values": torch.stack(pixels),
        "image_attention_mask": torch.stack(masks),
        "image_sizes": sizes,
    }
    return texts, inputs


def _config(model: MultimodalModel, text: dict[str, Any], tokenizer: Any) -> Any:
    seen, heard = (tokenizer.convert_tokens_to_ids(mark) for mark in ("<|image|>", "<|audio|>"))
    return model.model.config_class(
        **text,
        vision_config={**model.vision, "image_token_id": seen},
        audio_config={**model.config["audio_config"], "audio_token_id": heard},
    )


PHI_MODELS: dict[str, MultimodalModel] = {
    "phi-4-multimodal": MultimodalModel(
        "Phi-4-multimodal",
        hf.Phi4MultimodalForCausalLM,
        _tokenizer,
        {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4}},
        {
            **{"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2},
            **{"num_attention_heads": 2, "image_size": SIDE, "patch_size": PATCH},
            "crop_size": SIDE,
        },
        lambda _: {},
        {"preprocessor_config.json": {**PHI_PICTURES, **PHI_SOUNDS}},
        {
            "audio_config": {
                **{"hidden_size": 16, "intermediate_size": 24, "num_blocks": 2, "input_size": 8},
                **{"num_attention_heads": 2, "ext_pw_out_channel": 16, "nemo_conv_channels": 4},
                **{"depthwise_separable_out_channel": 16, "bias_max_distance": 100},
                "initializer_range": 0.3,
            }
        },
        reads=("image", "audio"),
        own=phi_pictures,
        mark="<|image|>",
        build=_config,
        is_exact=False,
    ),
}
