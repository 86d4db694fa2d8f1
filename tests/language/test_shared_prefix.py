"""Conversations that begin alike: one pass for all batches, and losses as they were."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from anymodal.language import flat_rows
from anymodal.language.costs import device_costs
from anymodal.language.flat_rows import MAX_SHARED, FlatReader, Needs
from anymodal.language.model import IGNORED, LanguageModel
from anymodal.language.packing import pack
from anymodal.language.shared_prefix import shared_beginning
from anymodal.language.signal_tokens import Signals
from anymodal.model import AnyModal
from anymodal.training.objectives import Dialogue
from anymodal.training.trainable import freeze_all_but, train_mode
from anymodal.types import Message
from tests.support.language_kinds import tiny_tokenizer
from tests.support.tiny import compose, conversations
from tests.training.test_flat_rows import FLAT, results_of
from tests.training.test_switches import BUILDERS

SYSTEM = Message("system", "Look closely, and answer in a few plain words.")


def talks() -> list[list[Message]]:
    return [[SYSTEM, *talk] for talk in conversations()]


@pytest.fixture
def model() -> AnyModal:
    torch.manual_seed(0)
    return compose()


@pytest.mark.parametrize("frozen_prefix", [True, False])
@pytest.mark.parametrize("trainable", [["heads.*", "language.rows"], ["projection.*"]])
def test_losses_and_gradients_stay_as_they_are(
    model: AnyModal,
    trainable: list[str],
    frozen_prefix: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    free = device_costs("cpu")._replace(call=0, launch=0)
    monkeypatch.setattr(flat_rows, "device_costs", lambda kind: free)
    dialogue = Dialogue(model)
    dialogue.use_losses({"text": 1, "align": 1})
    freeze_all_but(model, trainable)
    train_mode(model)
    sizes: list[int] = []
    read = LanguageModel.forward

    def counted(self: LanguageModel, embeds: Tensor, *rest: Any, **more: Any) -> Tensor:
        sizes.append(embeds.shape[0] * embeds.shape[1])
        result: Tensor = read(self, embeds, *rest, **more)
        return result

    monkeypatch.setattr(LanguageModel, "forward", counted)
    dialogue.use_flat_rows(True, frozen_prefix, shared_prefix=False)
    plain = dialogue.collate(talks())
    sizes.clear()
    expected = results_of(dialogue, plain)
    before = sum(sizes)
    dialogue.use_flat_rows(True, frozen_prefix)
    batch = dialogue.collate(talks())
    assert batch.needs is not None
    shared = len(batch.needs.shared)
    assert shared > 10 and {prompt.opening for prompt in batch.prompts} == {shared}
    sizes.clear()
    first = results_of(dialogue, batch)
    assert sum(sizes) == before - (len(talks()) - 1) * shared
    sizes.clear()
    second = results_of(dialogue, dialogue.collate(talks()))
    assert sum(sizes) == before - len(talks()) * shared, "it is computed once"
    assert first.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(first[name], value, rtol=1e-5, atol=1e-6, msg=name)
        assert torch.equal(first[name], second[name]), "whichever batch comes first"
    with torch.no_grad():
        held_out = dialogue.named_losses(dialogue.collate(talks()))
    for name, value in held_out.items():
        torch.testing.assert_close(value, expected[name].detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", FLAT)
def test_hidden_states_of_several_kinds_stay_as_they_are(kind: str) -> None:
    torch.manual_seed(0)
    language = LanguageModel(BUILDERS[kind](), tiny_tokenizer()).eval()
    language.requires_grad_(False)
    reader = FlatReader(language, Signals.add_to(language, {"pic": 2}, ["pic"]))
    rows = torch.randint(0, 200, (3, 12))
    rows[:, :5] = rows[0, :5]
    packed = pack(rows.tolist(), [[*[IGNORED] * 11, 5]] * 3, False)
    needs = reader.needs(packed, [5, 6, 7])
    assert needs == Needs([11] * 3, [5] * 3, tuple(rows[0, :5].tolist()))
    embeds = language.embed(packed.ids)
    with torch.no_grad():
        whole = language(embeds)
        hidden = reader.read(embeds, needs)
    torch.testing.assert_close(hidden[:, 5:11], whole[:, 5:11], rtol=1e-5, atol=1e-5)
    assert not hidden[:, :5].any()


def test_a_model_that_trains_shares_nothing_and_says_so(
    model: AnyModal, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "anymodal")
    dialogue = Dialogue(model)
    freeze_all_but(model, ["projection.*"])
    dialogue.use_flat_rows(True)
    assert not caplog.text
    freeze_all_but(model, ["language.model.*"])
    dialogue.use_flat_rows(True)
    assert "is computed in each of them, since the language model trains" in caplog.text
    batch = dialogue.collate(talks())
    assert batch.needs is not None and batch.needs.shared == ()


def test_few_beginnings_are_kept(model: AnyModal) -> None:
    reader = FlatReader(model.language, model.signals)
    model.requires_grad_(False)
    for number in range(MAX_SHARED + 3):
        reader._shared_keys((1, 2, 3, number), 2)
    assert [key[0][3] for key in reader._shared] == [3, 4, 5, 6]  # type: ignore[index]


IDS = np.array([[7, 1, 2, 3, 4, 5, 6], [7, 1, 2, 3, 4, 9, 9], [7, 1, 2, 3, 4, 5, 5]])


@pytest.mark.parametrize(
    ("openings", "needed", "trains", "length"),
    [
        ([7, 7, 7], [(0, 6), (1, 6), (2, 6)], [], 5),
        ([7, 7, 7], [(0, 6), (2, 6)], [], 6),  # the second row has nothing to learn
        ([7, 4, 7], [(0, 6), (1, 6)], [], 4),
        ([7, 7, 7], [(0, 6), (1, 4)], [], 4),
        ([7, 7, 7], [(0, 6), (1, 6)], [(1, 4)], 4),
        ([7, 7, 7], [(0, 6), (1, 6)], [(1, 3)], 0),  # too few to be worth it
        ([7, 7, 7], [(0, 6)], [], 0),
        ([7, 7, 7], [], [], 0),
    ],
)
def test_beginnings_of_rows(
    openings: list[int], needed: list[tuple[int, int]], trains: list[tuple[int, int]], length: int
) -> None:
    masks = []
    for places in (needed, trains):
        mask = np.zeros(IDS.shape, bool)
        for place in places:
            mask[place] = True
        masks.append(mask)
    assert shared_beginning(IDS, *masks, openings) == tuple(IDS[0, :length].tolist())
