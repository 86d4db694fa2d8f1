"""Videos as jobs, by the official client; they outlast the server."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
from PIL import Image as Pillow

from anymodal.media import Video, load
from anymodal.model import AnyModal
from anymodal.serving.api.job_store import BackgroundJob, JobStore, new_job_id
from anymodal.serving.api.settings import ServerSettings
from tests.support.serving import model_to_serve, serving
from tests.support.tiny import picture

QUICK: dict[str, Any] = {"steps": 2, "guidance": 1.0}
PROMPT = "a duck moving left"
KEYS = ["the-first-secret", "another-secret"]


@pytest.fixture(scope="module")
def model() -> AnyModal:
    return AnyModal.from_pretrained("nano")


@pytest.fixture(scope="module")
def url(model: AnyModal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("jobs")
    settings = ServerSettings(data_folder=folder, api_keys=KEYS, max_jobs=6)
    with serving([model_to_serve(model)], settings) as url:
        yield f"{url}/v1"


def client_of(url: str, key: str = KEYS[0]) -> openai.OpenAI:
    return openai.OpenAI(base_url=url, api_key=key, max_retries=0, timeout=60)


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[openai.OpenAI]:
    with client_of(url) as client:
        yield client


def finish(client: openai.OpenAI, identity: str) -> Any:
    return client.videos.poll(identity, poll_interval_ms=20)


def create(client: openai.OpenAI, **more: Any) -> Any:
    extra = {"seed": 3, **QUICK, **more.pop("extra_body", {})}
    return client.videos.create(prompt=PROMPT, extra_body=extra, **more)


def look_alike(one: bytes, other: bytes) -> None:
    """Check videos of one seed: where a prompt's beginning was known already, the conditioning
    differs in its last bits, and on some processors a pixel here and there with it."""
    frames = [load(each).frames.astype(int) for each in (one, other)]
    assert frames[0].shape == frames[1].shape and np.abs(frames[0] - frames[1]).mean() < 1


def test_a_video_is_a_job(client: openai.OpenAI, url: str) -> None:
    job = create(client)
    assert job.id.startswith("video_") and job.status in ("queued", "in_progress")
    assert job.object == "video" and job.model == "nano" and job.prompt == PROMPT
    done = finish(client, job.id)
    assert done.status == "completed" and done.progress == 100 and done.error is None
    assert done.expires_at > done.completed_at >= done.created_at
    data = client.videos.download_content(job.id).read()
    video = load(data)
    assert isinstance(video, Video)
    assert done.size == f"{video.frames.shape[2]}x{video.frames.shape[1]}"
    assert float(done.seconds) == pytest.approx(video.duration)
    thumbnail = client.videos.download_content(job.id, variant="thumbnail").read()
    assert Pillow.open(io.BytesIO(thumbnail)).format == "WEBP"
    again = finish(client, create(client, seconds="2", size=done.size).id)
    look_alike(client.videos.download_content(again.id).read(), data)

    assert [each.id for each in client.videos.list(limit=1)] == [again.id, job.id], "both pages"
    assert [each.id for each in client.videos.list(order="asc").data] == [job.id, again.id]
    with client_of(url, KEYS[1]) as other:
        assert other.videos.list().data == []
        with pytest.raises(openai.NotFoundError, match="there is no video"):
            other.videos.retrieve(job.id)
        with pytest.raises(openai.NotFoundError):
            other.videos.delete(job.id)
    for identity in (job.id, again.id):
        assert client.videos.delete(identity).deleted is True
    with pytest.raises(openai.NotFoundError):
        client.videos.download_content(job.id)
    assert client.videos.list().data == []


def test_a_video_may_begin_with_an_image(client: openai.OpenAI, model: AnyModal) -> None:
    image = picture(size=64)
    job = create(client, input_reference=image.encode(".png"))
    video = load(client.videos.download_content(finish(client, job.id).id).read())
    plain = finish(client, create(client).id)
    other = load(client.videos.download_content(plain.id).read())
    assert isinstance(video, Video) and isinstance(other, Video)
    assert not np.array_equal(video.frames, other.frames)
    for identity in (job.id, plain.id):
        client.videos.delete(identity)


def test_a_job_under_way_is_deleted_and_what_fails_says_why(client: openai.OpenAI) -> None:
    slow = create(client, extra_body={"steps": 900})
    while client.videos.retrieve(slow.id).progress == 0:
        time.sleep(0.02)
    with pytest.raises(openai.ConflictError, match="the video is in_progress"):
        client.videos.download_content(slow.id)
    client.videos.delete(slow.id)
    jobs = [create(client, extra_body={"steps": 900}) for _ in range(6)]
    with pytest.raises(openai.RateLimitError) as full:
        create(client)
    assert full.value.response.headers["retry-after"]
    for job in jobs:
        client.videos.delete(job.id)
    long = finish(client, client.videos.create(prompt="hello " * 2_000, extra_body=QUICK).id)
    assert long.status == "failed" and "positions" in long.error.message
    client.videos.delete(long.id)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"prompt": " "}, "the prompt is empty"),
        ({"prompt": "x" * 40_000}, "prompt"),
        ({"seconds": "4"}, "by itself this model makes 2 s"),
        ({"seconds": "long"}, "seconds"),
        ({"size": "100x101"}, "by itself this model makes 64x64"),
        ({"extra_body": {"sampling": {"video": {"number": 2}}}}, "is one file"),
        ({"extra_body": {"sampling": {"video": {"steps": 0}}}}, "steps=0"),
        ({"extra_body": {"seed": -1}}, "seed"),
        ({"extra_body": {"seed": 2**80}}, "seed"),
        ({"input_reference": b"no image"}, "input_reference"),
        ({"extra_body": {"input_reference": {"image_url": "/etc/passwd"}}}, "names a file"),
        ({"extra_body": {"input_reference": {"file_id": "file-1"}}}, "image_url"),
    ],
)
def test_wrong_videos_are_refused(client: openai.OpenAI, wrong: Any, says: str) -> None:
    with pytest.raises(openai.BadRequestError, match=says):
        client.videos.create(**{"prompt": PROMPT, "model": "nano", **wrong})
    assert client.videos.list().data == []
    with pytest.raises(openai.NotFoundError):
        client.videos.retrieve("..%2f..%2fetc")
    with pytest.raises(openai.BadRequestError):
        client.videos.list(limit=0)


def test_jobs_survive_a_restart(model: AnyModal, tmp_path: Path) -> None:
    settings = ServerSettings(data_folder=tmp_path / "jobs")
    with serving([model_to_serve(model)], settings) as url, client_of(f"{url}/v1") as client:
        done = finish(client, create(client).id)
        wanted = client.videos.download_content(done.id).read()
        slow = create(client, extra_body={"steps": 300})
        while client.videos.retrieve(slow.id).progress == 0:
            time.sleep(0.02)
    store = JobStore(settings.data_folder or tmp_path, 60)
    (job,) = store.queued()
    assert job.id == slow.id and job.seed == 3
    store.update(BackgroundJob(**{**vars(job), "sampling": {"video": QUICK}}))
    store.close()
    with serving([model_to_serve(model)], settings) as url, client_of(f"{url}/v1") as client:
        assert client.videos.retrieve(done.id).status == "completed"
        assert client.videos.download_content(done.id).read() == wanted
        assert finish(client, slow.id).status == "completed"
        look_alike(client.videos.download_content(slow.id).read(), wanted)


def job(**fields: Any) -> BackgroundJob:
    return BackgroundJob(
        new_job_id("video"), fields.pop("owner", ""), "nano", "a", 2**64 - 1, {}, **fields
    )


def test_a_store_deletes_what_is_over_and_is_one_server_s(tmp_path: Path) -> None:
    store = JobStore(tmp_path, 60)
    past, kept = job(status="completed", expires_at=1), job(owner="me", made_from={"video": []})
    for each in (past, kept):
        store.add(each)
        store.save(each.id, ".mp4", b"x")
    store.sweep()
    assert store.get(past.id, "") is None and store.get(kept.id, "me") == kept
    assert store.get(kept.id, "") is None and store.count() == 1
    assert [path.name for path in tmp_path.glob("video_*")] == [f"{kept.id}.mp4"]
    with pytest.raises(ValueError, match="end the other server"):
        JobStore(tmp_path, 60)
    store.delete(kept.id)
    store.update(kept)
    store.save(kept.id, ".mp4", b"x")
    assert store.count() == 0, "a deleted job stays so"
    store.close()
    JobStore(tmp_path, 60).close()
    assert not list(tmp_path.glob("video_*")), "files that nobody knows"
    (tmp_path / "jobs.sqlite3").write_bytes(b"no table" * 200)
    with pytest.raises(ValueError, match="holds no jobs that can be read"):
        JobStore(tmp_path, 60)
