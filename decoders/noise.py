"""Noise levels, inputs and targets of a denoiser, read off its pipeline's scheduler.

Three kinds of scheduler cover diffusers. Each fixes the network's input and its target at a noise
level, so the training objective needs no setting of its own:

- flow (`flow_prediction`, or the flow matching schedulers): input (1-s)x + sn, target n - x
  (Lipman et al. 2023, https://arxiv.org/abs/2210.02747; Liu et al. 2023, arXiv:2209.03003).
- variance preserving (a table `alphas_cumprod`): input ax + sn with a² + s² = 1, target n, x or
  an - sx (Salimans & Ho 2022, https://arxiv.org/abs/2202.00512).
- EDM (its own preconditioning): input c_in(x + sn), target (x - c_skip(x + sn)) / c_out (Karras
  et al. 2022, https://arxiv.org/abs/2206.00364, section 5).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from anymodal.decoders.pipeline import Scheduler

if TYPE_CHECKING:
    from diffusers import SchedulerMixin


class DenoisingExample(NamedTuple):
    """A denoiser's training example: inputs and target like the clean batch, timesteps (B,)."""

    inputs: Tensor
    timesteps: Tensor
    target: Tensor


def prediction_type(scheduler: Scheduler) -> str:
    """The denoiser's target: epsilon, v_prediction, sample or flow_prediction.

    Raises:
        ValueError: the scheduler is of none of the known kinds.
    """
    prediction = scheduler.config.get("prediction_type")
    if prediction == "flow_prediction" or (
        prediction is None and hasattr(scheduler, "scale_noise")
    ):
        return "flow_prediction"
    has_target = hasattr(scheduler, "alphas_cumprod") or hasattr(scheduler, "precondition_outputs")
    if not has_target or prediction not in ("epsilon", "v_prediction", "sample"):
        raise ValueError(
            f"{type(scheduler).__name__} with prediction_type={prediction!r} gives no training "
            "target; supported are epsilon, v_prediction, sample and flow_prediction with a "
            "variance preserving, EDM or flow matching scheduler"
        )
    return str(prediction)


def sample_noise_levels(
    scheduler: Scheduler,
    count: int,
    generator: torch.Generator | None = None,
    device: torch.device | str = "cpu",
    tokens: int | None = None,
    shift: float | None = None,
) -> Tensor:
    """Noise levels (count,): s in (0, 1) for flow, sigma for EDM, an index for the rest.

    Flow levels follow the logit-normal density (Esser et al. 2024, arXiv:2403.03206, section
    3.1), then `shift`, or the scheduler's where that is None, which may depend on the number of
    latent tokens; the others are uniform over the scheduler's own table.
    """
    where = generator.device if generator is not None else device
    if prediction_type(scheduler) == "flow_prediction":
        level = torch.randn(count, generator=generator, device=where).sigmoid()
        shift = _shift(scheduler, tokens) if shift is None else shift
        level = shift * level / (1 + (shift - 1) * level)
    else:
        table = len(scheduler)
        level = torch.randint(table, (count,), generator=generator, device=where)
        if hasattr(scheduler, "precondition_outputs"):
            # `set_timesteps` of a sampling run replaces the table, so it is read off a copy.
            kind: type[SchedulerMixin] = type(scheduler)
            copy = kind.from_config(scheduler.config)
            level = copy.sigmas.to(where)[level]
    return level.to(device)


def _shift(scheduler: Scheduler, tokens: int | None) -> float:
    """The factor s of a schedule's shift, level -> s level / (1 + (s - 1) level)."""
    config = scheduler.config
    if tokens is None or not config.get("use_dynamic_shifting"):
        return float(config.get("shift", config.get("flow_shift", 1.0)))
    few, many = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    low, high = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
    mu = low + (high - low) * (tokens - few) / (many - few)
    return mu if config.get("time_shift_type") == "linear" else math.exp(mu)


def add_noise(
    scheduler: Scheduler, clean: Tensor, noise: Tensor, levels: Tensor
) -> DenoisingExample:
    """The denoiser's input, timestep and target at the levels (B,) of `sample_noise_levels`."""
    kind = prediction_type(scheduler)
    level = levels.view(-1, *[1] * (clean.ndim - 1))  # (B,) -> (B, 1, …)
    if kind == "flow_prediction":
        inputs = (1 - level) * clean + level * noise
        # Levels run to 1, timesteps to the length of the schedule.
        return DenoisingExample(inputs, levels * len(scheduler), noise - clean)
    if hasattr(scheduler, "precondition_outputs"):
        noisy = clean + level * noise
        # The denoised estimate is affine in the network's output: solve it for the output.
        offset = scheduler.precondition_outputs(noisy, torch.zeros_like(noisy), level)
        slope = scheduler.precondition_outputs(
            torch.zeros_like(noisy), torch.ones_like(noisy), level
        )
        inputs = scheduler.precondition_inputs(noisy, level)
        timesteps = scheduler.precondition_noise(levels)
        return DenoisingExample(inputs, timesteps, (clean - offset) / slope)
    alphas = scheduler.alphas_cumprod.to(clean.device)[level].float()  # CogVideoX's are double
    signal, sigma = alphas.sqrt(), (1 - alphas).sqrt()
    targets = {"epsilon": noise, "sample": clean, "v_prediction": signal * noise - sigma * clean}
    return DenoisingExample(signal * clean + sigma * noise, levels, targets[kind])
