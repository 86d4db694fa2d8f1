"""Published checkpoints: the keys of their parts, and the names of those parts here."""

from __future__ import annotations

import re
from collections.abc import Mapping

from anymodal.tools.convert.fused_systems import FUSED_SYSTEMS
from anymodal.tools.convert.system import Names, System

# Names of a GILL mapper (`MapperHead`), which NExT-GPT has as well.
_HEAD = r"((?:fc|tfm|model)\..+|query_embs)"
_QFORMER = [
    # Positions are no weights, though some versions of transformers saved them.
    (r"(qformer\.(?!embeddings\.position_ids).+)", [r"projection.\1"]),
    (r"query_tokens", ["projection.query_tokens.image"]),
]
_QFORMER_AND_LINEAR = [
    *_QFORMER,
    (r"language_projection\.(weight|bias)", [r"projection.language_projection.image.\1"]),
]
_UPM = "(routers|resample_tokens|clip_proj1|clip_proj2|start_tag|end_tag)"
_ONELLM = {
    "image": "image", "video": "video", "audio": "audio", "imu": "imu",
    "point": "points", "rgbd": "depth", "rgbn": "normal",
}  # fmt: skip
"""OneLLM's modalities and ours; of its fMRI nothing is taken."""
# As peft wraps a language model: its adapters have this before their names.
_LLAMA = "llama_model.base_model.model."


def _of_picture(prefix: str, names: Mapping[str, str]) -> Names:
    """Names below a prefix, as patterns, and those of the network of pictures here."""
    return [
        (rf"{prefix}{theirs}", [rf"projection.maps.image.{ours}"]) for theirs, ours in names.items()
    ]


_RESIDUAL = {
    r"0\.0": "convolution",
    r"0\.1": "convolution_norm",
    r"1\.fc1": "squeeze",
    r"1\.fc2": "excite",
    r"2\.0": "pointwise",
    r"2\.1": "output_norm",
}
_LDP = {
    r"model\.mlp\.1\.(weight|bias)": r"mlp.0.\1",
    r"model\.mlp\.3\.(weight|bias)": r"mlp.2.\1",
    **{
        rf"model\.mb_block\.{place + 1}\.block\.{theirs}(\..+)": rf"blocks.{place}.{ours}\1"
        for place in (0, 1)
        for theirs, ours in _RESIDUAL.items()
    },
}
_MOBILEVLM = r"(?:model\.)?mm_projector\."
_ABSTRACTOR = {
    r"(query_embeds|vit_eos|visual_fc\.(?:weight|bias))": r"\1",
    r"encoder\.(layers\.\d+)\.crossattention\.attention\.((?:query|key|value)\..+)": r"\1.\2",
    r"encoder\.(layers\.\d+)\.crossattention\.((?:norm1|normk)\..+)": r"\1.\2",
    r"encoder\.(layers\.\d+)\.crossattention\.output\.((?:out_proj|norm2)\..+)": r"\1.\2",
    r"encoder\.(layers\.\d+)\.crossattention\.output\.mlp\.(.+)": r"\1.\2",
}

SYSTEMS: dict[str, System] = {
    "nextgpt": System(
        names=[
            # One projection reads ImageBind's embeddings of every modality; here each has a copy.
            (
                r"llama_proj\.(weight|bias)",
                [rf"projection.maps.{name}.\1" for name in ("image", "audio", "video")],
            ),
            (rf"gen_text_hidden_fcs\.0\.{_HEAD}", [r"heads.image.\1"]),
            (rf"gen_text_hidden_fcs_audio\.0\.{_HEAD}", [r"heads.audio.\1"]),
            (rf"gen_text_hidden_fcs_video\.0\.{_HEAD}", [r"heads.video.\1"]),
            (
                re.escape(_LLAMA) + r"(.+\.lora_[AB])(?:\.default)?\.weight",
                [r"language.model.\1.default.weight"],
            ),
        ],
        required_names=["projection.maps.image.weight", "heads.image.query_embs"],
        licence="terms that its publishers leave open, made for Vicuna v0 (LLaMA: research only)",
        commercial_use=False,
        signals={
            "image": [f"[IMG{index}]" for index in range(4)],
            "audio": [f"[AUD{index}]" for index in range(8)],
            "video": [f"[VID{index}]" for index in range(24)],
        },
        rows={
            "language.rows": f"{_LLAMA}model.embed_tokens.weight",
            "language.output_rows": f"{_LLAMA}lm_head.weight",
        },
    ),
    "gill": System(
        names=[
            (r"model\.visual_embeddings\.(weight|bias)", [r"projection.maps.image.\1"]),
            (rf"model\.gen_text_hidden_fcs\.0\.{_HEAD}", [r"heads.image.\1"]),
        ],
        required_names=["heads.image.query_embs"],
        licence="Apache-2.0, made for OPT-6.7B (research only)",
        commercial_use=False,
        signals={"image": [f"[IMG{index}]" for index in range(8)]},
        rows={"language.rows": "model.input_embeddings.weight"},
    ),
    "gill-retrieval": System(
        names=[
            (r"model\.ret_text_hidden_fcs\.0\.model\.(weight|bias)", [r"heads.image.found.\1"]),
            (r"model\.visual_fc\.(weight|bias)", [r"decoders.image.visual_fc.\1"]),
            (r"model\.logit_scale", ["decoders.image.logit_scale"]),
        ],
        required_names=["heads.image.found.weight", "decoders.image.visual_fc.weight"],
        licence="Apache-2.0, made for OPT-6.7B (research only)",
        commercial_use=False,
    ),
    "gill-decision": System(
        names=[(r"1\.(weight|bias)", [r"heads.image.decision.\1"])],  # 0 is a dropout
        required_names=["heads.image.decision.weight"],
        licence="Apache-2.0, made for OPT-6.7B (research only)",
        commercial_use=False,
    ),
    "onellm": System(
        names=[
            (r"(?:llma\.)?(resample_layers\..+)", [r"projection.\1"]),
            *(
                (rf"(?:llma\.)?{_UPM}\.{key}((?:\..+)?)", [rf"projection.\1.{name}\2"])
                for key, name in _ONELLM.items()
            ),
        ],
        required_names=["projection.resample_tokens.image"],
        licence="the LLaMA 2 Community License",
        commercial_use=None,
        # Its point clouds are embedded otherwise, and what comes as a picture has no tokenizer.
        names_by_folder={
            "tokenizers": [
                (r"(?:llma\.)?conv1\.(audio|imu)\.(weight|bias)", [r"\1.conv.\2"]),
                (r"(?:llma\.)?positional_embedding\.(audio|imu)", [r"\1.positions"]),
            ]
        },
    ),
    "qformer": System(
        names=_QFORMER,
        required_names=["projection.query_tokens.image"],
        licence="the terms on its publishers' page",
        commercial_use=None,
    ),
    "blip2": System(
        names=_QFORMER_AND_LINEAR,
        required_names=["projection.query_tokens.image"],
        licence="the terms on its publishers' page",
        commercial_use=None,
    ),
    "instructblip": System(
        names=_QFORMER_AND_LINEAR,
        # A BLIP-2's has no words to read with.
        required_names=[
            "projection.query_tokens.image",
            "projection.qformer.embeddings.word_embeddings.weight",
        ],
        licence="the terms on its publishers' page",
        commercial_use=None,
    ),
    "qwen-vl": System(
        names=_of_picture(
            r"(?:transformer\.)?visual\.",
            # Positions are a fixed table, which the checkpoint has beside the weights.
            {r"attn_pool\.(?!pos_embed)(.+)": r"\1", r"(ln_post\..+|proj)": r"\1"},
        ),
        required_names=["projection.maps.image.attn.in_proj_weight", "projection.maps.image.proj"],
        licence="the Tongyi Qianwen License Agreement",
        commercial_use=None,
    ),
    "mobilevlm": System(
        names=_of_picture(_MOBILEVLM, _LDP),
        required_names=["projection.maps.image.blocks.1.output_norm.weight"],
        licence="Apache-2.0",
        commercial_use=True,
    ),
    "mobilevlm-v2": System(
        names=[
            (rf"{_MOBILEVLM}mlp\.mlp\.(.+)", [r"projection.mlps.image.\1"]),
            (rf"{_MOBILEVLM}peg\.peg\.0\.(.+)", [r"projection.convolutions.image.\1"]),
        ],
        required_names=["projection.convolutions.image.weight"],
        licence="Apache-2.0",
        commercial_use=True,
    ),
    "llava-next": System(
        names=[
            (r"(?:model\.)?mm_projector\.((?:0|2)\..+)", [r"projection.maps.image.\1"]),
            # As transformers names them.
            (
                r"(?:model\.)?multi_modal_projector\.linear_1\.(.+)",
                [r"projection.maps.image.0.\1"],
            ),
            (
                r"(?:model\.)?multi_modal_projector\.linear_2\.(.+)",
                [r"projection.maps.image.2.\1"],
            ),
            (r"(?:model\.)?image_newline", ["projection.line_ends.image"]),
        ],
        required_names=["projection.maps.image.0.weight", "projection.line_ends.image"],
        licence="the terms of its language model",
        commercial_use=None,
    ),
    "mplug-owl2": System(
        names=[
            *_of_picture(r"(?:model\.)?visual_abstractor\.", _ABSTRACTOR),
            # Of two copies the second is that of media.
            (
                r"(?:model\.)?layers\.(\d+)\.self_attn\.([kv])_proj\.multiway\.1\.(.+)",
                [r"fusion.experts.\1.self_attn_\2_proj.\3"],
            ),
            (
                r"(?:model\.)?layers\.(\d+)\.(\w+_layernorm)\.multiway\.1\.(.+)",
                [r"fusion.experts.\1.\2.\3"],
            ),
        ],
        required_names=["projection.maps.image.query_embeds"],
        licence="the terms on its publishers' page",
        commercial_use=None,
    ),
    "docowl": System(
        # Its LayerNorm `ln_q` is in the checkpoint, and nothing reads it.
        names=_of_picture(
            r"(?:model\.)?vision2text\.",
            {r"(reducer_before\.0\..+|reducer\..+|visual_fc\..+|vit_eos)": r"\1"},
        ),
        required_names=["projection.maps.image.reducer.weight"],
        licence="the terms on its publishers' page",
        commercial_use=None,
    ),
    **FUSED_SYSTEMS,
}
