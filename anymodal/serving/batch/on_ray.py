"""Batches on a Ray cluster, by Ray Data: replicas of the models, each with some requests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

from anymodal.serving.batch.request_file import BatchRequest
from anymodal.serving.batch.runner import ask_all
from anymodal.serving.ray_connection import connect_to_ray

Json = dict[str, Any]
AppFactory = Callable[[], Any]
_SPARE_CPUS = 1
"""For reading the requests."""


class BatchWorker:
    """A replica: opens the models once, and answers block after block of requests.

    Args:
        make_app: makes the application, in the worker's process.
        num_open: the most requests under way.
    """

    def __init__(self, make_app: AppFactory, num_open: int) -> None:
        self.app, self.num_open = make_app(), num_open
        self.loop = asyncio.new_event_loop()
        # It ends with the process, and the models with it.
        self.loop.run_until_complete(self.app.router.lifespan_context(self.app).__aenter__())

    def __call__(self, block: Mapping[str, Any]) -> dict[str, list[str]]:
        """The results of a block, as texts."""
        requests = [BatchRequest(**json.loads(text)) for text in block["request"]]
        rows: list[str] = []
        work = ask_all(self.app, requests, lambda row: rows.append(json.dumps(row)), self.num_open)
        self.loop.run_until_complete(work)
        return {"result": rows}


def run_batch_on_ray(
    make_app: AppFactory,
    requests: Iterable[BatchRequest],
    write: Callable[[Json], None],
    *,
    workers: int,
    num_open: int,
    num_gpus: float = 0,
) -> None:
    """Ask all requests on a cluster, and write each result here as its block comes back.

    Args:
        make_app: makes the application, in each worker's process.
        requests: in order. All of them go to the cluster.
        write: takes a result.
        workers: replicas of the models.
        num_open: the most requests under way in each.
        num_gpus: of each.

    Raises:
        ValueError: if Ray isn't installed.
    """
    connect_to_ray(workers + _SPARE_CPUS)
    import ray.data

    items = [{"request": json.dumps(asdict(request))} for request in requests]
    if not items:
        return
    # Progress is told by who writes; Ray's own fills the standard error with lines.
    ray.data.DataContext.get_current().enable_progress_bars = False
    data = ray.data.from_items(items).map_batches(
        BatchWorker,
        fn_constructor_kwargs={"make_app": make_app, "num_open": num_open},
        compute=ray.data.ActorPoolStrategy(size=workers),
        batch_size=num_open,
        num_gpus=num_gpus or None,
    )
    for row in data.iter_rows():
        write(json.loads(row["result"]))
