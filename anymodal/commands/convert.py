"""`anymodal convert`: published weights, as they were downloaded, to a folder of safetensors."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

KINDS = ("imagebind", "nextgpt", "gill", "onellm", "blip2", "instructblip", "qformer")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `anymodal convert`."""
    parser.epilog = (
        "No code in the checkpoint runs. The licence of the weights stays with them: it is in the "
        "folder's manifest and is told whenever they are loaded."
    )
    add = parser.add_argument
    add("kind", choices=KINDS, help="whose weights they are")
    add(
        "checkpoint",
        type=Path,
        metavar="CHECKPOINT",
        help="the file, as imagebind_huge.pth, or a folder of safetensors",
    )
    add("folder", type=Path, metavar="FOLDER", help="where to; replaced as a whole")
    add(
        "--tokenizer",
        metavar="TOKENIZER",
        help="a folder or a name: CLIP's, for imagebind to read texts; the checkpoint's own, for "
        "the rows of its signals",
    )
    add("--only", nargs="+", default=[], metavar="MODALITY", help="take these modalities' alone")


def run(args: argparse.Namespace) -> int:
    """Write the folder, and say what it holds and under which licence."""
    from anymodal.checkpoint import MANIFEST, notice

    if args.folder.exists() and not (args.folder / MANIFEST).is_file():
        raise ValueError(f"{args.folder} is there and holds no such model; name another folder")
    origin, told = (_imagebind if args.kind == "imagebind" else _system)(args)
    size = sum(path.stat().st_size for path in args.folder.rglob("*") if path.is_file())
    print(f"{args.folder}: {told}, {size / 1e6:.1f} MB")
    print(notice(str(args.folder), origin))
    return 0


def _imagebind(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    from anymodal.encoders.imagebind_convert import convert

    if args.only:
        raise ValueError("--only is for systems; ImageBind.from_pretrained takes modalities")
    origin = convert(args.checkpoint, args.folder, args.tokenizer)
    if args.tokenizer is None:
        print("no tokenizer lies beside it, so it reads no texts; --tokenizer adds one")
    return origin, f"preset {origin['preset']}"


def _system(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    from anymodal.published import SYSTEMS, convert

    origin = convert(args.kind, args.checkpoint, args.folder, args.tokenizer, args.only)
    if SYSTEMS[args.kind].rows and not origin["rows"]:
        print("the signals' rows are left out, since their places are unknown; --tokenizer tells")
    return origin, f"weights of {args.kind} to start from (`weights:` of a model)"
