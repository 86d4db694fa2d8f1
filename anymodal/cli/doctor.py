"""`anymodal doctor`: the installation checked, with advice."""

from __future__ import annotations

import argparse
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from anymodal.cli import torchaudio_fix
from anymodal.cli.process import quick_start
from anymodal.io import hub

_ROOM = 2e9  # bytes: a checkpoint and its optimizer, with some to spare


class Finding(NamedTuple):
    """One line of the report, with one line of advice; `is_fault` where it must be followed."""

    text: str
    advice: str
    is_fault: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `anymodal doctor`: none."""


def run(_args: argparse.Namespace) -> int:
    """Print every finding; 1 if something has to be mended."""
    status = 0
    for text, advice, is_fault in findings():
        print(f"{'!!' if is_fault else 'ok'}  {text}: {advice}")
        status = 1 if is_fault else status
    return status


def findings() -> Iterator[Finding]:
    """Look at Python, the packages, torchaudio, the processors, the shipped model, the disks and
    the hub.
    """
    old = sys.version_info < (3, 11)
    advice = "install 3.11 or later" if old else "stay at 3.11 or later"
    yield Finding(f"Python {platform.python_version()}", advice, old)
    for requirement in _requirements():
        yield _package(requirement)
    yield from _extras()
    yield _torchaudio()
    yield from _processors()
    yield _shipped()
    yield from _disks()
    yield _hub()


def _requirements() -> list[str]:
    """Required packages, as requirement lines."""
    return [line for line in _all_requirements() if "extra ==" not in line]


def _all_requirements() -> list[str]:
    """Requirements and extras, from the installed package or the source tree that it runs from."""
    try:
        return metadata.requires("anymodal") or []
    except metadata.PackageNotFoundError:
        # It runs from a source tree that isn't installed.
        import tomllib

        file = Path(__file__).resolve().parents[2] / "pyproject.toml"
        project = tomllib.loads(file.read_text("utf-8")) if file.is_file() else {}
        table = project.get("project", {})
        extras = table.get("optional-dependencies", {}).items()
        return [
            *table.get("dependencies", []),
            *(f'{line}; extra == "{extra}"' for extra, lines in extras for line in lines),
        ]


def _extras() -> Iterator[Finding]:
    """A line for each extra, apart from that of developers."""
    from packaging.requirements import Requirement

    extras: dict[str, list[str]] = {}
    for line in _all_requirements():
        requirement = Requirement(line)
        extra = line.rpartition("extra ==")[2].strip(" \"'")
        if "extra ==" in line and requirement.name != "anymodal" and extra != "dev":
            extras.setdefault(extra, []).append(requirement.name)
    for extra, names in extras.items():
        try:
            versions = ", ".join(f"{name} {metadata.version(name)}" for name in names)
            yield Finding(f"extra {extra}: {versions}", "installed")
        except metadata.PackageNotFoundError:
            text = f"extra {extra} ({', '.join(names)}) isn't installed"
            yield Finding(text, f"if you want it, run: pip install 'anymodal[{extra}]'")


def _package(line: str) -> Finding:
    from packaging.requirements import Requirement

    requirement = Requirement(line)
    name, specifier = requirement.name, requirement.specifier
    if requirement.marker is not None and not requirement.marker.evaluate():
        return Finding(name, "not needed here")
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Finding(name, f'missing; run: pip install "{line}"', True)
    if not specifier.contains(version, prereleases=True):
        advice = f'{specifier} is needed; run: pip install "{line}"'
        return Finding(f"{name} {version}", advice, True)
    return Finding(f"{name} {version}", f"stay within {specifier or 'any version'}")


def _torchaudio() -> Finding:
    state = torchaudio_fix.state()
    if state == "broken":
        return Finding("torchaudio", torchaudio_fix.ADVICE, True)
    return {
        "absent": Finding("torchaudio isn't installed", "leave it so, nothing needs it"),
        "aside": Finding(
            "torchaudio, its CUDA extension set aside",
            f"after installing torch anew, run: {torchaudio_fix.COMMAND}",
        ),
        "fine": Finding("torchaudio and torch fit each other", "install both anew together"),
    }[state]


def _processors() -> Iterator[Finding]:
    """Every GPU, or the processor where there is none."""
    try:
        with quick_start():
            import torch
    except (ImportError, OSError) as error:
        yield Finding("torch", f"it can't be imported ({error}); install it again", True)
        return
    for index in range(torch.cuda.device_count()):
        gpu = torch.cuda.get_device_properties(index)
        size = f"{gpu.total_memory / 1e9:.0f} GB"
        fits = f"anymodal plan CONFIG --device cuda:{index} tells what fits"
        yield Finding(f"GPU {index}, {gpu.name}, {size}", fits)
    if torch.cuda.device_count():
        return
    # A driver, but no GPU that torch sees: torch was built for another CUDA, or for none.
    if shutil.which("nvidia-smi"):
        advice = f"torch {torch.__version__} can't use it; install a torch built for its CUDA"
        yield Finding("there is an NVIDIA driver", advice, True)
        return
    yield Finding(
        f"no GPU; processor threads: {torch.get_num_threads()}",
        "enough for nano; anymodal plan CONFIG --device 24GB tells what larger models want",
    )


def _disks() -> Iterator[Finding]:
    """The disk that published weights go to, and the one that is worked on, if it is another."""
    devices = set()
    for purpose, folder in (("the hub's cache", hub.cache()), ("this folder", Path.cwd())):
        # A cache that nothing was fetched into has no folder yet.
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        # Both often lie on one disk, which is told once.
        if (disk := existing.stat().st_dev) in devices:
            continue
        devices.add(disk)
        free = shutil.disk_usage(existing).free
        text = f"{free / 1e9:.1f} GB free for {purpose}, {folder}"
        if free < _ROOM:
            yield Finding(text, "at least 2 GB are wanted; make room, or set HF_HOME", True)
        else:
            yield Finding(text, "a part takes 2 bytes a parameter or more; HF_HOME moves it")


def _hub() -> Finding:
    """Ask the hub of Hugging Face; that it doesn't answer is no fault of an installation."""
    if hub.offline():
        return Finding(
            "the hub is switched off by HF_HUB_OFFLINE",
            "models come from local folders and the cache; unset it to fetch others",
        )
    if (answer := hub.answer()) is None:
        return Finding(
            f"the hub at {hub.endpoint()} can't be reached",
            "models in local folders work; connect for others, or set HF_ENDPOINT to a mirror",
        )
    return Finding(
        f"the hub at {hub.endpoint()} {answer}", "name parts as owner/name, pinned by `revision`"
    )


def _shipped() -> Finding:
    from anymodal.cli.options import DEFAULT_MODEL
    from anymodal.composition import SHIPPED

    if (SHIPPED / DEFAULT_MODEL / "config.yaml").is_file():
        return Finding(
            f"the model {DEFAULT_MODEL!r} is here", 'try: anymodal chat "draw a red ball"'
        )
    return Finding(f"the model {DEFAULT_MODEL!r}", "it is missing; run: make nano", True)
