"""Published checkpoints become weights of fusions, by their own keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anymodal.fusion import (
    ExpertsWithCrossAttention,
    Fusion,
    GatedCrossAttention,
    MediaAdapterPrefix,
    ModalityExperts,
    SparseUpcycling,
)
from anymodal.io.checkpoint import WEIGHTS, load_weights
from anymodal.language.model import LanguageModel
from anymodal.projection import GatedMLPProjection
from anymodal.tools.convert.fused_systems import turn_in_halves
from anymodal.tools.convert.importers import convert
from tests.support.golden_weights import golden_published
from tests.support.language_kinds import make


def imported(system: str, weights: dict[str, Tensor], folder: Path) -> dict[str, Tensor]:
    torch.save(weights, folder / "published")
    convert(system, folder / "published", folder / "out")
    return load_weights(folder / "out" / WEIGHTS)


def assert_are_all_of(
    state: dict[str, Tensor], part: Fusion | GatedMLPProjection, name: str
) -> None:
    own = {n.removeprefix(f"{name}."): v for n, v in state.items() if n.startswith(f"{name}.")}
    shapes = {n: tuple(value.shape) for n, value in own.items()}
    assert shapes == {n: tuple(value.shape) for n, value in part.state_dict().items()}
    part.load_state_dict(own)


def attached(cls: type[Fusion], language: LanguageModel | None = None, **settings: Any) -> Fusion:
    fusion = cls(widths=settings.pop("widths", {"image": 24}), **settings)
    fusion.attach(language or make("llama-2"))
    return fusion


def test_openflamingo(tmp_path: Path) -> None:
    config, weights, _ = golden_published("flamingo_lm_gptneox")
    state = imported("openflamingo", weights, tmp_path)
    assert all(name.startswith("fusion.") for name in state), "nothing of the language model"
    width = config["lm_config"]["hidden_size"]
    assert state["fusion.blocks.0.attn.to_q.weight"].shape == (512, width)
    fusion = GatedCrossAttention(widths={"image": config["vis_dim"]}, every=1)
    resampler = {n: tuple(value.shape) for n, value in fusion.state_dict().items()}
    assert (
        resampler.items()
        <= {n.removeprefix("fusion."): tuple(value.shape) for n, value in state.items()}.items()
    )
    key = next(n for n in weights if n.endswith("1.gated_cross_attn_layer.ff_gate"))
    assert torch.equal(state["fusion.blocks.1.ff_gate"], weights[key])


def expert_keys(width: int, inner: int) -> dict[str, Tensor]:
    weights = {}
    for layer in range(2):
        home = f"model.layers.{layer}."
        weights |= {
            f"{home}self_attn.vision_expert_query_key_value.weight": torch.randn(3 * width, width),
            f"{home}self_attn.vision_expert_dense.weight": torch.randn(width, width),
            f"{home}self_attn.language_expert_dense.weight": torch.randn(width, width),
            f"{home}mlp.vision_mlp.gate_proj.weight": torch.randn(inner, width),
            f"{home}mlp.vision_mlp.up_proj.weight": torch.randn(inner, width),
            f"{home}mlp.vision_mlp.down_proj.weight": torch.randn(width, inner),
        }
    projection = GatedMLPProjection(
        widths={"image": 24}, output_width=width, num_tokens=4, hidden_width=inner
    )
    adapter = projection.maps["image"].state_dict()
    weights |= {f"model.vision.linear_proj.{name}": value for name, value in adapter.items()}
    weights |= {f"model.vision.{name}": torch.randn(1, 1, width) for name in ("boi", "eoi")}
    return weights


def equal_heads() -> LanguageModel:
    """A Llama whose keys and values have as many heads as its queries, as CogVLM's."""
    import transformers as hf

    language = make("llama-2")
    config = language.model.config
    config.num_key_value_heads = config.num_attention_heads
    return LanguageModel(hf.LlamaForCausalLM(config).eval(), language._plain_tokenizer)


def test_cogvlm(tmp_path: Path) -> None:
    language = equal_heads()
    config = language.model.config
    weights = expert_keys(config.hidden_size, config.intermediate_size)
    state = imported("cogvlm", weights, tmp_path)
    assert_are_all_of(state, attached(ModalityExperts, language), "fusion")
    projection = GatedMLPProjection(
        widths={"image": 24},
        output_width=config.hidden_size,
        num_tokens=4,
        hidden_width=config.intermediate_size,
    )
    assert_are_all_of(state, projection, "projection")
    joined = weights["model.layers.1.self_attn.vision_expert_query_key_value.weight"]
    width = config.hidden_size
    key = state["fusion.experts.1.self_attn_k_proj.weight"]
    assert torch.equal(key, joined[width : 2 * width])


def test_cogagent(tmp_path: Path) -> None:
    language = equal_heads()
    config = language.model.config
    width = config.hidden_size
    weights = expert_keys(width, config.intermediate_size)
    for layer in range(2):
        home = f"model.layers.{layer}."
        weights |= {
            f"{home}cross_attn.query.weight": torch.randn(24, width),
            f"{home}cross_attn.key_value.weight": torch.randn(48, 24),
            f"{home}cross_attn.dense.weight": torch.randn(width, 24),
            f"{home}post_cross_attention_layernorm.weight": torch.randn(width),
        }
    state = imported("cogagent", weights, tmp_path)
    assert_are_all_of(state, attached(ExpertsWithCrossAttention, language, heads=2), "fusion")


def test_llama_adapter(tmp_path: Path) -> None:
    language = make("llama-2")
    width, length = language.width, 10
    fusion = attached(
        MediaAdapterPrefix,
        language,
        layers=1,
        biased=["*q_proj", "*o_proj", "mlp.*"],
        width=8,
        depth=1,
        heads=2,
    )
    own = fusion.state_dict()
    inner = language.model.config.intermediate_size
    weights = {"adapter_query.weight": torch.randn(31 * length, width)}
    for outer, name in (("clip_proj", "inputs.image"), ("visual_proj", "output")):
        for end in ("weight", "bias"):
            weights[f"{outer}.{end}"] = torch.randn_like(own[f"{name}.0.{end}"])
            weights[f"{outer}_norm.{end}"] = torch.randn_like(own[f"{name}.1.{end}"])
    weights["visual_query.weight"] = torch.randn(length, 8)
    names = {"norm1": "norm1", "norm2": "norm2", "attn.qkv": "qkv", "attn.proj": "proj"}
    for theirs, ours in {**names, "mlp.fc1": "fc1", "mlp.fc2": "fc2"}.items():
        for end in ("weight", "bias"):
            like = own[f"layers_of_reader.0.{ours}.{end}"]
            weights[f"visual_blocks.0.{theirs}.{end}"] = torch.randn_like(like)
    for layer in range(32):
        home = f"llama.layers.{layer}."
        weights |= {
            f"{home}attention.wq.bias": torch.arange(256.0),
            f"{home}attention.wo.bias": torch.randn(width),
            f"{home}attention_norm.weight": torch.randn(width),
            **{f"{home}feed_forward.w{n}.bias": torch.randn(inner) for n in (1, 3)},
            f"{home}feed_forward.w2.bias": torch.randn(width),
        }
        if layer:
            weights[f"{home}attention.gate"] = torch.randn(1, 2, 1, 1)
    state = imported("llama-adapter-v2", weights, tmp_path)
    assert torch.equal(state["fusion.prompts.31"], weights["adapter_query.weight"][-length:])
    assert "fusion.prompts.0" not in state and "fusion.gates.0" not in state
    turned = state["fusion.biases.5.self_attn_q_proj"]
    assert turned[:3].tolist() == [0, 2, 4] and turned[64:67].tolist() == [1, 3, 5]
    assert torch.equal(turned, turn_in_halves(torch.arange(256.0), 128))
    norm = state["language.model.model.layers.3.input_layernorm.weight"]
    assert torch.equal(norm, weights["llama.layers.3.attention_norm.weight"])
    # Of this model of two layers, all but what has the published heads' width.
    renamed = {n.replace(".30.", ".0.").replace(".31.", ".1."): v for n, v in state.items()}
    renamed["fusion.prompts.1"] = state["fusion.prompts.31"]
    renamed["fusion.gates.1"] = state["fusion.gates.31"]
    for name, value in own.items():
        if not name.endswith("q_proj"):
            assert renamed[f"fusion.{name}"].shape == value.shape, name


def test_moe_llava(tmp_path: Path) -> None:
    fusion = attached(SparseUpcycling, every=1)
    own = fusion.state_dict()
    weights = {}
    for name, value in own.items():
        kind, layer, rest = name.split(".", 2)
        home = f"model.layers.{layer}.mlp.deepspeed_moe."
        experts = f"experts.deepspeed_experts.{rest}"
        weights[home + ("gate.wg.weight" if kind == "routers" else experts)] = value + 1
    weights["model.mm_projector.0.weight"] = torch.randn(4, 4)
    state = imported("moe-llava", weights, tmp_path)
    assert_are_all_of(state, fusion, "fusion")
    assert "projection.maps.image.0.weight" in state


def test_mplug_owl2(tmp_path: Path) -> None:
    patterns = ["*k_proj", "*v_proj", "*layernorm"]
    fusion = attached(ModalityExperts, modules=patterns, without_last=False)
    weights = {"model.visual_abstractor.query_embeds": torch.randn(1, 2, 4)}
    for name, value in fusion.state_dict().items():
        _, layer, rest = name.split(".", 2)
        rest = rest.replace("self_attn_", "self_attn.").replace(".weight", ".multiway.{}.weight")
        for copy in (0, 1):
            weights[f"model.layers.{layer}.{rest.format(copy)}"] = value + copy
    state = imported("mplug-owl2", weights, tmp_path)
    before = fusion.state_dict()["experts.0.self_attn_k_proj.weight"].clone()
    assert_are_all_of(state, fusion, "fusion")
    assert torch.equal(fusion.state_dict()["experts.0.self_attn_k_proj.weight"], before + 1)
