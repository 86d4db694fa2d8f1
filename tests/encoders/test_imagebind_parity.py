"""ImageBind has the names, shapes and numbers of the published architecture."""

from __future__ import annotations

import json
import math
import zlib

import numpy as np
import pytest
import torch
from torch import Tensor

from anymodal.encoders import ImageBind
from tests.support.imagebind_models import TRUNKS
from tests.support.paths import ROOT as REPOSITORY

GOLDEN = REPOSITORY / "tests" / "golden"


def draw(name: str, *shape: int) -> Tensor:
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))


@pytest.fixture(scope="module")
def published() -> ImageBind:
    sizes = json.loads((GOLDEN / "imagebind_tiny_config.json").read_text())
    names = {"width": "embed_dim", "blocks": "num_blocks", "heads": "num_heads"}
    changes = {
        trunk: {ours: sizes[f"{trunk}_{theirs}"] for ours, theirs in names.items()}
        for trunk in TRUNKS
    }
    model = ImageBind.preset("huge", embedding=sizes["out_embed_dim"], **changes).eval()
    for name, value in model.state_dict().items():
        if name.endswith((".mask", "log_logit_scale")):
            continue
        scale = 0.02
        if value.ndim > 1:
            scale = min(0.08, 1 / math.sqrt(math.prod(value.shape[1:])))
        offset = float(value.ndim == 1 and name.endswith("weight"))
        value.copy_(draw(name, *value.shape) * np.float32(scale) + offset)
    return model


@pytest.fixture(scope="module")
def inputs() -> dict[str, Tensor]:
    shapes = {
        "vision": (2, 3, 224, 224),
        "video": (1, 4, 3, 2, 224, 224),
        "audio": (2, 3, 1, 128, 204),
        "depth": (1, 1, 224, 224),
        "thermal": (1, 1, 224, 224),
        "imu": (2, 6, 2000),
    }
    inputs = {name: draw(f"in.{name}", *shape) for name, shape in shapes.items()}
    ids = np.zeros((2, 77), dtype=np.int64)
    for row, end in enumerate((9, 20)):
        words = np.random.default_rng(100 + row).integers(1, 49000, end - 1)
        ids[row, : end + 1] = [49406, *words, 49407]
    return {**inputs, "text": torch.from_numpy(ids)}


class TestParity:
    """Names, shapes and numbers of the published architecture."""

    def test_names_and_shapes_of_huge(self) -> None:
        with torch.device("meta"):
            model = ImageBind.preset("huge")
        shapes = {name: list(value.shape) for name, value in model.state_dict().items()}
        assert shapes == json.loads((GOLDEN / "imagebind_huge_shapes.json").read_text())

    def test_names_and_shapes_of_tiny(self, published: ImageBind) -> None:
        shapes = {name: list(value.shape) for name, value in published.state_dict().items()}
        assert shapes == json.loads((GOLDEN / "imagebind_tiny_shapes.json").read_text())

    @pytest.mark.parametrize("grad", [True, False])
    def test_embeddings(self, published: ImageBind, inputs: dict[str, Tensor], grad: bool) -> None:
        golden = np.load(GOLDEN / "imagebind_tiny.npz")
        with torch.set_grad_enabled(grad):
            embeds = published(inputs)
        assert set(embeds) == set(inputs)
        for name, value in embeds.items():
            expected = golden[name]
            assert value.shape == expected.shape
            error = np.abs(value.detach().numpy() - expected).max() / np.abs(expected).max()
            assert error < 1e-4, name

    @pytest.mark.parametrize("name", ["vision", "audio", "depth", "thermal", "imu", "text"])
    @torch.no_grad()
    def test_tokens(self, published: ImageBind, inputs: dict[str, Tensor], name: str) -> None:
        golden = np.load(GOLDEN / "imagebind_tiny.npz")
        batch = inputs[name]
        clips = batch.ndim == 5
        # Clip by clip, so that no place among the clips is added to the tokens.
        values = published.features(name, batch.flatten(0, 1) if clips else batch).values
        assert list(values.shape) == list(golden[f"ntokens_{name}"])
        expected = torch.from_numpy(golden[f"tokens_{name}"])
        torch.testing.assert_close(values[:, :4, :16], expected, rtol=1e-4, atol=1e-4)
