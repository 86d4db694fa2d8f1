"""The contract that every family of decoders keeps, on real pipelines of tiny size."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers import (
    DiffusionPipeline,
)
from torch import Tensor

from anymodal.decoders import DiffusionDecoder
from anymodal.heads import LinearHead
from anymodal.media import Video
from anymodal.training.losses import alignment_loss
from tests.support.decoders import (
    CAPTIONS,
    assert_alike,
    generator_of,
    latents,
    ours,
    theirs,
)
from tests.support.pipelines import FAMILIES


def test_reopened_weights_are_the_saved_ones(case: Any) -> None:
    _, folder, decoder = case
    again = DiffusionPipeline.from_pretrained(folder)
    for name, part in decoder.parts.items():
        for key, value in getattr(again, name).state_dict().items():
            assert torch.equal(value, part.state_dict()[key]), f"{name}.{key}"
    assert type(again).__name__ == type(decoder.pipeline).__name__


def test_identity_is_read_off_the_pipeline(case: Any) -> None:
    name, _, decoder = case
    known, spec = FAMILIES[name], decoder.spec
    assert (spec.length, spec.width, spec.pooled) == (known.length, known.width, known.pooled)
    assert 0.01 < spec.scale < 3
    metadata = json.loads(json.dumps(decoder.metadata()))
    assert metadata["prediction_type"] == known.prediction
    wanted = {"length": known.length, "width": known.width}
    assert metadata["conditioning"] == wanted | ({"pooled": known.pooled} if known.pooled else {})
    assert metadata["pipeline"] == known.pipeline


class Watched:
    """What a pipeline's network was first called with, and what the scheduler was first handed."""

    def __init__(self, pipeline: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[Any, Any]] = []
        self.steps: list[tuple[Tensor, Tensor]] = []
        network = getattr(pipeline, "transformer", None) or pipeline.unet
        self.hook = network.register_forward_pre_hook(
            lambda _, args, kwargs: self.calls.append((args, kwargs)), with_kwargs=True
        )
        kind = type(pipeline.scheduler)  # a call has a scheduler of its own
        step = kind.step

        @functools.wraps(step)  # pipelines look at its signature
        def watched(own: Any, output: Tensor, time: Tensor, *args: Any, **kwargs: Any) -> Any:
            self.steps.append((output, time))
            return step(own, output, time, *args, **kwargs)

        monkeypatch.setattr(kind, "step", watched)

    @property
    def tensors(self) -> list[Tensor]:
        """All tensors of the network's first call, as numbers."""
        leaves = torch.utils._pytree.tree_leaves(self.calls[0])
        return [leaf.float() for leaf in leaves if isinstance(leaf, Tensor)]

    @property
    def inputs(self) -> Tensor:
        args, kwargs = self.calls[0]
        shown = args[0] if args else kwargs["hidden_states"]
        return shown if isinstance(shown, Tensor) else torch.stack(list(shown)).squeeze(2)


def watched(
    decoder: DiffusionDecoder, make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> tuple[Any, Watched]:
    """What comes out, and what the network and the scheduler saw meanwhile."""
    with monkeypatch.context() as patch, torch.no_grad():
        seen = Watched(decoder.pipeline, patch)
        made = make()
    seen.hook.remove()
    return made, seen


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_captions_give_what_the_pipeline_makes_of_them(
    case: Any, guidance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, _, decoder = case
    known = FAMILIES[name]
    for captions in [[each] for each in CAPTIONS] if known.alone else [CAPTIONS]:
        make: Any = functools.partial(ours, decoder, captions, guidance)
        made, mine = watched(decoder, make, monkeypatch)
        make = functools.partial(theirs, known, decoder, captions, guidance)
        wanted, own = watched(decoder, make, monkeypatch)
        assert len(mine.tensors) == len(own.tensors) and len(made) == len(wanted)
        for a, b in zip(mine.tensors, own.tensors, strict=True):
            torch.testing.assert_close(a, b)
        assert_alike(decoder, made, wanted)


def test_a_caption_alone_is_what_it_is_in_company(case: Any) -> None:
    _, _, decoder = case
    with torch.no_grad():
        both = decoder.embed_captions(CAPTIONS)
        alone = [decoder.embed_captions([caption]) for caption in CAPTIONS]
    for together, *apart in zip(both, *alone, strict=True):
        if together is not None:
            torch.testing.assert_close(together, torch.cat(apart), rtol=1e-4, atol=1e-5)


def test_the_loss_calls_the_network_as_the_pipeline_does(
    case: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, _, decoder = case
    captions = CAPTIONS[:1] if FAMILIES[name].alone else CAPTIONS
    make = functools.partial(ours, decoder, captions, 1.0)
    _, seen = watched(decoder, make, monkeypatch)
    output, time = seen.steps[0]
    inputs, join = seen.inputs, getattr(decoder.family, "join", None)
    if join is not None:  # film and sound, each with a schedule
        inputs = join(inputs, seen.calls[0][1]["audio_hidden_states"])
        output = join(output, seen.steps[1][0])
    elif decoder.media is Video and len(output) != 2:  # frames one by one
        output = output.unflatten(0, (2, -1)).transpose(1, 2)  # (2 T, C, h, w) -> (2, C, T, h, w)
    unpacked = getattr(decoder.family, "unpack", lambda patches: patches)
    if getattr(decoder.family, "distilled", False):
        monkeypatch.setattr(decoder.family, "guidance", 1.0)
    with torch.no_grad():
        conditioning = decoder.embed_captions(captions)
        times = time.expand(len(captions))
        again = decoder.family.denoise(unpacked(inputs), times, conditioning)
    assert again.shape[1:] == decoder.family.latent_shape
    torch.testing.assert_close(again, unpacked(output), rtol=1e-4, atol=1e-5)


def test_alignment_lowers_the_distance(case: Any) -> None:
    _, _, decoder = case
    torch.manual_seed(0)
    with torch.no_grad():
        target = decoder.embed_captions(CAPTIONS)
    head = LinearHead(input_width=8, num_signal_tokens=2, spec=decoder.spec)
    hidden, losses = torch.randn(2, 2, 8), []
    optimiser = torch.optim.Adam(head.parameters(), 1e-2)
    for _ in range(20):
        loss = alignment_loss(head(hidden, hidden), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss))
    assert losses[-1] < 0.9 * losses[0]
    with torch.no_grad():
        assert torch.isfinite(decoder.loss(latents(decoder), head(hidden, hidden), generator_of(0)))


def test_captions_pass_gradients_when_they_are_wanted(case: Any) -> None:
    _, _, decoder = case
    decoder.zero_grad()
    decoder.loss(latents(decoder), decoder.embed_captions(CAPTIONS), generator_of(0)).backward()
    gradients = [p.grad for p in decoder.pipeline.text_encoder.parameters()]
    assert any(g is not None and g.abs().sum() > 0 for g in gradients)


def test_what_decides_captions_is_named(case: Any) -> None:
    _, _, decoder = case
    decoder.zero_grad()
    embeds, _, pooled = decoder.embed_captions(CAPTIONS)
    (embeds.sum() if pooled is None else embeds.sum() + pooled.sum()).backward()
    used = {name for name, weight in decoder.named_parameters() if weight.grad is not None}
    origin = decoder.captioning()
    named = {id(weight) for part in origin.modules for weight in part.parameters()}
    assert used and used <= {n for n, p in decoder.named_parameters() if id(p) in named}
    facts = json.dumps([dict(origin.metadata()), dict(decoder.encoding().metadata())])
    decoder.sample(decoder.unconditional(1), steps=2, guidance=3.0)
    assert json.dumps([dict(origin.metadata()), dict(decoder.encoding().metadata())]) == facts
