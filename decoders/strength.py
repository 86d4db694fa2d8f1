"""A start from a medium with noise on it, in the place of noise alone."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from anymodal.decoders.base import NonFiniteError
from anymodal.decoders.pipeline import Network, Pipeline, Scheduler


class StartFamily(Protocol):
    """A family whose pipeline takes the latents that it starts from."""

    pipeline: Pipeline

    @property
    def device(self) -> torch.device:
        """The device that the pipeline computes on."""

    @property
    def network(self) -> Network:
        """The denoiser."""

    def pack_latents(self, latents: Tensor) -> Tensor:
        """Latents (B, …) in the layout that the pipeline's `__call__` takes them in."""

    def pack_step(self, latents: Tensor) -> Tensor:
        """Latents (B, …) in the layout that its steps have them in."""


class StartLatents(NamedTuple):
    """Clean latents (C, …) that an item starts from, and a mask (1, …) that fits them.

    Where the mask is 1, they are made anew; None for everywhere.
    """

    latents: Tensor
    mask: Tensor | None = None


class NoisedStart(NamedTuple):
    """Clean latents (B, C, …) that a call starts from, and the share of its steps that it takes.

    Where a mask (B, 1, …) is 0, they stay as they are.
    """

    latents: Tensor
    strength: float
    mask: Tensor | None = None


Blend = Callable[[Tensor, Any], Tensor]
"""Gives a step's latents, as the pipeline has them, with what stays; of the step's timestep."""


class LaterCall(NamedTuple):
    """A call that starts from noised latents: further arguments, its steps, and what stays."""

    arguments: dict[str, Any]
    steps: int
    blend: Blend | None = None


def check_strength(strength: object, steps: int | None = None) -> float:
    """Give a strength: above 0, where nothing would change, up to 1, where nothing stays.

    Raises:
        ValueError: it is none, or so little that none of the steps is left.
    """
    good = isinstance(strength, int | float) and not isinstance(strength, bool)
    if not (good and 0 < strength <= 1):  # type: ignore[operator]
        raise ValueError(f"strength={strength!r}; it must be a number above 0 and at most 1")
    value = float(strength)  # type: ignore[arg-type]
    if steps is not None and int(steps * value) < 1:
        raise ValueError(
            f"strength={strength!r} of steps={steps} leaves no step; raise one, so that their "
            "product is at least 1"
        )
    return value


def start_later(family: StartFamily, start: NoisedStart, arguments: Mapping[str, Any]) -> LaterCall:
    """Let the next call of a pipeline take the last part of its schedule, from noised latents.

    The schedule is cut as diffusers' pipelines of image to image cut theirs. It is the one that
    the pipeline itself sets at these arguments, which some do by the size of what they make.

    Source: Meng et al. 2021 (SDEdit, arXiv:2108.01073), algorithm 1.

    Args:
        family: of the pipeline, whose scheduler is a copy for this call (`isolated_state`).
        start: what to start from.
        arguments: of the call.

    Raises:
        NonFiniteError: the schedule of so many steps isn't finite.
    """
    pipeline = family.pipeline
    scheduler = pipeline.scheduler
    clean = start.latents.to(family.device)
    blank = family.pack_latents(torch.zeros_like(clean, dtype=family.network.dtype))
    set_schedule(scheduler, lambda: pipeline(**{**arguments, "latents": blank}))
    steps = int(arguments["num_inference_steps"])
    order = int(getattr(scheduler, "order", 1))
    first = first_step(scheduler, steps, start.strength)
    noise = draw_noise(clean, arguments["generator"])
    noised = noise_start(family, clean, noise, scheduler.timesteps[first * order :], steps)
    blend = None
    if start.mask is not None:
        blend = KeptSource(family, clean, noise, start.mask.to(clean))
        if start.strength == 1:  # of what is made anew, nothing of the source is left
            noised = noise
    _cut_schedule(scheduler, first * order)
    latents = family.pack_latents(noised.to(family.network.dtype))
    return LaterCall({"latents": latents}, steps - first, blend)


def first_step(scheduler: Scheduler, steps: int, strength: float) -> int:
    """The first of so many steps that is taken at a strength."""
    share = steps * strength
    # Pipelines of flow models take a step that is begun, the others whole ones.
    return int(max(steps - share, 0)) if _is_flow(scheduler) else max(steps - int(share), 0)


def draw_noise(clean: Tensor, generator: Any) -> Tensor:
    """Noise like latents (B, …), drawn as pipelines draw theirs."""
    from diffusers.utils.torch_utils import randn_tensor  # a second, which settings do without

    return torch.as_tensor(
        randn_tensor(clean.shape, generator=generator, device=clean.device, dtype=clean.dtype)
    )


def noise_start(
    family: StartFamily, clean: Tensor, noise: Tensor, times: Tensor, steps: int
) -> Tensor:
    """Clean latents (B, …) with the noise of the first of a schedule's remaining times.

    Raises:
        NonFiniteError: a time isn't finite.
    """
    pipeline = family.pipeline
    scheduler = pipeline.scheduler
    if not bool(times.isfinite().all()):
        raise NonFiniteError(
            f"{type(pipeline).__name__} has no schedule of {steps} steps: "
            f"{type(scheduler).__name__} gives NaN or infinity; choose another number of steps",
            [None] * len(clean),
        )
    noised = _add_noise(scheduler, clean, noise, times[:1])
    # Pipelines scale what they take for noise by this; it is 1 but for a few schedulers.
    return torch.as_tensor(noised / float(getattr(scheduler, "init_noise_sigma", 1.0)))


class KeptSource:
    """Keeps a source outside a mask while a call makes the rest, at the noise of each step.

    Source: Lugmayr et al. 2022 (RePaint, arXiv:2201.09865), equation 8, as diffusers' pipelines of
    inpainting do it without a network of its own.

    Args:
        family: of the pipeline, whose scheduler is a copy for this call.
        clean: latents (B, C, …) of the source.
        noise: like them; the same that the call starts from.
        mask: (B, 1, …), 1 where they are made anew.
    """

    def __init__(self, family: StartFamily, clean: Tensor, noise: Tensor, mask: Tensor) -> None:
        self.family, self.clean, self.noise = family, clean, noise
        self.mask = family.pack_step(mask.expand_as(clean).contiguous())
        self._next = 0  # place of the next step in the schedule, where times may stand twice

    def __call__(self, latents: Tensor, timestep: Any) -> Tensor:
        """The latents of a step, as the pipeline has them after it."""
        scheduler = self.family.pipeline.scheduler
        times: Tensor = scheduler.timesteps
        places = (times[self._next :] == timestep).nonzero()
        self._next += int(places[0]) + 1 if len(places) else 1
        known = self.clean
        if self._next < len(times):
            known = _add_noise(scheduler, known, self.noise, times[self._next : self._next + 1])
        known, mask = self.family.pack_step(known).to(latents), self.mask.to(latents)
        return (1 - mask) * known + mask * latents


def _add_noise(scheduler: Scheduler, clean: Tensor, noise: Tensor, time: Tensor) -> Tensor:
    """Clean latents (B, …) with noise of a time (1,) of the schedule."""
    level = time.repeat(len(clean)).to(clean.device)
    noised = (
        scheduler.scale_noise(clean, level, noise)
        if _is_flow(scheduler)
        else scheduler.add_noise(clean, noise, level)
    )
    return torch.as_tensor(noised)


def _is_flow(scheduler: Scheduler) -> bool:
    return hasattr(scheduler, "scale_noise")


class _ScheduleSetError(BaseException):
    """A pipeline has set its schedule; nothing but `set_schedule` may catch it."""


def set_schedule(scheduler: Scheduler, call: Callable[[], object]) -> None:
    """Let a pipeline set its scheduler's timesteps, and nothing more."""
    own = scheduler.set_timesteps

    @functools.wraps(own)  # pipelines look at its signature
    def set_and_stop(*args: Any, **kwargs: Any) -> None:
        own(*args, **kwargs)
        raise _ScheduleSetError

    vars(scheduler)["set_timesteps"] = set_and_stop
    try:
        call()
    except _ScheduleSetError:
        pass
    finally:
        del vars(scheduler)["set_timesteps"]


def _cut_schedule(scheduler: Scheduler, first: int) -> None:
    """Let a scheduler show pipelines its timesteps from `first` on, and count steps from there.

    Its own methods see all of them, since they look for others by their places.
    """
    whole: Tensor = scheduler.timesteps
    own_set, own_step = scheduler.set_timesteps, scheduler.step
    own_begin: Callable[[int], None] | None = getattr(scheduler, "set_begin_index", None)

    @functools.wraps(own_set)
    def set_timesteps(*args: Any, **kwargs: Any) -> None:
        nonlocal whole
        own_set(*args, **kwargs)
        whole = scheduler.timesteps
        scheduler.timesteps = whole[first:]
        if own_begin is not None:
            own_begin(first)

    @functools.wraps(own_step)
    def step(*args: Any, **kwargs: Any) -> object:
        scheduler.timesteps = whole
        try:
            return own_step(*args, **kwargs)
        finally:
            scheduler.timesteps = whole[first:]

    changed: dict[str, Callable[..., object]] = {"set_timesteps": set_timesteps, "step": step}
    if own_begin is not None:
        begin: Callable[[int], None] = own_begin
        changed["set_begin_index"] = lambda begin_index=0: begin(first + begin_index)
    vars(scheduler).update(changed)
