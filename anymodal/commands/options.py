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
    """Add `--model` and `--device`."""
    parser.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        metavar="MODEL",
        help="a model folder, or the name of a shipped one (default: %(default)s)",
    )
    parser.add_argument("--device", metavar="DEVICE", help="default: a GPU where there is one")


def open_model(name: str, device: str | None = None) -> AnyModal:
    """Load the model that `--model` names, on the device that `--device` names.

    Raises:
        ValueError: if there is no such device.
    """
    import torch

    from anymodal.model import AnyModal

    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        line = str(error).splitlines()[0]
        raise ValueError(f"--device {device}: {line}; `anymodal doctor` says why") from None
    return AnyModal.from_pretrained(name).to(device)
