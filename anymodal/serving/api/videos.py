"""`/v1/videos`: videos as jobs that are created, asked for, and fetched when they are done."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import FileResponse, JSONResponse, Response

from anymodal.chat.references import ReplyReferences
from anymodal.media import Image, Media, Video, load
from anymodal.serving.api.answers import answers
from anymodal.serving.api.errors import ApiError
from anymodal.serving.api.fields import told_by_fields
from anymodal.serving.api.forms import Upload, form_schema, media_of, read_form
from anymodal.serving.api.job_runner import JobResult, Report
from anymodal.serving.api.job_store import COMPLETED, BackgroundJob, new_job_id
from anymodal.serving.api.making import maker_of, one_medium, prompt_message
from anymodal.serving.api.media_schemas import VideoBody
from anymodal.serving.api.sizes import length_settings, size_settings
from anymodal.serving.api.state import (
    ServerState,
    media_references,
    media_settings,
    owner_of,
    state_of,
)
from anymodal.serving.errors import QueueFullError
from anymodal.serving.requests import ReplyRequest
from anymodal.serving.served import ServedModel
from anymodal.types import Done, MediumProgress, Message

router = APIRouter()
Json = dict[str, Any]
POLL_HEADER = "openai-poll-after-ms"
_POLL = {POLL_HEADER: "1000"}
_INPUT, _THUMBNAIL = ".input.png", ".thumbnail.webp"
_RETRY_AFTER = 60


@router.post(
    "/v1/videos",
    response_model=None,
    responses=answers("video"),
    openapi_extra=form_schema(VideoBody, input_reference=False),
)
async def create_video(request: Request) -> Response:
    """Begin to make a video. The answer is the job; ask for it again until it is done."""
    state = state_of(request)
    body, files = await read_form(request, VideoBody, {"input_reference": 1})
    name, modality = maker_of(state, body.model, Video.kind)
    prompt = prompt_message(body.prompt, "prompt")[0].text
    if await asyncio.to_thread(state.jobs.store.count) >= state.settings.max_jobs:
        raise QueueFullError(state.settings.max_jobs, _RETRY_AFTER)
    served, engine = await state.engine(request, name)
    identity = new_job_id("video")
    seed = secrets.randbelow(2**31) if body.seed is None else body.seed
    job = BackgroundJob(
        identity,
        owner_of(request),
        served.name,
        prompt,
        seed,
        _settings(body, served, modality),
        media_references(body, served),
    )
    with told_by_fields(body):
        settings = engine.check(ReplyRequest(prompt, seed=seed, sampling=job.sampling)).media
        inputs = await asyncio.to_thread(_read_input, state, job, body, files)
        _check_references(served, job, inputs, settings)
    await asyncio.to_thread(_save, state, job, inputs)
    state.jobs.submit(job)
    return _answer(state, job)


def _settings(body: VideoBody, served: ServedModel, modality: str) -> dict[str, dict[str, Any]]:
    number = one_medium(body, served, modality)
    sampling = media_settings(body, served, modality)
    own = sampling.get(modality, {})
    size = size_settings(served, modality, body.size, [*own])
    length = length_settings(served, modality, body.seconds)
    return {**sampling, modality: {**number, **size, **length, **own}}


def _read_input(
    state: ServerState, job: BackgroundJob, body: VideoBody, files: list[Upload]
) -> list[Media]:
    """The image to begin with, if there is one."""
    media = media_of(files, Image.kind, state.settings.limits)
    if body.input_reference is not None:
        part = {"type": "image_url", "image_url": {"url": body.input_reference.image_url}}
        item = state.reader.item(part, "input_reference")
        assert isinstance(item, Media)
        media.append(item)
    if len(media) > 1:
        raise ApiError(400, "two input references; give one", param="input_reference")
    if media and Image.kind not in state.find(job.model).reads:
        text = f"the model {job.model!r} reads no images"
        raise ApiError(400, text, param="input_reference")
    return media


def _check_references(
    served: ServedModel,
    job: BackgroundJob,
    inputs: Sequence[Media],
    settings: Mapping[str, Mapping[str, Any]],
) -> None:
    """Check what the video is made from at once, and not when the job runs.

    Raises:
        ValueError: it doesn't fit.
    """
    assert served.model is not None, "only models that reply make media"
    messages = [Message("user", [*inputs, job.prompt])]
    ReplyReferences(served.model, messages, job.made_from, points=False, settings=settings)


def _save(state: ServerState, job: BackgroundJob, media: Sequence[Media]) -> None:
    if media:
        state.jobs.store.save(job.id, _INPUT, media[0].encode(".png"))
    state.jobs.store.add(job)


@router.get("/v1/videos", response_model=None, responses=answers("videos"))
async def list_videos(
    request: Request,
    after: str | None = None,
    limit: int = Query(20, ge=1, le=100),
    order: Literal["asc", "desc"] = "desc",
) -> Response:
    """List jobs, of the API key that asks."""
    state = state_of(request)
    jobs = await asyncio.to_thread(
        state.jobs.store.page, owner_of(request), after, limit + 1, order == "desc"
    )
    data = [_job_json(state, job) for job in jobs[:limit]]
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {}
    return JSONResponse({"object": "list", "data": data, "has_more": len(jobs) > limit, **ends})


@router.get("/v1/videos/{video_id}", response_model=None, responses=answers("video"))
async def retrieve_video(request: Request, video_id: str) -> Response:
    """Tell how far a job is."""
    return _answer(state_of(request), await _job(request, video_id))


@router.delete("/v1/videos/{video_id}", response_model=None, responses=answers("deleted"))
async def delete_video(request: Request, video_id: str) -> Response:
    """Delete a job and its video; one that is under way ends."""
    job = await _job(request, video_id)
    await state_of(request).jobs.delete(job)
    return JSONResponse({"id": job.id, "object": "video.deleted", "deleted": True})


@router.get(
    "/v1/videos/{video_id}/content",
    response_model=None,
    response_class=Response,
    responses=answers("", "video/mp4", "image/webp"),
)
async def download_video(
    request: Request, video_id: str, variant: Literal["video", "thumbnail"] = "video"
) -> Response:
    """The video of a job, or its first frame."""
    job = await _job(request, video_id)
    if job.status != COMPLETED:
        raise ApiError(409, f"the video is {job.status}; ask for its content when it is completed",
                       code="video_not_ready")  # fmt: skip
    suffix, mime = (Video.suffix, "video/mp4") if variant == "video" else (_THUMBNAIL, "image/webp")
    path: Path = state_of(request).jobs.store.file(job.id, suffix)
    if not path.is_file():
        raise ApiError(404, "the video's file is gone; make it again", code="video_not_found")
    return FileResponse(path, media_type=mime)


async def _job(request: Request, identity: str) -> BackgroundJob:
    """A job of who asks; of others' nothing is told."""
    store = state_of(request).jobs.store
    job = await asyncio.to_thread(store.get, identity, owner_of(request))
    if job is None:
        raise ApiError(404, f"there is no video {identity[:80]!r}", code="video_not_found")
    return job


def _answer(state: ServerState, job: BackgroundJob) -> Response:
    return JSONResponse(_job_json(state, job), headers=_POLL)


def _job_json(state: ServerState, job: BackgroundJob) -> Json:
    progress = 100 if job.status == COMPLETED else state.jobs.progress.get(job.id, 0)
    # What the decoder makes is known when it is made.
    facts = {"seconds": "auto", "size": "auto", **job.result}
    return {
        "id": job.id, "object": "video", "model": job.model, "status": job.status,
        "progress": progress, "created_at": job.created_at, "completed_at": job.completed_at,
        "expires_at": job.expires_at, "prompt": job.prompt, "seed": job.seed, **facts,
        "error": job.error, "remixed_from_video_id": None,
    }  # fmt: skip


async def make_video(state: ServerState, job: BackgroundJob, report: Report) -> JobResult:
    """Make the video of a job, save it, and tell its length and size."""
    name, modality = maker_of(state, job.model, Video.kind)
    message = Message("user", [*await asyncio.to_thread(_input, state, job), job.prompt])
    request = ReplyRequest(
        [message], seed=job.seed, sampling=job.sampling, references=job.made_from, forced=[modality]
    )
    async with state.pool.use(name) as served:
        assert served.engine is not None, "only models that reply make media"
        stream = await served.engine.submit(request)
        media: list[Media] = []
        try:
            async for event in state.metrics.watch(name, stream):
                if isinstance(event, MediumProgress):
                    report(100 * event.step // (event.steps + 1))
                if isinstance(event, Done):
                    media = event.message.media
        finally:
            await stream.aclose()
    if not media:
        raise ApiError(400, "the prompt leaves no room for a video; shorten it", param="prompt")
    return await asyncio.to_thread(_save_video, state, job, media[0])


def _input(state: ServerState, job: BackgroundJob) -> list[Media]:
    path = state.jobs.store.file(job.id, _INPUT)
    return [load(path, kind=Image.kind)] if path.is_file() else []


def _save_video(state: ServerState, job: BackgroundJob, medium: Media) -> JobResult:
    assert isinstance(medium, Video)
    store = state.jobs.store
    store.save(job.id, Video.suffix, medium.encode(Video.suffix))
    thumbnail = Image(medium.frames[0])
    thumbnail.provenance = medium.provenance
    store.save(job.id, _THUMBNAIL, thumbnail.encode(".webp"))
    height, width = medium.frames.shape[1:3]
    return {"seconds": f"{medium.duration:g}", "size": f"{width}x{height}"}
