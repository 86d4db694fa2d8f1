"""Language models with random weights, to be trained from scratch."""

from __future__ import annotations

from transformers import PreTrainedTokenizerBase, Qwen3Config, Qwen3ForCausalLM

from anymodal.language.model import LanguageModel


def small_language_model(
    tokenizer: PreTrainedTokenizerBase,
    *,
    width: int = 256,
    layers: int = 4,
    heads: int = 4,
    key_heads: int = 2,
    head_width: int = 64,
    hidden: int = 640,
    positions: int = 2048,
) -> LanguageModel:
    """Build a Qwen3 (Yang et al. 2025, arXiv:2505.09388) of a few million weights, embeddings tied.

    Args:
        tokenizer: its vocabulary sizes the embeddings, and its chat template is the model's.
        width: of the residual stream.
        layers: decoder layers.
        heads: query heads.
        key_heads: key and value heads, which groups of query heads share.
        head_width: of a head.
        hidden: width inside the gated MLP.
        positions: the longest sequence.
    """
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=key_heads,
        head_dim=head_width,
        intermediate_size=hidden,
        max_position_embeddings=positions,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LanguageModel(Qwen3ForCausalLM(config), tokenizer, name="scratch")
