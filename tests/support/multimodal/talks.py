"""Media and conversations of the suites of multimodal language models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from anymodal.media import Audio, Image, Video
from anymodal.model import AnyModal
from anymodal.types import Message
from tests.support.multimodal.base import MultimodalModel
from tests.support.multimodal_models import MULTIMODAL_MODELS


def sound(samples: int) -> Audio:
    wave = np.random.default_rng(samples).standard_normal((1, samples)) / 9
    return Audio(wave.astype(np.float32), 16_000)


def picture(height: int, width: int, seed: int = 0) -> Image:
    return Image(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def clip(count: int, height: int, width: int, fps: float) -> Video:
    shape = (count, height, width, 3)
    return Video(np.random.default_rng(1).integers(0, 256, shape, np.uint8), fps)


PICTURES = [picture(20, 37), picture(9, 60, 1), picture(64, 64, 2)]
TALKS = [
    [Message("user", [PICTURES[0], "What do you hear?"])],
    [
        Message("user", ["One", PICTURES[1], "and", PICTURES[0], "then"]),
        Message("assistant", "Make it green."),
        Message("user", ["now", PICTURES[2]]),
    ],
    [Message("user", "Draw a ball")],
]


def own_inputs(model: AnyModal, talk: list[Message]) -> dict[str, Tensor]:
    """The inputs of transformers' own class for a conversation with pictures."""
    return family_of(model).inputs(model.language.tokenizer, talk)


def own_class(model: AnyModal, folders: dict[str, Path]) -> Any:
    """Transformers' own class; anew where modules of it wait for passes of the composed model's."""
    if not model.language.is_fused:
        return model.language.model
    return family_of(model).model.from_pretrained(folders[model.language.name]).eval()


def own_hidden(own: Any, inputs: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """Last hidden states and scores of transformers' own class.

    They are taken before its output layer: asked for as outputs, those of Phi-4-multimodal's tower,
    which the class itself reads, would be missing.
    """
    given: list[Tensor] = []
    output = own.get_output_embeddings()
    hook = output.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    try:
        logits: Tensor = own(**inputs).logits
    finally:
        hook.remove()
    return given[0], logits


def family_of(model: AnyModal) -> MultimodalModel:
    """The family of a model, which its folder is named by."""
    return MULTIMODAL_MODELS[model.language.name]
