"""NaN and infinity are no media: what made them is named, and nothing else is lost."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from anymodal.chat.session import Session
from anymodal.decoders import DiffusionDecoder
from anymodal.decoders.base import NonFiniteError
from anymodal.model import AnyModal
from anymodal.types import Conditioning, MediumReady
from tests.support.pipelines import FAMILIES
from tests.support.tiny import tiny_model

ASK: dict[str, Any] = {"steps": 2, "guidance": 1.0}
CAPTIONS = ["a big red ball", "a small blue bird moving left"]
KINDS = ["sigma", "stable_audio", "latte", "wan", "audioldm", "cogvideox", "flux"]


@contextmanager
def spoilt(module: nn.Module, value: float, rows: Any = slice(None)) -> Iterator[None]:
    """Let a module give a value in the place of what it computes, in some rows of its batch."""

    def spoil(_module: Any, _inputs: Any, output: Any) -> None:
        found = output[0] if isinstance(output, tuple) else output
        found = getattr(found, "sample", found)
        found[rows].fill_(value)

    hook = module.register_forward_hook(spoil)
    try:
        yield
    finally:
        hook.remove()


def made_of(decoder: DiffusionDecoder, count: int = 2) -> list[Any]:
    with torch.no_grad():
        asked = decoder.embed_captions(CAPTIONS[:count])
    generators = [torch.Generator().manual_seed(seed) for seed in range(count)]
    return decoder.sample(asked, **ASK, generator=generators)


def digests(media: list[Any]) -> list[str | None]:
    return [None if each is None else each.digest() for each in media]


@pytest.fixture(scope="module", params=KINDS)
def decoder(request: pytest.FixtureRequest) -> DiffusionDecoder:
    torch.manual_seed(0)
    known = FAMILIES[request.param]
    return DiffusionDecoder(known.build(), **known.options).eval()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_an_autoencoder_spoils_is_named(decoder: DiffusionDecoder, value: float) -> None:
    before = digests(made_of(decoder))
    told = f"{type(decoder.pipeline.vae).__name__}, which decodes in torch.float32"
    with spoilt(decoder.pipeline.vae.decoder, value):
        with pytest.raises(NonFiniteError, match=told) as error:
            made_of(decoder)
    assert type(decoder.pipeline).__name__ in str(error.value)
    assert error.value.partial == [None, None]
    assert digests(made_of(decoder)) == before, "nothing of the failed call stays"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_a_denoiser_spoils_is_named(decoder: DiffusionDecoder, value: float) -> None:
    name = type(decoder.family.network).__name__
    with spoilt(decoder.family.network, value):
        with pytest.raises(NonFiniteError, match=f"{name}, which denoises in torch.float32"):
            made_of(decoder)


def test_the_others_of_a_batch_are_kept() -> None:
    torch.manual_seed(0)
    decoder = DiffusionDecoder(FAMILIES["sigma"].build()).eval()
    good = digests(made_of(decoder))
    with spoilt(decoder.pipeline.vae.decoder, float("inf"), slice(0, 1)):
        with pytest.raises(NonFiniteError, match="item 1 of 2") as error:
            made_of(decoder)
    assert digests(error.value.partial) == [None, good[1]]


def test_what_helps_is_said() -> None:
    torch.manual_seed(0)
    decoder = DiffusionDecoder(FAMILIES["sigma"].build()).eval().to(torch.bfloat16)
    with spoilt(decoder.pipeline.vae.decoder, float("nan")):
        with pytest.raises(
            NonFiniteError, match=r"in torch.bfloat16; open it in float32, or .*steps"
        ):
            made_of(decoder)


def test_a_conditioning_that_is_not_finite_is_named(decoder: DiffusionDecoder) -> None:
    asked = decoder.unconditional(2)
    embeds = asked.embeds.clone()
    embeds[1, 0, 0] = torch.nan
    with pytest.raises(NonFiniteError, match="conditioning holds NaN"):
        decoder.sample(asked._replace(embeds=embeds), **ASK)


def test_what_a_decoder_cannot_take_is_told(decoder: DiffusionDecoder) -> None:
    asked = decoder.unconditional(2)
    with pytest.raises(ValueError, match="1 generators for 2 items"):
        decoder.sample(asked, **ASK, generator=[torch.Generator()])
    for captions in ([], (), "a ball"):
        with pytest.raises(ValueError, match="at least one text"):
            decoder.embed_captions(captions)
    none = Conditioning(*(None if each is None else each[:0] for each in asked))
    assert decoder.sample(none, **ASK) == []
    for steps, guidance in (("5", 1.0), (2, float("nan")), (2.5, 1.0), (10**9, 1.0)):
        with pytest.raises(ValueError, match="must be a"):
            decoder.sample(asked, steps=steps, guidance=guidance)


# ---- In a chat ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model() -> AnyModal:
    return copy.deepcopy(tiny_model())


def test_a_turn_that_makes_no_medium_leaves_the_history(model: AnyModal, tmp_path: Path) -> None:
    session = Session(model, tmp_path / "out", 1)
    list(session.ask("hello"))
    with spoilt(model.decoders["image"].pipeline.vae.decoder, float("nan")):
        events = []
        with pytest.raises(NonFiniteError, match="the decoder of 'image': .*AutoencoderKL"):
            for event in session.ask("draw a ball"):
                events.append(event)
    assert not any(isinstance(event, MediumReady) for event in events)
    assert len(session.turns) == 1 and not session.out.exists()
    list(session.ask("draw a ball"))
    assert session.turns[1].reply.media


def test_the_other_replies_of_a_batch_are_kept(model: AnyModal) -> None:
    talks = [["hello"], ["draw a ball"], ["draw a ball"], ["draw and play a ball"]]
    good = model.chat(talks, seed=3)
    with spoilt(model.decoders["image"].pipeline.vae.decoder, float("nan"), slice(1, 2)):
        with pytest.raises(
            NonFiniteError, match="in conversation 3: the decoder of 'image'"
        ) as error:
            model.chat(talks, seed=3)
    kept = error.value.partial
    assert [each is None for each in kept] == [False, False, True, False]
    for each, wanted in zip(kept, good, strict=True):
        if each is not None:
            assert each.text == wanted.text and digests(each.media) == digests(wanted.media)


def test_scores_of_a_language_model_that_are_not_finite_end_the_turn(model: AnyModal) -> None:
    weight = model.language.embedding.weight
    kept = weight.detach().clone()
    try:
        with torch.no_grad():
            weight[0, 0] = torch.nan
        for settings in ({}, {"temperature": 1.0}):
            with pytest.raises(ValueError, match="scores are not finite"):
                model.chat("hello", **settings)
    finally:
        with torch.no_grad():
            weight.copy_(kept)
    assert model.chat("hello").text == "Hello!"


SCHEDULERS = [
    *("DDIMScheduler", "DDPMScheduler", "DEISMultistepScheduler", "DPMSolverMultistepScheduler"),
    *("DPMSolverSDEScheduler", "DPMSolverSinglestepScheduler", "EulerAncestralDiscreteScheduler"),
    *("EulerDiscreteScheduler", "HeunDiscreteScheduler", "KDPM2DiscreteScheduler"),
    *("LMSDiscreteScheduler", "UniPCMultistepScheduler"),
]


def state_of(scheduler: Any) -> dict[str, Any]:
    return {
        name: value.tolist() if isinstance(value, Tensor | np.ndarray) else copy.deepcopy(value)
        for name, value in vars(scheduler).items()
    }


@pytest.mark.parametrize("name", [*SCHEDULERS, *sorted(FAMILIES)])
def test_a_scheduler_is_as_it_was_after_a_call(name: str) -> None:
    torch.manual_seed(0)
    family = FAMILIES["stable_diffusion" if name in SCHEDULERS else name]
    decoder = DiffusionDecoder(family.build(), **family.options).eval()
    if name in SCHEDULERS:
        kind = getattr(diffusers, name)
        decoder.pipeline.scheduler = kind.from_config(decoder.pipeline.scheduler.config)
    scheduler, before = decoder.pipeline.scheduler, state_of(decoder.pipeline.scheduler)
    first = digests(made_of(decoder))
    assert decoder.pipeline.scheduler is scheduler and repr(state_of(scheduler)) == repr(before)
    assert digests(made_of(decoder)) == first
