"""The alignment benchmark's parts: captioned media, small models in stated proportions."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
import yaml
from torch import nn

from anymodal.decoders import DiffusionDecoder
from anymodal.encoders import ImageBind
from anymodal.toybox import decoders as nano
from anymodal.toybox.dataset import ToyboxMedia, toybox_tokenizer
from anymodal.toybox.language_model import small_language_model
from anymodal.types import Message, Target

SIGNALS = {"image": 4, "audio": 8}
"""Modalities, and their signal tokens as in NExT-GPT."""

KINDS = 2 * len(SIGNALS)
"""Kinds of samples: media of each modality to be captioned, and captions to be made such media of.

Sample k is of kind k modulo their number.
"""

EMBEDDING = 128
"""Width of what ImageBind's stand-in embeds in."""


class Pairs:
    """Media with captions in memory, of every kind alike; each medium and caption occurs once.

    Args:
        size: how many.
        start: the number of the first, a multiple of `KINDS`; others have no sample in common.
    """

    def __init__(self, size: int, start: int = 0) -> None:
        self.start = start
        media = {name: ToyboxMedia(name, start + size) for name in SIGNALS}
        self.samples = [media[modality_of(n)][n] for n in range(start, start + size)]

    def __len__(self) -> int:
        return len(self.samples)

    def length(self, index: int) -> int:
        """About how long a sample is: media come with a longer request."""
        return len(self.samples[index].caption) + 20 * (index % 2 == 0)

    def __getitem__(self, index: int) -> list[Message]:
        sample = self.samples[index]
        words = f"{sample.caption}, number {self.start + index}"
        if index % 2:
            target = Target(modality_of(index), words)
            return [Message("user", [words]), Message("assistant", [target])]
        request: list[Any] = [sample.media, "generate a caption"]
        return [Message("user", request), Message("assistant", [words])]


def quiet_libraries() -> None:
    """Leave tables alone on the screen: no bars, warnings or notes of what is opened."""
    transformers.utils.logging.disable_progress_bar()
    diffusers.utils.logging.disable_progress_bar()
    warnings.simplefilter("ignore")
    logging.getLogger("anymodal").setLevel(logging.ERROR)


def modality_of(index: int) -> str:
    """The modality of a sample."""
    return [*SIGNALS][index // 2 % len(SIGNALS)]


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


def write_parts(folder: Path, size: Size) -> dict[str, float]:
    """Write parts and the configuration that composes them; their parameters in millions."""
    torch.manual_seed(0)
    language = small_language_model(toybox_tokenizer(), layers=size.layers)
    language.model.resize_token_embeddings(size.rows)
    binder = _binder(size)
    decoders = {name: DiffusionDecoder(pipeline) for name, pipeline in _pipelines(size).items()}
    language.save_pretrained(folder / "language")
    binder.save_pretrained(folder / "binder")
    for name, decoder in decoders.items():
        decoder.save_pretrained(folder / name)
    (folder / "model.yaml").write_text(yaml.safe_dump(_configuration(folder)))
    return {
        "language model's layers": _count(*language.blocks),
        "its vocabulary": _count(language.embedding),
        **{f"{name} encoder": _count(trunk) for name, trunk in binder.modality_trunks.items()},
        "caption encoder": _count(decoders["image"].parts["text_encoder"]),
    }


def _binder(size: Size) -> ImageBind:
    trunk = ("width", "blocks", "heads")
    return ImageBind(
        {
            "vision": {
                **dict(zip(trunk, size.vision, strict=True)),
                **{"size": 64, "patch": 4, "frames": 2, "frame_seconds": 0.25},
            },
            "audio": dict(zip(trunk, size.audio, strict=True)),
        },
        embedding=EMBEDDING,
    )


def _pipelines(size: Size) -> dict[str, Any]:
    words = toybox_tokenizer(append_end=True)
    width, layers = size.captions
    pipelines = {
        "image": nano.nano_image(words, heads=8, length=77, width=width),
        "audio": nano.nano_audio(words, heads=8, length=77, width=width),
    }
    for pipeline in pipelines.values():
        encoder = nano.caption_encoder(words, width=width, layers=layers)
        pipeline.register_modules(text_encoder=encoder)
    return pipelines


def _count(*modules: nn.Module) -> float:
    """Parameters in millions."""
    return sum(p.numel() for module in modules for p in module.parameters()) / 1e6


def _configuration(folder: Path) -> dict[str, Any]:
    """A composition of the parts in a folder, as NExT-GPT's: a soft token a medium, mappers."""
    binder = {"_target_": "anymodal.encoders.ImageBind.from_pretrained"}
    language = {"_target_": "anymodal.language.LanguageModel.from_pretrained", "dtype": "float32"}
    decoder = {"_target_": "anymodal.decoders.DiffusionDecoder.from_pretrained"}
    encoder = {"_target_": "anymodal.encoders.ImageBindEncoder", "model": {"_part_": "binder"}}
    pooled = {"_target_": "anymodal.encoders.PooledEncoder", "width": EMBEDDING}
    head = {"_target_": "anymodal.heads.MapperHead", "hidden_width": 128, "depth": 1}
    return {
        "parts": {
            "binder": {**binder, "folder": str(folder / "binder")},
            "language": {**language, "path_or_name": str(folder / "language")},
            **{name: {**decoder, "folder": str(folder / name)} for name in SIGNALS},
        },
        "language": {"_part_": "language"},
        "projection": {"_target_": "anymodal.projection.LinearProjection", "num_tokens": 1},
        "modalities": {
            name: {
                "encoder": {**pooled, "encoder": {**encoder, "modality": name}},
                "decoder": {"_part_": name},
                "head": head,
                "num_signal_tokens": signals,
            }
            for name, signals in SIGNALS.items()
        },
    }


def write_run(folder: Path, steps: int, batch: int) -> Path:
    """Write the run that all sides read: an epoch, with the settings that NExT-GPT trains with."""
    run = {
        "model": {"_target_": "anymodal.AnyModal.compose", "config": str(folder / "model.yaml")},
        "data": {"_target_": "alignment_parts.Pairs", "size": steps * batch},
        "trusted_packages": ["alignment_parts"],
        "stage": {
            "trainable": ["projection.*", "heads.*", "language.rows"],
            "losses": {"text": 1, "align": {"weight": 1, "kind": "l2"}},
        },
        "output_dir": str(folder / "out"),
        "steps": steps,
        "batch_size": batch,
        "optimizer": {
            **{"lr": 4e-4, "betas": [0.9, 0.95], "weight_decay": 0.0, "max_grad_norm": 1.0},
            **{"warmup_ratio": 0.1, "schedule": "linear", "min_lr_ratio": 0.0},
        },
        "trainer": {"accelerator": "cpu", "enable_progress_bar": False},
    }
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(run))
    return path
