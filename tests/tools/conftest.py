"""Fixtures that the tests of several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.clip_letters import clip_letters
from tests.support.composed import write_model


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A tiny model's configuration, and its parts' folders."""
    return write_model(tmp_path)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """CLIP's own tokenizer class with an alphabet of single letters."""
    return clip_letters(tmp_path_factory.mktemp("clip"))
