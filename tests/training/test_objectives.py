"""Every objective keeps the contract: batches with counts, losses over as many things, a cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from anymodal.config import ConfigError
from anymodal.io.feature_cache import FeatureCache
from anymodal.training.building import build
from anymodal.training.losses import WeightedLoss
from anymodal.training.objectives import Dialogue, Objective
from anymodal.training.run import read_run, train_model
from tests.support import composed
from tests.support.runs import stages, write

KINDS = ("perceive", "express", "bind", "diffusion", "language", "autoencoder")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Objective[Any, Any], Any]]:
    folder = tmp_path_factory.mktemp("objectives")
    parts = composed.write_model(folder / "parts")
    found = {}
    for kind in KINDS:
        run = read_run(write(folder, kind, **stages(parts, folder)[kind]))
        found[kind] = build(run)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_losses_are_over_as_many_things_as_were_counted(built: Any, kind: str) -> None:
    objective, data = built[kind]
    batch = objective.collate([data[index] for index in range(4)])
    counts = objective.counts(batch)
    known = {name for name, loss in objective.known_losses.items() if loss.is_default}
    assert counts.keys() == objective.losses.keys() == known
    with torch.no_grad():
        losses = objective(batch)
    assert losses.keys() == counts.keys()
    for name, parts in losses.items():
        for part in parts:
            assert isinstance(part, WeightedLoss) and part.over == counts[name][part.part]
            assert (part.value is not None and part.value.isfinite()) or not part.over
    named = {name for name, parts in counts.items() if any(parts.values())}
    with torch.no_grad():
        assert named <= objective.named_losses(batch).keys()


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_are_the_models_own(built: Any, kind: str) -> None:
    objective, _ = built[kind]
    own = dict(objective.named_parameters())
    assert {f"model.{name}" for name, _ in objective.model.named_parameters()} == own.keys()


@pytest.mark.parametrize("kind", ["express", "diffusion"])
def test_a_computed_cache_answers_for_the_parts(built: Any, kind: str) -> None:
    objective, data = built[kind]
    objective.model.requires_grad_(False)
    objective.feature_cache = FeatureCache()
    samples = [data[index] for index in range(4)]
    batch = objective.collate(samples)
    with torch.no_grad():
        objective.precompute(batch)
        computed = objective.feature_cache.computed_bytes
        assert computed > 0
        objective.prefetch(batch)
        objective(batch)
    assert objective.feature_cache.computed_bytes == computed, "nothing was computed again"
    objective.feature_cache = None


@pytest.mark.parametrize("kind", ["bind", "language", "autoencoder"])
def test_those_that_keep_nothing_say_so(built: Any, kind: str) -> None:
    objective, data = built[kind]
    with pytest.raises(ConfigError, match="has no frozen part whose results are kept; train"):
        objective.precompute(objective.collate([data[0]]))


def test_what_no_loss_needs_is_not_computed(built: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    objective, data = built["perceive"]
    objective.use_losses({"text": 1})
    for head in objective.model.heads.values():
        monkeypatch.setattr(head, "forward", None)
    batch = objective.collate([data[index] for index in range(len(data))])
    assert any(objective.model.heads) and objective(batch).keys() == {"text"}
    objective.use_losses(dict.fromkeys(objective.known_losses, 1))


def test_a_model_that_is_not_composed_needs_another_objective() -> None:
    with pytest.raises(ConfigError, match="Toy is no composed model, which Dialogue trains; give"):
        Dialogue(composed.Toy())  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="another objective"):
        train_model(composed.Toy(), [], losses={"text": 1}, steps=1)  # type: ignore[type-var]


def test_parts_that_are_not_counted_are_refused(tmp_path: Path) -> None:
    class Odd(composed.Square):
        def __call__(self, batch: Any, states: Any) -> list[WeightedLoss]:
            return [WeightedLoss(states.square().mean(), len(batch), "other")]

    objective = composed.Regression(composed.Toy())
    objective.known_losses["odd"] = Odd
    with pytest.raises(ConfigError, match="'odd' gives a part 'other' that its count"):
        train_model(
            objective,
            composed.Numbers(),
            losses={"odd": 1},
            steps=1,
            loggers=False,
            trainer={"accelerator": "cpu", "enable_progress_bar": False},
        )
