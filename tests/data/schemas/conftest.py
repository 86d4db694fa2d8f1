"""A folder of the pictures that rows name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.entries import SEEN


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for number, seen in enumerate(SEEN):
        seen.save(folder / f"{number}.png")
    return folder
