"""Models that see by themselves: conversations that forget, and many requests at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from anymodal.chat.session import Session
from anymodal.language.model import LanguageModel
from anymodal.media import Image
from anymodal.model import AnyModal
from anymodal.serving.engine import Engine, EngineSettings
from anymodal.serving.requests import ReplyRequest, ReplyStream
from anymodal.types import Done, Message
from tests.support.multimodal_models import MULTIMODAL_MODELS

BRIEF = {"max_new_tokens": 5, "temperature": 0.0}
PICTURES = [
    Image(np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8))
    for size in ((20, 37), (9, 60), (64, 64))
]
TALKS = [
    [Message("user", [PICTURES[0], "What is it?"])],
    [Message("user", ["One", PICTURES[1], "and", PICTURES[2]])],
    [Message("user", "Draw a ball")],
]


@pytest.fixture(scope="module", params=["qwen3-vl", "gemma-3", "llama-3.2-vision"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AnyModal:
    folder = tmp_path_factory.mktemp("backbone")
    MULTIMODAL_MODELS[request.param].write(folder)
    return AnyModal(LanguageModel.from_pretrained(str(folder)), None, {}, history_turns=2)


def test_a_conversation_forgets_as_if_it_began_there(model: AnyModal, tmp_path: Path) -> None:
    session = Session(model, tmp_path / "media", 0, **BRIEF)
    lengths = []
    for turn in range(4):
        if turn % 2 == 0:
            session.attach(PICTURES[turn // 2].save(tmp_path / f"{turn}.png"))
        shown = session.messages
        lengths.append(len(shown))
        list(session.ask("and?"))
        last = session.turns[-1]
        fresh = model.chat([*shown, last.question], **BRIEF)
        assert last.reply.text == fresh.text
    assert lengths == [0, 2, 4, 4]


def test_the_engine_answers_as_each_alone_and_reuses(model: AnyModal) -> None:
    async def read(engine: Engine, talk: list[Message]) -> tuple[Message, ReplyStream]:
        stream = await engine.submit(ReplyRequest(talk, seed=0, text=BRIEF))
        events = [event async for event in stream]
        assert isinstance(events[-1], Done)
        return events[-1].message, stream

    async def work() -> None:
        engine = Engine(model, EngineSettings())
        try:
            results = await asyncio.gather(*(read(engine, talk) for talk in TALKS))
            for talk, (reply, _) in zip(TALKS, results, strict=True):
                assert reply.text == model.chat(talk, **BRIEF).text
            further = [*TALKS[0], results[0][0], Message("user", "and?")]
            reply, stream = await read(engine, further)
            assert reply.text == model.chat(further, **BRIEF).text
            first = len(model.prompts.build(TALKS[0], reply=True).ids)
            assert reply.usage is not None and reply.usage.cached >= first - 1, stream
        finally:
            await asyncio.to_thread(engine.close)

    asyncio.run(asyncio.wait_for(work(), 120))
