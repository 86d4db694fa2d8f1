"""Preference training: its losses by their papers' formulas, its reference, and runs."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from anymodal.config import ConfigError
from anymodal.data.preferences import PreferenceSample, RatedReply
from anymodal.io.feature_cache import FeatureCache
from anymodal.language.model import IGNORED, LanguageModel
from anymodal.language.packing import Place
from anymodal.model import AnyModal
from anymodal.training.losses import DPO, DiffusionDPO, build_losses, diffusion_dpo_loss
from anymodal.training.objectives import Preference
from anymodal.training.run import fit, read_run
from anymodal.training.trainable import freeze_all_but
from anymodal.types import Message, Target
from tests.support.composed import preferences, write_model
from tests.support.runs import assert_same, last, read_log, stages, write
from tests.support.tiny import compose, picture

CHOSEN, REJECTED = np.array([-4.0, -9.0, -2.5]), np.array([-6.0, -8.5, -2.0])
OF_REFERENCE = np.array([-5.0, -9.5, -2.0]), np.array([-5.5, -8.0, -2.5])


def log_sigmoid(values: np.ndarray) -> np.ndarray:
    return -np.log1p(np.exp(-values))


def differences() -> np.ndarray:
    """log π(w)/π_ref(w) - log π(l)/π_ref(l)."""
    return (CHOSEN - OF_REFERENCE[0]) - (REJECTED - OF_REFERENCE[1])


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        # Rafailov et al. 2023, equation 7.
        ({"beta": 0.3}, -log_sigmoid(0.3 * differences())),
        # As TRL has label_smoothing: labels are wrong with probability ε.
        (
            {"label_smoothing": 0.1},
            -0.9 * log_sigmoid(0.1 * differences()) - 0.1 * log_sigmoid(-0.1 * differences()),
        ),
        # Azar et al. 2023, equation 17: (h - 1 / 2τ)².
        ({"kind": "ipo", "beta": 0.2}, (differences() - 1 / 0.4) ** 2),
    ],
)
def test_dpo_is_the_published_formula(settings: dict[str, Any], expected: np.ndarray) -> None:
    gains = [
        torch.from_numpy(own - of) for own, of in zip((CHOSEN, REJECTED), OF_REFERENCE, strict=True)
    ]
    losses = DPO(**settings).pair_losses(*gains)
    np.testing.assert_allclose(losses.numpy(), expected)


def test_simpo_is_the_published_formula() -> None:
    """Meng et al. 2024, equation 6, over log-likelihoods per token."""
    per_token = CHOSEN / np.array([2, 3, 1]), REJECTED / np.array([3, 2, 1])
    expected = -log_sigmoid(2.5 * per_token[0] - 2.5 * per_token[1] - 1.25)
    loss = DPO(kind="simpo", beta=2.5, margin=1.25)
    assert loss.length_normalized
    np.testing.assert_allclose(
        loss.pair_losses(*map(torch.from_numpy, per_token)).numpy(), expected
    )


def test_diffusion_dpo_is_the_published_formula() -> None:
    """As diffusers' train_diffusion_dpo.py: scale_term = -0.5 β times (model_diff - ref_diff)."""
    rng = np.random.default_rng(0)
    own, reference = rng.random((2, 4)), rng.random((2, 4))
    inside = -0.5 * 7.0 * ((own[0] - own[1]) - (reference[0] - reference[1]))
    losses = diffusion_dpo_loss(torch.from_numpy(own), torch.from_numpy(reference), 7.0)
    np.testing.assert_allclose(losses.numpy(), -log_sigmoid(inside))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"dpo": {"kind": "simp"}}, "no kind of dpo; did you mean 'simpo'"),
        ({"dpo": {"beta": 0}}, "beta must be more than 0"),
        ({"dpo": {"label_smoothing": 0.5}}, "at least 0 and below 0.5"),
        ({"dpo": {"kind": "ipo", "label_smoothing": 0.1}}, "ipo has no label_smoothing"),
        ({"diffusion_dpo": {"beta": -1}}, "beta must be a finite number of at least 0"),
    ],
)
def test_wrong_settings_are_told(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        build_losses(settings, {"dpo": DPO, "diffusion_dpo": DiffusionDPO})


@pytest.fixture
def objective() -> Preference:
    torch.manual_seed(0)
    model = compose()
    model.language.enable_lora(r=2, dropout=0.2)
    freeze_all_but(model, ["heads.*", "language.rows", "*lora_*"])
    objective = Preference(model)
    objective.feature_cache = FeatureCache()
    objective.use_losses({"dpo": 1, "diffusion_dpo": 1})
    objective.remember_start()
    return objective


def move(model: AnyModal) -> None:
    """Change what trains, as steps would."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.1 * torch.randn(parameter.shape, generator=generator)


def alone(model: AnyModal, messages: list[Message], common: int) -> Tensor:
    """The log-likelihood of what follows the shared messages, token by token from all scores."""
    prompt = model.prompts.build(messages, reply=False)
    own = [m if n >= common else Message(m.role, m.content, supervised=False)
           for n, m in enumerate(messages)]  # fmt: skip
    labels = model.prompts.build(own, reply=False).labels
    ids = torch.tensor([prompt.ids])
    embeds = model.embed([prompt], ids, [Place(0, 0)])
    scores = model.language.logits(model.language(embeds))[0].log_softmax(-1)
    places = [place for place in range(1, len(labels)) if labels[place] != IGNORED]
    assert any(labels[place] in model.signals.starts for place in places) == any(
        isinstance(part, Target) for part in messages[-1].content
    ), "the choice of a medium counts"
    return torch.stack([scores[place - 1, labels[place]] for place in places]).sum()


def both_alone(model: AnyModal, samples: list[PreferenceSample]) -> Tensor:
    sides = ([each.chosen for each in samples], [each.rejected for each in samples])
    commons = [each.common for each in samples]
    return torch.stack(
        [torch.stack([*map(partial(alone, model), side, commons)]) for side in sides]
    )


def test_likelihoods_are_of_the_replies_and_the_reference_s_of_the_start(
    objective: Preference,
) -> None:
    samples = preferences(4)
    model: Any = objective.model
    model.eval()
    with torch.no_grad():
        before = both_alone(model, samples)
        move(model)
        moved = {name: value.clone() for name, value in model.state_dict().items()}
        states = objective.states(objective.collate(samples))
        after = both_alone(model, samples)
    torch.testing.assert_close(states.log_probs, after, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(states.reference_log_probs, before, rtol=1e-4, atol=1e-3)
    assert not torch.allclose(before, after, atol=0.1)
    assert_same(model.state_dict(), moved)


def test_at_the_start_nothing_is_preferred(objective: Preference) -> None:
    objective.model.eval()
    batch = objective.collate(preferences(6))
    assert batch.reply_pairs == [0, 1, 3, 4]
    assert batch.media_pairs == {"image": [(1, 4), (3, 5)], "audio": []}
    losses = objective(batch)
    for name, count in (("dpo", 4), ("diffusion_dpo", 2)):
        (part,) = [each for each in losses[name] if each.over]
        assert part.over == count and part.value is not None and part.figures is not None
        assert part.value.item() == pytest.approx(math.log(2), abs=1e-3)
        figures = dict(zip(objective.losses[name].figures, part.figures.tolist(), strict=True))
        assert abs(figures["reward_margin"]) < 2e-3 and figures["reference_distance"] < 1e-3


def test_a_step_costs_one_language_model(
    objective: Preference, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []
    forward = LanguageModel.forward

    def noting(self: LanguageModel, embeds: Tensor, *args: Any, **more: Any) -> Tensor:
        rows.append(len(embeds))
        return forward(self, embeds, *args, **more)

    batch = objective.collate(preferences(3))  # tries whether the model packs
    monkeypatch.setattr(LanguageModel, "forward", noting)
    first = objective.states(batch)
    count, rows[:] = len(rows), []
    move(objective.model)  # type: ignore[arg-type]
    second = objective.states(batch)
    # Two of the six differ in a medium to be made alone, which the language model doesn't see.
    assert count == 1 + 5 and len(rows) == 1, "each conversation alone, and then none"
    assert_same(first.reference_log_probs, second.reference_log_probs)
    objective.feature_cache = FeatureCache()
    third = objective.states(objective.collate(preferences(2)))
    assert first.reference_log_probs is not None
    assert_same(third.reference_log_probs, first.reference_log_probs[:, :2])


def test_pairs_move_apart(objective: Preference) -> None:
    model = objective.model
    samples = [sample for n, sample in enumerate(preferences(6)) if n % 3 < 2]  # whose texts differ
    objective.use_losses({"dpo": {"beta": 1.0}})
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 0.01)
    for _ in range(12):
        optimizer.zero_grad()
        losses = objective.named_losses(objective.collate(samples))
        torch.stack([*losses.values()]).sum().backward()
        optimizer.step()
    model.eval()
    (part,) = objective(objective.collate(samples))["dpo"]
    figures = dict(zip(objective.losses["dpo"].figures, part.figures.tolist(), strict=True))
    assert figures["accuracy"] == 1 and figures["reward_margin"] > 0.1
    assert figures["reference_distance"] > 0.01


def test_what_is_no_pair_is_refused(objective: Preference) -> None:
    request, reply = Message("user", ["hello"]), Message("assistant", ["Hello!"])
    with pytest.raises(ValueError, match="a RatedReply isn't a pair"):
        objective.collate([RatedReply([request, reply], True)])
    with pytest.raises(ValueError, match="the chosen side of pair 0 of the batch has no reply"):
        objective.collate([PreferenceSample([request], [request, reply])])


def test_a_pair_that_no_loss_learns_from_is_refused(objective: Preference) -> None:
    samples = preferences(3)
    objective.use_losses({"diffusion_dpo": 1})
    assert objective.collate(samples[2:]).media_pairs["image"] == [(0, 1)]
    with pytest.raises(ValueError, match="pair 1 .* no two media .*; add dpo.*load_targets: true"):
        objective.collate([samples[2], samples[0]])
    objective.use_losses({"diffusion_dpo": 1, "text": 1})
    assert objective.collate(samples).num_pairs == 3
    objective.use_losses({"dpo": 1})
    with pytest.raises(ValueError, match="differ in media to be made alone, .* add diffusion_dpo"):
        objective.collate(samples)


def test_scores_are_margins_of_pairs(objective: Preference) -> None:
    sides = torch.tensor([1.0, -1.0]), torch.tensor([0.5, 0.5])
    loss = DPO(beta=0.5, margin=0.25, score_margin=2.0)
    inside = 0.5 * (sides[0] - sides[1]).numpy() - 0.25 - 2.0 * np.array([0.5, 0.0])
    values = loss.pair_losses(*sides, torch.tensor([0.5, 0.0])).numpy()
    np.testing.assert_allclose(values, -log_sigmoid(inside), rtol=1e-6)
    objective.use_losses({"dpo": {"score_margin": 1.0}})
    sample = preferences(1)[0]
    with pytest.raises(ValueError, match="pair 0 of the batch has no scores"):
        objective.collate([sample])
    (part,) = objective(objective.collate([replace(sample, margin=3.0)]))["dpo"]
    assert part.value is not None and part.value.item() == pytest.approx(3.05, abs=1e-2)


def test_a_shown_medium_alone_makes_a_pair(objective: Preference) -> None:
    reply = Message("assistant", ["A ball."])
    sides = [[Message("user", [picture(n), "what is this?"]), reply] for n in (1, 2)]
    batch = objective.collate([PreferenceSample(*sides)])
    assert batch.reply_pairs == [0]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("parts"))


def test_a_run_logs_rewards_and_goes_on_to_the_bit(parts: Path, tmp_path: Path) -> None:
    AnyModal.compose(parts).save_pretrained(tmp_path / "saved")
    stage = {**stages(parts, tmp_path)["prefer"], "batch_size": 2}
    stage["data"] = {"_target_": "tests.support.composed.CutPreferences"}
    validation = {"data": stage["data"], "every": 2, "batches": 1}
    fit(read_run(write(tmp_path, "straight", validation=validation, **stage)))
    other = write(tmp_path, "other", **stage)
    with pytest.raises(OSError, match="the power is cut"):
        fit(read_run(other, ["+data.cut=6"]))
    assert last(tmp_path / "other")["global_step"] == 2
    fit(read_run(other))
    first, second = last(tmp_path / "straight"), last(tmp_path / "other")
    for key in ("state_dict", "optimizer_states", "batches"):
        assert_same(first[key], second[key])
    out = tmp_path / "straight"
    for name in ("dpo/reward_margin", "dpo/accuracy", "dpo/reference_distance"):
        assert read_log(out, name) and read_log(out, f"validation/{name}")
    assert read_log(out, "diffusion_dpo/image/accuracy")
