"""`anymodal doctor`: what is installed, what is amiss, and what mends it."""

from __future__ import annotations

import argparse
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from anymodal import hub, torchaudio_fix

_ROOM = 2e9  # bytes: a checkpoint and its optimizer, with some to spare


class Finding(NamedTuple):
    """One line of the report; `advice` is empty where all is well."""

    text: str
    advice: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `anymodal doctor`: none."""


def run(_args: argparse.Namespace) -> int:
    """Print every finding; 1 if something has to be mended."""
    status = 0
    for text, advice in findings():
        print(f"{'!!' if advice else 'ok'}  {text}{f': {advice}' if advice else ''}")
        status = 1 if advice else status
    return status


def findings() -> Iterator[Finding]:
    """Look at Python, the packages, torchaudio, the processor, the shipped model, the disk and the
    hub.
    """
    version = platform.python_version()
    old = sys.version_info < (3, 11)
    yield Finding(f"Python {version}", "AnyModal needs Python 3.11 or later" if old else "")
    for requirement in _requirements():
        yield _package(requirement)
    yield _torchaudio()
    yield _processor()
    yield _shipped()
    free = shutil.disk_usage(".").free
    advice = "training wants at least 2 GB; make room or work elsewhere" if free < _ROOM else ""
    yield Finding(f"{free / 1e9:.1f} GB free on this disk", advice)
    yield _hub()


def _requirements() -> list[str]:
    """What AnyModal needs, from the installed package, or from the source tree it runs from."""
    try:
        needed = metadata.requires("anymodal") or []
    except metadata.PackageNotFoundError:
        import tomllib

        file = Path(__file__).resolve().parents[2] / "pyproject.toml"
        project = tomllib.loads(file.read_text("utf-8")) if file.is_file() else {}
        needed = project.get("project", {}).get("dependencies", [])
    return [line for line in needed if "extra ==" not in line]


def _package(requirement: str) -> Finding:
    from packaging.requirements import Requirement

    needed = Requirement(requirement)
    if needed.marker is not None and not needed.marker.evaluate():
        return Finding(f"{needed.name} (not needed here)")
    try:
        version = metadata.version(needed.name)
    except metadata.PackageNotFoundError:
        return Finding(needed.name, f'missing; run: pip install "{requirement}"')
    if not needed.specifier.contains(version, prereleases=True):
        advice = f'{needed.specifier} is needed; run: pip install "{requirement}"'
        return Finding(f"{needed.name} {version}", advice)
    return Finding(f"{needed.name} {version}")


def _torchaudio() -> Finding:
    found = torchaudio_fix.state()
    if found == "broken":
        return Finding("torchaudio", torchaudio_fix.ADVICE)
    return Finding(
        {
            "absent": "torchaudio is not installed, and not needed",
            "aside": "torchaudio, its CUDA extension set aside",
            "fine": "torchaudio and torch fit each other",
        }[found]
    )


def _processor() -> Finding:
    try:
        import torch
    except (ImportError, OSError) as error:
        return Finding("torch", f"it can't be imported ({error}); install it again")
    if torch.cuda.is_available():
        gpu = torch.cuda.get_device_properties(0)
        size = f"{gpu.total_memory / 1e9:.0f} GB"
        return Finding(f"GPU {gpu.name}, {size} (anymodal plan --device cuda:0 tells what fits)")
    if shutil.which("nvidia-smi"):
        advice = f"torch {torch.__version__} can't use it; install a torch built for its CUDA"
        return Finding("there is an NVIDIA driver", advice)
    return Finding(
        f"no GPU; {torch.get_num_threads()} processor threads (enough for nano; anymodal plan "
        "tells what larger models want)"
    )


def _hub() -> Finding:
    """Whether the hub of Hugging Face answers; doing without it is no fault of an installation."""
    if hub.offline():
        return Finding("the hub is switched off by HF_HUB_OFFLINE; models come from local folders")
    if (answer := hub.answer()) is None:
        return Finding(
            f"the hub at {hub.endpoint()} can't be reached; models in local folders work, others "
            "want a connection, or HF_ENDPOINT set to a mirror"
        )
    return Finding(f"the hub at {hub.endpoint()} {answer}")


def _shipped() -> Finding:
    from anymodal.commands.options import DEFAULT_MODEL
    from anymodal.composition import SHIPPED

    if (SHIPPED / DEFAULT_MODEL / "config.yaml").is_file():
        return Finding(f"the model {DEFAULT_MODEL!r} is here")
    return Finding(f"the model {DEFAULT_MODEL!r}", "it is missing; run: make nano")
