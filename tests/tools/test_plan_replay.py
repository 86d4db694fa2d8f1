"""Calls that a plan doesn't compute again leave the same storages in the same order."""

from __future__ import annotations

import contextlib
from pathlib import Path

import torch

from anymodal.decoders import DiffusionDecoder
from anymodal.tools.plan.answering import workloads_of
from anymodal.tools.plan.replay import replayed
from anymodal.tools.plan.tracing import MemoryTracker, fake_tensors
from tests.support import pipelines


def trace(decoder: DiffusionDecoder, replay: bool) -> tuple[MemoryTracker, int]:
    """A tracker that saw a medium made, and how often the denoiser's blocks were computed."""
    counts = []
    with fake_tensors(decoder) as fake, torch.no_grad():
        networks = list(fake.parts.values())
        names = {id(m): name for name, part in fake.parts.items() for m in part.modules()}
        tracker = MemoryTracker(fake, names, names)
        blocks = fake.get_submodule("parts.transformer.blocks")
        blocks[0].register_forward_hook(lambda *_: counts.append(1))
        (work,) = workloads_of(fake, 1)
        again = replayed(networks, tracker) if replay else contextlib.nullcontext()
        with tracker.tracking(), again:
            work(tracker)
    return tracker, len(counts)


def test_a_repeated_call_is_noted_as_it_was_computed(tmp_path: Path) -> None:
    case = pipelines.FAMILIES["wan"]
    DiffusionDecoder(case.build(), **case.options).save_pretrained(tmp_path)
    decoder = DiffusionDecoder.from_pretrained(tmp_path, **case.options, weights=False)
    computed, calls = trace(decoder, replay=False)
    replay, once = trace(decoder, replay=True)
    assert once == 1 < calls
    # What is in circles is freed whenever garbage is collected, perhaps after the last event.
    count = min(len(replay.events), len(computed.events))
    assert replay.events[:count] == computed.events[:count]
    later = [*replay.events[count:], *computed.events[count:]]
    assert all(size < 0 for _, size, _ in later)
    assert replay.names_by_tensor == computed.names_by_tensor
    assert replay.peaks() == computed.peaks()


def test_a_call_that_keeps_something_is_computed_each_time() -> None:
    class Keeping(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kept: list[torch.Tensor] = []

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            self.kept.append(values + 1)
            return values * 2

    with fake_tensors(Keeping()) as model, torch.no_grad():
        tracker = MemoryTracker(model, {}, {})
        with tracker.tracking(), replayed([model], tracker):
            results = [model(torch.zeros(3)) for _ in range(3)]
    assert len(model.kept) == 3 and results[0].shape == (3,)
    assert "forward" not in vars(model)
