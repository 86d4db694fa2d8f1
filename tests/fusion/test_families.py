"""Fusions stand around language models of any family, or refuse it when they are attached."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers as hf
from torch import Tensor

from anymodal.fusion import (
    AdapterPrefix,
    CrossLayers,
    Fusion,
    GatedCrossAttention,
    LightCrossAttention,
    MediaAdapterPrefix,
    ModalityExperts,
    SparseUpcycling,
)
from anymodal.language.fused_media import FusedMedia, FusedMedium
from anymodal.language.kv_cache import new_cache
from anymodal.language.model import LanguageModel
from anymodal.types import Features
from tests.support.numbered_tokens import numbered_tokenizer

SIZES: dict[str, Any] = {
    "vocab_size": 40,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,
    "bos_token_id": None,
    "eos_token_id": 1,
    "pad_token_id": None,
}
FAMILIES: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    # Norms of keys of all heads at once.
    "olmo-2": (hf.Olmo2ForCausalLM, hf.Olmo2Config, {}),
    # Scores with a cap, and attention with sinks, by code of their own.
    "gemma-2": (
        hf.Gemma2ForCausalLM,
        hf.Gemma2Config,
        {"head_dim": 4, "query_pre_attn_scalar": 4, "attn_logit_softcapping": 2.0},
    ),
    "gpt-oss": (
        hf.GptOssForCausalLM,
        hf.GptOssConfig,
        {
            **{"head_dim": 4, "num_local_experts": 2, "num_experts_per_tok": 1},
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4},
        },
    ),
    # Embeddings narrower than blocks, and names of its own for sizes.
    "opt": (hf.OPTForCausalLM, hf.OPTConfig, {"ffn_dim": 24, "word_embed_proj_dim": 12}),
    "gpt-2": (hf.GPT2LMHeadModel, hf.GPT2Config, {"intermediate_size": None}),
    # Residuals that grow by a share.
    "granite": (hf.GraniteForCausalLM, hf.GraniteConfig, {"residual_multiplier": 0.3}),
    "gemma-3": (hf.Gemma3ForCausalLM, hf.Gemma3TextConfig, {"head_dim": 4}),
    "qwen-3": (hf.Qwen3ForCausalLM, hf.Qwen3Config, {"head_dim": 4}),
}
GATED = {"every": 1, "num_latents": 3, "depth": 1, "heads": 2, "head_width": 4}
READER = {"length": 3, "width": 8, "depth": 1, "heads": 2}
FUSIONS: dict[str, Callable[[], Fusion]] = {
    "gated": lambda: GatedCrossAttention(widths={"image": 6}, **GATED),
    "layers": lambda: CrossLayers(widths={"image": 6}, every=1),
    "light": lambda: LightCrossAttention(widths={"image": 6}, heads=2, width=8),
    "prefix": lambda: AdapterPrefix(widths={"image": 6}, length=3),
    "media-prefix": lambda: MediaAdapterPrefix(widths={"image": 6}, **READER),
}
REFUSED = {
    **{(family, "light"): "isn't attention and then an MLP" for family in ("olmo-2", "gemma-2")},
    **{(family, "light"): "isn't attention and then an MLP" for family in ("opt", "gpt-2")},
    ("gemma-3", "light"): "isn't attention and then an MLP",
    **{("gpt-2", fusion): "no k_proj and v_proj" for fusion in ("prefix", "media-prefix")},
}


def language_of(family: str) -> LanguageModel:
    model, config, more = FAMILIES[family]
    torch.manual_seed(0)
    made = model(config(**{**SIZES, **more})).eval()
    return LanguageModel(made, numbered_tokenizer(40), name=family).eval()


def media_of(fusion: Fusion) -> FusedMedia:
    """A medium at the third place of the first of two rows."""
    values = torch.randn(1, 5, 6, generator=torch.Generator().manual_seed(2))
    states = None
    if fusion.reads_features:
        states = fusion.read("image", Features(values, torch.ones(1, 5, dtype=torch.bool)))
    medium = FusedMedium(2, None if states is None else states.values[0], runs=[(2, 3)])
    return FusedMedia([[medium], []], torch.device("cpu"))


def perturb(fusion: Fusion) -> None:
    generator = torch.Generator().manual_seed(1)
    for weight in fusion.parameters():
        weight.data += 0.3 * torch.randn(weight.shape, generator=generator)


def ids() -> Tensor:
    return torch.stack([torch.arange(5, 15), torch.arange(12, 22)])


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_a_model_starts_as_it_is_and_goes_on_from_keys(family: str, fusion: str) -> None:
    language, around = language_of(family), FUSIONS[fusion]()
    plain = language(language.embed(ids()))
    if (family, fusion) in REFUSED:
        with pytest.raises(ValueError, match=REFUSED[family, fusion]):
            around.attach(language)
        return
    around.attach(language)
    assert torch.equal(language(language.embed(ids()), media=media_of(around)), plain)
    perturb(around)
    whole = language(language.embed(ids()), media=media_of(around))
    assert not torch.allclose(whole, plain, atol=1e-2)
    past = new_cache(language)
    past.fused = media_of(around)
    pieces = [language(language.embed(each), None, past) for each in ids().split([6, 1, 3], 1)]
    torch.testing.assert_close(torch.cat(pieces, 1), whole, atol=1e-4, rtol=1e-3)


@torch.no_grad()
def test_a_share_of_the_cross_attention_is_added_as_it_is() -> None:
    """Though a block of Granite's adds a share of attention's result alone."""
    language = language_of("granite")
    fusion = FUSIONS["light"]()
    fusion.attach(language)
    perturb(fusion)
    block, seen = language.blocks[0], []
    cross = fusion.blocks["0"]
    cross.register_forward_hook(lambda _, args, result: seen.append((args[0], result)))
    states: list[Tensor] = []
    block.register_forward_pre_hook(lambda _, args: states.append(args[0]))
    block.post_attention_layernorm.register_forward_pre_hook(lambda _, args: states.append(args[0]))
    language(language.embed(ids()), media=media_of(fusion))
    behind, added = seen[0]
    torch.testing.assert_close(states[1], behind + added)
    assert not torch.allclose(behind, states[0], atol=1e-3)


@pytest.mark.parametrize("length", [10, 4], ids=["any length", "as many positions as heads"])
@pytest.mark.parametrize("family", ["gemma-3", "qwen-3"])
@torch.no_grad()
def test_experts_of_norms_of_heads(family: str, length: int) -> None:
    """Which stand before positions in Gemma 3, and behind them in Qwen 3."""
    language = language_of(family)
    fusion = ModalityExperts(widths={}, modules=["*q_norm"], without_last=False)
    fusion.attach(language)
    outputs: list[tuple[Tensor, Tensor]] = []
    norm = language.blocks[0].self_attn.q_norm
    norm.register_forward_hook(lambda _, args, result: outputs.append((args[0], result)))
    media = FusedMedia([[FusedMedium(1, runs=[(1, 2)])], []], torch.device("cpu"))
    plain = ids()[:, :length]
    language(language.embed(plain), media=media)
    for weight in fusion.parameters():
        weight.data += 1
    language(language.embed(plain), media=media)
    (_, before), (_, after) = outputs
    axis = 2 if family == "gemma-3" else 1
    changed = (before != after).movedim(axis, 1).flatten(2).any(-1)
    assert changed.nonzero().tolist() == [[0, 1], [0, 2]]


def test_a_mixture_has_no_copies_but_those_that_are_named() -> None:
    language = language_of("gpt-oss")
    with pytest.raises(
        ValueError, match=r"mixture of experts already.* name those that get a copy"
    ):
        ModalityExperts(widths={}).attach(language)
    fusion = ModalityExperts(widths={}, modules=["self_attn.*_proj"])
    fusion.attach(language)
    language(language.embed(ids()), media=media_of(fusion))
    routed = ModalityExperts(widths={}, modules=["mlp.router"])
    language = language_of("gpt-oss")
    routed.attach(language)
    with pytest.raises(ValueError, match="as a router does, .* leave it out of modules"):
        language(language.embed(ids()), media=media_of(routed))
    with pytest.raises(ValueError, match="mixture of experts already"):
        SparseUpcycling(widths={}).attach(language_of("gpt-oss"))
