"""A tiny language model as llama.cpp keeps it: one GGUF file, written by the package gguf."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.support.language_models import FAMILIES

NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
LAYERS = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def _name(key: str) -> str:
    if key in NAMES:
        return NAMES[key]
    _, _, layer, module = key.split(".", 3)
    part, _, kind = module.rpartition(".")
    return f"blk.{layer}.{LAYERS[part]}.{kind}"


def _permute(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of rotary pairs as llama.cpp wants them, from halves as transformers has them."""
    rows = weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:])
    return rows.swapaxes(1, 2).reshape(weight.shape)


def write(folder: Path, file: Path, *, half: bool = False, **keys: Any) -> Any:
    """Write SmolLM2's tiny model to a folder of transformers and to a GGUF file; the model.

    `keys` are further numbers in the file.
    """
    import gguf
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(0)
    FAMILIES["smollm2"].write(folder)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    if half:
        model.half()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    config = model.config
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(config.vocab_size)
    writer.add_license("apache-2.0")
    for key, value in keys.items():
        writer.add_key_value(key, value, gguf.GGUFValueType.UINT32)
    _add_words(writer, gguf, tokenizer, config.vocab_size)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for key, weight in model.state_dict().items():
        if key == "lm_head.weight":  # tied
            continue
        values = weight.numpy()
        if (part := key.split(".")[-2]) in heads:
            values = _permute(values, heads[part])
        writer.add_tensor(_name(key), np.ascontiguousarray(values))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model


def _add_words(writer: Any, gguf: Any, tokenizer: Any, size: int) -> None:
    words = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    special = tokenizer.get_added_vocab()
    tokens = [word for word, _ in words]
    kinds = [
        gguf.TokenType.CONTROL if word in special else gguf.TokenType.NORMAL for word in tokens
    ]
    spare = size - len(tokens)
    merges = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list([*tokens, *(f"[PAD{index}]" for index in range(spare))])
    writer.add_token_types([*kinds, *[gguf.TokenType.UNUSED] * spare])
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_chat_template(tokenizer.chat_template)
