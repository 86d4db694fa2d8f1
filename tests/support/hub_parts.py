"""Published parts without their weights: what their repositories say of their sizes.

Values are those of the repositories' own `config.json` and `model_index.json`, as far as they
decide shapes; tokenizers are small ones of the same class. They are written in the layout of
huggingface_hub's cache, so that configurations open them by their names on the hub.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers as hf
from safetensors.torch import load_file

from tests.support import language_models
from tests.support.multimodal_models import MULTIMODAL_MODELS

QWEN_3: dict[str, Any] = {
    "vocab_size": 151936, "head_dim": 128, "num_key_value_heads": 8, "rms_norm_eps": 1e-6,
    "max_position_embeddings": 40960, "bos_token_id": 151643, "eos_token_id": 151645,
    "dtype": "bfloat16",
}  # fmt: skip
QWEN_3_SIZES: dict[str, dict[str, Any]] = {
    "1.7B": {"hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 28,
             "num_attention_heads": 16, "tie_word_embeddings": True},
    "4B": {"hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36,
           "num_attention_heads": 32, "tie_word_embeddings": True},
    "8B": {"hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36,
           "num_attention_heads": 32, "tie_word_embeddings": False},
}  # fmt: skip
QWEN_3_VL: dict[str, tuple[str, dict[str, Any]]] = {
    "2B": ("1.7B", {"depth": 24, "hidden_size": 1024, "intermediate_size": 4096,
                    "deepstack_visual_indexes": [5, 11, 17]}),
    "4B": ("4B", {"depth": 24, "hidden_size": 1024, "intermediate_size": 4096,
                  "deepstack_visual_indexes": [5, 11, 17]}),
    "8B": ("8B", {"depth": 27, "hidden_size": 1152, "intermediate_size": 4304,
                  "deepstack_visual_indexes": [8, 16, 24]}),
}  # fmt: skip
"""Sizes of the text part, and its tower's."""
SO400M: dict[str, Any] = {
    "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27,
    "num_attention_heads": 16,
}  # fmt: skip
WHISPER: dict[str, dict[str, Any]] = {
    "small": {"d_model": 768, "encoder_layers": 12, "encoder_attention_heads": 12,
              "encoder_ffn_dim": 3072, "decoder_layers": 12, "decoder_attention_heads": 12,
              "decoder_ffn_dim": 3072, "num_mel_bins": 80, "vocab_size": 51865},
    "large-v3-turbo": {"d_model": 1280, "encoder_layers": 32, "encoder_attention_heads": 20,
                       "encoder_ffn_dim": 5120, "decoder_layers": 4, "decoder_attention_heads": 20,
                       "decoder_ffn_dim": 5120, "num_mel_bins": 128, "vocab_size": 51866},
}  # fmt: skip
V_JEPA_2 = {
    "video_processor_type": "VJEPA2VideoProcessor",
    "size": {"shortest_edge": 292},
    "crop_size": {"height": 256, "width": 256},
    "do_center_crop": True,
    "resample": 2,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}
UMT5: dict[str, Any] = {
    "d_model": 4096, "d_ff": 10240, "d_kv": 64, "num_heads": 64, "num_layers": 24,
    "num_decoder_layers": 24, "vocab_size": 256384, "feed_forward_proj": "gated-gelu",
    "tie_word_embeddings": False,
}  # fmt: skip
WAN: dict[str, Any] = {
    "num_attention_heads": 24, "num_layers": 30, "ffn_dim": 14336, "in_channels": 48,
    "out_channels": 48, "text_dim": 4096,
}  # fmt: skip
WAN_2_2_VAE: dict[str, Any] = {
    "base_dim": 160, "decoder_base_dim": 256, "z_dim": 48, "in_channels": 12, "out_channels": 12,
    "is_residual": True, "patch_size": 2, "scale_factor_spatial": 16,
    "latents_mean": [0.0] * 48, "latents_std": [1.0] * 48,
}  # fmt: skip
KLEIN: dict[str, Any] = {
    "num_layers": 5, "num_single_layers": 20, "num_attention_heads": 24,
    "joint_attention_dim": 7680, "guidance_embeds": False,
}  # fmt: skip
ACE_VAE: dict[str, Any] = {
    "downsampling_ratios": [2, 4, 4, 6, 10], "sampling_rate": 48000,
}  # fmt: skip
EMBEDDING = {"hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28,
             "num_attention_heads": 16, "tie_word_embeddings": True}  # fmt: skip
VIBEVOICE_TEXT = {
    "model_type": "qwen2", "vocab_size": 151936, "hidden_size": 1536, "intermediate_size": 8960,
    "num_hidden_layers": 28, "num_attention_heads": 12, "num_key_value_heads": 2,
    "max_position_embeddings": 65536, "tie_word_embeddings": True,
}  # fmt: skip
LICENCES = {
    "Qwen": "apache-2.0", "google": "apache-2.0", "black-forest-labs": "apache-2.0",
    "Wan-AI": "apache-2.0", "facebook": "mit", "whisper-small": "apache-2.0",
    "whisper-large-v3-turbo": "mit", "Runware": "mit", "vibevoice": "mit",
    "gradium": "apache-2.0",
}  # fmt: skip


def pickle_weights(folder: Path, shards: int = 1) -> None:
    """Turn what is in safetensors into what was published before there were any."""
    for file in list(folder.rglob("*.safetensors")):
        stem = "pytorch_model" if file.stem == "model" else file.stem
        weights = load_file(file)
        file.unlink()
        if shards == 1:
            torch.save(weights, file.with_name(f"{stem}.bin"))
            continue
        places: dict[str, str] = {}
        for shard in range(shards):
            name = f"{stem}-{shard + 1:05}-of-{shards:05}.bin"
            shard_weights = dict(list(weights.items())[shard::shards])
            torch.save(shard_weights, file.with_name(name))
            places |= dict.fromkeys(shard_weights, name)
        index = {"metadata": {"total_size": 1}, "weight_map": places}
        file.with_name(f"{stem}.bin.index.json").write_text(json.dumps(index))


def write(hub: Path, name: str, commit: str) -> Path:
    """One repository in a hub's cache, at a commit that `main` refers to; its folder."""
    home = hub / f"models--{name.replace('/', '--')}"
    folder = home / "snapshots" / commit
    if folder.is_dir():
        return folder
    folder.mkdir(parents=True)
    (home / "refs").mkdir(exist_ok=True)
    (home / "refs" / "main").write_text(commit)
    owner, _, model = name.partition("/")
    licence = LICENCES.get(owner) or LICENCES[model]
    (folder / "README.md").write_text(f"---\nlicense: {licence}\n---\n")
    if model.startswith("Qwen3-VL-"):
        _qwen_vl(folder, *QWEN_3_VL[model.split("-")[2]])
    elif owner == "Qwen":
        _qwen(folder, QWEN_3_SIZES[model.removeprefix("Qwen3-")])
    elif owner == "google":
        config = hf.SiglipConfig(
            vision_config={**SO400M, "image_size": 384, "patch_size": 14},
            text_config={**SO400M, "vocab_size": 256000},
        )
        config.save_pretrained(folder)
        hf.SiglipImageProcessorPil(size={"height": 384, "width": 384}).save_pretrained(folder)
    elif owner == "openai":
        sizes = WHISPER[model.removeprefix("whisper-")]
        hf.WhisperConfig(**sizes).save_pretrained(folder)
        hf.WhisperFeatureExtractor(feature_size=sizes["num_mel_bins"]).save_pretrained(folder)
    elif owner == "facebook":
        hf.VJEPA2Config().save_pretrained(folder)  # whose defaults are these sizes
        (folder / "video_preprocessor_config.json").write_text(json.dumps(V_JEPA_2))
    else:
        _MAKERS[owner](folder)
    return folder


def _qwen(folder: Path, sizes: dict[str, Any]) -> None:
    hf.Qwen3Config(**QWEN_3, **sizes, architectures=["Qwen3ForCausalLM"]).save_pretrained(folder)
    language_models.FAMILIES["qwen3"].tokenizer().save_pretrained(folder)


def _qwen_vl(folder: Path, size: str, tower: dict[str, Any]) -> None:
    tokenizer = MULTIMODAL_MODELS["qwen3-vl"].tokenizer()
    text = {**QWEN_3, **QWEN_3_SIZES[size], "max_position_embeddings": 262144}
    rope = {"rope_type": "default", "rope_theta": 5e6, "mrope_interleaved": True}
    config = hf.Qwen3VLConfig(
        text_config={**text, "rope_parameters": {**rope, "mrope_section": [24, 20, 20]}},
        vision_config={
            **tower, "num_heads": 16, "out_hidden_size": text["hidden_size"], "patch_size": 16,
            "spatial_merge_size": 2, "temporal_patch_size": 2, "num_position_embeddings": 2304,
        },
        architectures=["Qwen3VLForConditionalGeneration"],
        tie_word_embeddings=text["tie_word_embeddings"],
        dtype="bfloat16",
    )  # fmt: skip
    config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    for name in ("preprocessor_config.json", "video_preprocessor_config.json"):
        settings = {"patch_size": 16, "merge_size": 2, "temporal_patch_size": 2}
        size_of = {"shortest_edge": 65536, "longest_edge": 16777216}
        (folder / name).write_text(json.dumps({**settings, "size": size_of}))


def _index(folder: Path, kind: str, *, settings: Any = (), **parts: tuple[str, str]) -> None:
    index = {"_class_name": kind, "_diffusers_version": "0.36.0", **dict(settings), **parts}
    (folder / "model_index.json").write_text(json.dumps(index))


def _network(folder: Path, name: str, kind: str, settings: dict[str, Any]) -> None:
    (folder / name).mkdir()
    text = json.dumps({"_class_name": kind, **settings})
    (folder / name / "config.json").write_text(text)


def _klein(folder: Path) -> None:
    _index(
        folder, "Flux2KleinPipeline", scheduler=("diffusers", "FlowMatchEulerDiscreteScheduler"),
        text_encoder=("transformers", "Qwen3ForCausalLM"),
        tokenizer=("transformers", "Qwen2Tokenizer"),
        transformer=("diffusers", "Flux2Transformer2DModel"),
        vae=("diffusers", "AutoencoderKLFlux2"), settings={"is_distilled": True},
    )  # fmt: skip
    diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift=3.0).save_pretrained(
        folder / "scheduler"
    )
    hf.Qwen3Config(**QWEN_3, **QWEN_3_SIZES["4B"]).save_pretrained(folder / "text_encoder")
    language_models.FAMILIES["qwen3"].tokenizer().save_pretrained(folder / "tokenizer")
    _network(folder, "transformer", "Flux2Transformer2DModel", KLEIN)
    _network(folder, "vae", "AutoencoderKLFlux2", {})  # whose defaults are these sizes


def _ace_step(folder: Path) -> None:
    _index(
        folder, "AceStepPipeline", scheduler=("diffusers", "FlowMatchEulerDiscreteScheduler"),
        text_encoder=("transformers", "Qwen3Model"), tokenizer=("transformers", "Qwen2Tokenizer"),
        transformer=("diffusers", "AceStepTransformer1DModel"),
        condition_encoder=("diffusers", "AceStepConditionEncoder"),
        vae=("diffusers", "AutoencoderOobleck"),
    )  # fmt: skip
    diffusers.FlowMatchEulerDiscreteScheduler(num_train_timesteps=1, shift=3.0).save_pretrained(
        folder / "scheduler"
    )
    hf.Qwen3Config(**QWEN_3, **EMBEDDING).save_pretrained(folder / "text_encoder")
    language_models.FAMILIES["qwen3"].tokenizer().save_pretrained(folder / "tokenizer")
    # The defaults of its classes are this model's sizes.
    _network(folder, "transformer", "AceStepTransformer1DModel", {"is_turbo": True})
    _network(folder, "condition_encoder", "AceStepConditionEncoder", {})
    _network(folder, "vae", "AutoencoderOobleck", ACE_VAE)


def _wan(folder: Path) -> None:
    _index(
        folder, "WanPipeline", scheduler=("diffusers", "UniPCMultistepScheduler"),
        text_encoder=("transformers", "UMT5EncoderModel"),
        tokenizer=("transformers", "T5TokenizerFast"),
        transformer=("diffusers", "WanTransformer3DModel"), vae=("diffusers", "AutoencoderKLWan"),
        settings={"expand_timesteps": True, "boundary_ratio": None},
    )  # fmt: skip
    diffusers.UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0
    ).save_pretrained(folder / "scheduler")
    hf.UMT5Config(**UMT5).save_pretrained(folder / "text_encoder")
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -1.0), ("a", -2.0)]
    hf.T5Tokenizer(vocab=pieces, extra_ids=0).save_pretrained(folder / "tokenizer")
    _network(folder, "transformer", "WanTransformer3DModel", WAN)
    _network(folder, "vae", "AutoencoderKLWan", WAN_2_2_VAE)


def _phonon(folder: Path) -> None:
    """With its class's sizes, 76 million weights; the published ones, which are fewer (41 million),
    aren't known here. Its codec is beside it, as a speaker saves it.
    """
    hf.GradiumPhononTTSConfig().save_pretrained(folder)
    hf.PocketTTSAudioTokenizerConfig().save_pretrained(folder / "audio_tokenizer")
    (folder / "tokenizer_config.json").write_text("{}")


def _vibevoice(folder: Path) -> None:
    hf.VibeVoiceConfig(text_config=VIBEVOICE_TEXT).save_pretrained(folder)
    (folder / "tokenizer_config.json").write_text("{}")


_MAKERS: dict[str, Callable[[Path], None]] = {
    "black-forest-labs": _klein,
    "Runware": _ace_step,
    "Wan-AI": _wan,
    "gradium": _phonon,
    "vibevoice": _vibevoice,
}
"""What writes the settings of a repository, by its owner."""


MARK = {"lstrip": False, "normalized": True, "rstrip": False, "single_word": False}


def publish_vicuna(folder: Path) -> None:
    """A tiny LLaMA with the files that lmsys publishes: its words are sentencepiece's alone."""
    # Nothing else here wants it.
    from sentencepiece import sentencepiece_model_pb2

    language_models.FAMILIES["llama-2"].write(folder)
    words = hf.AutoTokenizer.from_pretrained(folder)
    model = sentencepiece_model_pb2.ModelProto()
    model.trainer_spec.model_type = model.trainer_spec.BPE
    model.trainer_spec.byte_fallback = True
    for piece, rank in sorted(words.get_vocab().items(), key=lambda item: item[1]):
        kind = "CONTROL" if rank in (1, 2) else "BYTE" if piece.startswith("<0x") else "NORMAL"
        entry = model.pieces.add(piece=piece, score=-float(rank))
        entry.type = getattr(entry, "UNKNOWN" if rank == 0 else kind)
    _forget_words(folder)
    (folder / "tokenizer.model").write_bytes(model.SerializeToString())
    marks = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    settings: dict[str, Any] = {
        "add_bos_token": True, "add_eos_token": False, "clean_up_tokenization_spaces": False,
        "model_max_length": 2048, "sp_model_kwargs": {}, "tokenizer_class": "LlamaTokenizer",
        **{k: {"__type": "AddedToken", "content": v, **MARK} for k, v in marks.items()},
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "pad_token": None}))
    special = {k: {"content": v, **MARK} for k, v in marks.items()}
    (folder / "special_tokens_map.json").write_text(json.dumps({**special, "pad_token": "<unk>"}))
    pickle_weights(folder, shards=2)


def publish_opt(folder: Path) -> None:
    """A tiny OPT with the files of 2022: no tokenizer.json, and a start before every text."""
    language_models.FAMILIES["opt"].write(folder)
    model = json.loads((folder / "tokenizer.json").read_text("utf-8"))["model"]
    _forget_words(folder)
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]), "utf-8")
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]), "utf-8")
    mark = {"__type": "AddedToken", "content": "</s>", **MARK}
    marks = dict.fromkeys(("bos_token", "eos_token", "unk_token"), mark)
    settings = {
        "errors": "replace", **marks, "pad_token": {**mark, "content": "<pad>"},
        "add_prefix_space": False, "add_bos_token": True, "special_tokens_map_file": None,
        "tokenizer_class": "GPT2Tokenizer",
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    pickle_weights(folder)


def _forget_words(folder: Path) -> None:
    """Remove what a tokenizer of today saves."""
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (folder / name).unlink(missing_ok=True)
