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

from anymodal.cli import torchaudio_fix
from anymodal.cli.process import quick_start
from anymodal.io import hub

_ROOM = 2e9  # bytes: a checkpoint and its optimizer, with some to spare


class Finding(NamedTuple):
    """One line of the report, with one line of advice; `wrong` where it has to be followed."""

    text: str
    advice: str
    wrong: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `anymodal doctor`: none."""


def run(_args: argparse.Namespace) -> int:
    """Print every finding; 1 if something has to be mended."""
    status = 0
    for text, advice, wrong in findings():
        print(f"{'!!' if wrong else 'ok'}  {text}: {advice}")
        status = 1 if wrong else status
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
    """What AnyModal needs."""
    return [line for line in _declared() if "extra ==" not in line]


def _declared() -> list[str]:
    """Needs and extras, from the installed package, or from the source tree it runs from."""
    try:
        return metadata.requires("anymodal") or []
    except metadata.PackageNotFoundError:
        import tomllib

        file = Path(__file__).resolve().parents[2] / "pyproject.toml"
        project = tomllib.loads(file.read_text("utf-8")) if file.is_file() else {}
        told = project.get("project", {})
        extras = told.get("optional-dependencies", {}).items()
        return [
            *told.get("dependencies", []),
            *(f'{line}; extra == "{extra}"' for extra, lines in extras for line in lines),
        ]


def _extras() -> Iterator[Finding]:
    """What may be installed beside, an extra a line; developers' own isn't told."""
    from packaging.requirements import Requirement

    extras: dict[str, list[str]] = {}
    for line in _declared():
        needed = Requirement(line)
        extra = line.rpartition("extra ==")[2].strip(" \"'")
        if "extra ==" in line and needed.name != "anymodal" and extra != "dev":
            extras.setdefault(extra, []).append(needed.name)
    for extra, names in extras.items():
        try:
            told = ", ".join(f"{name} {metadata.version(name)}" for name in names)
            yield Finding(f"extra {extra}: {told}", "there")
        except metadata.PackageNotFoundError:
            what = f"extra {extra} ({', '.join(names)}) isn't installed"
            yield Finding(what, f"where it is wanted, run: pip install 'anymodal[{extra}]'")


def _package(requirement: str) -> Finding:
    from packaging.requirements import Requirement

    needed = Requirement(requirement)
    if needed.marker is not None and not needed.marker.evaluate():
        return Finding(needed.name, "not needed here")
    try:
        version = metadata.version(needed.name)
    except metadata.PackageNotFoundError:
        return Finding(needed.name, f'missing; run: pip install "{requirement}"', True)
    if not needed.specifier.contains(version, prereleases=True):
        advice = f'{needed.specifier} is needed; run: pip install "{requirement}"'
        return Finding(f"{needed.name} {version}", advice, True)
    return Finding(f"{needed.name} {version}", f"stay within {needed.specifier or 'any version'}")


def _torchaudio() -> Finding:
    found = torchaudio_fix.state()
    if found == "broken":
        return Finding("torchaudio", torchaudio_fix.ADVICE, True)
    return {
        "absent": Finding("torchaudio isn't installed", "leave it so, nothing needs it"),
        "aside": Finding(
            "torchaudio, its CUDA extension set aside",
            f"after installing torch anew, run: {torchaudio_fix.COMMAND}",
        ),
        "fine": Finding("torchaudio and torch fit each other", "install both anew together"),
    }[found]


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
    seen = set()
    for what, folder in (("the hub's cache", hub.cache()), ("this folder", Path.cwd())):
        there = next(path for path in (folder, *folder.parents) if path.exists())
        if (disk := there.stat().st_dev) in seen:
            continue
        seen.add(disk)
        free = shutil.disk_usage(there).free
        text = f"{free / 1e9:.1f} GB free for {what}, {folder}"
        if free < _ROOM:
            yield Finding(text, "at least 2 GB are wanted; make room, or set HF_HOME", True)
        else:
            yield Finding(text, "a part takes 2 bytes a parameter or more; HF_HOME moves it")


def _hub() -> Finding:
    """Whether the hub of Hugging Face answers; doing without it is no fault of an installation."""
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
