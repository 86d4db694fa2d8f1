"""What tests of language models are run over."""

from __future__ import annotations

from pathlib import Path

import pytest

from anymodal.language.model import LanguageModel
from anymodal.model import AnyModal
from tests.support.language_kinds import KINDS
from tests.support.multimodal_models import MULTIMODAL_MODELS


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """A family of language models, or another architecture."""
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A checkpoint of each family, written when it is first asked for."""
    root = tmp_path_factory.mktemp("multimodal")

    class Folders(dict[str, Path]):
        def __missing__(self, name: str) -> Path:
            MULTIMODAL_MODELS[name].write(root / name)
            return self.setdefault(name, root / name)

    return Folders()


@pytest.fixture(scope="module")
def models(folders: dict[str, Path]) -> dict[str, AnyModal]:
    """A model of each family, opened when it is first asked for."""

    class Models(dict[str, AnyModal]):
        def __missing__(self, name: str) -> AnyModal:
            language = LanguageModel.from_pretrained(str(folders[name]))
            return self.setdefault(name, AnyModal(language, None, {}))

    return Models()
