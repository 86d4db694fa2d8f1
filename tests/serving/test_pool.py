"""Several models in one server: loaded on first use, unloaded where memory runs short."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import openai
import pytest
import torch

from anymodal.serving.api.settings import ServerSettings
from anymodal.serving.errors import EngineClosedError, OutOfMemoryError
from anymodal.serving.memory import free_bytes
from anymodal.serving.model_source import ModelSource
from anymodal.serving.pool import ModelPool
from anymodal.serving.requests import ReplyRequest
from anymodal.serving.served import ServedModel
from tests.support.serving import model_to_serve, serving
from tests.support.tiny import compose


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model")
    compose().save_pretrained(path)
    return path


def run(models: list[Any], work: Callable[[ModelPool], Awaitable[Any]], memory: Any = None) -> Any:
    async def main() -> Any:
        pool = ModelPool(models, memory)
        try:
            return await work(pool)
        finally:
            pool.close()

    return asyncio.run(main())


def names(pool: ModelPool) -> list[str]:
    return sorted(served.name for served in pool.loaded())


def test_a_model_is_known_before_it_is_loaded(folder: Path) -> None:
    source = ModelSource("a", str(folder), device="cpu")
    loaded = source.open()
    assert source.facts.reads == loaded.facts.reads == ["text", "image", "audio", "imu"]
    assert source.facts.makers == loaded.facts.makers and source.facts.replies
    assert 0 < source.num_bytes <= 2 * loaded.num_bytes
    loaded.close()
    assert 0 < free_bytes("cpu") < 2**50


def test_models_make_room_for_each_other(folder: Path) -> None:
    sources = [ModelSource(name, str(folder), device="cpu") for name in "abc"]
    size = sources[0].num_bytes

    async def work(pool: ModelPool) -> None:
        assert names(pool) == [] and list(pool.facts) == ["a", "b", "c"]
        for name in "ab":
            async with pool.use(name):
                pass
        assert names(pool) == ["a", "b"]
        async with pool.use("a"):
            async with pool.use("c"):
                assert names(pool) == ["a", "c"], "b was used least recently"
                with pytest.raises(OutOfMemoryError):
                    await pool.acquire("b")
        served = await asyncio.gather(*(pool.acquire("b") for _ in range(3)))
        assert served[0] is served[1] is served[2], "it is loaded once"
        assert list(pool.facts) == ["a", "b", "c"], "clients take the first for the usual one"

    run(sources, work, memory=max(2 * size, int(2.5 * sources[0].open().num_bytes)))


def test_a_load_that_finds_no_memory_is_tried_with_more(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = [ModelSource(name, str(folder), device="cpu") for name in "ab"]
    opened, real = [], ModelSource.open

    def crowded(source: ModelSource) -> ServedModel:
        opened.append(source.name)
        if source.name == "b" and opened.count("b") == 1:
            raise torch.OutOfMemoryError("none left")
        return real(source)

    monkeypatch.setattr(ModelSource, "open", crowded)

    async def work(pool: ModelPool) -> None:
        async with pool.use("a"):
            with pytest.raises(OutOfMemoryError):
                await pool.acquire("b")
            opened.remove("b")
        async with pool.use("b"):
            assert names(pool) == ["b"]

    run(sources, work)


def test_a_request_without_memory_unloads_what_nobody_uses(folder: Path) -> None:
    sources = [ModelSource(name, str(folder), device="cpu") for name in "ab"]

    def crowded(*_: Any) -> None:
        raise torch.OutOfMemoryError("none left")

    async def work(pool: ModelPool) -> None:
        async with pool.use("b"):
            pass
        async with pool.use("a") as served:
            assert served.model is not None and served.engine is not None
            served.model.language.backbone.register_forward_pre_hook(crowded)
            with pytest.raises(OutOfMemoryError):
                async for _ in await served.engine.submit(ReplyRequest("hello")):
                    pass
            for _ in range(200):
                if names(pool) == ["a"]:
                    break
                await asyncio.sleep(0.02)
            assert names(pool) == ["a"]

    run(sources, work)


def test_what_was_given_loaded_stays_and_a_closed_pool_loads_nothing(folder: Path) -> None:
    source = ModelSource("b", str(folder), device="cpu")
    source.load()
    models = [model_to_serve(compose(), "a"), source]

    async def work(pool: ModelPool) -> None:
        assert names(pool) == ["a", "b"]
        assert await pool._unload_one() and names(pool) == ["a"]
        assert not await pool._unload_one()
        pool.close()
        with pytest.raises(EngineClosedError):
            await pool.acquire("b")

    run(models, work)


def test_a_model_that_can_not_be_loaded_is_a_fault_without_its_path(folder: Path) -> None:
    with serving([ModelSource("a", "no/such/encoders", device="cpu")]) as url:
        with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
            with pytest.raises(openai.InternalServerError, match="log has it") as failed:
                client.embeddings.create(model="a", input="hello")
    assert "no/such" not in failed.value.response.text


def test_a_server_loads_what_is_asked_for(folder: Path) -> None:
    sources = [ModelSource(name, str(folder), device="cpu") for name in ("a", "b")]
    memory = int(1.5 * sources[0].open().num_bytes)
    with serving(sources, ServerSettings(model_memory=memory)) as url:
        with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
            listed = client.models.list().data
            assert [each.id for each in listed] == ["a", "b"]
            extra = listed[0].model_extra or {}
            assert extra["modalities"]["output"] == ["text", "image", "audio"]
            for name in ("a", "b", "a"):
                answer = client.chat.completions.create(
                    model=name, messages=[{"role": "user", "content": "hello"}], max_tokens=4
                )
                assert answer.model == name
            stream = client.chat.completions.create(
                model="a", messages=[{"role": "user", "content": "hello"}], stream=True
            )
            assert list(stream)[-1].choices[0].finish_reason
