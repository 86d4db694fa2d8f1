"""The application: endpoints, errors and limits put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from anymodal import __version__
from anymodal.serving.api import (
    chat,
    completions,
    embeddings,
    images,
    page,
    reference,
    responses,
    sounds,
    speech,
    status,
    transcriptions,
    videos,
)
from anymodal.serving.api.errors import ApiError, api_error, no_endpoint, validation_error
from anymodal.serving.api.middleware import Gate
from anymodal.serving.api.settings import ServerSettings
from anymodal.serving.api.state import ServerState
from anymodal.serving.api.videos import POLL_HEADER
from anymodal.serving.model_source import ModelSource
from anymodal.serving.served import ServedModel


def create_app(
    models: Sequence[ServedModel | ModelSource], settings: ServerSettings | None = None
) -> FastAPI:
    """An application that serves models; when it ends, it closes them.

    Args:
        models: what to serve: loaded models, or sources of others, which are loaded when they are
            needed and unloaded where memory runs short.
        settings: what to allow.

    Raises:
        ValueError: for two models of one name.
    """
    state = ServerState(models, settings or ServerSettings())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await state.start(videos.make_video)
        yield
        await state.stop()

    # Not FastAPI's pages of the document: their scripts would come from another host.
    app = FastAPI(
        title="AnyModal", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None
    )
    app.state.server = state
    for module in (
        *(chat, responses, completions, images, sounds, speech),
        *(transcriptions, videos, embeddings, status),
    ):
        app.include_router(module.router)
    if state.settings.page:
        app.include_router(page.router)
        app.include_router(reference.router)
    app.add_exception_handler(RequestValidationError, _body_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_middleware(Gate, settings=state.settings, metrics=state.metrics)
    if state.settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(state.settings.cors_origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["*"],  # OpenAI's client for browsers sends headers of its own
            expose_headers=["Retry-After", POLL_HEADER],
        )
    return app


async def _body_error(_: Request, error: Any) -> Response:
    return validation_error(error.errors()).response()


async def _http_error(request: Request, error: Any) -> Response:
    if not isinstance(error, ApiError) and error.status_code in (404, 405):
        return no_endpoint(request.method, request.url.path, error).response()
    return api_error(error).response()
