"""Encoders: media in, features out.

Add one by subclassing `anymodal.encoders.base.Encoder`; the contract suite is in
`tests/encoders/test_encoders.py`. Imported as `anymodal.encoders` only; exports load on first use.
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
    from anymodal.encoders.any_resolution import AnyResEncoder
    from anymodal.encoders.base import Encoder, TextEncoder
    from anymodal.encoders.class_token import ClassTokenEncoder
    from anymodal.encoders.imagebind.clip_tokens import load_tokenizer, tokenize
    from anymodal.encoders.imagebind.encoder import ImageBind, ImageBindEncoder
    from anymodal.encoders.imagebind.text import ImageBindText
    from anymodal.encoders.pooled import PooledEncoder
    from anymodal.encoders.transformers.encoder import TransformersEncoder
    from anymodal.encoders.transformers.text import TransformersText
    from anymodal.encoders.universal.encoder import UniversalEncoder, UniversalTrunk

__all__ = [
    "AnyResEncoder",
    "ClassTokenEncoder",
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
    "AnyResEncoder": "any_resolution",
    "ClassTokenEncoder": "class_token",
    "Encoder": "base",
    "ImageBind": "imagebind.encoder",
    "ImageBindEncoder": "imagebind.encoder",
    "ImageBindText": "imagebind.text",
    "PooledEncoder": "pooled",
    "TextEncoder": "base",
    "TransformersEncoder": "transformers.encoder",
    "TransformersText": "transformers.text",
    "UniversalEncoder": "universal.encoder",
    "UniversalTrunk": "universal.encoder",
    "load_tokenizer": "imagebind.clip_tokens",
    "tokenize": "imagebind.clip_tokens",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
