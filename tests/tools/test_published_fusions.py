"""Published checkpoints become weights of fusions, by their own keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from anymodal.fusion import (
    ExpertsWithCrossAttention,
    Fusion,
    GatedCrossAttention,
    MediaAdapterPrefix,
    ModalityExperts,
    SparseUpcycling,
)
from anymodal.io.checkpoint import WEIGHTS, CheckpointError, load_weights
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
    weights["model.cross_vision.pos_embed"] = torch.randn(6, 24)
    state = imported("cogagent", weights, tmp_path)
    fusion = attached(ExpertsWithCrossAttention, language, heads=2, tokens=6)
    assert_are_all_of(state, fusion, "fusion")


def test_experts_with_fewer_heads_of_keys(tmp_path: Path) -> None:
    """As CogVLM2's, whose matrix of queries, keys and values isn't in equal parts."""
    language = make("llama-2")
    config = language.model.config
    width, narrow = config.hidden_size, config.num_key_value_heads * config.head_dim
    assert narrow < width
    weights = expert_keys(width, config.intermediate_size)
    for layer in range(2):
        name = f"model.layers.{layer}.self_attn.vision_expert_query_key_value.weight"
        weights[name] = torch.randn(width + 2 * narrow, width)
    state = imported("cogvlm", weights, tmp_path)
    assert_are_all_of(state, attached(ModalityExperts, language), "fusion")


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


def test_llama_adapters_low_rank_matrices(tmp_path: Path) -> None:
    """Some published ones have them; without them the others say something else."""
    rank, width, home = 3, 256, "llama.layers.31."
    weights = {"visual_query.weight": torch.randn(10, 8)}
    weights[f"{home}attention.gate"] = torch.randn(1, 2, 1, 1)
    for name in ("attention.lora_wq", "attention.lora_wv", "feed_forward.lora_w2"):
        weights[f"{home}{name}_l1.weight"] = torch.randn(rank, width)
        weights[f"{home}{name}_l2.weight"] = torch.randn(width, rank)
    state = imported("llama-adapter-v2", weights, tmp_path)
    for theirs, ours in (
        ("attention.lora_wq", "self_attn.q_proj"),
        ("attention.lora_wv", "self_attn.v_proj"),
        ("feed_forward.lora_w2", "mlp.down_proj"),
    ):
        base = f"language.model.model.layers.31.{ours}.lora_"
        assert torch.equal(state[f"{base}A.default.weight"], weights[f"{home}{theirs}_l1.weight"])
        last = weights[f"{home}{theirs}_l2.weight"]
        last = turn_in_halves(last, 128) if theirs.endswith("wq") else last
        assert torch.equal(state[f"{base}B.default.weight"], last)


def test_a_folder_of_several_files(tmp_path: Path) -> None:
    """Pickles as well as safetensors; what is to be taken must be there."""
    weights = expert_keys(16, 24)
    whole = imported("cogvlm", weights, tmp_path)
    first = {n: value for n, value in weights.items() if "layers.1" not in n}
    second = {n: value for n, value in weights.items() if n not in first}
    third = {"model.norm.weight": torch.randn(16)}
    for suffix, save, stem in (
        ("bin", torch.save, "pytorch_model"),
        ("safetensors", save_file, "model"),
    ):
        folder = tmp_path / suffix
        folder.mkdir()
        names = [f"{stem}-{number}-of-3.{suffix}" for number in (1, 2, 3)]
        for part, name in zip((first, second), names[:2], strict=True):
            save({n: value.contiguous() for n, value in part.items()}, folder / name)
        (folder / "training_args.bin").write_bytes(b"no tensors")
        files = [dict.fromkeys(p, n) for p, n in zip((first, second, third), names, strict=True)]
        index = {"weight_map": {k: v for each in files for k, v in each.items()}}
        (folder / f"{stem}.{suffix}.index.json").write_text(json.dumps(index))
        # The third file has nothing that is taken, and needn't be there.
        convert("cogvlm", folder, folder / "out")
        state = load_weights(folder / "out" / WEIGHTS)
        assert state.keys() == whole.keys()
        assert all(torch.equal(state[name], value) for name, value in whole.items())
        (folder / names[1]).unlink()
        with pytest.raises(CheckpointError, match=f"is in {names[1]}, which isn't in"):
            convert("cogvlm", folder, folder / "again")
        (folder / f"{stem}.{suffix}.index.json").write_text("[1]")
        with pytest.raises(CheckpointError, match=r"index.json is damaged"):
            convert("cogvlm", folder, folder / "again")


def test_a_state_dict_among_what_a_training_saved(tmp_path: Path) -> None:
    _, weights, _ = golden_published("flamingo_lm_gptneox")
    plain = imported("openflamingo", weights, tmp_path)
    named = {f"module.{name}": value for name, value in weights.items()}
    torch.save({"epoch": 2, "model_state_dict": named}, tmp_path / "checkpoint_2.pt")
    convert("openflamingo", tmp_path / "checkpoint_2.pt", tmp_path / "again")
    assert load_weights(tmp_path / "again" / WEIGHTS).keys() == plain.keys()


def test_moe_llava(tmp_path: Path) -> None:
    fusion = attached(SparseUpcycling, every=1)
    own = fusion.state_dict()
    weights = {}
    for name, value in own.items():
        kind, layer, rest = name.split(".", 2)
        home = f"model.layers.{layer}.mlp.deepspeed_moe."
        experts = f"experts.deepspeed_experts.{rest}"
        weights[home + ("gate.wg.weight" if kind == "routers" else experts)] = value + 1
    with pytest.raises(CheckpointError, match="nothing for projection.maps.image.0.weight"):
        imported("moe-llava", weights, tmp_path)
    # Its projector is a module of several, of which a model of images has this one.
    linear = torch.randn(4, 4)
    weights["model.mm_projector.image_spatial_proj.0.weight"] = linear
    state = imported("moe-llava", weights, tmp_path)
    assert_are_all_of(state, fusion, "fusion")
    assert torch.equal(state["projection.maps.image.0.weight"], linear)


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
