"""Losses: how far conditioning is from a caption's, and losses from a stage's settings."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anymodal.config import ConfigError
from anymodal.training.losses import (
    CAPTION_CONDITIONING,
    FEATURES,
    LATENTS,
    Align,
    LossSettings,
    alignment_errors,
    alignment_loss,
    build_losses,
    needs_of,
)
from anymodal.training.objectives.dialogue import DIALOGUE_LOSSES
from anymodal.types import Conditioning

KINDS = ("l2", "mse", "cosine")


def conditioning(seed: int, pooled: bool = True) -> Conditioning:
    generator = torch.Generator().manual_seed(seed)
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    extra = torch.randn(2, 3, generator=generator) if pooled else None
    return Conditioning(torch.randn(2, 4, 6, generator=generator), mask, extra)


def test_l2_is_the_mean_norm_of_the_difference() -> None:
    predicted, target = conditioning(0, pooled=False), conditioning(1, pooled=False)
    target = target._replace(mask=torch.ones(2, 4, dtype=torch.bool))
    expected = np.linalg.norm((predicted.embeds - target.embeds).numpy(), axis=-1).mean()
    assert alignment_loss(predicted, target).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("loss", KINDS)
def test_alignment_is_zero_only_at_the_target_and_zero_padding(loss: str) -> None:
    target = conditioning(1)
    padding = ~target.mask.unsqueeze(-1)
    perfect = target._replace(embeds=target.embeds.masked_fill(padding, 0))
    assert alignment_loss(perfect, target, loss).item() == pytest.approx(0, abs=1e-6)
    for spoiled in (
        perfect._replace(embeds=perfect.embeds + padding),
        perfect._replace(embeds=perfect.embeds + torch.randn(2, 4, 6) * ~padding),
        perfect._replace(pooled=-perfect.pooled),
    ):
        assert alignment_loss(spoiled, target, loss) > 0.05


@pytest.mark.parametrize("loss", KINDS)
def test_what_stands_at_padding_in_the_target_does_not_matter(loss: str) -> None:
    predicted, target = conditioning(0), conditioning(1)
    padding = ~target.mask.unsqueeze(-1)
    other = target._replace(embeds=target.embeds.masked_fill(padding, float("nan")))
    assert alignment_loss(predicted, other, loss) == alignment_loss(predicted, target, loss)


@pytest.mark.parametrize("loss", KINDS)
@pytest.mark.parametrize("start", ["zero", "target", "random"])
def test_alignment_gradients_are_finite_even_at_the_target(loss: str, start: str) -> None:
    target = conditioning(1)
    values = {
        "zero": torch.zeros(2, 4, 6),
        "target": target.embeds.clone(),
        "random": torch.randn(2, 4, 6),
    }[start].requires_grad_()
    alignment_loss(Conditioning(values, target.mask, target.pooled), target, loss).backward()
    assert values.grad is not None and values.grad.isfinite().all()


@settings(max_examples=30, deadline=None)
@given(
    real=st.lists(st.integers(0, 6), min_size=1, max_size=4),
    extra=st.integers(1, 5),
    loss=st.sampled_from(KINDS),
)
def test_longer_padding_does_not_weaken_the_real_positions(
    real: list[int], extra: int, loss: str
) -> None:
    torch.manual_seed(0)
    mask = torch.arange(6) < torch.tensor(real)[:, None]
    predicted = torch.randn(len(real), 6, 3).masked_fill(~mask.unsqueeze(-1), 0)
    wanted = torch.randn(len(real), 6, 3)
    pad = (0, 0, 0, extra)
    short = alignment_loss(Conditioning(predicted, mask), Conditioning(wanted, mask), loss)
    longer = torch.nn.functional.pad(mask, (0, extra))
    long = alignment_loss(
        Conditioning(torch.nn.functional.pad(predicted, pad), longer),
        Conditioning(torch.nn.functional.pad(wanted, pad), longer),
        loss,
    )
    torch.testing.assert_close(long, short)


def test_alignment_errors() -> None:
    predicted, target = conditioning(0), conditioning(1)
    with pytest.raises(ValueError, match="kind='l1' .* l2, mse or cosine"):
        alignment_loss(predicted, target, "l1")
    with pytest.raises(ValueError, match=r"\(2, 3, 6\) and target \(2, 4, 6\) differ"):
        alignment_loss(predicted._replace(embeds=predicted.embeds[:, 1:]), target)
    with pytest.raises(ValueError, match="only one of predicted and target has pooled"):
        alignment_loss(predicted._replace(pooled=None), target)


@pytest.mark.parametrize("kind", KINDS)
def test_each_caption_counts_alike_however_long_it_is(kind: str) -> None:
    predicted, target = conditioning(0), conditioning(1)
    alone = [
        alignment_loss(
            Conditioning(*(each[row : row + 1] for each in predicted)),
            Conditioning(*(each[row : row + 1] for each in target)),
            kind,
        )
        for row in range(2)
    ]
    torch.testing.assert_close(alignment_errors(predicted, target, kind), torch.stack(alone))
    torch.testing.assert_close(alignment_loss(predicted, target, kind), torch.stack(alone).mean())


# ---- From settings -------------------------------------------------------------------------------


def test_losses_are_built_from_weights_or_settings() -> None:
    losses = build_losses({"text": 1, "align": {"weight": 0.5, "kind": "l2"}}, DIALOGUE_LOSSES)
    assert [(loss.name, loss.weight) for loss in losses.values()] == [("text", 1), ("align", 0.5)]
    align = losses["align"]
    assert isinstance(align, Align) and align.kind == "l2"
    assert needs_of(losses.values()) == {FEATURES, CAPTION_CONDITIONING}
    assert needs_of(build_losses({"denoise": 1}, DIALOGUE_LOSSES).values()) == {FEATURES, LATENTS}
    assert build_losses({"align": {"kind": "cosine"}}, DIALOGUE_LOSSES)["align"].weight == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"txt": 1}, "stage.losses: there is no loss 'txt'; did you mean 'text'"),
        ({"align": {"knd": "l2"}}, "stage.losses.align takes no 'knd'; did you mean 'kind'"),
        ({"align": {"kind": "l1"}}, "kind='l1' is no kind of alignment.*there are mse, l2, cosine"),
        ({"align": {"kind": 2}}, "stage.losses.align.kind must be str, not 2"),
        ({"text": "1"}, "stage.losses.text must be float, not '1'"),
        ({"text": {"weight": "1"}}, "stage.losses.text.weight must be float, not '1'"),
        ({"text": True}, "stage.losses.text must be float, not True"),
        ({"text": -0.5}, "stage.losses.text must be a finite number of at least 0, not -0.5"),
        ({"text": math.nan}, "stage.losses.text must be a finite number"),
        ({"text": {"weight": math.inf}}, "weight must be a finite number of at least 0, not inf"),
    ],
)
def test_what_is_no_loss_is_told(given: LossSettings, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_losses(given, DIALOGUE_LOSSES)
