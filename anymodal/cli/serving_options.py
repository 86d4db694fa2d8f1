"""Options of commands that serve models, and what they mean."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from anymodal.cli.options import DEFAULT_MODEL, count, limits_of, signer_of

if TYPE_CHECKING:
    from fastapi import FastAPI

    from anymodal.serving.api.settings import ServerSettings
    from anymodal.serving.model_source import ModelSource

EXTRA = ("fastapi", "uvicorn", "prometheus_client", "python_multipart")


def add_engine_options(add: Callable[..., object]) -> None:
    """Add options about the work of engines: `--batch`, `--timeout` and the like."""
    add("--dtype", metavar="TYPE", help="the weights' precision (default: that of the files)")
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
        "--allow-host",
        action="append",
        default=[],
        metavar="HOST",
        help="fetch media of requests from this host, as *.example.org (default: from none)",
    )
    add("--max-body", type=count, metavar="MIB", help="the longest body (default: 96)")


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


def server_settings(args: argparse.Namespace) -> ServerSettings:
    """Limits and permissions of a server; without options about its network, those of nobody.

    Raises:
        ValueError: for a value out of its range.
    """
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
    settings = ServerSettings(
        limits=limits,
        max_body_bytes=args.max_body * MIB if args.max_body else default.max_body_bytes,
        allowed_hosts=args.allow_host,
        page=False,
        model_memory=_model_memory(args),
    )
    if not hasattr(args, "api_keys"):
        return settings
    return dataclasses.replace(
        settings,
        api_keys=read_api_keys(args.api_keys),
        server_names=[args.host, *args.server_name],
        cors_origins=args.cors_origin,
        requests_per_minute=args.rate,
        page=args.page,
        data_folder=args.data,
        job_seconds=default.job_seconds if args.keep is None else 3600 * args.keep,
    )


def check_model_paths(args: argparse.Namespace) -> None:
    """Refuse what names no model, before anything is imported to serve it.

    Raises:
        ValueError: it is neither here nor a name that the hub may have.
    """
    from anymodal.composition.folders import check_model_path

    for _, path in map(_name_and_path, args.models or [DEFAULT_MODEL]):
        check_model_path(path)


def make_paths_absolute(args: argparse.Namespace) -> None:
    """Name models by paths that mean the same in another process's folder."""
    named = map(_name_and_path, args.models or [DEFAULT_MODEL])
    args.models = [
        f"{name}={Path(path).absolute() if Path(path).exists() else path}" for name, path in named
    ]


def model_sources(args: argparse.Namespace) -> list[ModelSource]:
    """The models that are named, loaded as far as memory goes unless they are to wait.

    Raises:
        ValueError: if one can't be loaded.
    """
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
