"""A language model of each family, tiny and with random weights, saved as a hub's repository is.

Each has its family's architecture, tokenizer class, special tokens and the style of its chat
template, and is opened from its folder by the path that opens a hub's.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import transformers as hf
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

TEXTS = ["Draw a big red ball, please.", "Make it green and slow.", "What do you hear?"] * 9
SPARE = 7
"""Embedding rows that no id of the tokenizer reaches."""

SMALL: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 160,
    "initializer_range": 0.3,
}

# ---- Tokenizers


def _learned(
    core: Tokenizer, alphabet: list[str], texts: list[str] = TEXTS
) -> tuple[list[str], list[tuple[str, str]]]:
    """Pieces and merges, learned from the few texts."""
    trainer = trainers.BpeTrainer(
        vocab_size=len(alphabet) + 60, initial_alphabet=alphabet, show_progress=False
    )
    core.train_from_iterator(texts, trainer)
    model = json.loads(core.to_str())["model"]
    return sorted(model["vocab"], key=model["vocab"].get), [tuple(m) for m in model["merges"]]


def on_bytes(kind: type, first: tuple[str, ...] = (), **settings: Any) -> Any:
    """A tokenizer on bytes (GPT-2's way): Llama 3, Qwen, SmolLM, OPT."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    pieces, merges = _learned(core, sorted(pre_tokenizers.ByteLevel.alphabet()))
    vocab = {piece: index for index, piece in enumerate([*first, *pieces])}
    return kind(vocab=vocab, merges=merges, **settings)


def on_pieces(
    kind: type, first: tuple[str, ...], more: tuple[str, ...] = (), **settings: Any
) -> Any:
    """One on characters that falls back to bytes (SentencePiece's): Llama 2, Mistral, Gemma."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    texts = [*TEXTS, *more * 30]
    pieces, merges = _learned(core, sorted({*"".join(texts).replace(" ", "▁")}), texts)
    everything = [*first, *(f"<0x{byte:02X}>" for byte in range(256)), *pieces]
    vocab = {piece: index for index, piece in enumerate(everything)}
    return kind(vocab=vocab, merges=merges, **settings)


# ---- Templates, in the style of each family

LLAMA_3 = (
    "{{ bos_token }}{% for m in messages %}"
    "<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}<|eot_id|>"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
# A system message stands within the first user's, and turns must alternate.
INST = (
    "{{ bos_token }}{% set system = '' %}"
    "{% if messages[0].role == 'system' %}"
    "{% set system = OPEN + messages[0].content + CLOSE %}{% set messages = messages[1:] %}"
    "{% endif %}"
    "{% for m in messages %}"
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate user/assistant/user/assistant/...') }}"
    "{% endif %}"
    "{% if m.role == 'user' %}"
    "{{ '[INST] ' + (system if loop.first else '') + m.content + SPACE + '[/INST]' }}"
    "{% else %}{{ ' ' + m.content + SPACE + eos_token }}{% endif %}"
    "{% endfor %}"
)
LLAMA_2 = (
    "{% set OPEN = '<<SYS>>\n' %}{% set CLOSE = '\n<</SYS>>\n\n' %}{% set SPACE = ' ' %}" + INST
)
MISTRAL = "{% set OPEN = '' %}{% set CLOSE = '\n\n' %}{% set SPACE = '' %}" + INST
GEMMA = (
    "{{ bos_token }}{% set prefix = '' %}"
    "{% if messages[0].role == 'system' %}"
    "{% set prefix = messages[0].content + '\n\n' %}{% set messages = messages[1:] %}"
    "{% endif %}"
    "{% for m in messages %}"
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}"
    "{% endif %}"
    "<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n"
    "{{ prefix if loop.first else '' }}{{ m.content | trim }}<end_of_turn>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
PHI_3 = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% else %}{{ eos_token }}{% endif %}"
)
CHATML = (
    "{% if messages[0].role != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# Thoughts stand in the last reply alone; without thinking they are empty.
QWEN_3 = (
    "{% set last = namespace(user=-1) %}"
    "{% for m in messages %}{% if m.role == 'user' %}{% set last.user = loop.index0 %}{% endif %}"
    "{% endfor %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.role == 'assistant' %}"
    "{% set said = m.content.split('</think>')[-1].lstrip('\n') %}"
    "{{ '<think>\n\n</think>\n\n' + said if loop.last and loop.index0 > last.user else said }}"
    "{% else %}{{ m.content }}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n"
    "{% endif %}{% endif %}"
)

# ---- Families


def _chatml(template: str = CHATML, *more: str) -> Any:
    marks = ["<|im_start|>", "<|im_end|>"]
    tokenizer = on_bytes(
        hf.Qwen2Tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=marks,
        chat_template=template,
    )
    tokenizer.add_tokens(list(more))  # added, but not special
    return tokenizer


def _qwen_2() -> Any:
    return _chatml(CHATML.replace("a helpful assistant", "Qwen, created by Alibaba Cloud"))


def _qwen_3() -> Any:
    return _chatml(QWEN_3, "<think>", "</think>")


def _llama_3() -> Any:
    marks = ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    return on_bytes(
        hf.GPT2Tokenizer,
        bos_token="<|begin_of_text|>",
        eos_token="<|eot_id|>",
        unk_token="<|end_of_text|>",
        extra_special_tokens=marks,
        chat_template=LLAMA_3,
    )


def _llama_2() -> Any:
    words = ("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>")
    return on_pieces(hf.LlamaTokenizer, ("<unk>", "<s>", "</s>"), words, chat_template=LLAMA_2)


def _mistral() -> Any:
    marks = ["[INST]", "[/INST]"]
    return on_pieces(
        hf.LlamaTokenizer,
        ("<unk>", "<s>", "</s>", *marks),
        extra_special_tokens=marks,
        chat_template=MISTRAL,
    )


def _gemma_3() -> Any:
    marks = ["<start_of_turn>", "<end_of_turn>"]
    return on_pieces(
        hf.GemmaTokenizer,
        ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *marks),
        extra_special_tokens=marks,
        chat_template=GEMMA,
    )


def _gemma_4() -> Any:
    marks = ["<|turn>", "<turn|>"]
    return on_pieces(
        hf.GemmaTokenizer,
        ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *marks),
        eos_token="<turn|>",
        extra_special_tokens=marks,
        chat_template=GEMMA.replace("<start_of_turn>", "<|turn>").replace(
            "<end_of_turn>", "<turn|>"
        ),
    )


def _phi_3() -> Any:
    marks = ["<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]
    return on_pieces(
        hf.LlamaTokenizer,
        ("<unk>", "<s>", "</s>"),
        eos_token="<|endoftext|>",
        extra_special_tokens=marks,
        chat_template=PHI_3,
    )


def _opt() -> Any:
    return on_bytes(
        hf.GPT2Tokenizer,
        ("<s>", "<pad>", "</s>"),
        bos_token="</s>",
        eos_token="</s>",
        unk_token="</s>",
        pad_token="<pad>",
    )


@dataclass(frozen=True)
class Family:
    """A family of language models.

    Args:
        label: what readers call it.
        model: its class.
        tokenizer: builds its tokenizer.
        tied: whether input and output embeddings are one.
        turn: what ends a turn of its chat template.
        config: what its configuration has beside, or instead of, the small sizes.
        template: what readers call its chat template.
    """

    label: str
    model: Any
    tokenizer: Callable[[], Any]
    tied: bool
    turn: str
    template: str
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def model_type(self) -> str:
        """The name of its architecture."""
        return str(self.model.config_class.model_type)

    @property
    def tells_layers(self) -> bool:
        """Whether layers are told of tokens' ids beside the embeddings."""
        return bool(self.config.get("hidden_size_per_layer_input"))

    def write(self, folder: Path) -> None:
        """Save a new model and its tokenizer."""
        tokenizer = self.tokenizer()
        size = int(max(tokenizer.get_vocab().values())) + 1 + SPARE
        more = {"vocab_size_per_layer_input": size} if self.tells_layers else {}
        ends = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id")}
        settings = {**SMALL, "vocab_size": size, "tie_word_embeddings": self.tied, **ends}
        settings = {**settings, "pad_token_id": None, **more, **self.config}
        config = self.model.config_class(**settings)
        model = self.model(config).eval()
        model.generation_config.eos_token_id = tokenizer.eos_token_id
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


_OPT = {
    "word_embed_proj_dim": 12,
    "ffn_dim": 24,
    "init_std": 0.3,
    "dropout": 0.0,
    "num_key_value_heads": None,
    "intermediate_size": None,
}
_MOE = {
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
    "decoder_sparse_step": 1,
    "head_dim": 8,
}
_GEMMA = {
    "head_dim": 8,
    "query_pre_attn_scalar": 8,
    "layer_types": ["sliding_attention", "full_attention"],
    "sliding_window": 4096,
}
_GEMMA_4 = {
    **{"head_dim": 8, "global_head_dim": 8, "sliding_window": 4096, "num_hidden_layers": 4},
    **{"layer_types": ["sliding_attention", "full_attention"] * 2, "num_kv_shared_layers": 2},
    **{"hidden_size_per_layer_input": 4, "pad_token_id": 0},
}

FAMILIES: dict[str, Family] = {
    "llama-3": Family(
        "Llama 3", hf.LlamaForCausalLM, _llama_3, False, "<|eot_id|>", "headers"
    ),
    "llama-3-tied": Family(
        "Llama 3.2", hf.LlamaForCausalLM, _llama_3, True, "<|eot_id|>", "headers"
    ),
    "llama-2": Family(
        "Llama 2, Vicuna", hf.LlamaForCausalLM, _llama_2, False, "</s>", "`[INST]`"
    ),
    "qwen2": Family(
        "Qwen2, Qwen2.5", hf.Qwen2ForCausalLM, _qwen_2, True, "<|im_end|>", "ChatML"
    ),
    "qwen2-untied": Family(
        "Qwen2, Qwen2.5 from 7B on", hf.Qwen2ForCausalLM, _qwen_2, False, "<|im_end|>", "ChatML"
    ),
    "qwen3": Family(
        "Qwen3", hf.Qwen3ForCausalLM, _qwen_3, True, "<|im_end|>", "ChatML, thinking off",
        {"head_dim": 8},
    ),
    "qwen3-untied": Family(
        "Qwen3 from 8B on", hf.Qwen3ForCausalLM, _qwen_3, False, "<|im_end|>",
        "ChatML, thinking off", {"head_dim": 8},
    ),
    "qwen3-moe": Family(
        "Qwen3 MoE", hf.Qwen3MoeForCausalLM, _qwen_3, False, "<|im_end|>", "ChatML, thinking off",
        _MOE,
    ),
    "mistral": Family(
        "Mistral", hf.MistralForCausalLM, _mistral, False, "</s>", "`[INST]`", {"head_dim": 8}
    ),
    "gemma-3": Family(
        "Gemma 3", hf.Gemma3ForCausalLM, _gemma_3, True, "<end_of_turn>", "turns", _GEMMA
    ),
    "gemma-4": Family(
        "Gemma 4, of text alone", hf.Gemma4ForCausalLM, _gemma_4, True, "<turn|>", "turns", _GEMMA_4
    ),
    "phi-3": Family(
        "Phi-3", hf.Phi3ForCausalLM, _phi_3, False, "<|end|>", "role tokens"
    ),
    "phi-3-tied": Family(
        "Phi-4 mini", hf.Phi3ForCausalLM, _phi_3, True, "<|end|>", "role tokens"
    ),
    "smollm2": Family(
        "SmolLM, SmolLM2", hf.LlamaForCausalLM, _chatml, True, "<|im_end|>", "ChatML"
    ),
    "smollm3": Family(
        "SmolLM3", hf.SmolLM3ForCausalLM, _chatml, True, "<|im_end|>", "ChatML"
    ),
    "opt": Family("OPT", hf.OPTForCausalLM, _opt, True, "</s>", "none: a plain one", _OPT),
}  # fmt: skip
