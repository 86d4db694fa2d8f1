"""Builders of applications for Ray Serve's configuration files, as KubeRay has them.

Each takes the options of `anymodal serve` as a list.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from anymodal.cli import serve
from anymodal.cli.serve_ray import server_of

if TYPE_CHECKING:
    from anymodal.serving.api.settings import ServerSettings
    from anymodal.serving.cluster.scale import Scales
    from anymodal.serving.model_source import ModelSource


def model(arguments: Mapping[str, Any]) -> Any:
    """The replicas of one model.

    Args:
        arguments: `options`, those of `anymodal serve` as a list, and `model`, a name of theirs.
            The application is called by that name.
    """
    from anymodal.serving.cluster.applications import model_application

    sources, _, scales = _parse(arguments["options"])
    (source,) = (source for source in sources if source.name == arguments["model"])
    return model_application(source, scales)


def api(arguments: Mapping[str, Any]) -> Any:
    """The API, for the route `/`.

    Args:
        arguments: `options`, those of `anymodal serve` as a list.
    """
    from anymodal.serving.cluster.scale import API

    return _api(arguments, API)


def jobs(arguments: Mapping[str, Any]) -> Any:
    """As `api`, for the route of jobs, which one replica has."""
    from anymodal.serving.cluster.scale import JOBS

    return _api(arguments, JOBS)


def _api(arguments: Mapping[str, Any], part: str) -> Any:
    from anymodal.serving.cluster.applications import api_application

    sources, settings, scales = _parse(arguments["options"])
    models = [(source, source.name) for source in sources]
    return api_application(models, settings, scales.of(part), part)


def _parse(options: Sequence[str]) -> tuple[list[ModelSource], ServerSettings, Scales]:
    parser = argparse.ArgumentParser("anymodal serve")
    serve.add_arguments(parser)
    return server_of(parser.parse_args(list(options)))
