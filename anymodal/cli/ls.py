"""`anymodal ls`: models and configurations, or what one model reads and makes."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anymodal.cli.process import quick_start
from anymodal.config.printable import printable

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `anymodal ls`."""
    parser.add_argument(
        "model", nargs="?", metavar="MODEL", help="a model folder or name, to list its modalities"
    )


def run(args: argparse.Namespace) -> int:
    """List what ships, or a model's modalities."""
    if args.model:
        show_model(args.model)
        return 0
    with quick_start():
        from anymodal.composition import SHIPPED

    print("models")
    folders = sorted(path.parent for path in SHIPPED.glob("*/config.yaml"))
    for folder in folders:
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        print(f"  {folder.name:<16} {size / 1e6:.1f} MB")
    if not folders:
        print("  none ships with this installation")
    print("configurations")
    configs = sorted(CONFIGS.rglob("*.yaml"))
    for path in configs:
        # A shipped configuration begins with a line that says what it is.
        heading = path.read_text("utf-8").partition("\n")[0]
        note = heading.lstrip("# ") if heading.startswith("#") else ""
        print(f"  configs/{path.relative_to(CONFIGS).as_posix():<44} {note}".rstrip())
    if not configs:
        print("  none here; they are in the source tree, under configs/")
    return 0


def show_model(name: str) -> None:
    """Print what a model is made of, from its configuration alone.

    Raises:
        ValueError: if there is no such model.
    """
    with quick_start():
        from anymodal.composition import check_shape, find, read_config

    folder = find(name)
    # From the configuration alone: a model of any size is listed at once.
    config = read_config(folder)
    check_shape(config)
    parts = config.get("parts") or {}
    print(folder)
    for key in ("language", "projection", "fusion"):
        if config.get(key):
            print(f"  {key:<12} {_target(config[key], parts)}")
    print("modalities")
    for modality, node in config["modalities"].items():
        abilities = [
            f"{verb} by {_target(node[key], parts)}"
            for verb, key in (("read", "encoder"), ("made", "decoder"))
            if node.get(key)
        ]
        if node.get("decoder"):
            abilities.append(f"{node.get('num_signal_tokens', 0)} signal tokens")
        print(f"  {modality:<12} {'; '.join(abilities)}")


def _target(node: Mapping[str, Any], parts: Mapping[str, Any]) -> str:
    """The class that a node, or the part it stands for, names."""
    node = parts.get(node["_part_"], {}) if "_part_" in node else node
    names = printable(str(node.get("_target_") or "?")).split(".")
    return ".".join(names[-2:]) if names[-1][:1].islower() else names[-1]
