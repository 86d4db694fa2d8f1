"""`anymodal serve --ray`: the same server, by the replicas of a Ray cluster."""

from __future__ import annotations

import argparse
import signal
import threading
from typing import TYPE_CHECKING

from anymodal.cli.serving_options import (
    import_server,
    make_paths_absolute,
    model_sources,
    server_settings,
)
from anymodal.config.printable import printable

if TYPE_CHECKING:
    from anymodal.serving.api.settings import ServerSettings
    from anymodal.serving.cluster.scale import Scales
    from anymodal.serving.model_source import ModelSource


def run_on_ray(args: argparse.Namespace) -> int:
    """Deploy; on a cluster that was started for it, serve until the process is told to end."""
    from anymodal.serving.cluster.deploying import check_sources, connect, deploy

    sources, settings, scales = server_of(args)
    check_sources(sources, scales)
    is_own = connect(sources, scales)
    deploy(sources, settings, scales, args.host, args.port)
    names = printable(", ".join(source.name for source in sources))
    print(f"serving {names} at http://{args.host}:{args.port}/v1", flush=True)
    if not is_own:
        print("the cluster goes on; end it by: serve shutdown", flush=True)
        return 0
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
    from ray import serve

    serve.shutdown()
    return 0


def server_of(
    args: argparse.Namespace,
) -> tuple[list[ModelSource], ServerSettings, Scales]:
    """The models, settings and numbers of replicas that the command's options name.

    Raises:
        ValueError: for an option that makes no sense.
    """
    import_server()
    from anymodal.serving.cluster.scale import Scales

    args.lazy = True  # replicas load them
    make_paths_absolute(args)
    return model_sources(args), server_settings(args), Scales(args.scale)
