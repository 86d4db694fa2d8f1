"""A tiny universal encoder with random weights, saved and opened from the folder."""

from __future__ import annotations

import tempfile
from typing import Any

import transformers as hf

from anymodal.encoders import UniversalEncoder, UniversalTrunk

VISION: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 16,
    "patch_size": 8,
}
MODALITIES: dict[str, dict[str, Any]] = {
    "image": {},
    "video": {"frames": 3},
    "film": {"kind": "video", "frames": 2, "average": True},
    "audio": {"mel_bins": 20, "mel_frames": 40, "clips": 2},
    "points": {"groups": 12, "neighbours": 5, "points": 64, "hidden": 8},
    "depth": {},
    "normal": {},
    "imu": {"samples": 40, "clips": 2},
}


DESCRIPTIONS = {
    "image": ("images", "CLIP's patches"),
    "video": ("videos", "CLIP's patches of 8 frames"),
    "audio": ("audio, 10.24 s", "a convolution over log-mel filter banks"),
    "points": ("point clouds (PLY, NPY)", "groups of neighbours around far points"),
    "depth": ("depth maps", "CLIP's patches of a grey image"),
    "normal": ("maps of surface normals", "CLIP's patches of a colour image"),
    "imu": ("IMU recordings, 2 s", "a convolution over readings"),
}
"""The documents' description of each tokenizer: its input, and how it reads it."""


def new(**changes: dict[str, Any]) -> UniversalTrunk:
    """A trunk of random weights with these tokenizers, some of them changed."""
    vision = hf.CLIPVisionModel(hf.CLIPVisionConfig(**VISION))
    return UniversalTrunk(vision, {**MODALITIES, **changes}).eval()


def open_saved(modality: str) -> UniversalEncoder:
    """A modality of a new one, opened from where it was saved."""
    with tempfile.TemporaryDirectory() as folder:
        new().save_pretrained(folder)
        return UniversalEncoder(UniversalTrunk.from_pretrained(folder), modality)
