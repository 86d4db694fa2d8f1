"""ImageBind at a tiny size, with all its trunks."""

from __future__ import annotations

from typing import Any

from anymodal.encoders import ImageBind, ImageBindEncoder

SMALL = {"width": 16, "blocks": 2, "heads": 2}

TRUNKS: dict[str, dict[str, Any]] = {
    "vision": {**SMALL, "size": 16, "patch": 8, "clips": 2, "crops": 3},
    "text": {**SMALL, "context": 8, "vocab_size": 40},
    "audio": {**SMALL, "drop_path": 0.5, "mel_bins": 32, "clips": 2, "stride": 16},
    "depth": {**SMALL, "size": 32, "logit_scale": 5.0},
    "thermal": {**SMALL, "size": 32, "logit_scale": 10.0},
    "imu": {**SMALL, "drop_path": 0.5, "samples": 40, "clips": 2, "clip_seconds": 1.0},
}


def small_view(modality: str) -> ImageBindEncoder:
    return ImageBindEncoder(ImageBind(TRUNKS, embedding=24), modality)
