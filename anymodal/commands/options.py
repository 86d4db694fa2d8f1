"""Options that several commands share."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anymodal.model import AnyModal

DEFAULT_MODEL = "nano"


def count(text: str) -> int:
    """A whole number above 0, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add `--model`."""
    parser.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        metavar="MODEL",
        help="a model folder, or the name of a shipped one (default: %(default)s)",
    )


def open_model(name: str) -> AnyModal:
    """Load the model that `--model` names."""
    from anymodal.model import AnyModal

    return AnyModal.from_pretrained(name)
