"""Settings of a pipeline: another scheduler, a thrifty autoencoder, weights that wait elsewhere."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

import diffusers
import torch
from diffusers import SchedulerMixin
from diffusers.hooks import apply_group_offloading

from anymodal.config import check_arguments
from anymodal.decoders.noise import prediction_type
from anymodal.decoders.pipeline import DENOISERS, Pipeline, Scheduler


def replace_scheduler(pipeline: Pipeline, choice: str | Mapping[str, object]) -> Scheduler:
    """Build another scheduler for a pipeline's network, from the old one's settings.

    Args:
        pipeline: whose scheduler stays as it is.
        choice: a diffusers scheduler's name, or a mapping with it as `name` and settings beside it.

    Raises:
        ValueError: there is no such scheduler, it has no such setting, it asks something else of
            the network than the network has learned, or the pipeline can't call it.
    """
    settings = {"name": choice} if isinstance(choice, str) else dict(choice)
    name = str(settings.pop("name", None))
    kind: type[SchedulerMixin] | None = getattr(diffusers, name, None)
    if not isinstance(kind, type) or SchedulerMixin not in inspect.getmro(kind):
        raise ValueError(
            f"scheduler={choice!r} names no scheduler of diffusers; give a class's name, such as "
            "DPMSolverMultistepScheduler, or a mapping with it as `name`"
        )
    check_arguments(kind, settings, name)
    old, parameters = pipeline.scheduler, inspect.signature(kind).parameters
    target = prediction_type(old)
    flow_settings: dict[str, object] = {}
    if target == "flow_prediction":
        shift = old.config.get("shift", old.config.get("flow_shift", 1.0))
        flow_settings = {"use_flow_sigmas": True, "flow_shift": shift, "shift": shift}
        flow_settings = {key: value for key, value in flow_settings.items() if key in parameters}
    new: Scheduler = kind.from_config(
        old.config, **{"prediction_type": target, **flow_settings, **settings}
    )
    if (
        _parametrization(new) != _parametrization(old)
        or new.config.get("prediction_type", target) != target
    ):
        raise ValueError(
            f"{name} shows a network other things than {type(old).__name__} does, or asks another "
            f"prediction of it than {target}; choose a scheduler of the same kind"
        )
    scales_noise = "init_noise_sigma" in pipeline.prepare_latents.__code__.co_names
    if scales_noise and not hasattr(new, "init_noise_sigma"):
        raise ValueError(
            f"{type(pipeline).__name__} cannot call {name}, which has no init_noise_sigma; choose "
            "one that has, such as DPMSolverMultistepScheduler"
        )
    return new


def _parametrization(scheduler: Scheduler) -> str:
    """The way in which a scheduler mixes noise into its network's input."""
    if hasattr(scheduler, "precondition_outputs"):  # and the time as a function of the noise
        return f"preconditioned {scheduler.precondition_noise(torch.tensor(1.0)):g}"
    # A scheduler's configuration keeps settings of the one that it came from, so look for its own.
    own = "use_flow_sigmas" in inspect.signature(type(scheduler)).parameters
    flow = hasattr(scheduler, "scale_noise") or (own and scheduler.config.use_flow_sigmas)
    return "flow" if flow else "variance preserving"


def enable_vae_slicing_tiling(pipeline: Pipeline, *, slicing: bool, tiling: bool) -> None:
    """Have the autoencoder take a batch item by item, or large media tile by tile.

    Raises:
        ValueError: the autoencoder can't do it.
    """
    if slicing and getattr(pipeline.vae.config, "timestep_conditioning", False):
        # diffusers pairs the items of a batch with their noise levels the wrong way round.
        raise ValueError(
            f"vae_slicing=True, but {type(pipeline.vae).__name__} is told a noise level here and "
            "can't take items one by one; leave it out, vae_tiling=True spares memory too"
        )
    for enable, name in ((slicing, "slicing"), (tiling, "tiling")):
        method = getattr(pipeline.vae, f"enable_{name}", None)
        if not enable:
            continue
        try:
            if method is None:
                raise NotImplementedError
            method()
        except NotImplementedError:
            raise ValueError(
                f"vae_{name}=True, but {type(pipeline.vae).__name__} has no {name}; leave it out"
            ) from None


def offload(pipeline: Pipeline, how: str) -> None:
    """Keep weights in the CPU's memory and bring them to the accelerator when they are needed.

    Args:
        pipeline: whose parts are on the CPU.
        how: `model` brings whole parts, `group` the denoiser block by block and other parts layer
            by layer, `leaf` all layer by layer, the least memory and the most time.

    Raises:
        ValueError: there is no such way, or no accelerator.
    """
    if how not in ("model", "group", "leaf"):
        raise ValueError(f"offload={how!r} is not known; choose model, group or leaf")
    device = torch.accelerator.current_accelerator()
    if device is None or not torch.accelerator.is_available():
        raise ValueError(f"offload={how!r}, but this machine has no accelerator; leave it out")
    if how == "model":
        pipeline.enable_model_cpu_offload(device=device)
        return
    for name, part in pipeline.components.items():
        if isinstance(part, torch.nn.Module):
            # Blocks come when `forward` is called; other parts have other methods called, too.
            blocks = how == "group" and name in DENOISERS
            apply_group_offloading(
                part,
                onload_device=device,
                offload_type="block_level" if blocks else "leaf_level",
                num_blocks_per_group=1 if blocks else None,
            )
