"""Multimodal language models of each family, tiny and with random weights, as the hub has them."""

from __future__ import annotations

from tests.support.multimodal.base import MultimodalModel
from tests.support.multimodal.gemma import GEMMA_MODELS
from tests.support.multimodal.phi import PHI_MODELS
from tests.support.multimodal.qwen import QWEN_MODELS
from tests.support.multimodal.tiles import TILE_MODELS

MULTIMODAL_MODELS: dict[str, MultimodalModel] = {
    **QWEN_MODELS,
    **TILE_MODELS,
    **GEMMA_MODELS,
    **PHI_MODELS,
}
