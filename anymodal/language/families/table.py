"""Families of multimodal language models by transformers' `model_type`."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache

from transformers import PreTrainedModel

from anymodal.language.families.base import MultimodalFamily

MULTIMODAL_FAMILIES: Mapping[str, str] = {
    "gemma3": "gemma3.Gemma3",
    "gemma4": "gemma4.Gemma4",
    "gemma4_text": "gemma4_text.Gemma4Text",
    "gemma4_unified": "gemma4_unified.Gemma4Unified",
    "idefics3": "idefics.Idefics3",
    "internvl": "internvl.InternVL",
    "llava_onevision": "llava_onevision.LlavaOneVision",
    "mllama": "mllama.Mllama",
    "phi4_multimodal": "phi4.Phi4Multimodal",
    "qwen2_5_omni": "qwen_omni.QwenOmniThinker",
    "qwen2_5_omni_thinker": "qwen_omni.QwenOmniThinker",
    "qwen2_vl": "qwen_vl.QwenVL",
    "qwen2_5_vl": "qwen_vl.QwenVL",
    "qwen3_omni_moe": "qwen_omni.Qwen3OmniThinker",
    "qwen3_omni_moe_thinker": "qwen_omni.Qwen3OmniThinker",
    "qwen3_vl": "qwen_vl.Qwen3VL",
    "qwen3_vl_moe": "qwen_vl.Qwen3VL",
    "smolvlm": "idefics.SmolVLM",
}
"""Module and class of each family, imported when asked for: transformers' classes take a while."""


@cache
def language_family(model_type: str) -> MultimodalFamily | None:
    """The family of a `model_type`; None where there is none."""
    if model_type not in MULTIMODAL_FAMILIES:
        return None
    module, _, name = MULTIMODAL_FAMILIES[model_type].partition(".")
    family: type[MultimodalFamily] = getattr(
        importlib.import_module(f"{__package__}.{module}"), name
    )
    return family()


def multimodal_family(model: PreTrainedModel) -> MultimodalFamily | None:
    """The family of a model; None for one that reads text alone and wants embeddings alone."""
    family = language_family(model.config.model_type)
    return None if family is None else family.variant(model.config)
