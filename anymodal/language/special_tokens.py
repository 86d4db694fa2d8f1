"""Special tokens of a tokenizer: their texts, those that no typed text may have, the last ones."""

from __future__ import annotations

from transformers import PreTrainedModel

from anymodal.io.protocols import TextTokenizer


def special_token_texts(tokenizer: TextTokenizer) -> dict[str, object]:
    """Texts of special tokens by the names that templates know them by."""
    return {
        name: [str(each) for each in token] if isinstance(token, list | tuple) else str(token)
        for name, token in tokenizer.special_tokens_map.items()
    }


def reserved_ids(tokenizer: TextTokenizer) -> frozenset[int]:
    """Ids that no typed text may have: special and added tokens, except for blank ones.

    Some tokenizers keep runs of spaces as added tokens. An unknown token stays allowed as long as
    it has no other meaning.
    """
    added_ids = {token for text, token in tokenizer.get_added_vocab().items() if text.strip()}
    ids = added_ids | set(tokenizer.all_special_ids)
    ends = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}
    return frozenset(ids - ({tokenizer.unk_token_id} - ends))


def unsaid_ids(tokenizer: TextTokenizer) -> frozenset[int]:
    """Ids that a decoded text leaves out: special tokens, those of its files among them."""
    added = tokenizer.added_tokens_decoder.items()
    return frozenset(
        {token for token, text in added if text.special} | {*tokenizer.all_special_ids}
    )


def stop_ids(model: PreTrainedModel, tokenizer: TextTokenizer) -> set[int]:
    """The ids that end a reply, by the model's generation settings and its tokenizer."""
    generation = getattr(model, "generation_config", None)
    configured = getattr(generation, "eos_token_id", None)
    ids = configured if isinstance(configured, list) else [configured]
    return {int(token) for token in [*ids, tokenizer.eos_token_id] if token is not None}
