"""Several threads on one model, one after another they say the same; and copies of a model."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from anymodal.chat.session import Session
from anymodal.decoders import DiffusionDecoder
from anymodal.media import Image
from anymodal.model import AnyModal
from anymodal.types import Done
from tests.support.pipelines import FAMILIES
from tests.support.tiny import REPLIES, felt, picture, sound, tiny_model

ASKED: list[Any] = [
    *REPLIES,
    [picture(1), "what is this?"],
    [sound(2), "what is this?"],
    [felt(3), "what is this?"],
    [picture(4), felt(4), "draw a ball"],
]
"""Text alone, media out, and media of every kind in."""


@pytest.fixture(scope="module")
def model() -> AnyModal:
    return tiny_model()


def shown(message: Any) -> tuple[str, list[str]]:
    return message.text, [medium.digest() for medium in message.media]


def at_once(work: Callable[[Any], Any], jobs: list[Any], threads: int = 8) -> list[Any]:
    barrier = threading.Barrier(threads)
    with ThreadPoolExecutor(threads, initializer=barrier.wait) as pool:
        return list(pool.map(work, jobs))


def test_calls_of_every_kind_give_at_once_what_they_give_alone(model: AnyModal) -> None:
    def ask(job: tuple[int, int]) -> Any:
        which, seed = job
        hot = {"temperature": 1.0, "max_new_tokens": 24} if seed % 2 else {}
        return shown(model.chat(ASKED[which], seed=seed, **hot))

    jobs = [(index % len(ASKED), index % 5) for index in range(120)]
    alone = {job: ask(job) for job in jobs}
    assert at_once(ask, jobs) == [alone[job] for job in jobs]
    assert not [each for each in threading.enumerate() if each.name.startswith("medium")]


def test_sessions_and_batches_of_one_model_are_apart(model: AnyModal, tmp_path: Path) -> None:
    def talk(number: int) -> Any:
        if number % 2:
            replies = model.chat([["draw a ball"], ["hello"], [picture(number), "hello"]], seed=2)
            return [shown(reply) for reply in replies]
        session = Session(model, tmp_path / str(threading.get_ident()), 5)
        for text in ("hello", "draw a ball"):
            for event in session.ask(text):
                if isinstance(event, Done):
                    last = event.message
        return shown(last)

    jobs = list(range(12))
    alone = [talk(job) for job in jobs]
    assert at_once(talk, jobs, 4) == alone


@pytest.mark.parametrize("name", ["sigma", "stable_diffusion_3", "wan", "audioldm_2", "cogvideox"])
def test_a_decoder_takes_calls_of_every_kind_at_once(name: str) -> None:
    torch.manual_seed(0)
    known = FAMILIES[name]
    decoder = DiffusionDecoder(known.build(), **known.options).eval()
    captions = ["a big red ball", "a small bird", "a bell moving left fast"]

    @torch.no_grad()
    def work(job: int) -> Any:
        caption = captions[job % 3]
        asked = decoder.embed_captions([caption])
        generator = torch.Generator().manual_seed(job)
        if job % 2:
            latents = torch.randn(1, *decoder.family.latent_shape, generator=generator)
            return float(decoder.loss(latents, asked, generator))
        how: dict[str, Any] = {"steps": 2 + job % 3, "guidance": 1.0 + job % 4}
        return decoder.sample(asked, **how, generator=generator)[0].digest()

    jobs = list(range(12))
    alone = [work(job) for job in jobs]
    assert at_once(work, jobs, 4) == alone


def test_a_call_within_a_call_changes_neither() -> None:
    torch.manual_seed(0)
    decoder = DiffusionDecoder(FAMILIES["stable_diffusion"].build()).eval()
    asked = decoder.unconditional(1)

    def make(steps: int, guidance: float, progress: Any = None) -> str:
        generator = torch.Generator().manual_seed(steps)
        how = {"steps": steps, "guidance": guidance, "generator": generator}
        return decoder.sample(asked, **how, progress=progress)[0].digest()

    outer, inner = make(4, 3.0), make(2, 1.0)
    found: list[str] = []
    assert make(4, 3.0, lambda *_: found.append(make(2, 1.0))) == outer
    assert found == [inner] * 4


def test_a_failing_callback_leaves_the_decoder_free(model: AnyModal) -> None:
    decoder = model.decoders["image"]
    wanted = shown(model.chat("draw a ball", seed=1))
    asked = decoder.unconditional(1)

    def fail(_step: int, _steps: int) -> None:
        raise LookupError("the user's own")

    for _ in range(3):
        with pytest.raises(LookupError, match="the user's own"):
            decoder.sample(asked, steps=3, guidance=2.0, progress=fail)
    with ThreadPoolExecutor(1) as pool:  # another thread finds no lock held
        assert pool.submit(lambda: shown(model.chat("draw a ball", seed=1))).result(60) == wanted


# ---- Copies ------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_a_copy_answers_alike_and_is_its_own(model: AnyModal, way: Callable[[Any], Any]) -> None:
    wanted = [shown(model.chat(each, seed=3)) for each in ASKED]
    other = way(model)
    assert [shown(other.chat(each, seed=3)) for each in ASKED] == wanted
    mine = {each.data_ptr() for each in (*model.parameters(), *model.buffers())}
    assert not mine & {each.data_ptr() for each in (*other.parameters(), *other.buffers())} - {0}
    for name, decoder in other.decoders.items():
        assert other.modalities[name].decoder is decoder
        for part, module in decoder.parts.items():
            assert getattr(decoder.pipeline, part) is module
        assert decoder.lock is not model.decoders[name].lock
    with torch.no_grad():
        for weight in other.parameters():
            weight.zero_()
    assert [shown(model.chat(each, seed=3)) for each in ASKED] == wanted


def test_a_copy_does_not_remember_the_empty_caption_of_the_first(model: AnyModal) -> None:
    decoder = model.decoders["image"]
    decoder.unconditional(1)
    other = copy.deepcopy(decoder)
    with torch.no_grad():
        for weight in other.pipeline.text_encoder.parameters():
            weight.mul_(1.5)
    assert not torch.equal(other.unconditional(1).embeds, decoder.unconditional(1).embeds)


def test_an_offloaded_decoder_says_why_it_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    if not torch.accelerator.is_available():
        monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
        monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cpu"))
    decoder = DiffusionDecoder(FAMILIES["sigma"].build(), offload="leaf").eval()
    for way in (copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="offload='leaf' can't be copied or pickled"):
            way(decoder)
    asked = decoder.unconditional(1)

    def work(seed: int) -> str:
        generator = torch.Generator().manual_seed(seed)
        (made,) = decoder.sample(asked, steps=2, guidance=2.0, generator=generator)
        assert isinstance(made, Image)
        return made.digest()

    alone = [work(seed) for seed in range(4)]
    assert at_once(work, list(range(4)), 4) == alone
