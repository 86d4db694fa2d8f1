"""`anymodal embed`: one embedding per file, of any kind that a model reads, texts included."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from anymodal.cli.options import DEFAULT_MODEL, add_device, add_limits, count, limits_of, whole
from anymodal.cli.process import quick_start
from anymodal.config.printable import printable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `anymodal embed`."""
    parser.epilog = (
        "A run that was stopped goes on where it stopped, and a finished one does what is new. "
        "A .txt is one text, for encoders that read texts. Files that can't be read are listed and "
        "left out."
    )
    add = parser.add_argument
    add("paths", nargs="+", metavar="PATH", help="files, and folders of them")
    add(
        "--encoder",
        default=DEFAULT_MODEL,
        metavar="ENCODER",
        help="an ImageBind's folder, a model of transformers (a folder or a hub's name), or "
        "a model with encoders (default: %(default)s)",
    )
    add("--out", type=Path, required=True, metavar="FILE", help="a .npy or a .parquet")
    add("--batch", type=count, default=16, help="files encoded together (default: %(default)s)")
    add(
        "--workers",
        type=whole,
        metavar="N",
        help="processes that read files meanwhile (default: as many as there are processors)",
    )
    add("--kind", metavar="KIND", help="take every file for this kind, not what its content tells")
    add("--revision", metavar="COMMIT", help="of an encoder on the hub")
    add("--tower", metavar="NAME", help="which part of an encoder of several, as audio or video")
    add(
        "--feature-cache",
        type=Path,
        metavar="DIR",
        help="of training runs (their feature_cache.dir): what is there isn't encoded again, and "
        "what is encoded is added",
    )
    add("--unit", action="store_true", help="scale every embedding to length 1")
    add_limits(parser)
    add_device(parser)


def run(args: argparse.Namespace) -> int:
    """Embed the files, and list those that were skipped."""
    from anymodal.io.embedding_file import check_output

    # Before anything heavy is imported.
    check_output(args.out)
    with quick_start():
        limits = limits_of(args)
        from anymodal.distributed import devices
        from anymodal.tools.embed.files import TEXT, find_files, may_be_text
        from anymodal.tools.embed.opening import open_encoders
        from anymodal.tools.embed.run import embed_files

        # A text encoder is opened only if there may be something for it.
        texts = args.kind == TEXT or any(map(may_be_text, find_files(args.paths)))
        device = devices.choose_device(args.device)
        encoders = open_encoders(
            args.encoder, texts=texts, revision=args.revision, tower=args.tower
        )
    report = embed_files(
        args.paths,
        encoders,
        args.out,
        batch=args.batch,
        kind=args.kind,
        unit=args.unit,
        device=device,
        limits=limits,
        workers=args.workers,
        feature_cache=args.feature_cache,
    )
    for path, reason in report.skipped_files:
        # Names come from a folder that may be a stranger's.
        print(printable(f"skipped {path}: {reason}", None), file=sys.stderr)
    suffix = f", {len(report.skipped_files)} skipped" if report.skipped_files else ""
    shared = f", {report.shared} encoded before" if args.feature_cache else ""
    print(f"{args.out}: {report.files} files, {report.new} of them new{shared}{suffix}")
    return 0
