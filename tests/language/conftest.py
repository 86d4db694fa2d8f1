"""What tests of language models are run over."""

from __future__ import annotations

import pytest

from tests.support.language_kinds import KINDS


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """A family of language models, or another architecture."""
    name: str = request.param
    return name
