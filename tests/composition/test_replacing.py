"""A decoder is replaced by one that fits, and parts are not assigned."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from anymodal.decoders import DiffusionDecoder
from anymodal.heads import LinearHead
from anymodal.model import AnyModal
from tests.support.saved_models import identical, in_python


def test_assigning_parts_fails_aloud(parts: Path) -> None:
    model = AnyModal.compose(parts)
    other = DiffusionDecoder.from_pretrained(parts.parent / "image")
    with pytest.raises(TypeError, match="replace_decoder"):
        model.decoders["image"] = other
    with pytest.raises(TypeError, match="replace_decoder"):
        del model.decoders["image"]
    with pytest.raises(TypeError, match="replace_decoder"):
        model.decoders.update({"image": other})
    with pytest.raises(TypeError):
        model.decoders.pop("image")
    with pytest.raises(TypeError, match="replace_decoder"):
        model.heads["image"] = model.heads["image"]
    with pytest.raises(TypeError, match="add_modality"):
        model.encoders["image"] = model.encoders["image"]
    with pytest.raises(AttributeError):
        model.modalities["image"].decoder = other  # type: ignore[misc]
    with pytest.raises(TypeError):
        model.modalities["image"] = model.modalities["image"]  # type: ignore[index]
    with pytest.raises(AttributeError):
        model.modalities = {}  # type: ignore[misc]


@pytest.mark.parametrize("with_parts", [False, True])
@pytest.mark.parametrize("python", [False, True])
def test_a_replaced_decoder_draws_and_is_saved(
    parts: Path, tmp_path: Path, with_parts: bool, python: bool
) -> None:
    model = in_python(parts) if python else AnyModal.compose(parts)
    other = DiffusionDecoder.from_pretrained(parts.parent / "image")
    with torch.no_grad():
        for weight in other.pipeline.transformer.parameters():
            weight.mul_(1.5)
    model.replace_decoder("image", other.train())
    assert model.modalities["image"].decoder is other is model.decoders["image"]
    assert not other.training and not any(p.requires_grad for p in other.parameters())
    model.save_pretrained(tmp_path / "a", with_parts)
    identical(model, AnyModal.from_pretrained(tmp_path / "a", trusted_packages=["tests"]))


def test_a_decoder_that_does_not_fit_is_refused(parts: Path) -> None:
    model = AnyModal.compose(parts)
    image, audio = model.decoders["image"], model.decoders["audio"]
    with pytest.raises(ValueError, match="no decoder is called 'imu'; there are: audio, image"):
        model.replace_decoder("imu", image)
    with pytest.raises(ValueError, match="reads Image and the decoder makes Audio"):
        model.replace_decoder("image", audio)
    other = DiffusionDecoder.from_pretrained(parts.parent / "image")
    with torch.no_grad():
        for weight in other.pipeline.text_encoder.parameters():
            weight.mul_(2.0)
    with pytest.raises(ValueError, match="the head of 'image' gives .*or a head that is built"):
        model.replace_decoder("image", other)
    assert model.decoders["image"] is image
    head = LinearHead(input_width=model.language.width, num_signal_tokens=4, spec=other.spec)
    wrong = LinearHead(input_width=model.language.width, num_signal_tokens=3, spec=other.spec)
    with pytest.raises(ValueError, match="reads 3 signal tokens and the modality has 4"):
        model.replace_decoder("image", other, wrong)
    model.replace_decoder("image", other, head)
    assert model.heads["image"] is head and model.decoders["image"] is other
