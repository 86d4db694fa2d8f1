"""What a model was trained on, stage by stage, as it goes with the model's folder."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from anymodal.io.checkpoint import replacing
from anymodal.io.folder_check import read_text_file

_LOG = logging.getLogger("anymodal")
RECORDS = "training.json"
_MAX_BYTES, _MAX_STAGES = 1 << 20, 100


class StageRecord(TypedDict):
    """One run that a model went through.

    Attributes:
        stage: the name of the run's folder.
        trainable: globs over the parameters that trained.
        losses: their weights by name.
        data: data sets by name, without paths of the machine.
        step: optimiser steps.
        batch_size: samples in a step.
        figures: of the last validation.
        anymodal: version.
    """

    stage: str
    trainable: list[str]
    losses: dict[str, float]
    data: list[str]
    step: int
    batch_size: int
    figures: dict[str, float]
    anymodal: str


def read_stages(folder: Path) -> list[StageRecord]:
    """The stages of a model's folder; none where it has no record that can be read."""
    path = folder / RECORDS
    if not path.exists():
        return []
    try:
        items = json.loads(read_text_file(path, _MAX_BYTES))
        keys = StageRecord.__annotations__.keys()
        return [StageRecord(**{key: item[key] for key in keys}) for item in items[-_MAX_STAGES:]]  # type: ignore[typeddict-item]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        _LOG.warning("%s can't be read (%s); what the model was trained on is unknown", path, error)
        return []


def write_stages(folder: Path, records: Sequence[StageRecord]) -> None:
    """Write the stages, if there are any."""
    if records:
        with replacing(folder / RECORDS) as temporary:
            temporary.write_text(json.dumps(list(records), indent=2) + "\n", "utf-8")
