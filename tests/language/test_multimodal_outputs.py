"""Media that come out of a multimodal language model, beside those that it reads by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from anymodal.chat.turn import embed_prompts
from anymodal.language.continuous import ContinuousBatch
from anymodal.language.reply_state import SpanReady
from anymodal.language.sampling import Sampling
from anymodal.media import Image
from anymodal.model import AnyModal
from anymodal.training.objectives import Dialogue
from anymodal.types import Message, Target
from tests.support.multimodal_models import MULTIMODAL_MODELS
from tests.support.tiny import compose


def picture(height: int, width: int, seed: int = 0) -> Image:
    return Image(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


ASKED = [Message("user", [picture(20, 37), "and", picture(64, 9), "draw it"])]
DRAWN = Target("image", "a ball", picture(16, 16, 1))
TALKS = [
    [*ASKED, Message("assistant", [DRAWN])],
    [
        Message("user", ["Draw a ball"]),
        Message("assistant", ["Here: ", DRAWN, " it is."]),
        Message("user", [picture(9, 60), "this?"]),
        Message("assistant", "a green ball"),
    ],
]


@pytest.fixture(params=["qwen3-vl", "gemma-3"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> AnyModal:
    """A model that sees by itself, and gets a head and a decoder under the name of what it sees."""
    MULTIMODAL_MODELS[request.param].write(tmp_path / "lm")
    compose().decoders["image"].save_pretrained(tmp_path / "image")
    load = "anymodal.{}.from_pretrained"
    config = {
        "parts": {
            "draws": {
                "_target_": load.format("decoders.DiffusionDecoder"),
                "folder": str(tmp_path / "image"),
            }
        },
        "language": {
            "_target_": load.format("language.LanguageModel"),
            "path_or_name": str(tmp_path / "lm"),
        },
        "modalities": {
            "image": {
                "decoder": {"_part_": "draws"},
                "head": {"_target_": "anymodal.heads.LinearHead"},
                "num_signal_tokens": 4,
                "sampling": {"steps": 2, "guidance": 2.0},
            }
        },
    }
    torch.manual_seed(0)
    return AnyModal.compose(config)


@torch.no_grad()
def conditioning(model: AnyModal) -> Tensor:
    """Of the picture that is drawn where nothing else is said."""
    targets, made = model.conditioning("image", TALKS[:1]) or ([], None)
    assert targets == [DRAWN] and made is not None
    return torch.as_tensor(made[0])


@torch.no_grad()
def test_a_span_is_written_as_it_was_learned(model: AnyModal, tmp_path: Path) -> None:
    assert "image" in model.readers and model.signals.counts == {"image": 4}
    batch = ContinuousBatch(model.language, model.signals)
    prompts = embed_prompts(model, [ASKED, [Message("user", "Draw a ball")]])
    rows = [batch.join(each, Sampling(), forced=["image"]) for each in prompts]
    (span,) = (event for event in rows[0].drain() if isinstance(event, SpanReady))
    embeds = span.embeds[..., : model.language.width]
    made: Any = model.heads.get("image")(span.hidden[None], embeds[None])
    expected = conditioning(model)
    torch.testing.assert_close(made[0], expected, rtol=1e-4, atol=1e-4)
    model.save_pretrained(tmp_path / "model")
    assert torch.equal(conditioning(AnyModal.from_pretrained(tmp_path / "model")), expected)
    # The picture that a reply made is read by the model itself, as one that was given.
    prompt = model.prompts.build([*TALKS[0], Message("user", "greener")], reply=True)
    assert [item.media for item in prompt.media][2:] == [DRAWN.media]


def test_heads_and_rows_train_alike_in_any_rows(model: AnyModal) -> None:
    model.requires_grad_(False)
    model.heads.requires_grad_(True)
    model.language.rows.requires_grad_(True)
    objective = Dialogue(model)
    objective.use_losses({"text": 1.0, "align": 1.0})
    gradients = {}
    for packed in (False, True, None):
        objective.packed = packed
        objective.use_flat_rows(packed is None)
        losses = objective.named_losses(objective.collate(TALKS))
        (losses["text"] + losses["align"]).backward()
        trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
        gradients[packed] = {n: p.grad.clone() for n, p in trained.items() if p.grad is not None}
        assert gradients[packed].keys() == trained.keys()
        assert all(gradient.any() for gradient in gradients[packed].values())
        model.zero_grad()
    for packed in (True, None):
        torch.testing.assert_close(gradients[packed], gradients[False], rtol=1e-4, atol=1e-5)
