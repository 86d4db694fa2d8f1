"""`anymodal batch`: a file of requests in OpenAI's batch format, answered without a server."""

from __future__ import annotations

import argparse
import asyncio
import sys
from functools import partial
from pathlib import Path
from typing import Any

from anymodal.cli.options import (
    DEFAULT_MODEL,
    add_device,
    add_limits,
    add_provenance,
    add_trust,
    count,
)
from anymodal.cli.process import quick_start
from anymodal.cli.serving_options import (
    add_engine_options,
    check_model_paths,
    import_server,
    make_paths_absolute,
    model_sources,
    server_settings,
)

FAILED, INTERRUPTED = 2, 130
_MOST_OPEN = 128
"""Requests under way, as the engine's own limit is by default."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `anymodal batch`."""
    parser.epilog = (
        "A line holds custom_id, method (POST), url (as /v1/chat/completions) and body. Results "
        "come as requests end. A batch that was stopped, or killed, goes on with the same command. "
        "A line that is no request, or that fails, has a result with its error; the status is then "
        "2."
    )
    add = parser.add_argument
    add("requests", type=Path, metavar="REQUESTS", help="a file of requests, a JSON object a line")
    add("--out", type=Path, required=True, metavar="FILE", help="the file of results")
    add(
        "--model",
        action="append",
        dest="models",
        metavar="MODEL",
        help="a model folder, the name of a shipped one, or encoders, as MODEL or NAME=MODEL; may "
        f"be given several times (default: {DEFAULT_MODEL})",
    )
    add("--open", type=count, default=32, metavar="N", help="requests under way (default: 32)")
    add("--retry-failed", action="store_true", help="ask those again whose results are errors")
    add("--ray", type=count, metavar="N", help="on a Ray cluster, with N replicas of the models")
    add("--ray-gpus", type=float, default=0, metavar="G", help="GPUs of each replica (default: 0)")
    add_engine_options(add)
    add_provenance(parser)
    add_trust(parser)
    add_limits(parser)
    add_device(parser)
    parser.set_defaults(lazy=False)


def run(args: argparse.Namespace) -> int:
    """Answer the requests that have no result yet."""
    check_model_paths(args)
    from anymodal.serving.batch.request_file import read_requests
    from anymodal.serving.batch.result_file import ResultFile

    if args.open > (args.max_requests or _MOST_OPEN):
        args.max_requests = args.open
    max_bytes = server_settings(args).max_body_bytes
    identities = {request.id for request in read_requests(args.requests, max_bytes)}
    results = ResultFile(args.out, identities, retry_failed=args.retry_failed)
    with results:
        if (before := len(results.done)) and before < len(identities):
            print(f"{before} of {len(identities)} have a result; going on", file=sys.stderr)
        if before < len(identities):
            try:
                _ask(args, max_bytes, results, len(identities))
            except KeyboardInterrupt:
                done = f"{len(results.done)} of {len(identities)}"
                print(f"\nstopped at {done}; run it again to go on", file=sys.stderr)
                return INTERRUPTED
    print(f"{len(results.done)} results in {args.out}, {results.num_failed} of them errors",
          file=sys.stderr)  # fmt: skip
    return FAILED if results.num_failed else 0


def _ask(args: argparse.Namespace, max_bytes: int, results: Any, total: int) -> None:
    from tqdm import tqdm

    from anymodal.serving.batch.request_file import read_requests

    requests = (
        request
        for request in read_requests(args.requests, max_bytes)
        if request.id not in results.done
    )
    done, tty = len(results.done), sys.stderr.isatty()
    with tqdm(total=total, initial=done, unit="request", disable=not tty) as bar:

        def write(row: dict[str, Any]) -> None:
            results.add(row)
            bar.update()

        if args.ray:
            from anymodal.serving.batch.on_ray import run_batch_on_ray

            make_paths_absolute(args)
            run_batch_on_ray(
                partial(make_app, args), requests, write, workers=args.ray, num_open=args.open,
                num_gpus=args.ray_gpus,
            )  # fmt: skip
            return
        with quick_start():
            app = make_app(args)
        from anymodal.serving.batch.runner import run_batch

        asyncio.run(run_batch(app, requests, write, args.open))


def make_app(args: argparse.Namespace) -> Any:
    """The application that answers a batch, of the options of this command.

    Raises:
        ValueError: if a package of the extra `serve` is missing, or a model can't be loaded.
    """
    create_app = import_server()
    return create_app(model_sources(args), server_settings(args))
