"""What makes training cheaper and leaves its losses as they are."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import BloomConfig, BloomForCausalLM, MambaConfig, MambaForCausalLM

from anymodal.config import ConfigError
from anymodal.language import packing
from anymodal.language.model import LanguageModel
from anymodal.language.packing import pack
from anymodal.model import AnyModal
from anymodal.toybox.dataset import ToyboxDialogues
from anymodal.training.batches import Batches
from anymodal.training.configuration import Run
from anymodal.training.objectives import Dialogue
from anymodal.training.precompute import fill_feature_cache
from anymodal.training.regional import find_regions, transform_regions
from anymodal.training.run import fit, read_run
from anymodal.types import Message
from tests.support import language_kinds
from tests.support.composed import write_model
from tests.support.language_kinds import tiny_tokenizer
from tests.support.runs import read_log, write
from tests.support.tiny import conversations, felt, picture, tiny_model

# ---- Rows --------------------------------------------------------------------------------------


def _bloom() -> Any:
    size = len(tiny_tokenizer())
    config = BloomConfig(
        vocab_size=size, hidden_size=16, n_layer=2, n_head=2, initializer_range=0.3
    )
    return BloomForCausalLM(config)


def _mamba() -> Any:
    size = len(tiny_tokenizer())
    config = MambaConfig(
        vocab_size=size, hidden_size=16, num_hidden_layers=2, state_size=4, initializer_range=0.3
    )
    return MambaForCausalLM(config)


BUILDERS = {**language_kinds.BUILDERS, "bloom": _bloom, "mamba": _mamba}


@pytest.fixture(params=list(BUILDERS))
def language(request: pytest.FixtureRequest) -> LanguageModel:
    torch.manual_seed(0)
    return LanguageModel(BUILDERS[request.param](), tiny_tokenizer()).eval()


def loss_of(language: LanguageModel, sequences: list[list[int]], together: bool) -> torch.Tensor:
    packed = pack(sequences, sequences, together)
    embeds = language.embed(packed.ids)
    return language.loss(language(embeds, positions=packed.positions), packed.labels)


def test_a_language_model_packs_only_where_that_changes_nothing(language: LanguageModel) -> None:
    texts = ["Draw a big red ball, please.", "What do you hear?", "Make it green."]
    sequences = [language.encode_text(text) for text in texts]
    with torch.no_grad():
        alone = [loss_of(language, [ids], False) for ids in sequences]
        counts = torch.tensor([len(ids) - 1 for ids in sequences])
        expected = (torch.stack(alone) * counts).sum() / counts.sum()
        padded = loss_of(language, sequences, False)
        packed = loss_of(language, sequences, True)
    torch.testing.assert_close(padded, expected, rtol=1e-4, atol=1e-5)
    unknowing = ("OPTForCausalLM", "BloomForCausalLM", "MambaForCausalLM")
    assert language.packs is (type(language.model).__name__ not in unknowing)
    assert torch.allclose(packed, expected, rtol=1e-4, atol=1e-5) is language.packs


@pytest.fixture(scope="module")
def model() -> Iterator[AnyModal]:
    yield tiny_model()


def test_longer_rows_lose_what_short_ones_lose(
    model: AnyModal, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialogue = Dialogue(model)
    dialogue.use_losses({"text": 1, "align": 1})
    talks = conversations() * 2
    with torch.no_grad():
        short = dialogue.named_losses(dialogue.collate(talks))
        monkeypatch.setattr(packing, "_cost", lambda filled, *_: -max(filled))
        batch = dialogue.collate(talks)
        assert batch.packed.ids.shape[1] > packing.ROW
        long = dialogue.named_losses(batch)
    for name, loss in short.items():
        torch.testing.assert_close(long[name], loss, rtol=1e-4, atol=1e-5)


def test_rows_are_packed_where_that_costs_less() -> None:
    alike, uneven = [[1] * 30] * 16, [[1] * 5] * 60 + [[1] * 150] * 2
    for width, sequences, alone in (
        (256, alike, True),
        (256, uneven, False),
        (4096, alike, True),
        (4096, uneven, False),
    ):
        packed = pack(sequences, sequences, None, width)
        assert packed.alone is alone
        assert packed.alone is (len(packed.ids) == len(sequences))


def test_rows_of_their_own_lose_what_packed_rows_lose(model: AnyModal) -> None:
    dialogue = Dialogue(model)
    dialogue.use_losses({"text": 1, "align": 1})
    talks = [conversations()[index] for index in (1, -1, 5, 0, -2)]
    found = []
    for dialogue.packed in (True, False):
        batch = dialogue.collate(talks)
        with torch.no_grad():
            found.append((len(batch.packed.ids), dialogue.named_losses(batch)))
    (rows, packed), (alone, padded) = found
    assert rows < alone == len(talks)
    assert packed.keys() == padded.keys() == {"text", "align"}
    for name in packed:
        torch.testing.assert_close(packed[name], padded[name], rtol=1e-4, atol=1e-5)


def test_each_encoder_runs_once_for_a_batch(model: AnyModal) -> None:
    seen: list[tuple[str, int]] = []
    hooks = [
        encoder.register_forward_hook(
            lambda _, given, __, name=name: seen.append((name, len(given[0])))
        )
        for name, encoder in model.encoders.items()
    ]
    talks = [
        [
            Message("user", [picture(seed), felt(seed), picture(seed + 9)]),
            Message("assistant", ["A"]),
        ]
        for seed in range(3)
    ]
    try:
        with torch.no_grad():
            Dialogue(model)(Dialogue(model).collate(talks))
    finally:
        for hook in hooks:
            hook.remove()
    assert sorted(seen) == [("image", 6), ("imu", 3)]


# ---- Grouping ----------------------------------------------------------------------------------


class Lengths(list):
    def length(self, index: int) -> int:
        return self[index]


def flat(batches: list[list[int]]) -> list[int]:
    return sorted(chain.from_iterable(batches))


def test_grouped_batches_hold_like_lengths_and_every_sample() -> None:
    torch.manual_seed(0)
    data = Lengths(torch.randint(1, 100, (60,)).tolist())

    def first(start: int, count: int, grouped: int) -> list[list[int]]:
        batches = iter(Batches(data, list, 4, 0, lambda: start, length_group_batches=grouped))
        return [next(batches) for _ in range(count)]

    plain, grouped = first(0, 15, 1), first(0, 15, 5)
    assert first(7, 8, 5) == grouped[7:], "a batch depends on seed and number alone"
    assert flat(plain) == flat(grouped) == sorted(data)
    for group in range(3):  # the same samples, dealt otherwise
        some = slice(5 * group, 5 * group + 5)
        assert flat(plain[some]) == flat(grouped[some])
    padded = [sum(len(b) * max(b) - sum(b) for b in batches) for batches in (plain, grouped)]
    assert padded[1] < 0.3 * padded[0]
    firsts = [sum(batch) for batch in grouped[:5]]
    assert firsts != sorted(firsts), "not always from short to long"
    with pytest.raises(
        ValueError, match=r"length_group_batches=2 .*which range doesn't tell.*length\(index\)"
    ):
        Batches(range(5), list, 2, 0, length_group_batches=2)


def test_groups_end_with_their_epoch() -> None:
    data = Lengths((7 * k) % 61 for k in range(61))
    batches = Batches(data, list, 4, 0, length_group_batches=64)
    epoch = [batches.indices(k) for k in range(16)]
    assert {i for some in epoch for i in some} == set(range(61)), "all come before any comes again"
    again = [batches.indices(k) for k in range(16, 31)]  # with 61 - 3 samples, and 2 of a third
    assert len({i for some in again for i in some}) >= 58
    few = Batches(Lengths([1, 2, 3]), list, 4, 0, length_group_batches=64)
    assert len(few.indices(9)) == 4


def test_a_step_has_the_same_samples_however_many_batches_it_has() -> None:
    data = Lengths((7 * k) % 61 for k in range(61))
    large = Batches(data, list, 8, 0, length_group_batches=4)
    small = Batches(data, list, 4, 0, length_group_batches=8, step_batches=2)
    for step in range(20):
        assert large.indices(step) == small.indices(2 * step) + small.indices(2 * step + 1)


def test_the_toybox_tells_lengths_near_those_of_tokens(model: AnyModal) -> None:
    data = ToyboxDialogues(60, max_joined=4, kinds={"image>text": 1, "text>audio": 1})
    talks = [data[index] for index in range(len(data))]
    told = torch.tensor([float(data.length(index)) for index in range(len(data))])
    found = torch.tensor([float(len(model.prompts.build(d, reply=False).ids)) for d in talks])
    assert torch.corrcoef(torch.stack([told, found]))[0, 1] > 0.9


# ---- Switches ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("parts"))


def losses_of(parts: Path, folder: Path, name: str, **changes: Any) -> list[float]:
    """The losses of four steps that train everything a gradient goes through."""
    run = {
        "model": {"_target_": "anymodal.AnyModal.compose", "config": str(parts)},
        "data": {"_target_": "tests.support.composed.talks"},
        "stage": {
            "trainable": ["projection.*", "heads.*", "language.rows"],
            "losses": {"text": 1, "align": 1},
        },
        **changes,
    }
    path = write(folder, name, **run)
    if "feature_cache" in changes:
        fill_feature_cache(path)
    _, module = fit(read_run(path))
    for part in module.modules():
        assert "forward" not in vars(part), "switched back"
    return read_log(folder / name)


def test_every_switch_leaves_the_losses_as_they_are(parts: Path, tmp_path: Path) -> None:
    plain = losses_of(parts, tmp_path, "plain")
    assert len(plain) == 4 and len(set(plain)) == 4
    for name, changes in (
        ("fused", {"optimizer": {"fused": True}}),
        ("padded", {"packed": False}),
        ("activation_checkpointing", {"activation_checkpointing": True}),
        (
            "filled",
            {"feature_cache": {"dir": str(tmp_path / "cache")}, "activation_checkpointing": True},
        ),
    ):
        assert losses_of(parts, tmp_path, name, **changes) == pytest.approx(plain, rel=1e-3), name
    cast = losses_of(parts, tmp_path, "cast", precision="bf16-mixed", activation_checkpointing=True)
    assert cast == pytest.approx(plain, rel=0.05)


@pytest.fixture
def quick_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """All but the last step of compiling, which takes a C++ compiler half a minute."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()


def test_a_compiled_run_loses_what_a_plain_one_loses(
    parts: Path, tmp_path: Path, quick_compiler: None
) -> None:
    one = {"stage": {"trainable": ["projection.*"], "losses": {"text": 1}}, "steps": 3}
    plain = losses_of(parts, tmp_path, "plain", **one)
    compiled = losses_of(parts, tmp_path, "compiled", **one, compile=True)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] >= 1
    assert compiled == pytest.approx(plain, rel=1e-3)


class Uneven(list):
    """Conversations of many lengths; `dealt` orders them so that plain batches are grouped ones."""

    def __init__(self, dealt: int | None = None, batch_size: int = 3) -> None:
        talks = [
            [
                Message("user", ["draw a ball " * (1 + 5 * n % 12)]),
                Message("assistant", [f"Ball {n}"]),
            ]
            for n in range(12)
        ]
        super().__init__(talks)
        if dealt is not None:
            grouped, plain = (
                Batches(self, list, batch_size, 0, length_group_batches=n) for n in (dealt, 1)
            )
            count = len(talks) // batch_size
            wanted, places = (
                [i for k in range(count) for i in b.indices(k)] for b in (grouped, plain)
            )
            for place, index in zip(places, wanted, strict=True):
                self[place] = talks[index]

    def length(self, index: int) -> int:
        return sum(len(text) for message in self[index] for text in message.content)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_grouped_run_trains_on_the_batches_that_it_was_dealt(
    parts: Path, tmp_path: Path, workers: int
) -> None:
    same = {
        "stage": {"trainable": ["language.model.*"], "losses": {"text": 1}},
        "packed": False,
        "workers": workers,
    }
    data = {"_target_": "tests.training.test_switches.Uneven"}
    plain = losses_of(parts, tmp_path, "plain", **same, data=data)
    grouped = losses_of(
        parts, tmp_path, "length_group_batches", **same, data=data, length_group_batches=4
    )
    by_hand = losses_of(parts, tmp_path, "by_hand", **same, data={**data, "dealt": 4})
    assert grouped == by_hand and grouped != plain


class Stack(nn.Module):
    """Blocks with a dropout, whose random numbers a second computation must draw again."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.ModuleList([nn.Linear(8, 8), nn.Linear(8, 8)])
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Dropout(0.5), nn.Linear(32, 8))
            for _ in range(4)
        )

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        for part in [*self.stem, *self.blocks]:
            values = values + part(values)
        return values


def test_regions_are_the_blocks_that_repeat(model: AnyModal) -> None:
    stack = Stack()
    assert find_regions(stack) == list(stack.blocks)
    regions = find_regions(model)
    assert set(model.language.backbone.layers) <= set(regions)
    assert len(set(regions)) == len(regions)
    inside = {part for region in regions for part in region.modules() if part is not region}
    assert not inside & set(regions), "none within another"


def gradients(stack: Stack, values: torch.Tensor) -> list[torch.Tensor]:
    torch.manual_seed(1)
    found = torch.autograd.grad(stack(values).square().mean(), list(stack.parameters()))
    return list(found)


def test_checkpointed_blocks_have_the_same_gradients_and_hold_less() -> None:
    torch.manual_seed(0)
    stack, values = Stack(), torch.randn(16, 8)
    held: list[int] = []

    def hold(tensor: torch.Tensor) -> torch.Tensor:
        held[-1] += tensor.numel()
        return tensor

    found = []
    for checkpointed in (False, True):
        with transform_regions(stack, compiled=False, checkpointed=checkpointed):
            found.append(gradients(stack, values))
            held.append(0)
            with torch.autograd.graph.saved_tensors_hooks(hold, lambda tensor: tensor):
                stack(values)
    torch.testing.assert_close(found[0], found[1])
    assert held[1] < 0.5 * held[0]


def test_compiled_blocks_share_code_and_run_as_they_are_without_a_gradient(
    quick_compiler: None,
) -> None:
    torch.manual_seed(0)
    stack, values = Stack().eval(), torch.randn(16, 8)
    plain, expected = stack(values), gradients(stack, values)
    with transform_regions(stack, compiled=True, checkpointed=False):
        found = gradients(stack, values)
        gradients(stack, torch.randn(5, 8))
        with torch.no_grad():
            assert torch.equal(stack(values), plain)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    torch.testing.assert_close(found, expected)


def test_fused_updates_and_scaled_gradients_are_kept_apart() -> None:
    settings = {
        "model": None,
        "data": None,
        "output_dir": "x",
        "steps": 1,
        "stage": {"losses": {"a": 1}},
    }
    with pytest.raises(ConfigError, match=r"switch it off, or take precision=bf16-mixed"):
        Run.from_config({**settings, "precision": "16-mixed", "optimizer": {"fused": True}})
