"""Texts and bytes of single tokens."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anymodal.language.model import LanguageModel


def token_text(language: LanguageModel, token: int) -> str:
    """The text that an id adds to others; U+FFFD for a part of a character."""
    # After another one, since some tokenizers drop the space that a text begins with.
    context = language.encode_text("a")
    return language.decode([*context, token])[len(language.decode(context)) :]


def token_bytes(language: LanguageModel, token: int) -> list[int] | None:
    """The bytes of UTF-8 that an id adds; None if the tokenizer doesn't tell those of a part of a
    character.
    """
    text = token_text(language, token)
    if "\ufffd" not in text:
        return list(text.encode())
    name = str(language.tokenizer.convert_ids_to_tokens(token))
    if len(name) == 6 and name.startswith("<0x") and name.endswith(">"):  # SentencePiece's
        return [int(name[3:5], 16)]
    table = _bytes_by_letter()
    return [table[letter] for letter in name] if all(each in table for each in name) else None


@lru_cache(1)
def _bytes_by_letter() -> dict[str, int]:
    """Letters that stand for bytes in the names of byte-level tokens.

    Source: Radford et al. 2019 (GPT-2), section 2.2: printable ones of Latin-1 for themselves, the
    others from U+0100 on, in order.
    """
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {chr(byte): byte for byte in printable}
    return letters | {chr(256 + place): byte for place, byte in enumerate(others)}
