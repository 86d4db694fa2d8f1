"""Fixtures that several suites of encoders share."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.clip_letters import clip_letters


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """CLIP's own tokenizer class with an alphabet of single letters."""
    return clip_letters(tmp_path_factory.mktemp("clip"))
