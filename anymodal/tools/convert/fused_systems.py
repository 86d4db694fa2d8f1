"""Published checkpoints whose media reach the language model's blocks, by their own keys."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from anymodal.tools.convert.system import Derive, Names, System

_LAYER = r"(?:model\.)?layers\.(\d+)\."
_PICTURES = r"(?:model\.)?vision\."
_QUERIES = rf"{_LAYER}self_attn\.vision_expert_query_key_value\.weight"


def _experts(prefix: str) -> Names:
    return [
        (
            rf"{_LAYER}self_attn\.vision_expert_dense\.weight",
            [rf"{prefix}experts.\1.self_attn_o_proj.weight"],
        ),
        (
            rf"{_LAYER}mlp\.vision_mlp\.(gate|up|down)_proj\.weight",
            [rf"{prefix}experts.\1.mlp_\2_proj.weight"],
        ),
        (rf"{_PICTURES}linear_proj\.(.+)", [r"projection.maps.image.\1"]),
        (rf"{_PICTURES}boi", ["projection.begin.image"]),
        (rf"{_PICTURES}eoi", ["projection.end.image"]),
    ]


def _split_queries(prefix: str) -> Derive:
    """Experts of queries, keys and values, of one matrix of all three."""

    def derive(match: re.Match[str], value: Tensor) -> Mapping[str, Tensor]:
        home = f"{prefix}experts.{match[1]}.self_attn"
        rows, width = value.shape
        # CogVLM2's keys and values have fewer heads than its queries.
        parts = value.split([width, (rows - width) // 2, (rows - width) // 2])
        return {f"{home}_{n}_proj.weight": p for n, p in zip("qkv", parts, strict=True)}

    return derive


PROMPTS = 10
"""Of a layer of LLaMA-Adapter."""
LAYERS = 32
"""Of LLaMA 7B, whose upper ones have prompts."""
HEAD_WIDTH = 128


def _split_prompts(match: re.Match[str], value: Tensor) -> Mapping[str, Tensor]:
    """The prompts of the upper layers, of one matrix of all."""
    parts = value.split(PROMPTS)
    first = LAYERS - len(parts)
    return {f"fusion.prompts.{first + place}": part for place, part in enumerate(parts)}


def _flatten_gate(match: re.Match[str], value: Tensor) -> Mapping[str, Tensor]:
    name = {"gate": "gates", "new_gate": "gate_scales"}[match[2]]
    return {f"fusion.{name}.{match[1]}": value.flatten()}


def turn_in_halves(value: Tensor, head_width: int) -> Tensor:
    """Rows of queries or keys whose neighbours turn together, as transformers has them: those a
    half of a head apart do.
    """
    turned: Tensor = value.unflatten(0, (-1, head_width // 2, 2)).transpose(1, 2).flatten(0, 2)
    return turned


def _turn_bias(match: re.Match[str], value: Tensor) -> Mapping[str, Tensor]:
    turned = turn_in_halves(value, HEAD_WIDTH)
    return {f"fusion.biases.{match[1]}.self_attn_q_proj": turned}


def _name_adapter(match: re.Match[str], value: Tensor) -> Mapping[str, Tensor]:
    """One of the two matrices of a linear layer's adapter, by peft's name."""
    layer, linear, matrix = match[1], match[2], "AB"[int(match[3]) - 1]
    if matrix == "B" and linear in ("wq", "wk"):
        value = turn_in_halves(value, HEAD_WIDTH)
    home = f"language.model.model.layers.{layer}.{_LINEAR[linear]}"
    return {f"{home}.lora_{matrix}.default.weight": value}


_LLAMA = r"(?:llama\.)?layers\.(\d+)\."
_LINEAR = {
    "wq": "self_attn.q_proj",
    "wk": "self_attn.k_proj",
    "wv": "self_attn.v_proj",
    "wo": "self_attn.o_proj",
    "w1": "mlp.gate_proj",
    "w2": "mlp.down_proj",
    "w3": "mlp.up_proj",
}
_READER = {
    "norm1": "norm1",
    "norm2": "norm2",
    r"attn\.qkv": "qkv",
    r"attn\.proj": "proj",
    r"mlp\.fc1": "fc1",
    r"mlp\.fc2": "fc2",
}
_OUTER = {
    "clip_proj": "inputs.image.0",
    "clip_proj_norm": "inputs.image.1",
    "visual_proj": "output.0",
    "visual_proj_norm": "output.1",
}
_BIASED = {
    r"attention\.wo": "self_attn_o_proj",
    r"feed_forward\.w1": "mlp_gate_proj",
    r"feed_forward\.w2": "mlp_down_proj",
    r"feed_forward\.w3": "mlp_up_proj",
}
_NORMS = {"attention_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
_MIXTURE = r"(?:model\.)*(?:transformer\.)?(?:layers|h)\.(\d+)\.mlp\.deepspeed_moe\."

FUSED_SYSTEMS: dict[str, System] = {
    "openflamingo": System(
        names=[
            (r"perceiver\.(.+)", [r"fusion.resamplers.image.\1"]),
            (
                r"lang_encoder\.(?:.+\.)?(?:layers|blocks)\.(\d+)\.gated_cross_attn_layer\.(.+)",
                [r"fusion.blocks.\1.\2"],
            ),
        ],
        required_names=["fusion.resamplers.image.latents"],
        licence="the terms on its publishers' page",
        commercial_use=None,
    ),
    "cogvlm": System(
        names=_experts("fusion."),
        derived=[(_QUERIES, _split_queries("fusion."))],
        required_names=["fusion.experts.0.self_attn_q_proj.weight", "projection.begin.image"],
        licence="the CogVLM Licence",
        commercial_use=None,
    ),
    "cogagent": System(
        names=[
            *_experts("fusion.routed."),
            (
                rf"{_LAYER}cross_attn\.(query|key_value|dense)\.weight",
                [r"fusion.blocks.\1.\2.weight"],
            ),
            (rf"{_LAYER}post_cross_attention_layernorm\.weight", [r"fusion.blocks.\1.norm"]),
            (r"(?:model\.)?cross_vision\.pos_embed", ["fusion.places.image"]),
        ],
        derived=[(_QUERIES, _split_queries("fusion.routed."))],
        required_names=["fusion.routed.experts.0.self_attn_q_proj.weight", "fusion.blocks.0.norm"],
        licence="the CogAgent Licence",
        commercial_use=None,
    ),
    "llama-adapter-v2": System(
        names=[
            (r"visual_query\.weight", ["fusion.queries.image"]),
            *((rf"{key}\.(weight|bias)", [rf"fusion.{name}.\1"]) for key, name in _OUTER.items()),
            *(
                (
                    rf"visual_blocks\.(\d+)\.{key}\.(weight|bias)",
                    [rf"fusion.layers_of_reader.\1.{name}.\2"],
                )
                for key, name in _READER.items()
            ),
            *(
                (rf"{_LLAMA}{key}\.bias", [rf"fusion.biases.\1.{name}"])
                for key, name in _BIASED.items()
            ),
            # Of the language model, its norms were trained too.
            *(
                (rf"{_LLAMA}{key}\.weight", [rf"language.model.model.layers.\1.{name}.weight"])
                for key, name in _NORMS.items()
            ),
            (r"(?:llama\.)?norm\.weight", ["language.model.model.norm.weight"]),
        ],
        derived=[
            (r"adapter_query\.weight", _split_prompts),
            (rf"{_LLAMA}attention\.(gate|new_gate)", _flatten_gate),
            (rf"{_LLAMA}attention\.wq\.bias", _turn_bias),
            (rf"{_LLAMA}(?:attention|feed_forward)\.lora_(w\w)_l([12])\.weight", _name_adapter),
        ],
        required_names=["fusion.queries.image", f"fusion.gates.{LAYERS - 1}"],
        licence="terms that its publishers leave open, made for LLaMA (research only)",
        commercial_use=False,
    ),
    "moe-llava": System(
        names=[
            # In a module of several projections, of which images have this one.
            (
                r"(?:model\.)?mm_projector\.(?:image_spatial_proj\.)?((?:0|2)\..+)",
                [r"projection.maps.image.\1"],
            ),
            (rf"{_MIXTURE}gate\.wg\.weight", [r"fusion.routers.\1.weight"]),
            (
                rf"{_MIXTURE}experts\.deepspeed_experts\.(\d+)\.(.+)",
                [r"fusion.experts.\1.\2.\3"],
            ),
        ],
        required_names=["fusion.routers.0.weight", "projection.maps.image.0.weight"],
        licence="Apache-2.0 for its code; its weights by the terms of their language model",
        commercial_use=None,
    ),
}
