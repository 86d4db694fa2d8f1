"""Training runs of tests: the toy's, and every kind of stage on the tiny parts."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from anymodal.model import AnyModal
from anymodal.training.objectives import Dialogue
from anymodal.types import Message

TOY: dict[str, Any] = {
    "model": {"_target_": "tests.support.composed.Toy"},
    "objective": {"_target_": "tests.support.composed.Regression"},
    "data": {"_target_": "tests.support.composed.Numbers"},
    "stage": {"trainable": ["layer.*"], "losses": {"square": 1.0}},
}


def write(folder: Path, name: str = "run", **changes: Any) -> Path:
    """Write the toy's run with some changes; a model of AnyModal's own has no toy's objective."""
    base = {**TOY, "objective": None} if "anymodal." in str(changes.get("model")) else TOY
    run = {
        **base,
        "output_dir": str(folder / name),
        "steps": 4,
        "batch_size": 3,
        "save_every": 2,
        "log_every": 1,
        "trusted_packages": ["tests"],
        "trainer": {"accelerator": "cpu"},
        **changes,
    }
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(run))
    return path


def read_log(out: Path, column: str = "loss") -> list[float]:
    """A column of all sessions' CSV logs, in order."""
    values = []
    for path in sorted((out / "logs").glob("version_*/metrics.csv")):
        with open(path, newline="") as file:
            values += [float(row[column]) for row in csv.DictReader(file) if row.get(column)]
    return values


def last(out: Path) -> dict[str, Any]:
    return torch.load(out / "checkpoints" / "last.ckpt", weights_only=True)


def assert_same(first: Any, second: Any, rtol: float = 0.0, atol: float = 0.0) -> None:
    if isinstance(first, str):
        assert first == second
        return
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        first, second = list(first.values()), list(second.values())
    if isinstance(first, list) and not all(isinstance(value, int | float) for value in first):
        for one, other in zip(first, second, strict=True):
            assert_same(one, other, rtol, atol)
        return
    torch.testing.assert_close(first, second, rtol=rtol, atol=atol)


def stages(parts: Path, folder: Path) -> dict[str, dict[str, Any]]:
    """Every kind of stage, on the tiny parts."""
    compose = {"_target_": "anymodal.AnyModal.compose", "config": str(parts)}
    talk = {"_target_": "tests.support.tiny.conversations"}
    load = {"_target_": "anymodal.decoders.DiffusionDecoder.from_pretrained"}
    trunk = {"width": 16, "blocks": 1, "heads": 2}
    binder = {
        "_target_": "anymodal.encoders.ImageBind",
        "trunks": {
            "vision": {**trunk, "size": 16, "patch": 8, "clips": 2, "frame_seconds": 0.25},
            "audio": {**trunk, "mel_bins": 32, "stride": 16, "clips": 1},
            "imu": {**trunk, "samples": 400, "clip_seconds": 2.0},
            "text": {**trunk, "vocab_size": 261, "context": 16},
        },
        "embedding": 16,
    }
    objectives = "anymodal.training.objectives"
    return {
        "perceive": {
            "model": compose,
            "data": talk,
            "stage": {"trainable": ["projection.*"], "losses": {"text": 1}},
        },
        "express": {
            "model": compose,
            "data": talk,
            "stage": {
                "trainable": ["heads.*", "language.rows"],
                "losses": {"text": 1, "align": 1, "denoise": 1},
            },
        },
        "instruct": {
            "model": {
                "_target_": "anymodal.AnyModal.from_pretrained",
                "path": str(folder / "saved"),
                "lora": {"r": 2, "dropout": 0.1},
            },
            "data": talk,
            "stage": {
                "trainable": ["projection.*", "language.rows", "*lora_*"],
                "losses": {"text": 1},
            },
        },
        "prefer": {
            "model": {
                "_target_": "anymodal.AnyModal.from_pretrained",
                "path": str(folder / "saved"),
                "lora": {"r": 2, "dropout": 0.1},
            },
            "objective": {"_target_": f"{objectives}.Preference"},
            "data": {"_target_": "tests.support.composed.preferences"},
            "stage": {
                "trainable": ["heads.*", "language.rows", "*lora_*"],
                "losses": {"dpo": 1, "diffusion_dpo": 1, "text": 0.2},
            },
        },
        "encoder": {
            "model": compose,
            "data": talk,
            "stage": {"trainable": ["encoders.*"], "losses": {"text": 1}},
        },
        "bind": {
            "model": binder,
            "objective": {
                "_target_": f"{objectives}.Binding",
                "tokenizer": {"_target_": "tests.support.composed.small_tokenizer"},
                "modalities": ["image", "audio", "imu"],
            },
            "data": {"_target_": "tests.support.composed.scenes"},
            "stage": {
                "trainable": ["*vision*", "*audio*", "*imu*"],
                "losses": {"image": 1, "audio": 1, "imu": 1},
            },
        },
        "diffusion": {
            "model": {**load, "folder": str(parts.parent / "image")},
            "objective": {"_target_": f"{objectives}.CaptionedDiffusion"},
            "data": {"_target_": "tests.support.composed.captioned_media"},
            "stage": {
                "trainable": ["parts.transformer.*", "parts.text_encoder.*"],
                "losses": {"denoise": 1},
            },
        },
        "language": {
            "model": {
                "_target_": "anymodal.language.LanguageModel.from_pretrained",
                "path_or_name": str(parts.parent / "lm"),
            },
            "objective": {"_target_": f"{objectives}.LanguageModeling"},
            "data": {"_target_": "tests.support.composed.plain_conversations"},
            "stage": {"trainable": ["model.*"], "losses": {"text": 1}},
        },
        "autoencoder": {
            "model": {
                "_target_": "anymodal.decoders.autoencoders.PictureAutoencoderLoss",
                "autoencoder": {
                    "_target_": "anymodal.toybox.decoders.image_autoencoder",
                    "size": 16,
                    "channels": [8, 8],
                    "groups": 4,
                },
            },
            "objective": {"_target_": f"{objectives}.Autoencoding"},
            "data": {"_target_": "tests.support.composed.captioned_media"},
            "stage": {"losses": {"l1": 1, "l2": 1, "edge": 1, "kl": 1}},
        },
    }


def text_loss(model: AnyModal, talks: list[list[Message]]) -> Tensor:
    """The cross-entropy of replies."""
    dialogue = Dialogue(model)
    return dialogue.named_losses(dialogue.collate(talks))["text"]
