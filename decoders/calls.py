"""One call of a pipeline: isolated state, progress, and a check that its media are finite."""

from __future__ import annotations

import copy
import functools
import inspect
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from anymodal.decoders.base import NonFiniteError

if TYPE_CHECKING:
    from anymodal.decoders.base import Generators, Progress
    from anymodal.decoders.pipeline import Autoencoder, Network, Pipeline, Scheduler
    from anymodal.decoders.strength import Blend
    from anymodal.media import Media


@contextmanager
def isolated_state(pipeline: Pipeline, generator: Generators) -> Iterator[None]:
    """Give a pipeline, for one call, a scheduler of its own; afterwards it is as it was before.

    A scheduler counts steps and keeps what networks gave, the pipeline keeps guidance and the
    like, and the one of Stable Diffusion XL raises its autoencoder's precision: a call that fails
    halfway, or begins within another, would leave all that to the next.

    Steps draw noise from the generator where their pipeline gives them none: pipelines of flow
    models don't, since their own scheduler draws nothing; another one does.
    """
    before, scheduler = dict(vars(pipeline)), _copy_scheduler(pipeline.scheduler)
    precision = pipeline.vae.dtype
    if "generator" in inspect.signature(scheduler.step).parameters:
        # A given one wins.
        scheduler.step = functools.partial(scheduler.step, generator=generator)
    if generator is not None and getattr(scheduler, "noise_sampler_seed", 0) is None:
        # Of stochastic differential equations: it would draw the seed that the steps don't take.
        vars(scheduler)["noise_sampler_seed"] = (
            [each.initial_seed() for each in generator]
            if isinstance(generator, list)
            else generator.initial_seed()
        )
    vars(pipeline)["scheduler"] = scheduler  # past the pipeline's own, which notes its class anew
    try:
        yield
    finally:
        if vars(pipeline)["scheduler"] is scheduler:
            vars(pipeline)["scheduler"] = before["scheduler"]
        # Guidance and the like, which a call leaves; hooks and the configuration are lasting.
        passing = {name for name in before if name[0] == "_"} - {"_all_hooks", "_internal_dict"}
        vars(pipeline).update({name: before[name] for name in passing})
        if pipeline.vae.dtype != precision:
            pipeline.vae.to(precision)


def _copy_scheduler(scheduler: Scheduler) -> Scheduler:
    """A scheduler of the same settings and no common state.

    Schedulers put new tensors in the place of old ones, and write into their lists alone. Built
    anew from the configuration, one would lose what was set on it since, as a flow's shift.
    """
    new = copy.copy(scheduler)
    vars(new).update({k: list(v) for k, v in vars(scheduler).items() if isinstance(v, list)})
    for name in ("step", "set_timesteps", "set_begin_index"):
        vars(new).pop(name, None)  # one of a call around this one is the other's
    return new


@contextmanager
def decode_any_precision(autoencoder: Autoencoder) -> Iterator[None]:
    """Let an autoencoder decode latents of any precision, and show infinities as NaN.

    Pipelines clip infinities to white, and few of them convert latents for an autoencoder that
    alone is in float32.
    """

    def mark(_module: nn.Module, _inputs: object, output: Tensor | tuple[Tensor, ...]) -> None:
        pixels = output[0] if isinstance(output, tuple) else output
        pixels.masked_fill_(pixels.isinf(), torch.nan)

    def decode(latents: Tensor, *args: object, **options: object) -> object:
        return own_decode(latents.to(autoencoder.dtype), *args, **options)

    own_decode, before = autoencoder.decode, dict(vars(autoencoder))
    hook = autoencoder.decoder.register_forward_hook(mark)
    vars(autoencoder)["decode"] = decode
    try:
        yield
    finally:
        hook.remove()
        del vars(autoencoder)["decode"]
        vars(autoencoder).update({k: v for k, v in before.items() if k == "decode"})


@contextmanager
def replaced_attribute(owner: object, name: str, value: object) -> Iterator[None]:
    """Let an object have another attribute for a while, past its class's own ways to set one."""
    attributes = vars(owner)
    before = {name: attributes[name]} if name in attributes else {}
    attributes[name] = value
    try:
        yield
    finally:
        attributes.pop(name, None)
        attributes.update(before)


class StepMonitor:
    """Reports a call's progress, and remembers which items' latents aren't finite.

    Args:
        progress: called with (step, steps) after each step.
        steps: how many were asked for.
        keep: gives a step's latents with what is known of them.
        blend: likewise, by the step's timestep.
    """

    def __init__(
        self,
        progress: Progress,
        steps: int,
        keep: Callable[[Tensor], Tensor] | None = None,
        blend: Blend | None = None,
    ) -> None:
        self.progress, self.steps, self.keep, self.blend = progress, steps, keep, blend
        self.non_finite: Tensor | None = None  # (B,); left on its device, so that no step waits

    def callback_on_step_end(
        self, _pipeline: object, step: int, timestep: object, tensors: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """Diffusers' newer kind of callback, which may replace tensors."""
        latents = tensors["latents"]
        self.legacy_callback(step, timestep, latents)
        return {} if self.keep is None else {"latents": self.keep(latents)}

    def watch(self, scheduler: Scheduler) -> None:
        """See a scheduler's steps, for pipelines that take no callback; it is a call's own."""
        own_step, count = scheduler.step, itertools.count()

        def step(*args: object, **settings: object) -> object:
            output: Any = own_step(*args, **settings)
            latents, *others = output
            timestep = args[1] if len(args) > 1 else settings.get("timestep")
            changed = self.callback_on_step_end(None, next(count), timestep, {"latents": latents})
            return (changed.get("latents", latents), *others)

        scheduler.step = step

    def legacy_callback(self, step: int, timestep: object, latents: Tensor) -> None:
        """Diffusers' older kind of callback, which may only write into tensors."""
        if self.blend is not None:
            latents.copy_(self.blend(latents, timestep))
        self.non_finite = (~latents.flatten(1).isfinite()).any(1)
        if step < self.steps:  # PNDM takes one more than it is asked for
            self.progress(step + 1, self.steps)


def check_finite_media(
    pipeline: Pipeline, denoiser: Network, monitor: StepMonitor, media: Sequence[Media | None]
) -> list[Media]:
    """The media of a call, if all are finite; None stands for one that isn't.

    Raises:
        NonFiniteError: an item isn't finite, or its latents aren't; it has the others.
    """
    latents = monitor.non_finite
    non_finite = [False] * len(media) if latents is None else latents.tolist()
    items = [None if bad else item for item, bad in zip(media, non_finite, strict=True)]
    finite = [item for item in items if item is not None]
    if len(finite) == len(items):
        return finite
    part: Network | Autoencoder = denoiser if any(non_finite) else pipeline.vae
    does = "denoises" if any(non_finite) else "decodes"
    bad = [str(index + 1) for index, item in enumerate(items) if item is None]
    wide = part.dtype in (torch.float32, torch.float64)
    raise NonFiniteError(
        f"{type(pipeline).__name__} made NaN or infinity, which is no medium, for item "
        f"{', '.join(bad)} of {len(items)}: {type(part).__name__}, which {does} in {part.dtype}; "
        + ("" if wide else "open it in float32, or ")
        + "choose another number of steps or less guidance"
        + (", or check the weights, which may hold NaN" if wide else ""),
        items,
    )


def make_each_alone(
    count: int, make: Callable[[int, Progress], list[Media]], progress: Progress
) -> list[Media]:
    """Media that can't be made in one batch, one after the other, with the progress of all.

    Raises:
        NonFiniteError: NaN or infinity came out in the place of some; it has the others.
    """
    media: list[Media | None] = []
    error: NonFiniteError | None = None
    for index in range(count):

        def report(step: int, steps: int, index: int = index) -> None:
            progress(max((index * steps + step) // count, 1), steps)

        try:
            media += make(index, report)
        except NonFiniteError as raised:
            media += raised.partial
            error = raised
    if error is not None:
        raise NonFiniteError(str(error), media) from error
    return [medium for medium in media if medium is not None]


def is_finite(values: np.ndarray) -> bool:
    """Return True if all values are finite, without an array as large as they are."""
    # A minimum or maximum of values with a NaN among them is NaN.
    return bool(np.isfinite(values.min()) and np.isfinite(values.max()))


def cpu_attention(device: torch.device) -> AbstractContextManager[None]:
    """Choose the attention whose bfloat16 backward is fast on a CPU.

    Fused attention's takes 40 % of a small transformer's training step there: without it, 64
    tokens of width 160 train twice as fast. Memory grows with the square of the tokens.
    """
    if device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        return sdpa_kernel(SDPBackend.MATH)
    return nullcontext()
