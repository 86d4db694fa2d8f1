"""Families of multimodal language models by transformers' `model_type`."""

from __future__ import annotations

from collections.abc import Mapping

from transformers import PreTrainedModel

from anymodal.language.families.base import MultimodalFamily
from anymodal.language.families.gemma3 import Gemma3
from anymodal.language.families.gemma4 import Gemma4
from anymodal.language.families.gemma4_text import Gemma4Text
from anymodal.language.families.gemma4_unified import Gemma4Unified
from anymodal.language.families.idefics import Idefics3, SmolVLM
from anymodal.language.families.internvl import InternVL
from anymodal.language.families.llava_onevision import LlavaOneVision
from anymodal.language.families.mllama import Mllama
from anymodal.language.families.phi4 import Phi4Multimodal
from anymodal.language.families.qwen_omni import Qwen3OmniThinker, QwenOmniThinker
from anymodal.language.families.qwen_vl import Qwen3VL, QwenVL

MULTIMODAL_FAMILIES: Mapping[str, MultimodalFamily] = {
    "gemma3": Gemma3(),
    "gemma4": Gemma4(),
    "gemma4_text": Gemma4Text(),
    "gemma4_unified": Gemma4Unified(),
    "idefics3": Idefics3(),
    "internvl": InternVL(),
    "llava_onevision": LlavaOneVision(),
    "mllama": Mllama(),
    "phi4_multimodal": Phi4Multimodal(),
    "qwen2_5_omni": QwenOmniThinker(),
    "qwen2_5_omni_thinker": QwenOmniThinker(),
    "qwen2_vl": QwenVL(),
    "qwen2_5_vl": QwenVL(),
    "qwen3_omni_moe": Qwen3OmniThinker(),
    "qwen3_omni_moe_thinker": Qwen3OmniThinker(),
    "qwen3_vl": Qwen3VL(),
    "qwen3_vl_moe": Qwen3VL(),
    "smolvlm": SmolVLM(),
}


def multimodal_family(model: PreTrainedModel) -> MultimodalFamily | None:
    """The family of a model; None for one that reads text alone and wants embeddings alone."""
    family = MULTIMODAL_FAMILIES.get(model.config.model_type)
    return None if family is None else family.variant(model.config)
