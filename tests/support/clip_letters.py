"""A tokenizer of CLIP's own class that knows single letters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import CLIPTokenizer

from anymodal.encoders import load_tokenizer


def clip_letters(folder: Path) -> Any:
    """The tokenizer, saved and opened: 94 letters, the same at the end of a word, four more."""
    letters = [chr(code) for code in range(33, 127)]
    pieces = [*letters, *(f"{letter}</w>" for letter in letters)]
    words = [*pieces, "re", "red</w>", "<|startoftext|>", "<|endoftext|>"]
    vocab = {piece: index for index, piece in enumerate(words)}
    tokenizer = CLIPTokenizer(vocab=vocab, merges=[("r", "e"), ("re", "d</w>")])
    tokenizer.save_pretrained(folder)
    return load_tokenizer(folder)
