"""The environment of a run: its configuration, packages, machine and git state."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from anymodal import __version__
from anymodal.composition.folders import RUN_FILE
from anymodal.config.yaml_files import dump_yaml
from anymodal.io.checkpoint import replacing
from anymodal.training.configuration import Run

ENVIRONMENT = "environment.json"
_GIT_SECONDS = 5
_MAX_FILES = 50
"""The most changed files that are listed."""


def write_run_file(run: Run) -> None:
    """Write the whole configuration, as `anymodal train` reads it."""
    with replacing(Path(run.output_dir) / RUN_FILE) as path:
        path.write_text(dump_yaml(settings_of(run)), "utf-8")


def settings_of(run: Run) -> dict[str, Any]:
    """A run as plain containers."""
    settings = asdict(run)
    if run.epochs is not None:  # which say how many steps
        settings["steps"] = 0
    return settings


def add_session(folder: Path, step: int) -> None:
    """Add to `environment.json` what a session of a run was started with.

    Args:
        folder: of the run.
        step: at which the session begins.
    """
    path = folder / ENVIRONMENT
    sessions = read_sessions(path)
    packages = _package_versions()
    before: Mapping[str, str] = {}
    for session in sessions:
        before = session.get("packages") or before
    session = {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "step": step,
        "anymodal": __version__,
        "command": sys.argv,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "device": device_name(),
        "git": git_state(Path.cwd()),
        # Those of the session before, where this one has none.
        "packages": packages if packages != before else None,
    }
    with replacing(path) as temporary:
        temporary.write_text(json.dumps([*sessions, session], indent=1) + "\n", "utf-8")


def read_sessions(path: Path) -> list[dict[str, Any]]:
    """The sessions in a file; none where it can't be read."""
    try:
        sessions = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return []
    return sessions if isinstance(sessions, list) else []


@cache
def _package_versions() -> dict[str, str]:
    """The version of every installed package; read once, since it takes a third of a second."""
    read = (each.metadata for each in metadata.distributions())
    return dict(sorted((str(each["Name"]), each["Version"]) for each in read if each["Name"]))


def device_name() -> str:
    """The accelerator's name, or the number of processors."""
    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} × {torch.cuda.get_device_name()}"
    return f"{os.cpu_count()} processors"


def git_state(folder: Path) -> dict[str, Any] | None:
    """The commit of a folder's repository, and files that differ from it; None where none is."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    changed = (_git(folder, "status", "--porcelain", "--untracked-files=no") or "").splitlines()
    return {"commit": commit.strip(), "changed": [line[3:] for line in changed[:_MAX_FILES]]}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        result = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout if result.returncode == 0 else None
