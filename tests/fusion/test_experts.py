"""Experts, and CogAgent's cross-attention, give what their authors' layers give."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers as hf
from torch import Tensor, nn

from anymodal.fusion import Fusion, LightCrossAttention, ModalityExperts
from anymodal.language.fused_media import FusedMedia, FusedMedium, FusionPass
from anymodal.language.model import LanguageModel
from tests.support.golden_weights import golden_published
from tests.support.numbered_tokens import numbered_tokenizer

CPU = torch.device("cpu")
CROSS = ("query", "key_value", "dense")
LINEAR = ("gate_proj", "up_proj", "down_proj")


def one_layer(config: dict[str, Any], weights: dict[str, Tensor], theta: float) -> LanguageModel:
    """A Llama of one layer with the language expert's weights, and no last norm."""
    width, heads = config["hidden_size"], config["num_attention_heads"]
    kv_heads = config.get("num_multi_query_heads", heads)
    model: Any = hf.LlamaForCausalLM(
        hf.LlamaConfig(
            vocab_size=12,
            hidden_size=width,
            intermediate_size=config["intermediate_size"],
            num_hidden_layers=1,
            num_attention_heads=heads,
            num_key_value_heads=kv_heads,
            rms_norm_eps=config["rms_norm_eps"],
            max_position_embeddings=64,
            rope_parameters={"rope_type": "default", "rope_theta": theta},
            bos_token_id=None,
            eos_token_id=11,
        )
    )
    layer = model.model.layers[0]
    layer.load_state_dict(named(weights, "language", width, kv_heads * width // heads))
    model.model.norm = nn.Identity()
    return LanguageModel(model.eval(), numbered_tokenizer(12)).eval()


def named(weights: dict[str, Tensor], expert: str, width: int, kv_width: int) -> dict[str, Tensor]:
    """An expert's weights by the names of a Llama's layer, as far as it has copies."""
    state = {}
    for end in ("weight", "bias"):
        joined = weights.get(f"self_attn.{expert}_expert_query_key_value.{end}")
        if joined is not None:
            parts = joined.split([width, kv_width, kv_width])
            names = (f"self_attn.{n}_proj.{end}" for n in "qkv")
            state |= dict(zip(names, parts, strict=True))
    state["self_attn.o_proj.weight"] = weights[f"self_attn.{expert}_expert_dense.weight"]
    for name in LINEAR:
        state[f"mlp.{name}.weight"] = weights[f"mlp.{expert}_mlp.{name}.weight"]
    if expert == "language":
        for norm in ("input_layernorm", "post_attention_layernorm"):
            state[f"{norm}.weight"] = weights[f"{norm}.weight"]
    return state


def spans(types: Tensor, **states: Tensor) -> FusedMedia:
    """Media where token types are those of an image, and one of states at each row's beginning."""
    rows = []
    for row, kinds in enumerate(types.tolist()):
        starts = [c for c, kind in enumerate(kinds) if kind and not (c and kinds[c - 1])]
        ends = [c for c, kind in enumerate(kinds) if kind and not [*kinds, 0][c + 1]]
        media = [FusedMedium(a, runs=[(a, b - a + 1)]) for a, b in zip(starts, ends, strict=True)]
        if states:
            media = [FusedMedium(0, states["states"][row])]
        rows.append(media)
    return FusedMedia(rows, CPU)


def begin(fusion: Fusion, media: FusedMedia, places: Tensor) -> None:
    fusion._begin(FusionPass(media, places, torch.zeros_like(places)))


def experts_of(
    language: LanguageModel, weights: dict[str, Tensor], config: dict[str, Any]
) -> ModalityExperts:
    heads = config["num_attention_heads"]
    kv_width = config.get("num_multi_query_heads", heads) * config["hidden_size"] // heads
    state = named(weights, "vision", config["hidden_size"], kv_width)
    biased = ["*q_proj", "*k_proj", "*v_proj"] if any(n.endswith("bias") for n in state) else []
    fusion = ModalityExperts(widths={"image": 4}, biased=biased)
    fusion.attach(language)
    by_name = {}
    for name, value in state.items():
        module, _, end = name.rpartition(".")
        by_name[f"experts.0.{module.replace('.', '_')}.{end}"] = value
    fusion.load_state_dict(by_name)
    return fusion


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "theta"), [("cogvlm_layer", 1e4), ("cogvlm2_layer", 5e5), ("cogagent_layer", 1e4)]
)
def test_layer(name: str, theta: float) -> None:
    config, weights, golden = golden_published(name)
    language = one_layer(config, weights, theta)
    cross = None
    if "in.encoder" in golden:  # put on first: `attach` allows one fusion around a model
        cross = LightCrossAttention(widths={"image": config["cross_hidden_size"]})
        cross.attach(language)
        own = {
            "norm": weights["post_cross_attention_layernorm.weight"],
            **{
                f"{n}.weight": weights[f"cross_attn.{n}.weight"]
                for n in ("query", "key_value", "dense")
            },
        }
        cross.load_state_dict({f"blocks.0.{n}": value for n, value in own.items()})
        language._begin_pass = None
    fusion = experts_of(language, weights, config)
    types, mask = golden["in.token_type_ids"], golden["in.attention_mask"].long()
    past = hf.DynamicCache()
    outputs = []
    for states, positions, columns in (
        (golden["in.x"], golden["position_ids"], torch.arange(types.shape[1])),
        (golden["in.step"], golden["step_position_ids"], torch.tensor([types.shape[1]])),
    ):
        begin(fusion, spans(types), columns[None])
        if cross is not None:
            begin(cross, spans(types, states=golden["in.encoder"]), columns[None])
        seen = int(columns[-1]) + 1
        outputs.append(
            language.backbone(
                inputs_embeds=states,
                attention_mask=torch.nn.functional.pad(mask, (0, seen - mask.shape[1]), value=1),
                position_ids=positions,
                past_key_values=past,
                use_cache=True,
            ).last_hidden_state
        )
    out, step = outputs
    real = mask.bool()
    torch.testing.assert_close(out[real], golden["out"][real], atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(step, golden["out_step"], atol=2e-5, rtol=1e-4)
    keys = past.layers[0].keys[:, :, : types.shape[1]].transpose(1, 2)
    expected = golden["key_cache"].transpose(1, 2)
    torch.testing.assert_close(keys[real], expected[real], atol=2e-5, rtol=1e-4)
