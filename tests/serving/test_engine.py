"""The engine: many requests at once, each answered as if it were alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any

import numpy as np
import pytest
import torch

from anymodal.media import IMU, Image, Media, Video
from anymodal.model import AnyModal
from anymodal.serving.engine import Engine, EngineSettings
from anymodal.serving.errors import (
    DeadlineError,
    EngineClosedError,
    ModelFaultError,
    OutOfMemoryError,
    QueueFullError,
)
from anymodal.serving.requests import (
    ReplyRequest,
    ReplyStream,
)
from anymodal.toybox.render import render_scene
from anymodal.toybox.scene import Scene
from anymodal.types import Done, Event, MediumProgress, MediumReady, Message, TextDelta

QUICK = {name: {"steps": 2, "guidance": 1.0} for name in ("image", "audio", "video")}
SLOW = {"image": {"steps": 400, "guidance": 1.0}}
DRAW = "draw a small blue ball"


@pytest.fixture(scope="module")
def model() -> AnyModal:
    return AnyModal.from_pretrained("nano")


@pytest.fixture(scope="module")
def duck() -> Media:
    scene = Scene("duck", "orange", "big", "still", "slow")
    return render_scene(scene, "image", np.random.default_rng(0))


@asynccontextmanager
async def engine_of(model: AnyModal, **settings: Any) -> AsyncIterator[Engine]:
    engine = Engine(model, EngineSettings(**settings))
    try:
        yield engine
    finally:
        await asyncio.to_thread(engine.close)


def run(model: AnyModal, work: Callable[[Engine], Awaitable[Any]], **settings: Any) -> Any:
    async def main() -> Any:
        async with engine_of(model, **settings) as engine:
            return await asyncio.wait_for(work(engine), 60)

    return asyncio.run(main())


def request(asked: Any, **more: Any) -> ReplyRequest:
    return ReplyRequest(asked, **{"seed": 0, "sampling": QUICK, **more})


async def read(engine: Engine, asked: ReplyRequest) -> tuple[Message, ReplyStream, list[Event]]:
    stream = await engine.submit(asked)
    events = [event async for event in stream]
    assert isinstance(events[-1], Done)
    return events[-1].message, stream, events


async def settled(engine: Engine) -> None:
    for _ in range(500):
        if not engine.requests:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("requests are still under way")


def difference(one: Media, other: Media) -> float:
    """The largest difference of two media, in grey levels or shares of full scale."""
    name = {Image: "pixels", Video: "frames"}.get(type(one), "samples")
    values = [np.asarray(getattr(each, name), np.float64) for each in (one, other)]
    assert type(one) is type(other) and values[0].shape == values[1].shape
    return float(np.abs(values[0] - values[1]).max())


@contextmanager
def hooked(module: torch.nn.Module, hook: Callable[..., None]) -> Iterator[None]:
    handle = module.register_forward_pre_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def test_requests_at_once_are_answered_as_each_alone(model: AnyModal, duck: Media) -> None:
    asked: list[Any] = ["hello", DRAW, "play the sound of a bell", "what can you do?", DRAW,
                        "make a video of a duck moving left", [duck, "what is this?"]]  # fmt: skip
    requests = [
        request(each, seed=seed, text={"temperature": 0.7} if seed % 2 else {})
        for seed, each in enumerate(asked)
    ]
    alone = [
        model.chat(each.conversation, seed=each.seed, sampling=QUICK, **each.text)
        for each in requests
    ]

    async def work(engine: Engine) -> list[Message]:
        results = await asyncio.gather(*(read(engine, each) for each in requests))
        return [message for message, *_ in results]

    for reply, wanted in zip(run(model, work, media_batch_size=3), alone, strict=True):
        assert reply.text == wanted.text
        for one, other in zip(reply.media, wanted.media, strict=True):
            assert difference(one, other) <= (1 if isinstance(one, Image | Video) else 1e-4)


def test_sampled_replies_have_the_scores_that_they_have_alone(model: AnyModal) -> None:
    """Within 1e-5, by log-probabilities of all that is sampled and of the likeliest beside it."""
    asked = ["hello", "what can you do?", "who are you?", "thank you", "good morning", "hello"]
    how: Any = {"temperature": 1.0, "top_logprobs": 20}

    async def work(engine: Engine) -> list[list[Event]]:
        requests = [request(each, seed=seed, text=how) for seed, each in enumerate(asked)]
        return [events for *_, events in await asyncio.gather(*(read(engine, r) for r in requests))]

    def scores(events: Sequence[Event]) -> list[tuple[int, float, dict[int, float]]]:
        tokens = [each for e in events if isinstance(e, TextDelta) for each in e.logprobs]
        return [(each.token, each.logprob, dict(each.top)) for each in tokens]

    for seed, events in enumerate(run(model, work)):
        alone = scores(list(model.stream(asked[seed], seed=seed, sampling=QUICK, **how)))
        together = scores(events)
        assert len(alone) > 2 and [each[0] for each in together] == [each[0] for each in alone]
        for (_, one, top), (_, other, top_alone) in zip(together, alone, strict=True):
            assert one == pytest.approx(other, abs=5e-5)
            assert top == pytest.approx(top_alone, abs=5e-5)


def test_text_goes_on_while_media_are_made(model: AnyModal) -> None:
    async def work(engine: Engine) -> None:
        stream = await engine.submit(request(DRAW, sampling=SLOW))
        async with aclosing(stream):
            async for event in stream:
                if isinstance(event, MediumProgress):
                    assert event.step < event.steps
                    break
            message, *_ = await read(engine, request("hello"))
            assert message.text and engine.requests == 1, "the drawing is still under way"
        await settled(engine)

    run(model, work)


@pytest.mark.parametrize("moment", [TextDelta, MediumProgress])
def test_a_closed_stream_ends_its_request(model: AnyModal, moment: type) -> None:
    steps: list[int] = []

    async def work(engine: Engine) -> None:
        stream = await engine.submit(request(DRAW, sampling=SLOW))
        async for event in stream:
            if isinstance(event, moment):
                break
        await stream.aclose()
        assert [event async for event in stream] == []
        await settled(engine)
        del stream
        dropped = await engine.submit(request(DRAW, sampling=SLOW))
        await anext(dropped)
        del dropped
        await settled(engine)

    with hooked(model.decoders["image"].family.network, lambda *_: steps.append(1)):
        run(model, work)
    assert len(steps) < 200


def test_a_reader_of_a_stream_that_somebody_else_closes_ends(model: AnyModal) -> None:
    async def work(engine: Engine) -> None:
        stream = await engine.submit(request(DRAW, sampling=SLOW))
        events = asyncio.create_task(_all(stream))
        await asyncio.sleep(0.3)
        await stream.aclose()
        assert not any(isinstance(event, Done) for event in await asyncio.wait_for(events, 5))
        await settled(engine)

    async def _all(stream: ReplyStream) -> list[Event]:
        return [event async for event in stream]

    run(model, work)


def test_of_a_batch_of_media_the_others_go_on(model: AnyModal) -> None:
    async def work(engine: Engine) -> None:
        how = {"image": {"steps": 20, "guidance": 1.0}}
        streams = [await engine.submit(request(DRAW, sampling=how)) for _ in range(3)]

        async def left_early(stream: ReplyStream) -> None:
            async for event in stream:
                if isinstance(event, MediumProgress):
                    break
            await stream.aclose()

        async def ready(stream: ReplyStream) -> int:
            return len([event async for event in stream if isinstance(event, MediumReady)])

        results = await asyncio.gather(left_early(streams[0]), *map(ready, streams[1:]))
        assert results[1:] == [1, 1]
        await settled(engine)

    run(model, work)


def test_a_full_queue_refuses_and_says_when_to_come_back(model: AnyModal) -> None:
    async def work(engine: Engine) -> None:
        streams = [await engine.submit(request(DRAW, sampling=SLOW)) for _ in range(2)]
        with pytest.raises(QueueFullError, match="2 requests are under way") as refused:
            await engine.submit(request("hello"))
        assert 1 <= refused.value.retry_after <= 60
        for stream in streams:
            await stream.aclose()
        await settled(engine)
        assert (await read(engine, request("hello")))[0].text

    run(model, work, max_requests=2)


def test_a_request_has_a_deadline(model: AnyModal) -> None:
    async def work(engine: Engine) -> None:
        late = request(DRAW, sampling={"image": {"steps": 1000}}, timeout=0.3)
        with pytest.raises(DeadlineError, match="longer than 0.3 s"):
            await read(engine, late)
        await settled(engine)

    run(model, work)


def test_memory_that_runs_out_halves_a_batch_of_media(model: AnyModal) -> None:
    batches: list[int] = []

    def fail(_module: Any, args: Any, kwargs: Any) -> None:
        inputs = args[0] if args else kwargs["hidden_states"]
        batches.append(len(inputs))
        if len(inputs) > 1:
            raise torch.OutOfMemoryError("no room")

    async def work(engine: Engine) -> list[Message]:
        asked = [request(DRAW, seed=seed) for seed in range(4)]
        return [each[0] for each in await asyncio.gather(*(read(engine, a) for a in asked))]

    with hooked(model.decoders["image"].family.network, fail):
        replies = run(model, work)
    assert max(batches) > 1, "they were never together"
    for seed, reply in enumerate(replies):
        wanted = model.chat(DRAW, seed=seed, sampling=QUICK)
        assert difference(reply.media[0], wanted.media[0]) <= 1


def test_without_memory_for_one_request_the_others_are_answered(model: AnyModal) -> None:
    def fail(*_: Any) -> None:
        raise torch.OutOfMemoryError("no room")

    async def work(engine: Engine) -> None:
        asked = (request(DRAW), request("play the sound of a bell"))
        results = await asyncio.gather(*(read(engine, a) for a in asked), return_exceptions=True)
        assert isinstance(results[0], OutOfMemoryError)
        assert not isinstance(results[1], BaseException) and results[1][0].media
        await settled(engine)

    with hooked(model.decoders["image"].family.network, fail):
        run(model, work)


@pytest.mark.parametrize("most", [2, 0])
def test_memory_that_runs_out_in_the_text_parks_half_of_the_batch(
    model: AnyModal, most: int
) -> None:
    together: list[int] = []

    def fail(_module: Any, args: Any, kwargs: Any) -> None:
        states = args[0] if args else kwargs["hidden_states"]
        if states.shape[1] == 1:  # a step, not a prompt
            together.append(len(states))
            if len(states) > most:
                raise torch.OutOfMemoryError("no room")

    asked = ["hello", "what can you do?", "thank you", "who are you?", "good morning"]
    asked = asked if most else asked[:2]

    async def work(engine: Engine) -> Any:
        reads = (read(engine, request(each)) for each in asked)
        results = await asyncio.gather(*reads, return_exceptions=True)
        await settled(engine)
        return results

    with hooked(model.language.blocks[-1], fail):
        results = run(model, work)
    if not most:
        assert all(isinstance(result, OutOfMemoryError) for result in results)
        return
    assert max(together) > most
    assert [result[0].text for result in results] == [model.chat(each).text for each in asked]


def test_an_error_in_a_step_ends_its_requests_and_no_others(model: AnyModal) -> None:
    broken = True

    def fail(_module: Any, args: Any, kwargs: Any) -> None:
        states = args[0] if args else kwargs["hidden_states"]
        if broken and states.shape[1] == 1:
            raise RuntimeError("a fault")

    async def work(engine: Engine) -> None:
        nonlocal broken
        with pytest.raises(ModelFaultError, match="a fault"):
            await read(engine, request("hello"))
        broken = False
        assert (await read(engine, request("hello")))[0].text

    with hooked(model.language.blocks[-1], fail):
        run(model, work)


def test_stop_strings_length_and_usage(model: AnyModal) -> None:
    whole = model.chat("what can you do?").text
    stop = whole[8:14]

    async def work(engine: Engine) -> None:
        message, stream, events = await read(
            engine, request("what can you do?", text={"stop": stop})
        )
        assert message.text == whole[: whole.index(stop)] and stream.finish_reason == "stop"
        assert "".join(e.text for e in events if isinstance(e, TextDelta)) == message.text
        message, stream, _ = await read(engine, request("hello", text={"max_new_tokens": 3}))
        assert stream.finish_reason == "length" and stream.usage.completion == 3
        assert stream.usage.prompt > 0
        message, stream, _ = await read(engine, request("a red ball", forced=["image", "audio"]))
        assert [medium.kind for medium in message.media] == ["image", "audio"]
        assert message.text == "" and stream.usage.completion >= 8  # of signals, and pointers
        message, *_ = await read(engine, request(DRAW, text={"modalities": []}))
        assert not message.media
        continued, *_ = await read(engine, request("hel", completes=True))
        assert continued.role == "assistant"

    run(model, work)


def test_what_begins_alike_is_read_once(model: AnyModal, duck: Media) -> None:
    encoded: list[int] = []

    def count(_module: Any, args: Any, kwargs: Any) -> None:
        encoded.append(1)

    async def work(engine: Engine) -> None:
        first = [Message("user", [duck, "what is this?"])]
        reply, stream, _ = await read(engine, request(first))
        assert stream.usage.cached == 0 and len(encoded) == 1
        again = [*first, reply, Message("user", "make it green")]
        _, stream, _ = await read(engine, request(again))
        assert stream.usage.cached > 10 and len(encoded) == 1
        other = [Message("user", ["look at this:", duck])]
        await read(engine, request(other))
        assert len(encoded) == 1, "its soft tokens are known"

    with hooked(model.encoders["image"], count):
        run(model, work)
        encoded.clear()
        with pytest.raises(AssertionError):
            run(model, work, prefix_bytes=0, soft_token_bytes=0)


def test_what_does_not_fit_is_refused(model: AnyModal) -> None:
    felt = IMU(np.zeros((6, 400), np.float32), 200.0)
    cases: list[tuple[ReplyRequest, str]] = [
        (request([]), "empty"),
        (request("hello " * 4000), "positions"),
        (request("hi", text={"temperature": -1}), "temperature"),
        (request("hi", sampling={"smell": {}}), "smell"),
        (request("hi", forced=["smell"]), "smell"),
        (request("hi", text={"modalities": ["imu"]}), "imu"),
        (request("hi", seed=-1), "seed"),
        (request("hi", text={"stop": ["a"] * 17}), "17 stop strings"),
        (request("", completes=True), "prompt is empty"),
        (request([felt], completes=True), "string"),
    ]

    async def work(engine: Engine) -> None:
        for asked, says in cases:
            with pytest.raises(ValueError, match=says):
                await read(engine, asked)
        await settled(engine)

    run(model, work)
    with pytest.raises(ValueError, match="batch_size=0"):
        EngineSettings(batch_size=0)


def test_a_closed_engine_ends_what_is_under_way(model: AnyModal) -> None:
    async def main() -> Sequence[Any]:
        engine = Engine(model)
        asked = (request(DRAW, sampling=SLOW), request("hello"), request(DRAW, sampling=SLOW))
        reads = [asyncio.create_task(read(engine, each)) for each in asked]
        await asyncio.sleep(0.2)
        await asyncio.to_thread(engine.close)
        results = await asyncio.gather(*reads, return_exceptions=True)
        with pytest.raises(EngineClosedError):
            await engine.submit(request("hello"))
        return results

    results = asyncio.run(asyncio.wait_for(main(), 30))
    assert isinstance(results[0], EngineClosedError) and isinstance(results[2], EngineClosedError)
