"""`anymodal push`: a model to the hub, with a card of what it is and was trained on."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from anymodal.cli.export import write_whole_model
from anymodal.cli.options import add_trust
from anymodal.cli.process import quick_start


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `anymodal push`."""
    parser.epilog = (
        "The token comes from `hf auth login` or HF_TOKEN. Of a run, what was trained is pushed, "
        "and others open it over the same parts of the hub; a model's folder is pushed as it is."
    )
    add = parser.add_argument
    add("model", metavar="MODEL", help="a folder of a model or of a run, or a run's checkpoint")
    add("name", metavar="OWNER/NAME", help="the repository; it is created where there is none")
    add(
        "--parts",
        action="store_true",
        help="push all parts of a run's model too, adapters merged, in float16",
    )
    add("--private", action="store_true", default=None, help="of a new repository")
    add("--revision", metavar="BRANCH", help="default: main")
    add("--message", metavar="TEXT", default="", help="of the commit")
    add("--licence", metavar="NAME", help="of what you trained, as apache-2.0")
    add_trust(parser)


def run(args: argparse.Namespace) -> int:
    """Push, and print the commit's address."""
    with quick_start():
        from anymodal import composition
        from anymodal.composition.sharing import push_saved_model
        from anymodal.io.hub_repository import check_repository_name

        check_repository_name(args.name)  # before a model is opened
        options = {
            "revision": args.revision,
            "private": args.private,
            "message": args.message,
            "licence": args.licence,
        }
        if not composition.is_run(args.model):
            if args.parts:
                raise ValueError(
                    "--parts is for runs; write a folder with all parts by `anymodal export`, and "
                    "push that"
                )
            print(push_saved_model(composition.find(args.model), args.name, **options))
            return 0
        from anymodal.training.run_folder import open_run_model

        model = open_run_model(args.model, args.trusted_packages)
    if not args.parts:
        print(model.push_to_hub(args.name, **options))
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "model"
        write_whole_model(model, folder, "float16", args.licence)
        print(push_saved_model(folder, args.name, **options))
    return 0
