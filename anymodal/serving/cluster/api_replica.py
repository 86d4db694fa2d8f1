"""A replica of the API: the server's own application, over models whose replicas are elsewhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from anymodal.model import AnyModal
from anymodal.serving.admission import EngineSettings
from anymodal.serving.api.app import create_app
from anymodal.serving.api.settings import ServerSettings
from anymodal.serving.cluster.handles import embed_call, get_medium, language_call
from anymodal.serving.cluster.remote_model import RemoteEngine, RemoteServedModel
from anymodal.serving.cluster.scale import LANGUAGE
from anymodal.serving.model_source import ModelSource
from anymodal.serving.served import ModelFacts

Application = Callable[[Any, Any, Any], Awaitable[None]]


class ApiReplica:
    """Answers HTTP.

    Serve makes it at the start of a replica, and calls `__serve_build_asgi_app__` then.

    Args:
        models: a source and the name of Serve's application, for each model.
        settings: what is allowed.
    """

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self, models: Sequence[tuple[ModelSource, str]], settings: ServerSettings
    ) -> None:
        served = [await remote_model(source, name) for source, name in models]
        self._server = create_app(served, settings)

    def __serve_build_asgi_app__(self) -> Application:
        return _at_root(self._server)


async def remote_model(source: ModelSource, application: str) -> RemoteServedModel:
    """A model whose replicas are of an application of Serve."""
    from ray import serve

    handle = serve.get_deployment_handle(LANGUAGE, app_name=application)
    facts: ModelFacts = await handle.facts.remote()
    model, engine = None, None
    if source.folder is not None:
        model = AnyModal.from_pretrained(
            source.path, trusted_packages=tuple(source.trusted_packages), weights=False
        )
        model.name, model.provenance, model.signer = source.name, source.provenance, source.signer
        settings = source.settings or EngineSettings()
        engine = RemoteEngine(model, settings, language_call(handle), get_medium)
    return RemoteServedModel(facts, model, source.settings, engine, embed_call(handle))


def _at_root(app: Application) -> Application:
    """An application whose paths are whole, under whatever prefix Serve sends them."""

    async def call(scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        await app({**scope, "root_path": ""}, receive, send)

    return call
