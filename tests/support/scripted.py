"""A language model whose weights make it say one text, whatever it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from anymodal.language.model import LanguageModel
from anymodal.model import AnyModal
from anymodal.projection.linear import LinearProjection
from anymodal.toybox.tokenizer import train_tokenizer

WIDTH = 64
TOOL_TEMPLATE = (
    "{% if tools %}<|system|>{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}"
    'Answer with <tool_call>{"name": …, "arguments": …}</tool_call> to call one.<|end|>'
    "{% endif %}{% for message in messages %}"
    "{{ '<|user|>' if message.role == 'tool' else '<|' + message.role + '|>' }}"
    "{% if message.role == 'tool' %}<tool_response>{{ message.content }}</tool_response>"
    "{% else %}{{ message.content }}{% endif %}"
    "{% for call in message.tool_calls or [] %}"
    "<tool_call>{{ call.function | tojson }}</tool_call>{% endfor %}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>"
    "{% if messages[-1].role == 'tool' and told %}<|told|>{% endif %}{% endif %}"
)


def scripted_model(
    pieces: Sequence[str],
    chat_template: str = TOOL_TEMPLATE,
    told: Sequence[str] = (),
    marks: Sequence[str] = (),
    opens: str = "<|assistant|>",
    told_opens: str = "<|told|>",
) -> AnyModal:
    """A model that answers everything with the pieces in order, each of which is one token.

    Args:
        pieces: of its answer.
        chat_template: its own.
        told: pieces of its answer to a tool's result, if that is another one.
        marks: special tokens of the template, pieces among them.
        opens: the token that a prompt ends with.
        told_opens: the one where a tool's result stands last.
    """
    torch.manual_seed(0)
    chat_template = chat_template.replace("and told", f"and {bool(told)}")
    tokenizer = train_tokenizer(["a few words"], 300, chat_template=chat_template)
    tokenizer.add_tokens([*marks], special_tokens=True)
    others = [*pieces, *(["<|told|>", *told] if told else [])]
    tokenizer.add_tokens([piece for piece in others if piece not in marks])
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=WIDTH, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=2048,
        tie_word_embeddings=False, bos_token_id=None, pad_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    network = LlamaForCausalLM(config)
    chains = [[opens, *pieces, "<|end|>"]]
    chains += [[told_opens, *told, "<|end|>"]] if told else []
    with torch.no_grad():
        # Layers that add nothing, so that a token alone decides which one follows it.
        network.model.layers[0].self_attn.o_proj.weight.zero_()
        network.model.layers[0].mlp.down_proj.weight.zero_()
        rows = network.model.embed_tokens.weight.normal_()
        network.lm_head.weight.zero_()
        for names in chains:
            chain = [tokenizer(name, add_special_tokens=False)["input_ids"][-1] for name in names]
            for token, follower in pairwise(chain):
                network.lm_head.weight[follower] += rows[token]
    language = LanguageModel(network, tokenizer, name="scripted").eval()
    projection = LinearProjection(widths={}, output_width=WIDTH, num_tokens=1)
    return AnyModal(language, projection, {})
