"""`anymodal export`: a model and all its parts in one folder, adapters merged, ready to ship."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from anymodal.cli.options import add_trust
from anymodal.cli.process import quick_start

if TYPE_CHECKING:
    from anymodal.model import AnyModal

_NOTED = ("config.json", "model_index.json")
"""Files in which diffusers notes where a part lay on the machine that wrote them."""
DTYPES = ("float16", "bfloat16", "float32")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `anymodal export`."""
    parser.add_argument(
        "model", metavar="MODEL", help="a folder of a model or of a run, or a run's checkpoint"
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where to; replaced as a whole")
    parser.add_argument(
        "--licence",
        metavar="NAME",
        help="what to note as the licence of parts of which none is known, as those you trained",
    )
    parser.add_argument(
        "--adapters",
        action="store_true",
        help="write only what was trained: adapters, projection, heads, rows of tokens; the parts "
        "are opened from where they are now, those of the hub at the same revision",
    )
    add_trust(parser)
    parser.add_argument("--dtype", choices=DTYPES, help="default: float16")


def run(args: argparse.Namespace) -> int:
    """Write the folder, and say how large it is."""
    with quick_start():
        from anymodal import composition
        from anymodal.composition.card import write_model_card
        from anymodal.model import AnyModal

        if args.adapters and args.dtype:
            raise ValueError("--adapters writes weights as they were trained; leave --dtype out")
        if composition.is_run(args.model):
            from anymodal.training.run_folder import is_finished, open_run, open_run_model

            if is_finished(args.model):
                model = open_run_model(args.model, args.trusted_packages)
            else:
                objective = open_run(args.model, args.trusted_packages)
                if not isinstance(objective.model, AnyModal):  # a part, as its own class writes it
                    objective.save_pretrained(args.folder)
                    return _tell_size(args.folder)
                model = objective.model
        else:
            model = AnyModal.from_pretrained(args.model, trusted_packages=args.trusted_packages)
    if args.adapters:
        model.save_pretrained(args.folder)
    else:
        write_whole_model(model, args.folder, args.dtype or "float16", args.licence)
    write_model_card(args.folder, args.folder.absolute().name, args.licence)
    return _tell_size(args.folder)


def write_whole_model(model: AnyModal, folder: Path, dtype: str, licence: str | None) -> None:
    """Write a model and all its parts, its adapters merged.

    Args:
        model: it is changed: merged and of that precision afterwards.
        folder: replaced as a whole.
        dtype: the weights' precision.
        licence: of parts of which none is known.
    """
    import torch

    from anymodal.io.sources import write_card

    # Merged in the precision that they were trained in, and rounded only once, afterwards.
    model.language.merge_adapters()
    model.to(getattr(torch, dtype))
    model.save_pretrained(folder, with_parts=True)
    for part in (path for path in folder.iterdir() if path.is_dir()):
        write_card(part, {"licence": licence})
    for path in folder.rglob("tokenizer.json"):  # indented, these are more than twice as long
        content = json.loads(path.read_text("utf-8"))
        path.write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")), "utf-8")
    for path in (p for name in _NOTED for p in folder.rglob(name)):
        content = json.loads(path.read_text("utf-8"))
        if content.pop("_name_or_path", None) is not None:
            path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", "utf-8")


def _tell_size(folder: Path) -> int:
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder}: {size / 1e6:.1f} MB")
    return 0
