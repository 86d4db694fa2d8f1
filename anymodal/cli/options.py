"""Options that several commands share."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anymodal.composition import OpenOnFirstUse
    from anymodal.io.content_credentials import ContentSigner
    from anymodal.media import Limits
    from anymodal.model import AnyModal

DEFAULT_MODEL = "nano"


def count(text: str) -> int:
    """A whole number above 0, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def whole(text: str) -> int:
    """A whole number, 0 included, for argparse."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def port(text: str) -> int:
    """A port, for argparse."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give a number from 0 to 65535")
    return int(text)


def session_seed(text: str) -> int:
    """A session's seed, for argparse."""
    from anymodal.config.ranges import MOST_SESSION_SEED

    if not text.isdecimal() or int(text) > MOST_SESSION_SEED:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no seed; give a whole number from 0 to {MOST_SESSION_SEED}"
        )
    return int(text)


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add `--model`, `--trust`, `--device` and `--dtype`."""
    parser.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        metavar="MODEL",
        help="a model folder, a run's folder or a checkpoint in it, or a name: of a shipped model, "
        "or of one on the hub, as user/name (default: %(default)s)",
    )
    add_trust(parser)
    add_device(parser)
    add_provenance(parser)
    parser.add_argument(
        "--dtype",
        metavar="TYPE",
        help="the weights' precision, as bfloat16 (default: that of the files, and float32 for "
        "bfloat16 on a processor without it)",
    )


def add_provenance(parser: argparse.ArgumentParser) -> None:
    """Add `--no-provenance`, `--sign-key` and `--sign-certificates`."""
    parser.add_argument(
        "--no-provenance",
        action="store_false",
        dest="provenance",
        help="leave the note out of media that a model makes: made by AI, model, seed",
    )
    parser.add_argument(
        "--sign-key", type=Path, metavar="FILE", help="sign the note as Content Credentials: a key"
    )
    parser.add_argument(
        "--sign-certificates", type=Path, metavar="FILE", help="the key's chain of certificates"
    )


def signer_of(args: argparse.Namespace) -> ContentSigner | None:
    """The signer of `--sign-key` and `--sign-certificates`, if they are given.

    Raises:
        OSError: if a file can't be read.
        ValueError: if one of them is missing, they can't sign, or the note is left out.
    """
    from anymodal.io.content_credentials import ContentSigner

    if args.sign_key is None and args.sign_certificates is None:
        return None
    if args.sign_key is None or args.sign_certificates is None:
        raise ValueError("give both --sign-key and --sign-certificates")
    if not args.provenance:
        raise ValueError("--no-provenance leaves nothing to sign; leave it or --sign-key out")
    return ContentSigner(args.sign_key, args.sign_certificates)


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add `--device`."""
    parser.add_argument("--device", metavar="DEVICE", help="default: a GPU where there is one")


def add_limits(parser: argparse.ArgumentParser) -> None:
    """Add `--limit`."""
    parser.add_argument(
        "--limit",
        action="append",
        default=[],
        metavar="NAME=NUMBER",
        help="the most that a file may hold, such as max_seconds=1200; may be given several times",
    )


def limits_of(args: argparse.Namespace) -> Limits:
    """The limits that `--limit` gives.

    Raises:
        ValueError: if one is none, or its value no positive number.
    """
    from anymodal.media import Limits, MediaError

    limits = dict[str, float]()
    for item in args.limit:
        name, _, value = item.partition("=")
        try:
            number = float(value)
        except ValueError:
            raise MediaError(f"--limit {item} gives no number; write NAME=NUMBER") from None
        limits[name] = int(number) if number.is_integer() else number
    return Limits.of(limits)


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Add `--trust`."""
    parser.add_argument(
        "--trust",
        dest="trusted_packages",
        action="append",
        default=[],
        type=_module,
        metavar="MODULE",
        help="one of your own that the model's parts may come from; may be given several times",
    )


def _module(name: str) -> str:
    """A module's name, for argparse; it is imported, so that its media are known."""
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        # What the module imports in turn may be missing as well; that is another message.
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise argparse.ArgumentTypeError(
            f"there is no module {name!r}, neither in this folder nor among what is installed"
        ) from None
    return name


def _later(folder: Path, device: str) -> OpenOnFirstUse:
    from anymodal.composition import OpenOnFirstUse, placement

    place = placement.parse_devices(device, None)[""]
    assert place is not None, "a device is given"
    return OpenOnFirstUse(str(folder), place)


def open_model(args: argparse.Namespace, defer_decoders: bool = False) -> AnyModal:
    """Load the model that the options of `add_model` tell of.

    Args:
        args: the command's.
        defer_decoders: open each decoder when something is first made by it.

    Raises:
        ValueError: if there is no such device or precision.
    """
    from anymodal import composition
    from anymodal.config import call
    from anymodal.model import AnyModal

    signer, device = signer_of(args), args.device or "auto"
    waits = defer_decoders and args.dtype is None  # weights must be there to get a precision
    if composition.is_run(args.model):
        from anymodal.training import run_folder  # with Lightning, for a run alone

        model = run_folder.open_any_model(
            args.model, args.trusted_packages, dtype=args.dtype, device=device
        )
    else:
        folder = composition.find(args.model)
        model = AnyModal.from_pretrained(
            folder,
            trusted_packages=args.trusted_packages,
            dtype=args.dtype,
            device=device,
            build_part=_later(folder, device) if waits else call,
        )
        model.name = Path(args.model).absolute().name  # of the hub, its cache has another
    model.provenance, model.signer = args.provenance, signer
    return model
