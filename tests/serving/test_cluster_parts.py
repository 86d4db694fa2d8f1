"""Parts of a cluster in one process and without Ray: real replicas, of which some are lost."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch._subclasses import FakeTensorMode

from anymodal import cli, composition
from anymodal.chat.orders import Order
from anymodal.composition.folders import RUN_FILE
from anymodal.decoders.references import Reference
from anymodal.media import Image, Media
from anymodal.modality import Modality
from anymodal.model import AnyModal
from anymodal.serving.cluster.applications import application_name, model_application
from anymodal.serving.cluster.calls import MOST_ATTEMPTS, ReplicaLostError
from anymodal.serving.cluster.decoder_replica import DecoderReplica, open_decoder_of
from anymodal.serving.cluster.deploying import check_sources
from anymodal.serving.cluster.language_replica import LanguageReplica
from anymodal.serving.cluster.remote_decoder import _on_cpu
from anymodal.serving.cluster.remote_model import RemoteEngine
from anymodal.serving.cluster.replay import Replay
from anymodal.serving.cluster.scale import API, LANGUAGE, PartScale, Scales
from anymodal.serving.cluster.stickiness import conversation_key
from anymodal.serving.cluster.stored_media import StoredMedium
from anymodal.serving.engine import EngineSettings
from anymodal.serving.errors import EngineClosedError, ModelFaultError
from anymodal.serving.model_source import ModelSource
from anymodal.serving.requests import ReplyRequest
from anymodal.types import (
    Conditioning,
    Done,
    Event,
    MediumProgress,
    MediumReady,
    MediumStarted,
    Message,
    TextDelta,
    ToolCall,
    ToolCalled,
)
from tests.support.speakers import Beeper
from tests.support.tiny import tiny_model

DRAW = "draw a small blue ball"
QUICK = {"image": {"steps": 4, "guidance": 1.0}}


class LocalCluster:
    """One replica of each part in this process.

    Attributes:
        open: how many calls are under way, of this test or of an earlier one.
        lost: how many items of the next calls come before their replica is lost, by part; calls
            behind these are whole.
        calls: of each part, so far.
        losses: of each part, so far; a call that is whole before its replica is lost has none.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.source = ModelSource("nano", "nano", device="cpu")
        self.stored: dict[int, Media] = {}
        self.decoder = DecoderReplica(self.source, "image", self.put, self.get)
        decoders = dict.fromkeys(("image", "audio", "video"), self.ask_decoder)
        self.language = LanguageReplica(self.source, decoders, loop)
        self.model = AnyModal.from_pretrained("nano", weights=False)
        self.open = 0
        self.begin()

    def begin(self, **lost: list[int]) -> None:
        self.lost, self.calls = lost, {"decoder": 0, "language": 0, "get": 0}
        self.losses = dict.fromkeys(self.calls, 0)

    async def wait_for_calls(self) -> None:
        """Wait until the calls of an earlier test have ended, so that none is counted later."""
        engine = self.language.served.engine
        assert engine is not None
        while engine.requests:
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.05)  # a medium that was ordered last is asked for only now
        while self.open:
            await asyncio.sleep(0.05)

    def engine(self, **settings: Any) -> RemoteEngine:
        return RemoteEngine(self.model, EngineSettings(**settings), self.ask_language, self.get)

    def put(self, medium: Media) -> int:
        self.stored[len(self.stored)] = medium
        return len(self.stored) - 1

    async def get(self, reference: int) -> Media:
        self.calls["get"] += 1
        if self.lost.get("get"):
            self.losses["get"] += 1
            raise ReplicaLostError(f"after {self.lost['get'].pop()} others")
        return self.stored[reference]

    def ask_language(self, request: ReplyRequest, _: str) -> AsyncGenerator[Any]:
        return self._until_lost("language", self.language.reply(request))

    def ask_decoder(self, order: Any, settings: Any) -> AsyncGenerator[Any]:
        return self._until_lost("decoder", self.decoder.make(order, settings))

    async def _until_lost(self, part: str, items: AsyncGenerator[Any]) -> AsyncGenerator[Any]:
        self.calls[part] += 1
        lost = self.lost.get(part)
        count = lost.pop(0) if lost else None
        self.open += 1
        try:
            async for item in items:
                if count == 0:
                    self.losses[part] += 1
                    raise ReplicaLostError("in the middle")
                count = None if count is None else count - 1
                yield item
        finally:
            self.open -= 1
            await items.aclose()


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture(scope="module")
def cluster(loop: asyncio.AbstractEventLoop) -> Iterator[LocalCluster]:
    cluster = LocalCluster(loop)
    yield cluster
    cluster.language.close()
    cluster.decoder.close()


Run = Callable[[Awaitable[Any]], Any]


@pytest.fixture
def run(loop: asyncio.AbstractEventLoop, cluster: LocalCluster) -> Run:
    loop.run_until_complete(asyncio.wait_for(cluster.wait_for_calls(), 60))
    cluster.begin()
    return lambda work: loop.run_until_complete(asyncio.wait_for(work, 60))


@pytest.fixture(scope="module")
def expected() -> Message:
    return AnyModal.from_pretrained("nano").chat(DRAW, seed=1, sampling=QUICK)


async def read(engine: RemoteEngine, asked: ReplyRequest) -> list[Event]:
    return [event async for event in await engine.submit(asked)]


def check_whole(events: list[Event], expected: Message) -> None:
    """Check that nothing of a reply is missing and nothing came twice."""
    assert "".join(e.text for e in events if isinstance(e, TextDelta)) == expected.text
    starts = [event.index for event in events if isinstance(event, MediumStarted)]
    ready = [event for event in events if isinstance(event, MediumReady)]
    steps = [event.step for event in events if isinstance(event, MediumProgress)]
    assert starts == [0] and [event.index for event in ready] == [0]
    assert steps == sorted(set(steps)) and len(steps) > 0
    done = events[-1]
    assert isinstance(done, Done)
    (medium,), (own,) = done.message.media, expected.media
    assert isinstance(medium, Image) and isinstance(own, Image) and ready[0].media is medium
    assert np.abs(medium.pixels.astype(int) - own.pixels).max() <= 1
    assert medium.provenance == own.provenance
    assert done.message.text == expected.text and done.message.finish_reason == "stop"


ASKED = ReplyRequest(DRAW, seed=1, sampling=QUICK)


@pytest.mark.parametrize(
    "lost",
    [{}, {"language": [0]}, {"language": [3, 5, 1]}, {"decoder": [0, 2]}, {"get": [0]},
     {"language": [4], "decoder": [3], "get": [0, 0]}],
    ids=str,
)  # fmt: skip
def test_a_reply_is_whole_whatever_replica_is_lost(
    cluster: LocalCluster, run: Run, expected: Message, lost: dict[str, list[int]]
) -> None:
    cluster.begin(**{part: list(counts) for part, counts in lost.items()})
    engine = cluster.engine()
    check_whole(run(read(engine, ASKED)), expected)
    # Events that come close together are one item, so a call may have fewer than it is to lose.
    for part, counts in lost.items():
        assert cluster.losses[part] >= counts.count(0) and cluster.losses[part] <= len(counts)
    assert cluster.calls["language"] == 1 + cluster.losses["language"] + cluster.losses["get"]
    assert engine.requests == 0 and cluster.open == 0


def test_a_request_that_ends_every_replica_ends_itself(cluster: LocalCluster, run: Run) -> None:
    cluster.begin(language=[1] * 20)
    engine = cluster.engine()
    with pytest.raises(ModelFaultError, match="were lost"):
        run(read(engine, ASKED))
    assert cluster.calls["language"] == MOST_ATTEMPTS and engine.requests == 0


def test_errors_of_a_request_are_its_own(cluster: LocalCluster, run: Run) -> None:
    engine = cluster.engine(max_requests=1)
    with pytest.raises(ValueError, match="steps"):
        run(engine.submit(ReplyRequest(DRAW, sampling={"image": {"steps": 0}})))
    with pytest.raises(ValueError, match="the prompt is empty"):  # told by the replica
        run(read(engine, ReplyRequest("", completes=True)))
    assert cluster.calls["language"] == 1 and engine.requests == 0
    assert engine.check(ASKED).seed == 1
    engine.close()
    with pytest.raises(EngineClosedError):
        run(engine.submit(ASKED))


def test_who_leaves_ends_the_calls(cluster: LocalCluster, run: Run) -> None:
    engine = cluster.engine()

    async def leave() -> None:
        stream = await engine.submit(
            ReplyRequest(DRAW, sampling={"image": {"steps": 400, "guidance": 1.0}})
        )
        async for event in stream:
            if isinstance(event, MediumProgress):
                break
        assert engine.requests == 1 and cluster.open == 2
        await stream.aclose()
        while engine.requests or cluster.open:
            await asyncio.sleep(0.05)

    run(leave())


def test_a_decoder_replica_has_one_decoder(cluster: LocalCluster) -> None:
    model = open_decoder_of(cluster.source, "image")
    places = {name: p.is_meta for name, p in model.named_parameters()}
    decoders = {name: is_meta for name, is_meta in places.items() if name.startswith("decoders.")}
    assert not any(meta for name, meta in decoders.items() if name.startswith("decoders.image."))
    assert all(meta for name, meta in places.items() if not name.startswith("decoders.image."))
    with pytest.raises(ValueError, match="no decoder is called 'imu'; there are: image, audio"):
        open_decoder_of(cluster.source, "imu")


def test_media_of_the_same_reply_come_from_the_store(
    cluster: LocalCluster, run: Run, expected: Message
) -> None:
    (source,) = expected.media
    conditioning = cluster.decoder.worker.model.decoders["image"].embed_captions(["a red ball"])
    settings = {"steps": 2, "guidance": 1.0, "strength": 0.5}

    async def made(medium: Any) -> Media:
        order = Order(1, "image", conditioning, 0, (Reference(medium),))
        (*_, last) = [item async for item in cluster.decoder.make(order, settings)]
        assert isinstance(last, MediumReady), last
        return await cluster.get(cast(Any, last.media).reference)

    stored = StoredMedium(0, cluster.put(source))
    digests = [run(made(each)).digest() for each in (stored, source)]
    assert digests[0] == digests[1] and cluster.calls["get"] == 3


# ---- Small parts -------------------------------------------------------------------------------


def test_an_order_leaves_its_devices_behind() -> None:
    with FakeTensorMode():
        values = Conditioning(
            torch.zeros(1, 2, 3, device="cuda"), torch.ones(1, 2, device="cuda").bool()
        )
        order = _on_cpu(Order(0, "image", values, 0, negative=values))
    assert order.negative is not None
    for each in (order.conditioning, order.negative):
        assert {each.embeds.device.type, each.mask.device.type} == {"cpu"}


def test_a_replay_that_reads_otherwise_is_an_error_and_calls_keep_their_ids() -> None:
    replay = Replay()
    first, second = ToolCall("f", "{}", "one"), ToolCall("f", "{}", "two")
    assert replay.is_new(TextDelta("a")) and replay.is_new(ToolCalled(first))
    replay.begin()
    assert not replay.is_new(TextDelta("a")) and not replay.is_new(ToolCalled(second))
    assert replay.calls == [first] and replay.is_new(TextDelta("b"))
    replay.begin()
    with pytest.raises(ModelFaultError, match="another reply"):
        replay.is_new(TextDelta("c"))


def test_turns_of_a_conversation_have_one_key() -> None:
    system = Message("system", "be brief")
    image = Image(np.zeros((8, 8, 3), np.uint8))
    talk = [system, Message("user", [image, "what?"])]
    longer = [*talk, Message("assistant", "a duck"), Message("user", "and now?")]
    request = ReplyRequest(talk)
    assert conversation_key(request, talk) == conversation_key(request, longer)
    other = Image(np.ones((8, 8, 3), np.uint8))
    others = [
        [system, Message("user", "what?")],
        [Message("user", [image, "what?"])],
        [system, Message("user", [other, "what?"])],
    ]
    assert len({conversation_key(request, each) for each in (talk, *others)}) == 4
    texts = ["once", "once" * 1000, "once" * 1000 + "more"]
    keys = [conversation_key(ReplyRequest(text, completes=True), ()) for text in texts]
    assert keys[0] != keys[1] == keys[2]


def test_numbers_of_replicas() -> None:
    scales = Scales(["language=1-4,queue=2.5,gpus=1", "image=2", "b/language=3,cpus=0"])
    assert scales.of(LANGUAGE) == PartScale(1, 4, 2.5, gpus=1.0)
    assert scales.of("image", "a") == PartScale(2, 2) and scales.of("audio") == PartScale()
    assert scales.of(LANGUAGE, "a").max_replicas == 4
    assert scales.of(LANGUAGE, "b") == PartScale(3, 3, cpus=0.0)
    assert scales.of(API).cpus == 0
    scales.check({"a": [LANGUAGE, "image"], "b": [LANGUAGE]})
    with pytest.raises(ValueError, match=r"no part 'image' to scale.*api, language"):
        scales.check({"a": [LANGUAGE], "b": [LANGUAGE]})


@pytest.mark.parametrize(
    ("text", "says"),
    [("language", "PART=MIN-MAX"), ("language=x", "PART=MIN-MAX"), ("language=0", "max_replicas"),
     ("language=3-2", "max_replicas"), ("language=1,gpu=1", "'gpu'"), ("language=1,", "PART=MIN"),
     ("language=1,queue=0", "queue"), ("language=1,cpus=1.2.3", "no number")],
)  # fmt: skip
def test_numbers_that_make_no_sense(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as error:
        Scales([text])
    assert text in str(error.value)


def test_another_checkpoint_has_another_application(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(composition.find("nano"), folder)
    source = ModelSource("my/nano", str(folder))
    name = application_name(source)
    assert name.startswith("anymodal-model-my-nano-") and name == application_name(source)
    os.utime(folder / "model.safetensors", (1, 1))
    assert application_name(source) != name
    check_sources([source], Scales(["video=2"]))
    with pytest.raises(ValueError, match="two models have one name"):
        check_sources([source, source], Scales())


def test_a_run_isn_t_served_by_a_cluster(tmp_path: Path) -> None:
    (tmp_path / RUN_FILE).write_text("{}")
    source = ModelSource("run", str(tmp_path))
    assert source.is_run
    with pytest.raises(ValueError, match="anymodal export"):
        check_sources([source], Scales())


def test_a_model_that_speaks_isn_t_served_by_a_cluster(tmp_path: Path) -> None:
    silent = tiny_model()
    voice = {"voice": Modality(speaker=Beeper())}
    folder = tmp_path / "talker"
    AnyModal(silent.language, silent.projection, voice).save_pretrained(folder)
    source = ModelSource("talker", str(folder), trusted_packages=["tests"])
    assert source.facts.speakers == ["voice"] and source.facts.makers == {"speech": "voice"}
    # Before Ray is asked for anything, by a builder of KubeRay's too.
    with pytest.raises(ValueError, match=r"no speech yet, and 'talker' has a speaker \('voice'\)"):
        check_sources([source], Scales())
    with pytest.raises(ValueError, match="no speech yet"):
        model_application(source, Scales())


def test_options_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["serve", "nano", "--scale", "language=2"]) == 2
    assert "give --ray too" in capsys.readouterr().err


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
def test_without_ray_its_name_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["serve", "nano", "--ray"]) == 2
    assert "needs Ray: pip install 'anymodal[ray]'" in capsys.readouterr().err
