"""Rows without padding, and positions without a graph: losses and gradients stay as they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from anymodal.language import attention, flat_rows
from anymodal.language.costs import device_costs
from anymodal.language.flat_rows import FlatReader, RowPass
from anymodal.language.model import IGNORED, LanguageModel
from anymodal.language.packing import pack
from anymodal.language.signal_tokens import Signals
from anymodal.model import AnyModal
from anymodal.training.objectives import Dialogue
from anymodal.training.trainable import freeze_all_but, train_mode
from tests.support import language_kinds
from tests.support.language_kinds import tiny_tokenizer
from tests.support.tiny import compose, conversations
from tests.training.test_switches import BUILDERS

FLAT = ("llama", "gpt2", "granite", "cohere")
"""Of the kinds; Gemma 2 caps scores within its attention, OPT counts positions on its own, and
others have an attention of their own or none."""


@pytest.fixture(autouse=True)
def cheap_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of a test are too small for another pass to pay."""
    free = device_costs("cpu")._replace(call=0, launch=0)
    monkeypatch.setattr(flat_rows, "device_costs", lambda kind: free)


@pytest.fixture(scope="module")
def model() -> Iterator[AnyModal]:
    yield compose()


def results_of(dialogue: Dialogue, batch: Any) -> dict[str, Tensor]:
    """Losses, and gradients of all that trains."""
    dialogue.model.zero_grad()
    losses = dialogue.named_losses(batch)
    torch.stack([*losses.values()]).sum().backward()
    weights = {n: p.grad for n, p in dialogue.model.named_parameters() if p.requires_grad}
    return {**losses, **{name: grad for name, grad in weights.items() if grad is not None}}


@pytest.mark.parametrize(
    ("trainable", "passes"),
    [
        (["heads.*", "language.rows"], 2),
        (["heads.*"], 1),  # of conversations as wholes, without a graph
        (["projection.*"], 2),
        (["projection.*", "heads.*", "language.rows"], 2),
        (["language.model.*", "heads.*"], 1),
    ],
)
def test_losses_and_gradients_stay_as_they_are(
    model: AnyModal, trainable: list[str], passes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialogue = Dialogue(model)
    dialogue.use_losses({"text": 1, "align": 1})
    freeze_all_but(model, trainable)
    train_mode(model)
    dialogue.packed = False
    expected = results_of(dialogue, dialogue.collate(conversations()))
    dialogue.packed = None
    dialogue.use_flat_rows(True)
    batch = dialogue.collate(conversations())
    assert batch.packed.alone
    seen: list[int] = []
    read = LanguageModel.forward

    def counted(self: LanguageModel, embeds: Tensor, *rest: Any, **more: Any) -> Tensor:
        seen.append(embeds.shape[0] * embeds.shape[1])
        return read(self, embeds, *rest, **more)

    monkeypatch.setattr(LanguageModel, "forward", counted)
    result = results_of(dialogue, batch)
    assert len(seen) == passes and sum(seen) < sum(len(prompt.ids) for prompt in batch.prompts)
    assert result.keys() == expected.keys()
    # Processors with wide registers add up in another order: 1.4e-6 apart on one.
    for name, value in expected.items():
        torch.testing.assert_close(result[name], value, rtol=1e-5, atol=3e-6, msg=name)
    dialogue.use_flat_rows(True, frozen_prefix=False)
    batch = dialogue.collate(conversations())
    for name, value in results_of(dialogue, batch).items():
        torch.testing.assert_close(value, expected[name], rtol=1e-5, atol=3e-6, msg=name)


@pytest.mark.parametrize("kind", list(BUILDERS))
def test_rows_are_flat_only_where_that_changes_nothing(kind: str) -> None:
    torch.manual_seed(0)
    language = LanguageModel(BUILDERS[kind](), tiny_tokenizer()).eval()
    signals = Signals.add_to(language, {"pic": 2}, ["pic"])
    reader = FlatReader(language, signals)
    before = language.model.config._attn_implementation
    assert reader.works() is (kind in FLAT)
    assert language.model.config._attn_implementation == before
    if kind not in FLAT:
        return
    rows = torch.randint(0, 200, (3, 12)).tolist()
    for row, (start, length) in zip(rows, ((7, 9), (3, 12), (0, 11)), strict=True):
        row[start : start + 2] = signals.span("pic")
        del row[length:]
    labels = [[IGNORED] * len(row) for row in rows]
    labels[1][11] = 5
    packed = pack(rows, labels, False)
    embeds = language.embed(packed.ids)
    with torch.no_grad():
        whole = language(embeds)
    hidden = reader.read(embeds, reader.needs(packed))
    assert hidden.requires_grad
    for row, length in enumerate((9, 11, 2)):
        torch.testing.assert_close(hidden[row, :length], whole[row, :length], rtol=1e-4, atol=1e-5)
        assert not hidden[row, length:].any(), "nothing is computed that no loss depends on"


@pytest.mark.parametrize("window", [None, 3, 30])
def test_a_window_reaches_as_far_back_as_in_a_row(window: int | None) -> None:
    counts, before = np.array([4, 0, 6]), np.array([5, 7, 0])
    earlier = {nn.Identity(): (torch.zeros(0), torch.zeros(0))}
    mask = RowPass(counts, before, earlier, torch.device("cpu")).mask(window)
    assert mask is not None
    for row, (count, past) in enumerate(zip(counts.tolist(), before.tolist(), strict=True)):
        for query in range(count):
            seen = [key for key in range(7) if mask[row, 0, query, key]]
            seen += [past + key for key in range(6) if mask[row, 0, query, 7 + key]]
            first = 0 if window is None else max(0, past + query - window + 1)
            assert seen == list(range(first, past + query + 1))
    alone = RowPass(counts, np.zeros(3, int), {}, torch.device("cpu"))
    assert (alone.mask(window) is None) is (window != 3)


def test_what_long_sequences_alone_show_is_refused() -> None:
    for name, value in (
        ("rope_parameters", {"rope_type": "dynamic", "rope_theta": 1e4}),
        ("attention_chunk_size", 64),
    ):
        language = LanguageModel(language_kinds.BUILDERS["llama"](), tiny_tokenizer()).eval()
        reader = FlatReader(language, Signals.add_to(language, {"pic": 2}, []))
        assert reader.works()
        setattr(language.model.config, name, value)
        assert not reader.works()


@pytest.mark.parametrize("prefix", [0, 4])
def test_half_precision_of_short_rows_is_as_near_as_the_fused_kernel(
    prefix: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    module, counts = nn.Identity(), np.array([12, 30, 21])
    before = np.full(3, prefix)
    states = [torch.randn(1, heads, counts.sum(), 16) for heads in (4, 2, 2)]
    past = [torch.randn(3, 2, prefix, 16) for _ in range(2)]
    direction = torch.randn(1, counts.sum(), 4, 16)

    def attend(dtype: torch.dtype, short: int) -> list[Tensor]:
        """Attention's output, and the gradients of queries, keys and values."""
        monkeypatch.setattr(attention, "SHORT", short)
        key, value = (each.to(dtype) for each in past)
        earlier = {module: (key, value)} if prefix else {}
        inputs = [each.detach().to(dtype).requires_grad_() for each in states]
        rows = RowPass(counts, before, earlier, torch.device("cpu"))
        output = rows.attend(module, (inputs[0], inputs[1], inputs[2]), 0.0, None, None)
        output.backward(direction.to(dtype))
        return [output.detach().float(), *(each.grad.float() for each in inputs)]  # type: ignore[union-attr]

    exact = attend(torch.float32, 256)
    plain, fused = attend(torch.bfloat16, 256), attend(torch.bfloat16, 0)
    assert any(not torch.equal(*pair) for pair in zip(plain, fused, strict=True))
    with torch.autocast("cpu", torch.bfloat16):
        outputs = [attend(torch.float32, short)[0] for short in (256, 0)]
    assert torch.equal(outputs[0], exact[0]) and not torch.equal(outputs[1], exact[0])
    for true, ours, theirs in zip(exact, plain, fused, strict=True):
        assert (ours - true).norm() <= 1.1 * (theirs - true).norm() < 0.02 * true.norm()
