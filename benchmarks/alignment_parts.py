"""The parts that `alignment.py` trains with: random weights, in the proportions of known models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from anymodal.decoders import DiffusionDecoder
from anymodal.encoders import ImageBind
from anymodal.toybox import decoders as nano
from anymodal.toybox.dataset import toybox_tokenizer
from anymodal.toybox.language_model import small_language_model

MADE = ("image", "audio")
"""The modalities that are read and made."""


@dataclass(frozen=True)
class Size:
    """Parts with random weights: widths and layers of each, and rows of the vocabulary."""

    like: str
    layers: int = 6
    rows: int = 6144
    vision: tuple[int, int, int] = (256, 7, 8)  # width, blocks, heads
    audio: tuple[int, int, int] = (128, 4, 4)
    captions: tuple[int, int] = (256, 6)  # width, layers


SIZES = {
    "small-lm": Size("Qwen3-0.6B, ImageBind huge and Stable Diffusion 2's text encoder"),
    "large-lm": Size(
        "NExT-GPT: Vicuna 7B, ImageBind huge and Stable Diffusion 1.5's text encoder",
        rows=1024,
        vision=(96, 4, 4),
        audio=(48, 2, 2),
        captions=(64, 2),
    ),
}


def write_parts(folder: Path, size: Size, projection: str) -> dict[str, float]:
    """Write parts and the configuration that composes them; their parameters in millions."""
    torch.manual_seed(0)
    tokenizer = toybox_tokenizer()
    language = small_language_model(tokenizer, layers=size.layers)
    language.model.resize_token_embeddings(size.rows)
    trunk = ("width", "blocks", "heads")
    binder = ImageBind(
        {
            "vision": {
                **dict(zip(trunk, size.vision, strict=True)),
                **{"size": 64, "patch": 4, "frames": 2, "frame_seconds": 0.25},
            },
            "audio": dict(zip(trunk, size.audio, strict=True)),
        },
        embedding=128,
    )
    words = toybox_tokenizer(append_end=True)
    pipelines = {
        "image": nano.nano_image(words, heads=8, length=77, width=size.captions[0]),
        "audio": nano.nano_audio(words, heads=8, length=77, width=size.captions[0]),
    }
    for pipeline in pipelines.values():
        width, layers = size.captions
        pipeline.register_modules(
            text_encoder=nano.caption_encoder(words, width=width, layers=layers)
        )
    decoders = {name: DiffusionDecoder(pipeline) for name, pipeline in pipelines.items()}
    language.save_pretrained(folder / "language")
    binder.save_pretrained(folder / "binder")
    for name, decoder in decoders.items():
        decoder.save_pretrained(folder / name)
    (folder / "model.yaml").write_text(yaml.safe_dump(configuration(folder, projection)))
    return {
        "language model's layers": count(language.backbone.layers),
        "its vocabulary": count(language.embedding),
        **{f"{name} encoder": count(t) for name, t in binder.modality_trunks.items()},
        "caption encoder": count(decoders["image"].parts["text_encoder"]),
    }


def count(module: torch.nn.Module) -> float:
    """Parameters in millions."""
    return sum(p.numel() for p in module.parameters()) / 1e6


PROJECTIONS: dict[str, dict[str, Any]] = {
    "linear": {"_target_": "anymodal.projection.LinearProjection", "num_tokens": 8},
    "universal": {
        "_target_": "anymodal.projection.UniversalProjection",
        **{"width": 128, "depth": 2, "heads": 4, "num_tokens": 8},
    },
}
"""NExT-GPT's published model has a linear one; AnyModal's own costs more than these parts do."""


def configuration(folder: Path, projection: str) -> dict[str, Any]:
    """A composition of the parts in a folder."""
    load = "from_pretrained"
    parts = {
        "binder": {"_target_": f"anymodal.encoders.ImageBind.{load}", "folder": "binder"},
        "language": {
            "_target_": f"anymodal.language.LanguageModel.{load}",
            "path_or_name": "language",
            "dtype": "float32",
        },
        **{
            name: {"_target_": f"anymodal.decoders.DiffusionDecoder.{load}", "folder": name}
            for name in MADE
        },
    }
    for part in parts.values():
        for key in ("folder", "path_or_name"):
            if key in part:
                part[key] = str(folder / part[key])
    head = {"_target_": "anymodal.heads.MapperHead", "hidden_width": 128, "depth": 1}
    encoder = {"_target_": "anymodal.encoders.ImageBindEncoder", "model": {"_part_": "binder"}}
    return {
        "parts": parts,
        "language": {"_part_": "language"},
        "projection": PROJECTIONS[projection],
        "modalities": {
            name: {
                "encoder": {**encoder, "modality": name},
                "decoder": {"_part_": name},
                "head": head,
                "num_signal_tokens": 4,
            }
            for name in MADE
        },
    }
