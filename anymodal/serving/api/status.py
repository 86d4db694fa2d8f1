"""Endpoints about the server itself: models, health, metrics."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from anymodal.serving.api.answers import answers
from anymodal.serving.api.state import state_of
from anymodal.serving.served import ModelFacts

router = APIRouter()


@router.get("/v1/models", responses=answers("models"))
async def list_models(request: Request) -> dict[str, Any]:
    """List the models, with the kinds of media that each reads and makes, and its voices."""
    models = state_of(request).pool.facts.values()
    return {"object": "list", "data": [_model(each) for each in models]}


@router.get("/v1/models/{model:path}", responses=answers("model"))
async def retrieve_model(request: Request, model: str) -> dict[str, Any]:
    """Tell of one model."""
    return _model(state_of(request).find(model))


def _model(facts: ModelFacts) -> dict[str, Any]:
    modalities = {"input": facts.reads, "output": facts.writes}
    voices = {"voices": facts.voices} if facts.voices else {}
    return {
        "id": facts.name, "object": "model", "created": facts.created, "owned_by": "anymodal",
        "modalities": modalities, **voices,
    }  # fmt: skip


@router.get("/health", responses=answers("health"))
async def health() -> dict[str, str]:
    """Answer as long as the server runs."""
    return {"status": "ok"}


@router.get("/ready", response_model=None, responses=answers("ready"))
async def ready(request: Request) -> Response:
    """Answer 200 while the server takes requests: models are loaded, and it isn't going down."""
    if state_of(request).closing:
        return JSONResponse({"status": "going down"}, 503)
    return JSONResponse({"status": "ready"})


@router.get(
    "/metrics",
    response_model=None,
    response_class=Response,
    responses=answers("", "text/plain"),
)
async def metrics(request: Request) -> Response:
    """Metrics for Prometheus."""
    page = state_of(request).metrics.page()
    return Response(page, media_type="text/plain; version=0.0.4; charset=utf-8")
