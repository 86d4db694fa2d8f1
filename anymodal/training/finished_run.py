"""Finished runs: settings that changed since, and the way on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from anymodal import config as configuration
from anymodal.composition.folders import RUN_FILE
from anymodal.config import shorten
from anymodal.training.checkpoints import AtomicCheckpointIO, resumable
from anymodal.training.configuration import Run
from anymodal.training.report.environment import settings_of

_MOST_CHANGES = 10


def read_finished(run: Run) -> Run | None:
    """The run as it was when it finished; None where nobody can tell."""
    path = Path(run.output_dir) / RUN_FILE
    try:
        return Run.from_config(configuration.load_config(path, (), Run))
    except (OSError, ValueError):  # none, or of another version
        return None


def changed_settings(before: Run, after: Run) -> list[str]:
    """Settings that differ, as `optimizer.lr 0.001 -> 0.0005`."""
    old, new = (dict(_flat(settings_of(run))) for run in (before, after))
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return [f"{name} {shorten(old.get(name))} -> {shorten(new.get(name))}" for name in names]


def goes_on(before: Run, after: Run) -> bool:
    """Return whether a finished run is to go on: it has more to do, and its checkpoint is there.

    Steps that take the place of epochs are compared with those that were done. How many steps
    epochs are is known with the data alone, so they don't take the place of steps.
    """
    path = resumable(Path(after.output_dir) / "checkpoints" / "last.ckpt")
    if path is None:
        return False
    if after.epochs is not None:
        return before.epochs is not None and after.epochs > before.epochs
    done = before.steps
    if before.epochs is not None and after.steps:
        done = int(AtomicCheckpointIO().load_checkpoint(path)["global_step"])
    return after.steps > done


def advice(before: Run | None, after: Run, model: Path) -> str:
    """A line about a finished run: what changed since, and how to go on."""
    lines = changed_settings(before, after) if before is not None else []
    if before is None or not lines:
        return f"{model} is there already; give a larger steps= to train on, or delete it"
    listing = "; ".join(lines[:_MOST_CHANGES])
    if len(lines) > _MOST_CHANGES:
        listing += f"; and {len(lines) - _MOST_CHANGES} more"
    way = "delete its folder"
    if resumable(model.parent / "checkpoints" / "last.ckpt") is not None:
        way = f"give more than its steps={before.steps} to train on with them"
        if before.epochs is not None:
            way = f"give more than its epochs={before.epochs} to train on with them"
    return (
        f"{model} is there already, of other settings, and stays as it is: {listing}. Choose "
        f"another output_dir= to train with these from the start, or {way}"
    )


def rename_finished(model: Path, before: Run) -> Path:
    """Rename a finished model whose run goes on, so that it stays until there is a newer one."""
    name = f"{model.name}-{before.steps or f'{before.epochs}-epochs'}"
    path, number = model.with_name(name), 1
    while path.exists():
        number += 1
        path = model.with_name(f"{name}-{number}")
    os.rename(model, path)
    return path


def _flat(value: object, name: str = "") -> Iterator[tuple[str, object]]:
    """Values of nested settings by their whole names."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _flat(item, f"{name}.{key}" if name else str(key))
    else:
        yield name, value
