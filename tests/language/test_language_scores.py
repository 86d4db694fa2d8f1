"""Scores are the model's own, whatever it does around its output layer; others are refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers as hf
from torch import Tensor, nn

from anymodal.language.model import LanguageModel
from anymodal.language.probes import Finish
from anymodal.toybox.tokenizer import train_tokenizer
from tests.support.language_models import TEXTS

SMALL = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "initializer_range": 0.3,
    "pad_token_id": 0,
}
MAMBA = {"mamba_d_ssm": 64, "mamba_n_heads": 4, "mamba_d_head": 16, "mamba_d_state": 8}
CAPPED = {"head_dim": 16, "query_pre_attn_scalar": 16}
LOW_RANK = {"q_lora_rank": 8, "kv_lora_rank": 8, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8,
            "v_head_dim": 16}  # fmt: skip

CASES: dict[str, tuple[str, dict[str, Any], Finish]] = {
    "multiplied": ("HyperCLOVAX", {"logits_scaling": 8.0}, Finish(scale=8.0)),
    "divided by the same key": ("Granite", {"logits_scaling": 8.0}, Finish(scale=0.125)),
    "divided, in a mixture": ("GraniteMoe", {"logits_scaling": 4.0}, Finish(scale=0.25)),
    "scaled": ("Cohere", {"logit_scale": 0.5}, Finish(scale=0.5)),
    "scaled again": ("Cohere2", {"logit_scale": 0.25}, Finish(scale=0.25)),
    "by another key": ("FalconH1", {"lm_head_multiplier": 0.5, **MAMBA}, Finish(scale=0.5)),
    "capped": ("Gemma2", {"final_logit_softcapping": 20.0, **CAPPED}, Finish(cap=20.0)),
    "capped if asked": ("Gemma3Text", {"final_logit_softcapping": 5.0, **CAPPED}, Finish(cap=5.0)),
    "capped by another key": (
        "RecurrentGemma",
        {"logits_soft_cap": 30.0, "num_hidden_layers": 3, "w_init_variance_scale": 1.0},
        Finish(cap=30.0),
    ),
    "capped by a third": (
        "xLSTM",
        {"output_logit_soft_cap": 2.0, "num_heads": 2, "num_blocks": 2, "chunk_size": 16},
        Finish(cap=2.0),
    ),
    "capped by a constant": ("NanoChat", {}, Finish(cap=15.0)),
    "scaled before": ("MiniCPM3", {"dim_model_base": 64, **LOW_RANK}, Finish(hidden_scale=2.0)),
    "its body by another name": (
        "Llama4Text",
        {"intermediate_size_mlp": 48, "num_local_experts": 2, "head_dim": 16},
        Finish(),
    ),
    "plain": ("Olmo2", {}, Finish()),
    "not capped": ("Gemma3Text", CAPPED, Finish()),
}


def causal(name: str, more: dict[str, Any]) -> tuple[Any, Any]:
    tokenizer = train_tokenizer(TEXTS, 300)
    size = {"vocab_size": len(tokenizer) + 5, "bos_token_id": None, "eos_token_id": 1}
    config = getattr(hf, f"{name}Config")(**{**SMALL, **size, **more})
    torch.manual_seed(0)
    kind = {"XLNet": "XLNetLMHeadModel"}.get(name, f"{name.removesuffix('Text')}ForCausalLM")
    return getattr(hf, kind)(config).eval(), tokenizer


@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_scores_are_the_models_own(case: str) -> None:
    name, more, finish = CASES[case]
    model, tokenizer = causal(name, more)
    language = LanguageModel(model, tokenizer)
    assert language.finish == finish
    ids = torch.tensor([language.encode_text("Draw a big red ball")])
    theirs = model(input_ids=ids, use_cache=False).logits[..., : language.vocab_size]
    torch.testing.assert_close(language.logits(language(language.embed(ids))), theirs)
    with torch.device("meta"):
        empty = type(model)(model.config).eval()
    assert LanguageModel(empty, tokenizer).finish == language.finish
    half = LanguageModel(model.bfloat16(), tokenizer)
    assert half.finish == language.finish  # measured in float32, whatever the weights are


def test_what_is_tried_leaves_no_trace() -> None:
    model, tokenizer = causal("Gemma2", CASES["capped"][1])
    assert not LanguageModel(model, tokenizer).model.training
    model.model.layers[0].train()
    modes = [module.training for module in model.modules()]
    before = torch.get_rng_state()
    language = LanguageModel(model, tokenizer)
    assert torch.equal(torch.get_rng_state(), before)
    assert [module.training for module in model.modules()] == modes
    assert "forward" not in vars(model.model)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    new = language.add_tokens(["<|x|>"])
    logits = language.logits(torch.randn(2, language.width) * 100)
    assert float(logits.detach()[:, new].abs().max()) <= 20.0  # new rows are capped alike


class _Other(hf.LlamaForCausalLM):  # type: ignore[misc]  # transformers is untyped here
    """A Llama that does something of its own between or behind its layers."""

    change: str

    def forward(self, input_ids: Any = None, **more: Any) -> Any:
        given = self.model(input_ids=input_ids, **more)
        hidden = given.last_hidden_state
        if self.change == "between":
            hidden = hidden.roll(1, dims=-1)
        if self.change == "before":
            hidden = hidden + 1
        logits = self.lm_head(hidden)
        if self.change == "powers":
            logits = logits.sign() * logits.abs().sqrt()
        if self.change == "one id":
            logits = torch.cat([logits[..., :5], logits[..., 5:6] - 3, logits[..., 6:]], -1)
        if self.change == "fewer":
            logits = logits[..., :-1]
        if self.change == "hard cap":
            logits = logits.clamp(-30, 30)
        if self.change == "breaks":
            raise KeyError("pixel_values")
        return type("Given", (), {"logits": logits})()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("between", "more layers between"),
        ("before", "more layers between"),
        ("powers", "in a way that isn't known"),
        ("one id", "in a way that isn't known"),
        ("hard cap", "in a way that isn't known"),
        ("fewer", "drops or adds scores"),
        ("breaks", "doesn't run on tokens alone"),
    ],
)
def test_what_is_not_known_is_refused_by_family(change: str, says: str) -> None:
    model, tokenizer = causal("Llama", {})
    model.__class__ = _Other
    model.change = change
    with pytest.raises(ValueError, match=rf"_Other can't be a language model here: .*{says}"):
        LanguageModel(model, tokenizer)


def test_who_looks_ahead_or_reads_words_otherwise_is_refused() -> None:
    model, tokenizer = causal("XLNet", {"d_model": 32, "n_layer": 1, "n_head": 2, "d_inner": 32})
    with pytest.raises(ValueError, match="XLNet.* no causal language model"):
        LanguageModel(model, tokenizer)
    model, tokenizer = causal("Llama", {})
    words = model.model.embed_tokens.forward
    calls = iter(range(100))

    def other(ids: Tensor) -> Tensor:  # as a model that scales ids' embeddings outside of it
        return words(ids) * (1 + next(calls))  # type: ignore[no-any-return]

    model.model.embed_tokens.forward = other
    with pytest.raises(ValueError, match="differ from those"):
        LanguageModel(model, tokenizer)


def test_a_model_without_an_output_layer_is_refused() -> None:
    model, tokenizer = causal("Llama", {})
    model.set_output_embeddings(None)
    with pytest.raises(ValueError, match="LlamaForCausalLM has no output layer"):
        LanguageModel(model, tokenizer)


def test_an_output_layer_that_is_no_module_call_is_compared_by_scores() -> None:
    class Functional(hf.LlamaForCausalLM):  # type: ignore[misc]
        scale = 1.0

        def forward(self, input_ids: Any = None, **more: Any) -> Any:
            hidden = self.model(input_ids=input_ids, **more).last_hidden_state
            logits = nn.functional.linear(hidden, self.lm_head.weight) * self.scale
            return type("Given", (), {"logits": logits})()

    model, tokenizer = causal("Llama", {})
    model.__class__ = Functional
    LanguageModel(model, tokenizer)
    model.scale = 2.0
    with pytest.raises(ValueError, match="Functional can't be a language model"):
        LanguageModel(model, tokenizer)
