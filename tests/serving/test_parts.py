"""Small parts of serving: stop strings, and what is kept of earlier requests."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from anymodal.chat.orders import Order
from anymodal.language.fused_media import FusedMedia, FusedMedium
from anymodal.language.kv_cache import PrefixCache, common_prefix
from anymodal.language.stop_strings import StopStrings
from anymodal.media import Image, Media
from anymodal.serving import media_worker, task_worker
from anymodal.serving.admission import EngineSettings
from anymodal.serving.api.conversation import recent
from anymodal.serving.embedding_queue import EmbeddingQueue
from anymodal.serving.errors import DeadlineError, EngineClosedError, QueueFullError
from anymodal.serving.memory import trim_heap
from anymodal.serving.prefix_store import PrefixStore, SoftTokenStore
from anymodal.types import Conditioning, Event, Message
from tests.support.tiny import compose

TEXTS = st.text("abc", max_size=12)


@given(st.lists(TEXTS), st.lists(st.text("abc", min_size=1, max_size=4), max_size=3))
def test_stop_strings_cut_wherever_pieces_end(pieces: list[str], strings: list[str]) -> None:
    stops = StopStrings(strings)
    told = "".join(stops.push(piece) for piece in pieces) + stops.flush()
    text = "".join(pieces)
    places = [text.find(each) for each in strings if each in text]
    assert stops.hit == bool(places)
    assert told == (text[: min(places)] if places else text)


def test_text_passes_as_soon_as_no_stop_string_can_begin_in_it() -> None:
    stops = StopStrings(["END"])
    assert [stops.push(piece) for piece in ("a", "bE", "N", "x", "END", "y")] == [
        "a", "b", "", "ENx", "", ""
    ]  # fmt: skip


def test_a_long_conversation_is_shown_as_in_a_session() -> None:
    system = Message("system", "Be brief.")
    turns = [[Message("user", f"q{n}"), Message("assistant", f"a{n}")] for n in range(9)]
    talk = [system, *(message for turn in turns for message in turn), Message("user", "last")]
    assert recent(talk, None) == talk and recent(talk, 9) == talk
    assert [message.text for message in recent(talk, 6)] == [
        "Be brief.", *(message.text for turn in turns[3:] for message in turn), "last"
    ]  # fmt: skip
    assert recent([system], 1) == [system]
    with_notice = recent(talk, 6, "(there was more)")
    assert with_notice[0] == talk[0] and with_notice[1].content[0] == "(there was more)"
    assert with_notice[1].content[1:] == recent(talk, 6)[1].content
    assert recent(talk, 9, "(there was more)") == talk


@pytest.fixture(scope="module")
def language() -> object:
    return compose().language


@torch.inference_mode()
def fed(language: object, keys: list[int]) -> PrefixCache:
    cache = PrefixCache(language)  # type: ignore[arg-type]
    cache.feed(language.embed(keys), keys)  # type: ignore[attr-defined]
    return cache


def test_the_longest_beginning_is_found_and_the_oldest_goes_first(language: object) -> None:
    one, two, other = fed(language, [1, 2, 3]), fed(language, [1, 2, 4, 5]), fed(language, [9, 8])
    store = PrefixStore(language, one.nbytes + two.nbytes + other.nbytes)  # type: ignore[arg-type]
    for cache in (one, two, other):
        store.put(cache)
    found = store.find([1, 2, 4, 7])
    assert found.keys == [1, 2, 4, 5] and found is not two
    assert found.reuse([1, 2, 4, 7]) == 3 and two.past.get_seq_length() == 4
    assert store.find([7]).keys == []
    store.put(fed(language, [1, 2, 3, 4]))  # goes on from the first, in whose place it stands
    assert store.find([9, 8, 7]).keys == [] and store.find([1, 2, 3]).keys == [1, 2, 3, 4]
    assert store.find([1, 2, 4]).keys == [1, 2, 4, 5]
    assert store.nbytes <= store.budget
    with_media = fed(language, [6])
    before = with_media.nbytes
    with_media.past.fused = FusedMedia([[FusedMedium(0, torch.zeros(4, 8))]], torch.device("cpu"))
    assert with_media.nbytes == before + 4 * 8 * 4, "media beside a row count, too"
    store.clear()
    assert store.nbytes == 0


def test_what_is_found_among_many_is_the_longest_beginning(language: object) -> None:
    store, draw = PrefixStore(language, 2**30), random.Random(0)  # type: ignore[arg-type]
    kept: list[list[int]] = []
    for _ in range(200):
        keys = [draw.randrange(-2, 2) for _ in range(draw.randrange(1, 6))]  # -1 and -2 hash alike
        cache = PrefixCache(language)  # type: ignore[arg-type]
        cache.keys = list(keys)
        store.put(cache)
        kept.append(keys)
        asked = [draw.choice((0, 1, 5)) for _ in range(6)]
        best = max(common_prefix(each, asked) for each in kept)
        assert common_prefix(store.find(asked).keys, asked) == best
    assert len(store._caches) == len(store._order) < 200


def test_soft_tokens_are_kept_within_their_budget() -> None:
    store = SoftTokenStore(3 * 40)
    tokens = {name: torch.full((10,), float(place)) for place, name in enumerate("abc")}
    store.put(tokens)
    assert store.find("ax").keys() == {"a"}
    store.put({"d": torch.zeros(10)})
    assert store.find("abcd").keys() == {"a", "c", "d"}, "b was asked for least recently"


def test_embeddings_are_limited_in_number_and_time_and_end_between_parts() -> None:
    calls: list[int] = []
    gate = threading.Event()

    def embed(items: Sequence[object]) -> list[Tensor]:
        calls.append(len(items))
        gate.wait(30)
        return [torch.zeros(2)] * len(items)

    async def ask() -> None:
        queue = EmbeddingQueue(embed, EngineSettings(max_requests=1))
        task = asyncio.create_task(queue.embed(["a"] * 640))
        while not calls:
            await asyncio.sleep(0.001)
        with pytest.raises(QueueFullError):
            await queue.embed(["a"])
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        with pytest.raises(DeadlineError):
            await EmbeddingQueue(embed, EngineSettings(timeout=0.01)).embed(["a"] * 640)
        gate.set()
        assert len(await queue.embed(["a"] * 150)) == 150 and queue.requests == 0
        assert calls[0] == 64 and calls[-3:] == [64, 64, 22] and len(calls) <= 5
        queue.close()
        with pytest.raises(EngineClosedError):
            await queue.embed(["a"])

    asyncio.run(ask())


class Waiting:
    """A client that waits for one picture of one step."""

    is_alive = True
    media_settings: ClassVar = {"image": {"steps": 1, "guidance": 1.0}}

    def __init__(self) -> None:
        self.is_answered = threading.Event()

    def emit(self, event: Event) -> None:
        """Take no notice of steps."""

    def finish_medium(self, index: int, modality: str, medium: Media) -> None:
        assert isinstance(medium, Image) and (index, modality) == (0, "image")
        self.is_answered.set()

    def fail(self, error: Exception) -> None:
        raise AssertionError from error


def test_the_heap_is_trimmed_once_when_nobody_asks_for_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trims = threading.Semaphore(0)
    monkeypatch.setattr(task_worker, "trim_heap", trims.release)
    monkeypatch.setattr(task_worker, "REST", 0.05)
    model = compose()
    spec = model.decoders["image"].spec
    conditioning = Conditioning(
        torch.zeros(1, spec.length, spec.width), torch.ones(1, spec.length, dtype=torch.bool)
    )
    worker = media_worker.MediaWorker(model, "image", batch_size=2)
    try:
        assert not trims.acquire(timeout=0.2)  # nothing was made yet
        for _ in range(2):
            client = Waiting()
            worker.submit(media_worker.MediaTask(client, Order(0, "image", conditioning, seed=1)))
            assert client.is_answered.wait(60)
            assert trims.acquire(timeout=60)
            assert not trims.acquire(timeout=0.2)
    finally:
        worker.close()
    trim_heap()  # where there is glibc and where there is none


def test_a_medium_for_a_closed_worker_ends_its_reply() -> None:
    worker = media_worker.MediaWorker(compose(), "image", batch_size=2)
    worker.close()
    errors: list[Exception] = []
    client: Any = SimpleNamespace(fail=errors.append)
    nothing = Conditioning(torch.zeros(1, 1, 1), torch.ones(1, 1, dtype=torch.bool))
    worker.submit(media_worker.MediaTask(client, Order(0, "image", nothing, seed=1)))
    assert isinstance(errors[0], EngineClosedError)
