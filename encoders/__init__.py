"""Encoders: media in, features out.

Add one by subclassing `anymodal.encoders.base.Encoder`; the contract suite is in
`tests/test_encoders.py`. Imported as `anymodal.encoders` only; what it exports loads on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if __name__ != "anymodal.encoders":
    raise ImportError(
        f"import anymodal.encoders, not {__name__}: a second import would make a second copy of "
        "every class"
    )

if TYPE_CHECKING:
    from anymodal.encoders.base import Encoder, TextEncoder
    from anymodal.encoders.clip_text import load_tokenizer, tokenize
    from anymodal.encoders.huggingface import TransformersEncoder
    from anymodal.encoders.huggingface_text import TransformersText
    from anymodal.encoders.imagebind import ImageBind, ImageBindEncoder
    from anymodal.encoders.imagebind_text import ImageBindText
    from anymodal.encoders.pooled import PooledEncoder
    from anymodal.encoders.universal import UniversalEncoder, UniversalTrunk

__all__ = [
    "Encoder",
    "ImageBind",
    "ImageBindEncoder",
    "ImageBindText",
    "PooledEncoder",
    "TextEncoder",
    "TransformersEncoder",
    "TransformersText",
    "UniversalEncoder",
    "UniversalTrunk",
    "load_tokenizer",
    "tokenize",
]

_HOME = {
    "Encoder": "base",
    "ImageBind": "imagebind",
    "ImageBindEncoder": "imagebind",
    "ImageBindText": "imagebind_text",
    "PooledEncoder": "pooled",
    "TextEncoder": "base",
    "TransformersEncoder": "huggingface",
    "TransformersText": "huggingface_text",
    "UniversalEncoder": "universal",
    "UniversalTrunk": "universal",
    "load_tokenizer": "clip_text",
    "tokenize": "clip_text",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
