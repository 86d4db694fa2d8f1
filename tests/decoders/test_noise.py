"""Noise levels, inputs and targets, against the schedulers' own definitions."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from diffusers import (
    CosineDPMSolverMultistepScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EDMDPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    LCMScheduler,
)

from anymodal.decoders.noise import add_noise, prediction_type, sample_noise_levels
from anymodal.toybox import decoders as nano
from tests.support.decoders import generator_of

CLEAN = torch.randn(3, 2, 4, generator=generator_of(10))

NOISE = torch.randn(3, 2, 4, generator=generator_of(11))


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_variance_preserving_objective(kind: str) -> None:
    scheduler = DDPMScheduler(prediction_type=kind)
    times = torch.tensor([0, 400, 999])
    got = add_noise(scheduler, CLEAN, NOISE, times)
    torch.testing.assert_close(got.inputs, scheduler.add_noise(CLEAN, NOISE, times))
    wanted = {
        "epsilon": NOISE,
        "sample": CLEAN,
        "v_prediction": scheduler.get_velocity(CLEAN, NOISE, times),
    }
    torch.testing.assert_close(got.target, wanted[kind])
    assert torch.equal(got.timesteps, times)


def test_sigma_scaled_scheduler_shows_the_network_the_same() -> None:
    scheduler = EulerDiscreteScheduler(prediction_type="epsilon", timestep_spacing="linspace")
    scheduler.set_timesteps(1000)
    time = scheduler.timesteps[300]
    noisy = scheduler.add_noise(CLEAN, NOISE, time.expand(3))
    shown = scheduler.scale_model_input(noisy, time)
    got = add_noise(scheduler, CLEAN, NOISE, time.long().expand(3))
    torch.testing.assert_close(got.inputs, shown, rtol=1e-4, atol=1e-4)


def test_flow_objective() -> None:
    scheduler = FlowMatchEulerDiscreteScheduler()
    times = scheduler.timesteps[[0, 400, 999]]
    got = add_noise(scheduler, CLEAN, NOISE, times / 1000)
    torch.testing.assert_close(got.inputs, scheduler.scale_noise(CLEAN, times, NOISE))
    torch.testing.assert_close(got.timesteps, times)
    assert torch.equal(got.target, NOISE - CLEAN)
    solver = nano.flow_scheduler()
    assert prediction_type(scheduler) == prediction_type(solver) == "flow_prediction"


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
@pytest.mark.parametrize(
    "build", [CosineDPMSolverMultistepScheduler, EDMDPMSolverMultistepScheduler]
)
def test_preconditioned_objective(build: Any, kind: str) -> None:
    scheduler = build(prediction_type=kind)
    s = torch.tensor([0.3, 2.0, 40.0])
    got = add_noise(scheduler, CLEAN, NOISE, s)
    d, s = scheduler.config.sigma_data, s.view(3, 1, 1)
    noisy, root = CLEAN + s * NOISE, (s**2 + d**2).sqrt()
    sign = {"epsilon": 1, "v_prediction": -1}[kind]
    target = (CLEAN - d**2 / root**2 * noisy) / (sign * s * d / root)
    torch.testing.assert_close(got.inputs, noisy / root)
    torch.testing.assert_close(got.target, target, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(got.timesteps, scheduler.precondition_noise(s.flatten()))


@pytest.mark.parametrize(
    "scheduler",
    [
        nano.flow_scheduler(),
        DPMSolverMultistepScheduler(prediction_type="epsilon"),
        DPMSolverMultistepScheduler(prediction_type="v_prediction"),
        DPMSolverMultistepScheduler(prediction_type="sample"),
        EDMDPMSolverMultistepScheduler(sigma_data=1.0),
    ],
    ids=lambda s: f"{type(s).__name__}-{prediction_type(s)}",
)
def test_solver_reaches_the_clean_item_with_perfect_targets(scheduler: Any) -> None:
    """Sampling undoes what the objective does, whichever way a scheduler writes it."""
    scheduler.set_timesteps(12)
    sample = NOISE * scheduler.init_noise_sigma
    flow = prediction_type(scheduler) == "flow_prediction"
    for i, time in enumerate(scheduler.timesteps):
        scheduler.scale_model_input(sample, time)
        s = scheduler.sigmas[i]
        alpha, spread = (1 - s, s) if flow else (1 / (1 + s**2).sqrt(), s / (1 + s**2).sqrt())
        if hasattr(scheduler, "precondition_outputs"):
            alpha, spread = torch.tensor(1.0), s
        noise = (sample - alpha * CLEAN) / spread
        if flow or hasattr(scheduler, "precondition_outputs"):
            level = s.expand(3)
        else:
            level = time.expand(3)
        target = add_noise(scheduler, CLEAN, noise, level).target
        sample = scheduler.step(target, time, sample).prev_sample
    torch.testing.assert_close(sample, CLEAN, rtol=1e-3, atol=5e-3)


def test_levels_stay_in_the_scheduler_s_range() -> None:
    flow = sample_noise_levels(nano.flow_scheduler(), 4000, generator_of(0))
    assert flow.min() > 0 and flow.max() < 1 and math.isclose(flow.mean(), 0.5, abs_tol=0.02)
    shifted = sample_noise_levels(FlowMatchEulerDiscreteScheduler(shift=3.0), 4000, generator_of(0))
    torch.testing.assert_close(shifted, 3 * flow / (1 + 2 * flow))
    dynamic = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    for tokens, mu in ((256, 0.5), (4096, 1.15)):
        moved = sample_noise_levels(dynamic, 4000, generator_of(0), tokens=tokens)
        torch.testing.assert_close(moved, dynamic.time_shift(mu, 1.0, flow))
    steps = sample_noise_levels(DDPMScheduler(num_train_timesteps=50), 4000, generator_of(0))
    assert steps.dtype == torch.int64 and (steps.min(), steps.max()) == (0, 49)
    scheduler = CosineDPMSolverMultistepScheduler()
    before = sample_noise_levels(scheduler, 4000, generator_of(0))
    scheduler.set_timesteps(3)
    assert torch.equal(before, sample_noise_levels(scheduler, 4000, generator_of(0)))
    assert 0.299 < before.min() < 0.31 and 490 < before.max() <= 500.1


def test_unknown_objective_is_named() -> None:
    with pytest.raises(ValueError, match="no training target"):
        prediction_type(LCMScheduler(prediction_type="what"))
