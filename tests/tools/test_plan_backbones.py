"""Plans of multimodal language models: what reads their media, at work and while it trains."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from anymodal.language.families.typical import typical_medium
from anymodal.language.model import LanguageModel
from anymodal.media import Image
from anymodal.model import AnyModal
from anymodal.tools.plan import answering, meta_models
from anymodal.tools.plan.training import training
from anymodal.training.configuration import Run
from anymodal.training.objectives import Dialogue
from anymodal.types import Message
from tests.support.multimodal_models import MULTIMODAL_MODELS
from tests.tools.test_plan_memory import peak_of

PICTURES = [
    Image(np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8))
    for size in ((20, 37), (9, 60), (64, 64))
]
TALKS = [
    [Message("user", [PICTURES[0], "and", PICTURES[1], "?"]), Message("assistant", "a ball")],
    [Message("user", [PICTURES[2], "?"]), Message("assistant", "a big red ball")],
]


@pytest.mark.parametrize(
    "name",
    [
        *("qwen2.5-omni", "llama-3.2-vision", "gemma-4-small", "gemma-4-unified"),
        *("idefics3", "smolvlm", "phi-4-multimodal"),
    ],
)
def test_what_a_backbone_reads_is_planned(name: str, tmp_path: Path) -> None:
    MULTIMODAL_MODELS[name].write(tmp_path)
    target = "anymodal.language.LanguageModel.from_pretrained"
    language = {"_target_": target, "path_or_name": str(tmp_path)}
    model = meta_models.compose_model({"language": language, "modalities": {}}, {})
    context = 8  # the tower's work is more than that
    need = answering.inference(model, context)
    assert not need.unknown
    readers = LanguageModel.from_pretrained(str(tmp_path)).readers
    assert len(need.assumed) == len(readers)
    measured = []
    for media, reader in readers.items():
        typical = typical_medium(media)
        assert typical is not None
        prepared = reader.prepare(typical.medium)
        with torch.inference_mode():
            measured.append(peak_of(lambda: reader(reader.collate([prepared]))))  # noqa: B023
    # Kernels' scratch memory, which a plan doesn't see, is a large part of so little.
    assert 0.5 * max(measured) < need.of("activations", "language") < 1.1 * max(measured)


@pytest.mark.parametrize("name", ["qwen3-vl"])
def test_training_of_what_reads_is_planned(name: str, tmp_path: Path) -> None:
    MULTIMODAL_MODELS[name].write(tmp_path)
    needs = []
    for trainable in ("language.model.*", "language.model.lm_head.*"):
        stage = {"trainable": [trainable], "losses": {"text": 1}}
        run = Run.from_config(
            {**{"model": None, "data": None, "output_dir": "x"}, "stage": stage, "steps": 1}
        )
        meta = LanguageModel.from_pretrained(str(tmp_path), weights=False)
        needs.append(training(Dialogue(AnyModal(meta, None, {})), run, TALKS))
    assert not any(need.unknown for need in needs)
    assert needs[0].of("activations") > needs[1].of("activations") > 0
