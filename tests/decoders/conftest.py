"""The decoders that the contract is tested on."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from anymodal.decoders import DiffusionDecoder
from tests.support.pipelines import FAMILIES


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A family's name, its folder, and the decoder that was opened from there."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp(request.param)
    FAMILIES[request.param].build().save_pretrained(folder)
    decoder = DiffusionDecoder.from_pretrained(folder, **FAMILIES[request.param].options)
    return request.param, folder, decoder
