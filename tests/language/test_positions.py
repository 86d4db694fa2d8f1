"""Media that take as many positions as their encoder says, with marks or shared positions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from anymodal.chat.turn import embed_prompts
from anymodal.encoders import Encoder
from anymodal.io.feature_cache import FeatureCache
from anymodal.language.kv_cache import PrefixCache
from anymodal.language.model import IGNORED
from anymodal.language.positions import axes_of, offset_after, with_places
from anymodal.media import Image
from anymodal.modality import Modality
from anymodal.model import AnyModal
from anymodal.projection import Projection
from anymodal.projection.linear import scaled_linear
from anymodal.serving.engine import Engine, EngineSettings
from anymodal.serving.requests import ReplyRequest
from anymodal.training.objectives import Dialogue
from anymodal.types import Done, Features, MediaPositions, Message, SoftRun
from tests.support.language_kinds import make


class Rows(Encoder):
    """The mean colour of each of a picture's rows, however many it has, three rows to a strip."""

    media: Any = Image
    width = 3

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(3))

    def prepare(self, media: Any) -> Tensor:
        return torch.tensor(np.array(media.pixels)).float().mean(1) / 255

    def collate(self, prepared: Sequence[Tensor]) -> Tensor:
        return nn.utils.rnn.pad_sequence([*prepared], batch_first=True, padding_value=-1.0)

    def token_runs(self, media: Any) -> tuple[str | int, ...]:
        rows = len(media.pixels)
        counts = [min(3, rows - first) for first in range(0, rows, 3)]
        return tuple(part for number in counts for part in (f"strip {number}:", number))

    def forward(self, batch: Tensor) -> Features:
        return Features(batch * self.gain, batch[..., 0] >= 0)

    def embed(self, batch: Tensor) -> Tensor:
        return batch.mean(1)


class TokenWise(Projection):
    """A soft token for each of the encoder's; all of a strip at one position where `shared`."""

    def __init__(self, width: int, shared: bool = False) -> None:
        super().__init__(output_width=width, num_tokens=1)
        self.shared, self.maps = shared, nn.ModuleDict()
        self.add_modality("image", 3)

    def _add(self, name: str, width: int) -> None:
        self.maps[name] = scaled_linear(width, self.output_width, 1.0)

    def _project(self, modality: str, features: Features) -> Tensor:
        tokens: Tensor = self.maps[modality](features.values)
        return tokens

    def positions_of(self, modality: str, runs: tuple[str | int, ...]) -> MediaPositions:
        def run(count: int) -> SoftRun:
            return SoftRun(count, ((0,) * count,), 1) if self.shared else SoftRun(count)

        return tuple(part if isinstance(part, str) else run(part) for part in runs)


def compose(shared: bool = False) -> AnyModal:
    language = make("llama")
    projection = TokenWise(language.width, shared)
    return AnyModal(language, projection, {"image": Modality(encoder=Rows())})


@pytest.fixture(scope="module", params=[False, True], ids=["places", "shared"])
def model(request: pytest.FixtureRequest) -> AnyModal:
    torch.manual_seed(0)
    return compose(request.param)


def picture(rows: int, seed: int = 0) -> Image:
    return Image(np.random.default_rng(seed).integers(0, 256, (rows, 2, 3), np.uint8))


TALK = [Message("user", [picture(4), "or", picture(2, 1), "what?"])]


def test_an_item_takes_what_its_encoder_says_with_its_marks(model: AnyModal) -> None:
    prompt = model.prompts.build(TALK, reply=True)
    soft = model.signals.placeholder("image")
    mark = model.language.encode_mark
    first, second = prompt.media
    assert [len(first.places), len(second.places)] == [4, 2]
    whole = [*mark("strip 3:"), *[soft] * 3, *mark("strip 1:"), soft]
    at = first.start - len(mark("strip 3:"))
    assert prompt.ids[at : at + len(whole)] == whole
    assert second.start == at + len(whole) + len(mark("or")) + len(mark("strip 2:"))
    keys = prompt.keys()
    assert [keys[place] for place in first.places] == [(first.key, n) for n in range(4)]
    if prompt.axes is not None:  # three that share a position: what follows is two nearer
        start = first.start
        expected = [start, start, start, start + 1]
        assert prompt.axes[0, start : start + 4].tolist() == expected


def test_soft_tokens_stand_in_their_slots_and_nothing_else_changes(model: AnyModal) -> None:
    prompts = [model.prompts.build(talk, reply=True) for talk in (TALK, TALK[:1])]
    ids = torch.tensor([prompts[0].ids])
    embeds = model.embed(prompts[:1], ids, [(0, 0)], {})  # type: ignore[list-item]
    plain = model.language.embed(ids)
    slots = [place for item in prompts[0].media for place in item.places]
    changed = (embeds != plain).any(-1)[0].nonzero().flatten().tolist()
    assert changed == slots
    for item in prompts[0].media:
        (tokens,) = model.soft_tokens({"image": [item.media]})["image"]
        torch.testing.assert_close(embeds[0, [*item.places]], tokens)


def test_slots_and_soft_tokens_agree_or_both_counts_are_told(
    model: AnyModal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model.projection, "positions_of", lambda name, runs: (SoftRun(9),))
    with pytest.raises(ValueError, match="9 places .* projection gives 4"):
        embed_prompts(model, [TALK])
    monkeypatch.setattr(model.projection, "positions_of", lambda name, runs: ("<picture>",))
    with pytest.raises(ValueError, match="takes no position"):
        embed_prompts(model, [TALK])
    monkeypatch.setattr(
        model.projection, "positions_of", lambda name, runs: (SoftRun(2, ((0, 0),) * 3),)
    )
    with pytest.raises(ValueError, match=r"shape \(3, 2\).* have 1 axes"):
        embed_prompts(model, [TALK])


def test_a_mark_that_is_not_filled_keeps_its_own_embedding(
    model: AnyModal, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = SoftRun(1, filled=False)
    monkeypatch.setattr(model.projection, "positions_of", lambda name, runs: (mark,))
    (prompt,) = embed_prompts(model, [TALK])
    built = model.prompts.build(TALK, reply=True)
    assert torch.equal(prompt.embeds, model.language.embed(built.ids))
    # What follows depends on the medium all the same, so another medium is no common beginning.
    keys = list[object](built.ids)
    for reference in built.media:
        keys[reference.start] = (reference.key, 0)
    assert prompt.keys == keys


TALKS = [
    TALK,
    [Message("user", "hello")],
    [Message("user", ["see", picture(7, 2)]), Message("assistant", "no"), *TALK],
]


def test_alone_in_a_batch_in_the_engine_and_over_turns_it_is_the_same(model: AnyModal) -> None:
    alone = [model.chat(talk, max_new_tokens=8, seed=0).text for talk in TALKS]
    together = model.chat(TALKS, max_new_tokens=8, seed=0)
    assert [reply.text for reply in together] == alone

    async def answer(engine: Engine, talk: list[Message]) -> str:
        stream = await engine.submit(ReplyRequest(talk, seed=0, text={"max_new_tokens": 8}))
        return [event.message.text async for event in stream if isinstance(event, Done)][-1]

    async def ask() -> list[str]:
        engine = Engine(model, EngineSettings())
        try:
            return await asyncio.gather(*(answer(engine, talk) for talk in TALKS * 2))
        finally:
            await asyncio.to_thread(engine.close)

    assert asyncio.run(ask()) == alone * 2
    cache, talk = PrefixCache(model.language), list(TALK)
    for text in ("and now?", "again?"):
        warm = model.chat(talk, max_new_tokens=8, seed=0, cache=cache)
        assert warm.text == model.chat(talk, max_new_tokens=8, seed=0).text
        talk = [*talk, warm, Message("user", [picture(5, 3), text])]
    assert warm.usage is not None and warm.usage.cached > 10


def test_choices_are_scored_behind_their_prompts(model: AnyModal) -> None:
    texts = ["yes", "no no"]
    alone = [model.chat(talk, choices=texts, seed=0).choices for talk in TALKS]
    together = [reply.choices for reply in model.chat(TALKS, choices=texts, seed=0)]
    for one, other in zip(alone, together, strict=True):
        for left, right in zip(one, other, strict=True):
            assert left.logprob == pytest.approx(right.logprob, abs=1e-4)
    prompt = embed_prompts(model, [TALK])[0]
    ids, at = model.language.encode_text("yes"), len(prompt.keys)
    whole = torch.cat([prompt.embeds, model.language.embed(ids)])[None]
    tail = torch.arange(at, at + len(ids))[None] + offset_after(prompt.positions)
    own = torch.arange(at)[None] if prompt.positions is None else prompt.positions[1:]
    positions = with_places(torch.cat([own, tail], 1))[:, None]
    scores = model.language.logits(model.language(whole, positions=positions)[0])
    scores[:, model.signals.first_id : model.signals.stop_id] = float("-inf")
    shares = scores.log_softmax(-1)
    stops = sorted(model.language.stops)
    tokens = [shares[at - 1 + place, token] for place, token in enumerate(ids)]
    expected = torch.stack([*tokens, shares[at - 1 + len(ids), stops].logsumexp(-1)]).sum()
    assert alone[0][0].logprob == pytest.approx(float(expected), abs=1e-4)


def learn() -> list[list[Message]]:
    """Conversations of several lengths, to be learned."""
    return [[*talk, Message("assistant", "a red ball")] for talk in TALKS]


def test_rows_are_packed_padded_or_flat_with_the_same_loss(model: AnyModal) -> None:
    objective = Dialogue(model)
    objective.use_losses({"text": 1.0})
    objective.packed, losses, shapes = False, [], []
    for packed in (False, True, None):
        objective.packed = packed
        objective.use_flat_rows(packed is None)
        batch = objective.collate(learn())
        shapes.append(len(batch.packed.ids))
        losses.append(objective.named_losses(batch)["text"])
    objective.use_flat_rows(False)
    for loss in losses[1:]:
        torch.testing.assert_close(loss, losses[0])
    shared = model.prompts.build(TALK, reply=True).axes is not None
    # One axis: positions that don't follow one another can't tell where a sequence ends.
    assert shapes[0] == 3 and shapes[1] == (3 if shared else 1)
    alone = [objective.named_losses(objective.collate([talk]))["text"] for talk in learn()]
    counts = [int((p != IGNORED).sum()) for p in batch.packed.labels]
    mean = sum(loss * count for loss, count in zip(alone, counts, strict=True)) / sum(counts)
    torch.testing.assert_close(mean, losses[0])


def test_features_of_several_lengths_are_cached(model: AnyModal, tmp_path: Any) -> None:
    objective = Dialogue(model)
    objective.use_losses({"text": 1.0})
    plain = objective.named_losses(objective.collate(learn()))["text"]
    for cache in (FeatureCache(), FeatureCache(folder=tmp_path)):
        objective.feature_cache = cache
        model.requires_grad_(False)
        objective.precompute(objective.collate(learn()[:1]))
        objective.open_cache()
        batch = objective.collate(learn())
        assert [shape[0] for shape in batch.prepared["image"].shapes.values()] == [7]
        assert torch.equal(objective.named_losses(batch)["text"], plain)


def test_axes_go_on_behind_what_media_take() -> None:
    grid = SoftRun(4, ((0, 0, 0, 0), (0, 0, 1, 1), (0, 1, 0, 1)), advance=2)
    axes = axes_of([(1, grid), (5, SoftRun(1))], 8, 3)
    assert axes is not None
    assert axes.tolist() == [
        [0, 1, 1, 1, 1, 3, 4, 5],
        [0, 1, 1, 2, 2, 3, 4, 5],
        [0, 1, 2, 1, 2, 3, 4, 5],
    ]
    assert offset_after(with_places(axes)) == -2 and offset_after(None) == 0
    assert axes_of([(1, SoftRun(4))], 8, 3) is None
