"""Models are composed of encoders from transformers, trained, cached and saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from anymodal.io.feature_cache import FeatureCache
from anymodal.language.prompt import MediaReference
from anymodal.media import Audio, Image
from anymodal.model import AnyModal
from anymodal.training.objectives import Dialogue
from anymodal.types import Message, TokenLayout
from tests.support import huggingface_models as tiny
from tests.support.composed import model_config, write_model
from tests.support.random_media import MEDIA
from tests.support.runs import text_loss


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> AnyModal:
    """A model that sees through a SigLIP 2 and hears through a Whisper."""
    return AnyModal.compose(configured(tmp_path_factory.mktemp("composed"), tiny.siglip2))


def configured(folder: Path, image: tiny.Build) -> dict[str, Any]:
    write_model(folder)
    config = model_config(folder)
    del config["modalities"]["imu"], config["parts"]["binder"]
    for name, build in (("image", image), ("audio", tiny.whisper)):
        tiny.write(build, folder / f"{name}-tower")
        config["modalities"][name]["encoder"] = {
            "_target_": "anymodal.encoders.TransformersEncoder.from_pretrained",
            "path_or_name": str(folder / f"{name}-tower"),
        }
    torch.manual_seed(0)
    return config


def talk() -> list[list[Message]]:
    asked = Message("user", [MEDIA[Image], MEDIA[Audio], "what is this?"])
    return [[asked, Message("assistant", ["This is a ball."])]]


def test_a_model_is_composed_of_them_and_saved(composed: AnyModal, tmp_path: Path) -> None:
    loss = text_loss(composed, talk())
    loss.backward()
    assert all(p.grad is not None for p in composed.projection.parameters() if p.requires_grad)
    composed.save_pretrained(tmp_path / "model", with_parts=True)
    other = AnyModal.from_pretrained(tmp_path / "model")
    torch.testing.assert_close(text_loss(other, talk()), loss)


def test_a_projection_knows_how_tokens_stand(tmp_path: Path) -> None:
    target = "anymodal.projection.GridProjection"
    config = configured(tmp_path, tiny.dinov2)
    model = AnyModal.compose({**config, "projection": {"_target_": target, "grid": [2, 2]}})
    model.save_pretrained(tmp_path / "model", with_parts=True)
    other = AnyModal.from_pretrained(tmp_path / "model")
    layouts = {"image": TokenLayout(1, 0, (4, 4)), "audio": TokenLayout()}
    assert model.projection.layouts == other.projection.layouts == layouts
    torch.testing.assert_close(text_loss(other, talk()), text_loss(model, talk()))


def test_what_is_cached_of_frozen_encoders_keeps_its_mask(composed: AnyModal) -> None:
    fresh = composed.encode("audio", [MEDIA[Audio]])
    composed.encoders["audio"].requires_grad_(False)
    dialogue = Dialogue(composed)
    dialogue.feature_cache = FeatureCache()
    for _ in range(2):  # computed, then remembered
        kept = dialogue.features("audio", [MediaReference("audio", MEDIA[Audio], 0)])
        assert torch.equal(kept.mask, fresh.mask) and not fresh.mask.all()
        assert torch.equal(kept.values, fresh.values)
