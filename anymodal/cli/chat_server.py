"""Options of `anymodal chat` for a model on a running server."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from anymodal.cli.options import DEFAULT_MODEL

if TYPE_CHECKING:
    from anymodal.serving.client.remote_model import RemoteModel

API_KEY = "ANYMODAL_API_KEY"
"""The environment's variable with the key for `--server`."""
_LOCAL = {"device": "--device", "dtype": "--dtype", "trusted_packages": "--trust",
          "sign_key": "--sign-key", "sign_certificates": "--sign-certificates"}  # fmt: skip
"""Options about a model in this process."""


def add_server(parser: argparse.ArgumentParser) -> None:
    """Add `--server` and `--api-key`."""
    parser.add_argument(
        "--server",
        metavar="URL",
        help="talk to a model on a server of OpenAI's API, such as that of anymodal serve; --model "
        "is its name there",
    )
    parser.add_argument(
        "--api-key",
        metavar="KEY",
        help=f"for --server (default: the environment's {API_KEY}, which other users can't see)",
    )


def check_server_options(args: argparse.Namespace) -> None:
    """Refuse options that a model on a server doesn't take, and those of a server without one.

    Raises:
        ValueError: naming the option.
    """
    if args.server is None:
        if args.api_key is not None:
            raise ValueError("--api-key is for a server; give --server URL, or leave it out")
        return
    names = [option for name, option in _LOCAL.items() if getattr(args, name)]
    if not args.provenance:
        names.append("--no-provenance")
    if names:
        raise ValueError(f"{names[0]} is for a model of this process; leave it or --server out")


def open_remote_model(args: argparse.Namespace) -> RemoteModel:
    """The model that `--server` and `--model` name.

    Raises:
        ValueError: if the server can't be reached, or has no such model.
    """
    from anymodal.serving.client.http_client import ServerClient
    from anymodal.serving.client.remote_model import RemoteModel

    client = ServerClient(args.server, args.api_key or os.environ.get(API_KEY) or None)
    # The default is a model that ships with the package, which this server may not have.
    return RemoteModel(client, None if args.model == DEFAULT_MODEL else args.model)
