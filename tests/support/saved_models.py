"""A model to save that no configuration made, and the comparison with one opened again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from anymodal.decoders import DiffusionDecoder
from anymodal.encoders import ImageBind, ImageBindEncoder
from anymodal.heads import LinearHead
from anymodal.language.model import LanguageModel
from anymodal.modality import Modality
from anymodal.model import AnyModal
from anymodal.projection import UniversalProjection
from tests.support import tiny
from tests.support.own_encoders import Colours

LORA = {"r": 2, "alpha": 4, "dropout": 0.0}


def identical(first: AnyModal, second: AnyModal) -> None:
    """Two models have the same weights and give the same replies."""
    left, right = first.state_dict(), second.state_dict()
    assert left.keys() == right.keys()
    for name, value in left.items():
        assert torch.equal(value, right[name]), name
    question = [tiny.picture(), "what is this?"]
    replies = [m.chat(question, seed=1, max_new_tokens=6, max_spans=1) for m in (first, second)]
    assert replies[0] == replies[1]


def unsettle(model: nn.Module) -> None:
    """Buffers that differ from what a constructor gives."""
    for name, buffer in model.named_buffers():
        if "running" in name:
            buffer.add_(0.5)


def in_python(parts: Path, **settings: Any) -> AnyModal:
    """A model that Python puts together of opened parts and of one without files."""
    folder = parts.parent
    language = LanguageModel.from_pretrained(str(folder / "lm"))
    binder = ImageBind.from_pretrained(folder / "binder")
    painter = DiffusionDecoder.from_pretrained(folder / "image", vae_slicing=True)
    encoders = {"image": Colours(7, rows=3), "imu": ImageBindEncoder(binder, "imu")}
    encoders["audio"] = ImageBindEncoder(binder, modality="audio")
    projection = UniversalProjection(
        widths={name: encoder.width for name, encoder in encoders.items()},
        output_width=language.width,
        output_scale=0.5,
        **{"num_tokens": 3, "width": 16, "depth": 1, "heads": 2},
    )
    head = LinearHead(input_width=language.width, num_signal_tokens=4, spec=painter.spec)
    modalities = {name: Modality(encoder) for name, encoder in encoders.items()}
    sampling = {"steps": 2, "guidance": 2.0}
    modalities["image"] = Modality(encoders["image"], painter, head, 4, sampling)
    return AnyModal(language, projection, modalities, **settings)
