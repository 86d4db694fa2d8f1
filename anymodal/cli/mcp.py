"""`anymodal mcp`: a model as tools of any agent, over the Model Context Protocol."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anymodal.cli.options import (
    DEFAULT_MODEL,
    add_device,
    add_limits,
    add_provenance,
    add_trust,
    limits_of,
    port,
    signer_of,
)
from anymodal.cli.process import quick_start

if TYPE_CHECKING:
    from anymodal.serving.served import ServedModel

NEEDED = ("mcp", "mcp_types", "uvicorn")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `anymodal mcp`."""
    parser.epilog = (
        "Without --http it speaks over standard input and output, as agents start it. Files are "
        "read from the folder of --files alone, and what is made is saved there."
    )
    add = parser.add_argument
    add(
        "model",
        nargs="?",
        default=DEFAULT_MODEL,
        metavar="MODEL",
        help="a folder of a model or run, a name, or encoders (default: %(default)s)",
    )
    add("--files", type=Path, default=Path("anymodal-files"), metavar="FOLDER",
        help="the shared folder (default: %(default)s)")  # fmt: skip
    add("--http", action="store_true", help="serve streamable HTTP instead, at /mcp")
    add("--host", default="127.0.0.1", help="where to listen with --http (default: %(default)s)")
    add("--port", type=port, default=8001, help="default: %(default)s; 0 takes a free one")
    add("--dtype", metavar="TYPE", help="the weights' precision (default: that of the files)")
    add_provenance(parser)
    add_trust(parser)
    add_limits(parser)
    add_device(parser)


def run(args: argparse.Namespace) -> int:
    """Serve until the agent, or the user, ends it."""
    from anymodal.composition.folders import check_model_path

    check_model_path(args.model)  # before anything is imported for it
    try:
        with quick_start():
            from anymodal.serving.mcp.files import SharedFolder
            from anymodal.serving.mcp.model_tools import ModelTools
            from anymodal.serving.mcp.server import HTTP_INLINE_BYTES, INLINE_BYTES, create_server
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in NEEDED:
            raise
        raise ValueError(
            f"anymodal mcp needs the package {error.name}; pip install 'anymodal[mcp]'"
        ) from None
    if args.http and args.host not in ("127.0.0.1", "localhost", "::1"):
        raise ValueError(
            f"--host {args.host} would let anybody who reaches the port use the model and its "
            "files, for the protocol has no keys here; put a proxy that checks them before it"
        )
    served = _open(args)
    try:
        folder = SharedFolder(args.files, limits_of(args))
        inline_bytes = HTTP_INLINE_BYTES if args.http else INLINE_BYTES
        server = create_server(ModelTools(served, folder), inline_bytes)
        if args.http:
            _serve_http(server, args.host, args.port)
        else:
            _serve_stdio(server)
    finally:
        served.close()
    return 0


def _open(args: argparse.Namespace) -> ServedModel:
    from anymodal.serving.model_source import ModelSource

    source = ModelSource(
        Path(args.model).name or args.model,
        args.model,
        trusted_packages=args.trusted_packages,
        dtype=args.dtype,
        device=args.device or "auto",
        provenance=args.provenance,
        signer=signer_of(args),
    )
    return source.open()


def _serve_stdio(server: Any) -> None:
    import asyncio

    from mcp.server.stdio import stdio_server

    async def serve() -> None:
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options())

    asyncio.run(serve())


def _serve_http(server: Any, host: str, number: int) -> None:
    from anymodal.cli.serve import listen, run_server, url_of

    app = server.streamable_http_app(host=host)
    with listen(host, number) as listener:
        print(f"MCP at {url_of(listener)}/mcp", flush=True)
        run_server(app, listener)
