"""`anymodal convert`: published weights, as they were downloaded, to a folder of safetensors."""

from __future__ import annotations

import argparse
from pathlib import Path

KINDS = ("imagebind",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `anymodal convert`."""
    parser.epilog = (
        "No code in the checkpoint runs. The licence of the weights stays with them: it is in the "
        "folder's manifest and is told whenever they are loaded."
    )
    add = parser.add_argument
    add("kind", choices=KINDS, help="whose weights they are")
    add("checkpoint", type=Path, metavar="CHECKPOINT", help="the file, as imagebind_huge.pth")
    add("folder", type=Path, metavar="FOLDER", help="where to; replaced as a whole")
    add("--tokenizer", metavar="TOKENIZER", help="CLIP's, to read texts: a folder or a name")


def run(args: argparse.Namespace) -> int:
    """Write the folder, and say what it holds and under which licence."""
    from anymodal.encoders.imagebind import notice
    from anymodal.encoders.imagebind_convert import convert

    if args.folder.exists() and not (args.folder / "config.json").is_file():
        raise ValueError(f"{args.folder} is there and holds no such model; name another folder")
    origin = convert(args.checkpoint, args.folder, args.tokenizer)
    size = sum(path.stat().st_size for path in args.folder.rglob("*") if path.is_file())
    print(f"{args.folder}: preset {origin['preset']}, {size / 1e6:.1f} MB")
    print(notice(args.folder, origin))
    if args.tokenizer is None:
        print("no tokenizer lies beside it, so it reads no texts; --tokenizer adds one")
    return 0
