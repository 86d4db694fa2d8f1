"""The router gives what DeepSpeed's gives, and the loss balances it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import transformers as hf

from anymodal.fusion import SparseUpcycling
from anymodal.fusion.mixture import route
from anymodal.fusion.modules import merged_copy
from anymodal.language.model import LanguageModel
from tests.support.golden_weights import golden_published
from tests.support.language_kinds import make


@pytest.mark.parametrize("case", ["drop", "nodrop"])
def test_routing(case: str) -> None:
    config, weights, golden = golden_published("moe_top2")
    states, count = golden["in.x"], config["experts"]
    logits = states @ weights["wg.weight"].T
    torch.testing.assert_close(logits, golden["logits"], atol=1e-5, rtol=1e-4)
    capacity = math.ceil(len(states) / count * 2 * config["capacity_factor"])
    assert case == "nodrop" or capacity == golden["drop.capacity"]
    shares, balance = route(logits, 2, capacity if case == "drop" else None)
    torch.testing.assert_close(shares, golden[f"{case}.gate"], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(balance, golden[f"{case}.l_aux"], atol=1e-5, rtol=1e-4)
    names = [f"experts.{e}" for e in range(count)]
    each = [
        F.relu(states @ weights[f"{n}.w1.weight"].T) @ weights[f"{n}.w2.weight"].T for n in names
    ]
    output = sum(share[:, None] * own for share, own in zip(shares.T, each, strict=True))
    torch.testing.assert_close(output, golden[f"{case}.out"], atol=1e-5, rtol=1e-4)


def test_balance_is_one_where_all_are_used_alike() -> None:
    logits = torch.eye(4).repeat(3, 1) * 1e-3
    assert route(logits, 2).balance.item() == pytest.approx(1, abs=1e-4)
    assert route(torch.eye(4)[:1].repeat(6, 1) * 50, 1).balance.item() == pytest.approx(4)


def test_experts_begin_again_as_the_mlp_without_a_copy_of_the_fusion() -> None:
    language = make("llama-2")
    fusion = SparseUpcycling(widths={}, experts=2, every=1)
    fusion.attach(language)
    mlp = language.blocks[0].mlp
    forward = vars(mlp)["forward"]
    assert "forward" not in vars(merged_copy(mlp)) and vars(mlp)["forward"] is forward
    with torch.no_grad():
        mlp.up_proj.weight.add_(1)
    fusion.copy_again()
    first, second = fusion.experts["0"].children()
    assert torch.equal(first.up_proj.weight, mlp.up_proj.weight)
    assert torch.equal(second.up_proj.weight, mlp.up_proj.weight)
    assert first.up_proj.weight is not second.up_proj.weight


@pytest.mark.parametrize("kind", ["opt", "gpt2", "gemma2", "qwen2", "bloom", "mpt"])
def test_experts_of_any_dense_family_begin_as_its_mlps(kind: str) -> None:
    language = _FEW[kind]() if kind in _FEW else make(kind)
    embeds = language.embed(torch.arange(20, 34).view(2, 7))
    with torch.no_grad():
        before = language(embeds)
        fusion = SparseUpcycling(widths={}, experts=3, every=1)
        fusion.attach(language)
        torch.testing.assert_close(language(embeds), before, rtol=1e-4, atol=1e-4)
        for weight in fusion.experts.parameters():
            weight.zero_()  # nothing of the dense MLP is left
        assert not torch.allclose(language(embeds), before, rtol=1e-2, atol=1e-2)
        fusion.copy_again()
        language.enable_lora(r=2)  # around the parts that give way
        torch.testing.assert_close(language(embeds), before, rtol=1e-4, atol=1e-4)
    fusion.train()
    language(embeds).square().mean().backward()
    assert all(weight.grad is not None for weight in fusion.experts["0"][0].parameters())


def _tiny(model: Any, config: Any) -> LanguageModel:
    torch.manual_seed(0)
    return LanguageModel(model(config), make("llama-2").tokenizer).eval()


_FEW: dict[str, Callable[[], LanguageModel]] = {
    "bloom": lambda: _tiny(
        hf.BloomForCausalLM, hf.BloomConfig(vocab_size=500, hidden_size=16, n_layer=2, n_head=2)
    ),
    "mpt": lambda: _tiny(
        hf.MptForCausalLM, hf.MptConfig(vocab_size=500, d_model=16, n_layers=2, n_heads=2)
    ),
}


def test_an_mlp_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="OPTDecoderLayer has no part mlp; name .* fc1"):
        SparseUpcycling(widths={}, mlp="mlp").attach(make("opt"))
    with pytest.raises(ValueError, match="no part fc1 → up; name"):
        SparseUpcycling(widths={}, mlp=["fc1", "up"]).attach(make("opt"))


def test_a_mixture_of_experts_is_refused() -> None:
    config = hf.Qwen3MoeConfig(
        **{"vocab_size": 500, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2},
        **{"num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 8, "num_experts": 4},
        **{"num_experts_per_tok": 2, "moe_intermediate_size": 8},
    )
    with pytest.raises(ValueError, match="MLP of a Qwen3Moe.* is a mixture of experts already"):
        SparseUpcycling(widths={}).attach(_tiny(hf.Qwen3MoeForCausalLM, config))


def test_impossible_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="choices=3 must be at least 1 and at most experts=2"):
        SparseUpcycling(widths={}, experts=2, choices=3)
    with pytest.raises(ValueError, match="capacity=0 greater than 0"):
        SparseUpcycling(widths={}, capacity=0)
