"""Published weights give through AnyModal what they give through transformers, to the bit.

`ANYMODAL_PUBLISHED=FOLDER` names a folder with any of dinov2-small, whisper-tiny.en and
smollm2-135m, as `save_pretrained` writes them; what isn't there is skipped.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from anymodal.encoders import TransformersEncoder
from anymodal.language import LanguageModel
from anymodal.media import Audio, Image
from anymodal.projection import GridProjection
from anymodal.types import TokenLayout

PUBLISHED = os.environ.get("ANYMODAL_PUBLISHED", "")


def folder_of(name: str) -> str:
    folder = Path(PUBLISHED, name)
    if not PUBLISHED or not folder.is_dir():
        pytest.skip(f"ANYMODAL_PUBLISHED names no folder with {name}")
    return str(folder)


@torch.inference_mode()
def test_dinov2() -> None:
    from transformers import AutoImageProcessor, AutoModel

    folder = folder_of("dinov2-small")
    pixels = np.random.default_rng(0).integers(0, 256, (300, 420, 3), dtype=np.uint8)
    encoder = TransformersEncoder.from_pretrained(folder)
    features = encoder(encoder.prepare(Image(pixels))[None])
    inputs = AutoImageProcessor.from_pretrained(folder, backend="pil")(pixels, return_tensors="pt")
    expected = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()(**inputs)
    assert torch.equal(features.values, expected.last_hidden_state) and features.mask.all()
    assert torch.equal(encoder.embed(inputs["pixel_values"]), expected.pooler_output)
    assert encoder.layout == TokenLayout(1, 0, (16, 16))
    projection = GridProjection(widths={"image": 384}, output_width=8, grid=(4, 4))
    projection.set_layout("image", encoder.layout)
    assert projection("image", features).shape == (1, 17, 8)


@torch.inference_mode()
def test_whisper() -> None:
    from transformers import AutoFeatureExtractor, WhisperModel

    folder = folder_of("whisper-tiny.en")
    wave = np.random.default_rng(0).normal(0, 0.1, 40_000).astype(np.float32)
    encoder = TransformersEncoder.from_pretrained(folder)
    features = encoder(encoder.prepare(Audio(wave[None], 16_000))[None])
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    inputs = extractor(wave, sampling_rate=16_000, return_tensors="pt")
    model = WhisperModel.from_pretrained(folder, dtype=torch.float32).eval()
    expected = model.encoder(inputs["input_features"]).last_hidden_state
    assert torch.equal(features.values, expected)
    assert features.mask.sum() == 125, "2.5 s in steps of 20 ms"


@torch.inference_mode()
def test_smollm2() -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = folder_of("smollm2-135m")
    language = LanguageModel.from_pretrained(folder, dtype="float32")
    text = "A frog sits beside the pond."
    ids = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt").input_ids
    assert language.encode_text(text) == ids[0].tolist()
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    logits = language.logits(language(language.embed(ids)))
    assert torch.equal(logits[..., : model.config.vocab_size], model(ids).logits)
