"""Applications of Ray Serve: one for each checkpoint of a model, and the API over them.

A checkpoint's application is never changed into another checkpoint's. So a request is answered by
one checkpoint from its beginning to its end, also if a replica is lost while another takes over.
"""

from __future__ import annotations

import asyncio
import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from anymodal import __version__
from anymodal.io.fingerprints import hash_json
from anymodal.serving.admission import EngineSettings
from anymodal.serving.api.settings import ServerSettings
from anymodal.serving.cluster.api_replica import ApiReplica
from anymodal.serving.cluster.decoder_replica import DecoderReplica
from anymodal.serving.cluster.handles import decoder_call, get_medium, put_medium
from anymodal.serving.cluster.language_replica import LanguageReplica
from anymodal.serving.cluster.scale import API, JOBS, LANGUAGE, PartScale, Scales
from anymodal.serving.model_source import ModelSource

MODEL_PREFIX = "anymodal-model-"
JOBS_ROUTE = "/v1/videos"
"""Paths of jobs, which one replica has: its table has one owner."""
_ROUTER = "ray.serve.experimental.consistent_hash_router.ConsistentHashRouter"
_MOST_HTTP_REQUESTS = 1_000
"""Of an API replica; its own limits are lower, and say 429."""
_DRAIN_MARGIN = 30.0
"""Seconds beside the longest request that a replica has to end what it does."""


class DeployedLanguage(LanguageReplica):
    """A language-model replica that Serve starts.

    Args:
        source: of the model.
        decoders: handles of decoders' deployments, by modality.
    """

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self, source: ModelSource, decoders: Mapping[str, Any]
    ) -> None:
        calls = {name: decoder_call(handle) for name, handle in decoders.items()}
        super().__init__(source, calls, asyncio.get_running_loop())


class DeployedDecoder(DecoderReplica):
    """A decoder replica that Serve starts.

    Args:
        source: of the model.
        modality: its name.
    """

    def __init__(self, source: ModelSource, modality: str) -> None:
        super().__init__(source, modality, put_medium, get_medium)


def parts_of_model(source: ModelSource) -> list[str]:
    """The parts of a model that scale apart: the language model, and what it makes media of.

    Raises:
        ValueError: if one of them speaks.
    """
    if source.facts.speakers:
        names = ", ".join(map(repr, source.facts.speakers))
        raise ValueError(
            f"a cluster serves no speech yet, and {source.name!r} has a speaker ({names}); serve "
            "it without --ray, or leave the speaker out of its configuration"
        )
    return [LANGUAGE, *source.facts.makers.values()]


def model_application(source: ModelSource, scales: Scales) -> Any:
    """The application of a model's checkpoint.

    Raises:
        ValueError: if a part of it can't be served by a cluster.
    """
    _, *makers = parts_of_model(source)
    from ray import serve

    settings = replace(source.settings or EngineSettings(), content_filter=None)
    # The API alone shows what comes to the filter, and signs.
    source = copy.copy(source)
    source.settings, source.signer = settings, None
    version = _version(_source_facts(source))

    def deployment(cls: type, part: str, **options: Any) -> Any:
        scale = scales.of(part, source.name)
        deployment = serve.deployment(**_options(part, scale, settings.timeout), **options)(cls)
        return _with_version(deployment, version)

    decoders = {
        name: deployment(
            DeployedDecoder, name, max_ongoing_requests=2 * settings.media_batch_size
        ).bind(source, name)
        for name in makers
    }
    language = deployment(
        DeployedLanguage,
        LANGUAGE,
        # More than are written together: a full replica is asked again after up to half a second.
        max_ongoing_requests=2 * settings.batch_size,
        request_router_config={"request_router_class": _ROUTER},
    )
    return language.bind(source, decoders)


def api_application(
    models: Sequence[tuple[ModelSource, str]],
    settings: ServerSettings,
    scale: PartScale,
    part: str = API,
) -> Any:
    """The application of the API, or of its jobs.

    Args:
        models: a source and the name of its application, for each model.
        settings: what is allowed.
        scale: of its replicas.
        part: its name.
    """
    from ray import serve

    # Jobs' folder is of the one replica for them.
    settings = settings if part == JOBS else replace(settings, data_folder=None)
    timeout = max((source.settings or EngineSettings()).timeout for source, _ in models)
    facts = [(*_source_facts(source), name, _filter_name(source)) for source, name in models]
    options = _options(part, scale, timeout)
    # A new replica first, then the end of an old one; but a folder of jobs has one owner at a time.
    surge = 0 if part == JOBS else 100
    deployment = serve.deployment(
        **options, max_ongoing_requests=_MOST_HTTP_REQUESTS, max_surge_percent=surge
    )
    deployment = _with_version(
        deployment(serve.ingress()(ApiReplica)), _version([*facts, repr(settings)])
    )
    return deployment.bind(models, settings)


def application_name(source: ModelSource) -> str:
    """A name for a model's checkpoint: another one if any file of it changes."""
    label = re.sub(r"[^A-Za-z0-9]+", "-", source.name)
    files = []
    if source.folder is not None:
        for path in sorted(source.folder.rglob("*")):
            stat = path.stat()
            files.append([str(path.relative_to(source.folder)), stat.st_size, stat.st_mtime_ns])
    return f"{MODEL_PREFIX}{label}-{hash_json([source.name, source.path, files])[:12]}"


def _options(part: str, scale: PartScale, timeout: float) -> dict[str, Any]:
    options: dict[str, Any] = {
        "name": part,
        "ray_actor_options": {"num_cpus": scale.cpus, "num_gpus": scale.gpus},
        "health_check_period_s": 10, "health_check_timeout_s": 30,
        "graceful_shutdown_wait_loop_s": 0.5,
        "graceful_shutdown_timeout_s": timeout + _DRAIN_MARGIN,
    }  # fmt: skip
    if scale.max_replicas == scale.min_replicas:
        return {**options, "num_replicas": scale.min_replicas}
    autoscaling = {
        "min_replicas": scale.min_replicas, "max_replicas": scale.max_replicas,
        "target_ongoing_requests": scale.queue,
    }  # fmt: skip
    return {**options, "autoscaling_config": autoscaling}


def _with_version(deployment: Any, version: str) -> Any:
    """A deployment whose replicas go on where it is deployed again with an equal version.

    Without one, each `serve.run` draws another, and all replicas start anew, also if nothing but
    their number has changed.
    """
    return deployment.options(version=version, _internal=True)


def _source_facts(source: ModelSource) -> list[str]:
    """Arguments of a model's replicas, beside the checkpoint."""
    settings = replace(source.settings or EngineSettings(), content_filter=None)
    return [
        source.path, repr(list(source.trusted_packages)), str(source.dtype), source.device,
        repr(settings), str(source.provenance), str(source.signer is not None),
    ]  # fmt: skip


def _filter_name(source: ModelSource) -> str:
    content_filter = None if source.settings is None else source.settings.content_filter
    names = (getattr(content_filter, name, "") for name in ("__module__", "__qualname__"))
    return ".".join(names)


def _version(facts: object) -> str:
    return hash_json([__version__, facts])
