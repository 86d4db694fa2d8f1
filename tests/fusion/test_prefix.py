"""LLaMA-Adapter's prompts give what its authors' model gives."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers as hf
from torch import Tensor

from anymodal.fusion import AdapterPrefix, MediaAdapterPrefix
from anymodal.language.fused_media import FusedMedia, FusedMedium
from anymodal.language.kv_cache import new_cache
from anymodal.language.model import LanguageModel
from anymodal.types import Features
from tests.support.golden_weights import golden_published
from tests.support.numbered_tokens import numbered_tokenizer

NAMES = {
    "attention.wq": "self_attn.q_proj",
    "attention.wk": "self_attn.k_proj",
    "attention.wv": "self_attn.v_proj",
    "attention.wo": "self_attn.o_proj",
    "feed_forward.w1": "mlp.gate_proj",
    "feed_forward.w2": "mlp.down_proj",
    "feed_forward.w3": "mlp.up_proj",
    "attention_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}
OUTER = {"tok_embeddings": "model.embed_tokens", "norm": "model.norm", "output": "lm_head"}
READER = {
    "norm1": "norm1",
    "norm2": "norm2",
    "attn.qkv": "qkv",
    "attn.proj": "proj",
    "mlp.fc1": "fc1",
    "mlp.fc2": "fc2",
}


def halves(weight: Tensor, heads: int) -> Tensor:
    """Rows of queries or keys, whose rotation is of neighbours, as those of two halves."""
    return weight.unflatten(0, (heads, -1, 2)).transpose(1, 2).flatten(0, 2)


def llama(config: dict[str, Any], weights: dict[str, Tensor], vocabulary: int) -> LanguageModel:
    heads = config["n_heads"]
    model: Any = hf.LlamaForCausalLM(
        hf.LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=config["dim"],
            intermediate_size=weights["layers.0.feed_forward.w1.weight"].shape[0],
            num_hidden_layers=config["n_layers"],
            num_attention_heads=heads,
            rms_norm_eps=config["norm_eps"],
            max_position_embeddings=32,
            bos_token_id=None,
            eos_token_id=vocabulary - 1,
        )
    )
    state = {f"{ours}.weight": weights[f"{theirs}.weight"] for theirs, ours in OUTER.items()}
    for layer in range(config["n_layers"]):
        for theirs, ours in NAMES.items():
            value = weights[f"layers.{layer}.{theirs}.weight"]
            value = halves(value, heads) if theirs.endswith(("wq", "wk")) else value
            state[f"model.layers.{layer}.{ours}.weight"] = value
    model.load_state_dict(state)
    return LanguageModel(model.eval(), numbered_tokenizer(vocabulary)).eval()


def assert_equal(output: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(output, expected, atol=2e-5, rtol=1e-4)


def prompts_and_gates(
    weights: dict[str, Tensor], layers: int, with_prompts: int, length: int
) -> dict[str, Tensor]:
    state = {}
    each = weights["adapter_query.weight"].unflatten(0, (-1, length))
    for place in range(layers - with_prompts, layers):
        state[f"prompts.{place}"] = each[place - layers + with_prompts]
        state[f"gates.{place}"] = weights[f"layers.{place}.attention.gate"].flatten()
    return state


@torch.no_grad()
def test_first_version() -> None:
    config, weights, golden = golden_published("llama_adapter_v1")
    language = llama(config, weights, config["vocab_size"])
    length, layers = config["adapter_len"], config["adapter_layer"]
    fusion = AdapterPrefix(widths={}, length=length, layers=layers)
    fusion.attach(language)
    plain = language.logits(language(language.embed(golden["in.tokens"])))
    assert not torch.allclose(plain, golden["logits"], atol=1e-3)
    fusion.load_state_dict(prompts_and_gates(weights, config["n_layers"], layers, length))
    assert_equal(language.logits(language(language.embed(golden["in.tokens"]))), golden["logits"])


@torch.no_grad()
@pytest.mark.parametrize("name", ["llama_adapter_v2", "llama_adapter_v2_lora"])
def test_second_version(name: str) -> None:
    config, weights, golden = golden_published(name)
    own = {n.removeprefix("llama."): value for n, value in weights.items()}
    sizes, length, layers = config["llama"], config["query_len"], config["query_layer"]
    language = llama(sizes, own, config["vocab_size"])
    rank = config["lora_rank"]
    if config["w_lora"]:
        language.enable_lora(rank, rank, 0.0)
    fusion = MediaAdapterPrefix(
        widths={"image": config["clip_dim"]},
        length=length,
        layers=layers,
        biased=["*.q_proj", "*.o_proj", "mlp.*_proj"],
        scaled=config["w_new_gate"],
        width=config["v_embed_dim"],
        depth=config["v_depth"],
        heads=config["v_num_heads"],
    )
    fusion.attach(language)
    state = prompts_and_gates(own, sizes["n_layers"], layers, length)
    state["queries.image"] = own["visual_query.weight"]
    for end in ("weight", "bias"):
        for ours, theirs in (("inputs.image", "clip_proj"), ("output", "visual_proj")):
            state[f"{ours}.0.{end}"] = own[f"{theirs}.{end}"]
            state[f"{ours}.1.{end}"] = own[f"{theirs}_norm.{end}"]
        for layer in range(config["v_depth"]):
            for theirs, part in READER.items():
                value = own[f"visual_blocks.{layer}.{theirs}.{end}"]
                state[f"layers_of_reader.{layer}.{part}.{end}"] = value
    lora = {}
    for layer in range(sizes["n_layers"]):
        if config["w_new_gate"] and f"gates.{layer}" in state:
            state[f"gate_scales.{layer}"] = own[f"layers.{layer}.attention.new_gate"].flatten()
        for theirs, part in NAMES.items():
            key = f"layers.{layer}.{theirs}.bias"
            turned = theirs.endswith(("wq", "wk"))
            if key in own:
                value = halves(own[key], sizes["n_heads"]) if turned else own[key]
                state[f"biases.{layer}.{part.replace('.', '_')}"] = value
            module, _, linear = theirs.rpartition(".")
            first = f"layers.{layer}.{module}.lora_{linear}_l1.weight"
            if first in own:
                last = own[first.replace("_l1.", "_l2.")]
                path = f"model.layers.{layer}.{part}.lora_"
                lora[f"{path}A.default.weight"] = own[first]
                last = halves(last, sizes["n_heads"]) if turned else last
                lora[f"{path}B.default.weight"] = last
    fusion.load_state_dict(state)
    assert bool(lora) == config["w_lora"]
    assert not language.model.load_state_dict(lora, strict=False).unexpected_keys

    features = golden["in.clip_features"]
    mask = torch.ones(features.shape[:2], dtype=torch.bool)
    prompts, _ = fusion.read("image", Features(features, mask))
    assert_equal(prompts, golden["visual_query"])
    media = FusedMedia([[FusedMedium(0, each)] for each in prompts], torch.device("cpu"))
    ids = golden["in.tokens"]
    hidden = language(language.embed(ids), media=media)
    assert_equal(language.logits(hidden), golden["logits"])
    past = new_cache(language)
    past.fused = media
    steps = [ids, *golden["in.next"].T.unsqueeze(-1)]
    decoded = [language.logits(language(language.embed(i), None, past)[:, -1]) for i in steps]
    assert_equal(torch.stack(decoded, 1), golden["dec_logits"])


def test_attention_of_a_models_own_code_is_refused() -> None:
    config = hf.GPTNeoConfig(
        vocab_size=40, hidden_size=16, num_layers=1, num_heads=2, intermediate_size=16,
        attention_types=[[["global"], 1]], max_position_embeddings=64, bos_token_id=None,
        eos_token_id=1,
    )  # fmt: skip
    language = LanguageModel(hf.GPTNeoForCausalLM(config), numbered_tokenizer(40), name="tiny")
    with pytest.raises(ValueError, match="takes no prefix"):
        AdapterPrefix(widths={}, length=2).attach(language)
