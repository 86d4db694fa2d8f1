"""The decoders that the contract is tested on."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from anymodal.decoders import DiffusionDecoder
from tests.support.pipelines import FAMILIES


@pytest.fixture(scope="session")
def opened(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Each family's folder, its decoder, and the state of random numbers once it was opened."""

    class Opened(dict[str, Any]):
        def __missing__(self, name: str) -> Any:
            torch.manual_seed(0)
            folder = tmp_path_factory.mktemp(name)
            FAMILIES[name].build().save_pretrained(folder)
            decoder = DiffusionDecoder.from_pretrained(folder, **FAMILIES[name].options)
            return self.setdefault(name, (folder, decoder, torch.get_rng_state()))

    return Opened()


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def case(request: pytest.FixtureRequest, opened: dict[str, Any]) -> tuple[str, Path, Any]:
    """A family's name, its folder, and the decoder that was opened from there, a copy a module."""
    folder, decoder, state = opened[request.param]
    torch.set_rng_state(state)
    return request.param, folder, copy.deepcopy(decoder)
