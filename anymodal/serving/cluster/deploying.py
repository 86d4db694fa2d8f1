"""Deploying to a Ray cluster: applications are started, taken over and ended."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

from anymodal.serving.api.settings import ServerSettings
from anymodal.serving.cluster.applications import (
    JOBS_ROUTE,
    MODEL_PREFIX,
    api_application,
    application_name,
    model_application,
    parts_of_model,
)
from anymodal.serving.cluster.scale import API, JOBS, Scales
from anymodal.serving.model_source import ModelSource
from anymodal.serving.ray_connection import connect_to_ray

_LOG = logging.getLogger("anymodal.serving")
_API_NAMES = {API: "anymodal", JOBS: "anymodal-jobs"}


def check_sources(sources: Sequence[ModelSource], scales: Scales) -> None:
    """Make sure that models can be served by a cluster, and scaled so.

    Raises:
        ValueError: for a run, two models of one name, one that speaks, or a part that there isn't.
    """
    for source in sources:
        if source.is_run:
            raise ValueError(
                f"{source.path} is a run, and a cluster serves finished models; write one by "
                "anymodal export, or name the run's folder model"
            )
    if len({source.name for source in sources}) < len(sources):
        raise ValueError("two models have one name; give one of them another: NAME=MODEL")
    scales.check({source.name: parts_of_model(source) for source in sources})


def connect(sources: Sequence[ModelSource], scales: Scales) -> bool:
    """Connect to a cluster, or start one, see `connect_to_ray`; whether one was started.

    Raises:
        ValueError: if Ray isn't installed.
    """
    each = [scales.of(part, s.name) for s in sources for part in parts_of_model(s)]
    each += [scales.of(API), scales.of(JOBS)]
    # Twice, since another checkpoint's replicas start before those of the one before end.
    return connect_to_ray(2 * sum(scale.cpus * scale.max_replicas for scale in each))


def deploy(
    sources: Sequence[ModelSource],
    settings: ServerSettings,
    scales: Scales,
    host: str,
    port: int,
) -> None:
    """Serve models by the cluster that this process is connected to.

    What is served already goes on until the new is ready, and ends what it has begun: first the
    models' replicas are started, then the API is given them, and in the end those models are ended
    that nobody asks any more. With equal models and other numbers, replicas are added or ended.

    Args:
        sources: the models; they aren't loaded here.
        settings: what is allowed.
        scales: of all parts.
        host: where the cluster's nodes listen. Those of a Serve that runs already stay as they are.
        port: likewise.

    Raises:
        RuntimeError: if replicas don't start; what was served before is served still.
    """
    from ray import serve

    serve.start(http_options={"host": host, "port": port})
    models = [(source, application_name(source)) for source in sources]
    before = set(serve.status().applications)
    try:
        serve.run_many(
            [
                serve.RunTarget(model_application(source, scales), name=name, route_prefix=None)
                for source, name in models
            ]
        )
    except BaseException:
        for _, name in models:
            if name not in before and name in serve.status().applications:
                serve.delete(name, _blocking=False)
        raise
    serve.run_many(
        [
            serve.RunTarget(
                api_application(models, settings, scales.of(part), part),
                name=_API_NAMES[part],
                route_prefix=route,
            )
            for part, route in ((API, "/"), (JOBS, JOBS_ROUTE))
        ]
    )
    for part in (JOBS, API):
        _wait_for_others(serve, _API_NAMES[part], part)
    current = {name for _, name in models}
    for name in serve.status().applications:
        if name.startswith(MODEL_PREFIX) and name not in current:
            _LOG.info("ending %s", name)
            serve.delete(name)


def _wait_for_others(serve: Any, name: str, part: str) -> None:
    """Wait until replicas that were taken over have ended: they still ask their models."""
    while True:
        states = serve.status().applications[name].deployments[part].replica_states
        if all(str(getattr(state, "value", state)) != "STOPPING" for state in states):
            return
        time.sleep(0.5)
