"""`anymodal serve`: models behind OpenAI's API."""

from __future__ import annotations

import argparse
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from anymodal.cli.options import (
    DEFAULT_MODEL,
    add_device,
    add_limits,
    add_provenance,
    add_trust,
    count,
    port,
)
from anymodal.cli.process import quick_start
from anymodal.cli.serving_options import (
    add_engine_options,
    check_model_paths,
    import_server,
    model_sources,
    server_settings,
)
from anymodal.config.printable import printable

if TYPE_CHECKING:
    from fastapi import FastAPI

GRACE = 30
"""Seconds that answers under way have when the server is told to end."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `anymodal serve`."""
    parser.epilog = (
        "API keys come from --api-keys, or from the environment's ANYMODAL_API_KEYS, parted by "
        "commas. Without any, everybody who reaches the port may ask."
    )
    add = parser.add_argument
    add(
        "models",
        nargs="*",
        metavar="MODEL",
        help="folders of models or runs, names of shipped models or of the hub's, or encoders, "
        "each as MODEL or NAME=MODEL "
        f"(default: {DEFAULT_MODEL})",
    )
    add("--lazy", action="store_true", help="load each model when it is first asked for")
    _add_network_arguments(add)
    _add_cluster_arguments(add)
    add_engine_options(add)
    add_provenance(parser)
    add_trust(parser)
    add_limits(parser)
    add_device(parser)


def _add_network_arguments(add: Callable[..., object]) -> None:
    add("--host", default="127.0.0.1", help="where to listen (default: %(default)s)")
    add("--port", type=port, default=8000, help="default: %(default)s; 0 takes a free one")
    add("--api-keys", type=Path, metavar="FILE", help="a file with API keys, one a line")
    add(
        "--server-name",
        action="append",
        default=[],
        metavar="NAME",
        help="answer requests to this name, too (default: to addresses, localhost and --host)",
    )
    add(
        "--cors-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="let pages of this site ask (default: of none)",
    )
    add("--no-page", action="store_false", dest="page", help="leave the web page at / out")
    add("--rate", type=count, metavar="N", help="POST requests of a key in a minute (default: any)")
    add(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="keep jobs and their videos here (default: until the server ends)",
    )
    add("--keep", type=float, metavar="HOURS", help="how long a finished job is kept (default: 24)")


def _add_cluster_arguments(add: Callable[..., object]) -> None:
    add(
        "--ray",
        action="store_true",
        help="serve by a Ray cluster: that of RAY_ADDRESS, one that runs here, or else a new one",
    )
    add(
        "--scale",
        action="append",
        default=[],
        metavar="PART=MIN[-MAX][,queue=Q][,cpus=C][,gpus=G]",
        help="replicas of a part with --ray, and what each takes: language, api, or a modality, "
        "of all models, or MODEL/PART of one (default: one each)",
    )


def run(args: argparse.Namespace) -> int:
    """Serve until it is told to end."""
    check_model_paths(args)
    if args.ray:
        from anymodal.cli.serve_ray import run_on_ray

        return run_on_ray(args)
    if args.scale:
        raise ValueError("--scale is for the replicas of a cluster; give --ray too")
    with quick_start():
        create_app = import_server()
        settings = server_settings(args)
        models = model_sources(args)
        app = create_app(models, settings)
    names = printable(", ".join(model.name for model in models))
    with listen(args.host, args.port) as listener:
        print(f"serving {names} at {url_of(listener)}/v1", flush=True)
        run_server(app, listener)
    return 0


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections from now on.

    Raises:
        ValueError: if the port can't be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise ValueError(
            f"port {port} of {host} can't be used ({error.strerror}); give another by --port, "
            "or --port 0 for a free one"
        ) from error


def url_of(listener: socket.socket) -> str:
    """The address of what listens."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def run_server(app: FastAPI, listener: socket.socket) -> None:
    """Serve until the process is told to end."""
    import uvicorn

    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=GRACE)
    uvicorn.Server(config).run([listener])
