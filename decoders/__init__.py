"""Decoders: conditioning in, media out."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if __name__ != "anymodal.decoders":
    raise ImportError(
        f"this package was imported as {__name__!r}; import anymodal.decoders instead, "
        "or every class would exist twice"
    )

if TYPE_CHECKING:
    from anymodal.decoders.base import Decoder as Decoder
    from anymodal.decoders.choosing import ChoosingDecoder as ChoosingDecoder
    from anymodal.decoders.diffusion import DiffusionDecoder as DiffusionDecoder
    from anymodal.decoders.retrieval import RetrievalDecoder as RetrievalDecoder
    from anymodal.decoders.speech.base import Speaker as Speaker
    from anymodal.decoders.speech.speaker import TransformersSpeaker as TransformersSpeaker

_EXPORTS = {
    "ChoosingDecoder": "anymodal.decoders.choosing",
    "Decoder": "anymodal.decoders.base",
    "DiffusionDecoder": "anymodal.decoders.diffusion",
    "RetrievalDecoder": "anymodal.decoders.retrieval",
    "Speaker": "anymodal.decoders.speech.base",
    "TransformersSpeaker": "anymodal.decoders.speech.speaker",
}
__all__ = [
    "ChoosingDecoder",
    "Decoder",
    "DiffusionDecoder",
    "RetrievalDecoder",
    "Speaker",
    "TransformersSpeaker",
]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_EXPORTS[name]), name)
