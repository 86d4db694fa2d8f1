"""The language side: the model, its prompts and signal tokens, generation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anymodal.language.model import LanguageModel as LanguageModel

__all__ = ["LanguageModel"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from anymodal.language import model  # with transformers, which names of tokens do without

    return model.LanguageModel
