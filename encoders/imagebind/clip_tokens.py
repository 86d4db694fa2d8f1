"""Texts to token ids, the way ImageBind's text trunk reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from anymodal.distributed import locks

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def load_tokenizer(folder: str | Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a local Hugging Face folder; for `huge` that of CLIP, which lower-cases.

    Raises:
        ValueError: if there is no such folder.
    """
    if not Path(folder).is_dir():
        raise ValueError(f"{str(folder)!r} is no folder; save the tokenizer there first")
    # transformers takes seconds to import and only text needs it.
    from transformers import AutoTokenizer

    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
        str(folder), local_files_only=True
    )
    return tokenizer


def tokenize(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], context: int) -> Tensor:
    """Token ids (B, context): start (if the tokenizer has one), text, end, then zeros.

    A text that is too long loses its own tokens, never the end, where the trunk reads. Special
    tokens typed in a text stay text.

    Raises:
        ValueError: if the tokenizer has no end token, or one that has not the largest id (the
            trunk finds the end by it, as in CLIP).
    """
    end, start = tokenizer.eos_token_id, tokenizer.bos_token_id
    if end is None:
        raise ValueError("the text trunk reads at the end token and this tokenizer has none")
    prefix = [] if start is None else [start]
    room = context - len(prefix) - 1
    ids = torch.zeros(len(texts), context, dtype=torch.long)
    for row, text in zip(ids, texts, strict=True):
        with locks.TOKENIZERS:
            read = tokenizer(text, add_special_tokens=False, split_special_tokens=True)
        pieces = read["input_ids"]
        line = torch.tensor([*prefix, *pieces[:room], end])
        row[: len(line)] = line
    if len(texts) and int(ids.max()) > end:
        raise ValueError(
            f"token id {int(ids.max())} is larger than the end token's {end}; "
            "give the tokenizer an end token with its largest id"
        )
    return ids
