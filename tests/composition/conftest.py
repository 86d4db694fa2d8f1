"""Parts that models are composed of."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.composed import write_model


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("parts"))
