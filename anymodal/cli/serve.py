"""`anymodal serve`: models behind OpenAI's API."""

from __future__ import annotations

import argparse
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from anymodal.cli.options import (
    DEFAULT_MODEL,
    add_device,
    add_limits,
    add_provenance,
    add_trust,
    count,
    limits_of,
    port,
    signer_of,
)
from anymodal.cli.process import quick_start
from anymodal.config.printable import printable

if TYPE_CHECKING:
    from fastapi import FastAPI

    from anymodal.serving.api.settings import ServerSettings
    from anymodal.serving.model_source import ModelSource

EXTRA = ("fastapi", "uvicorn", "prometheus_client", "python_multipart")
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
        help="model folders, names of shipped ones, or encoders, each as MODEL or NAME=MODEL "
        f"(default: {DEFAULT_MODEL})",
    )
    add("--lazy", action="store_true", help="load each model when it is first asked for")
    add("--dtype", metavar="TYPE", help="the weights' precision (default: that of the files)")
    _add_network_arguments(add)
    _add_work_arguments(add)
    add_provenance(parser)
    add_trust(parser)
    add_limits(parser)
    add_device(parser)


def _add_network_arguments(add: Callable[..., object]) -> None:
    add("--host", default="127.0.0.1", help="where to listen (default: %(default)s)")
    add("--port", type=port, default=8000, help="default: %(default)s; 0 takes a free one")
    add("--api-keys", type=Path, metavar="FILE", help="a file with API keys, one a line")
    add(
        "--allow-host",
        action="append",
        default=[],
        metavar="HOST",
        help="fetch media of requests from this host, as *.example.org (default: from none)",
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
    add("--max-body", type=count, metavar="MIB", help="the longest body (default: 96)")


def _add_work_arguments(add: Callable[..., object]) -> None:
    add("--batch", type=count, help="replies written together (default: 16)")
    add("--max-requests", type=count, help="requests under way, more get 429 (default: 128)")
    add("--timeout", type=float, help="the longest that a request may take, in s (default: 600)")
    add(
        "--model-memory",
        type=float,
        metavar="GIB",
        help="for the weights of all models; those that nobody uses make room for others "
        "(default: what the device has free)",
    )
    add(
        "--filter",
        metavar="MODULE:FUNCTION",
        help="your own function, which decides about each text and medium, in and out",
    )
    add(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="keep jobs and their videos here (default: until the server ends)",
    )
    add("--keep", type=float, metavar="HOURS", help="how long a finished job is kept (default: 24)")


def run(args: argparse.Namespace) -> int:
    """Serve until it is told to end."""
    with quick_start():
        create_app = import_server()
        settings = _settings(args)
        models = _models(args)
        app = create_app(models, settings)
    names = printable(", ".join(model.name for model in models))
    with listen(args.host, args.port) as listener:
        print(f"serving {names} at {url_of(listener)}/v1", flush=True)
        run_server(app, listener)
    return 0


def import_server() -> Callable[..., FastAPI]:
    """`create_app` of the server.

    Raises:
        ValueError: if a package that it needs is missing.
    """
    try:
        import uvicorn  # noqa: F401

        from anymodal.serving.api.app import create_app
    except ModuleNotFoundError as error:
        if error.name not in EXTRA:
            raise
        raise ValueError(
            f"serving needs the package {error.name}; pip install 'anymodal[serve]'"
        ) from None
    return create_app


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


def _settings(args: argparse.Namespace) -> ServerSettings:
    import dataclasses

    from anymodal.media.limits import MIB
    from anymodal.serving.api.settings import ServerSettings, read_api_keys

    default = ServerSettings()
    limit_values = limits_of(args)
    # Only limits that were named: a server's defaults are stricter than those of `limits_of`.
    names = {item.partition("=")[0] for item in args.limit}
    limits = dataclasses.replace(
        default.limits, **{name: getattr(limit_values, name) for name in names}
    )
    return ServerSettings(
        limits=limits,
        max_body_bytes=args.max_body * MIB if args.max_body else default.max_body_bytes,
        api_keys=read_api_keys(args.api_keys),
        allowed_hosts=args.allow_host,
        cors_origins=args.cors_origin,
        requests_per_minute=args.rate,
        page=args.page,
        model_memory=_model_memory(args),
        data_folder=args.data,
        job_seconds=default.job_seconds if args.keep is None else 3600 * args.keep,
    )


def _models(args: argparse.Namespace) -> list[ModelSource]:
    from anymodal.serving.content_filter import load_filter
    from anymodal.serving.engine import EngineSettings
    from anymodal.serving.model_source import ModelSource

    options = {
        "batch_size": args.batch, "max_requests": args.max_requests, "timeout": args.timeout,
        "content_filter": None if args.filter is None else load_filter(args.filter),
    }  # fmt: skip
    settings = EngineSettings(**{name: v for name, v in options.items() if v is not None})
    signer = signer_of(args)
    sources = [
        ModelSource(
            name,
            path,
            trusted_packages=args.trusted_packages,
            dtype=args.dtype,
            device=args.device or "auto",
            settings=settings,
            provenance=args.provenance,
            signer=signer,
        )
        for name, path in map(_name_and_path, args.models or [DEFAULT_MODEL])
    ]
    if not args.lazy:
        _load(sources, _model_memory(args))
    return sources


def _load(sources: Sequence[ModelSource], memory: int | None) -> None:
    """Load models, as far as memory goes; the others are loaded when they are asked for."""
    from anymodal.serving.memory import free_bytes

    num_bytes = 0
    for place, source in enumerate(sources):
        num_bytes += source.num_bytes
        has_room = free_bytes(source.device) > source.num_bytes if memory is None else (
            num_bytes <= memory
        )  # fmt: skip
        if has_room or place == 0:  # of a single one an error is told at once
            source.load()


def _model_memory(args: argparse.Namespace) -> int | None:
    return None if args.model_memory is None else int(args.model_memory * 2**30)


def _name_and_path(argument: str) -> tuple[str, str]:
    """The name that clients use and the path: a folder's path is not for them to see."""
    name, equals, path = argument.partition("=")
    if equals:
        return name, path
    return Path(argument).name or argument, argument
