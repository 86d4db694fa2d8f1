"""The model that evaluations here ask."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from anymodal.model import AnyModal
from tests.support.composed import model_config, write_model
from tests.support.tiny import tiny_model


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model in a folder, parts and all."""
    folder = tmp_path_factory.mktemp("model")
    config = write_model(folder, tiny_model())
    # Modalities in the tiny model's own order, which its signals' rows have.
    config.write_text(yaml.safe_dump(model_config(folder), sort_keys=False))
    model = AnyModal.compose(config)
    model.load_state_dict(tiny_model().state_dict())
    model.save_pretrained(folder / "tiny", with_parts=True)
    return folder / "tiny"
