"""Everything that a run logs, as a file of JSON lines that resumed sessions go on with."""

from __future__ import annotations

import json
import math
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from anymodal.io.checkpoint import replacing

Curves = dict[str, dict[int, float]]
"""Values by name and step."""


class History(Logger):
    """Logs into `history.jsonl`, one line of JSON a call: the step, and values by name.

    Of two values of one name and step the later one counts, as after a run that was cut off.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self._curves: Curves | None = None

    @property
    def name(self) -> str:
        """The name of the logger."""
        return "history"

    @property
    def version(self) -> str:
        """No version: sessions go on with one file."""
        return ""

    @property
    def curves(self) -> Curves:
        """All values so far, by name and step."""
        if self._curves is None:
            self._curves = read_history(self.path)
        return self._curves

    @rank_zero_only
    def log_hyperparams(
        self, params: dict[str, Any] | Namespace, *args: object, **more: object
    ) -> None:
        """Nothing: the configuration has a file of its own."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Append a line."""
        values = {name: float(value) for name, value in metrics.items() if _is_number(value)}
        values.pop("epoch", None)  # Lightning's own count, which is 0 for ever
        if step is None or not values:
            return
        if not self.path.exists() or self._curves is None:
            self._open()
        for name, value in values.items():
            self.curves.setdefault(name, {})[step] = value
        line = {"step": step, **{n: v if math.isfinite(v) else str(v) for n, v in values.items()}}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def _open(self) -> None:
        """Begin the file, or drop what a killed run left of its last line."""
        text = self.path.read_text("utf-8") if self.path.exists() else ""
        if not self.path.exists() or not text.endswith("\n"):
            with replacing(self.path) as temporary:
                temporary.write_text(text[: text.rfind("\n") + 1], "utf-8")


def read_history(path: Path) -> Curves:
    """The values of a history file, by name and step; none where there is no file."""
    curves: Curves = {}
    lines = path.read_text("utf-8").split("\n")[:-1] if path.exists() else []
    for line in lines:
        try:
            record = json.loads(line)
            step = int(record.pop("step"))
            for name, value in record.items():
                curves.setdefault(name, {})[step] = float(value)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # a line that something else damaged
    return curves


def _is_number(value: object) -> bool:
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return not isinstance(value, str)
