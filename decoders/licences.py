"""Licences that components of pipelines have of their own, beside that of their repository."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from anymodal.io.sources import licence_of

_BY_CLASS = {
    "Gemma": "gemma",
    "PaliGemma": "gemma",
    "T5Gemma": "gemma",
    "Llama": "llama",
    "AutoencoderKLHunyuan": "tencent-hunyuan-community",
    "HunyuanVideo": "tencent-hunyuan-community",
}
"""Terms that weights of a class are published under, as a rule, by how its name begins. No card of
a pipeline's repository tells of them."""


def component_licences(components: Mapping[str, object]) -> dict[str, dict[str, Any]]:
    """Licences of a pipeline's networks that come with terms of their own, by the networks' names.

    Args:
        components: of a pipeline, by name.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, part in components.items():
        kind = type(part).__name__
        licence = next((text for start, text in _BY_CLASS.items() if kind.startswith(start)), None)
        if isinstance(part, nn.Module) and licence is not None:
            found[name] = {"name": f"{kind} (by its class)", **licence_of(licence)}
    return found
