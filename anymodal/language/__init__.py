"""The language side: the model, its prompts and signal tokens, generation."""

from anymodal.language.model import LanguageModel

__all__ = ["LanguageModel"]
