"""One call of a pipeline: what is its own, what is watched, and whether what it made is finite."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from anymodal.decoders.base import NonFiniteError

if TYPE_CHECKING:
    from anymodal.decoders.base import Generators, Progress
    from anymodal.media import Media


@contextmanager
def own_state(pipeline: Any, generator: Generators) -> Iterator[None]:
    """Give a pipeline, for one call, a scheduler of its own; afterwards it is as it was before.

    A scheduler counts steps and keeps what networks gave, the pipeline keeps guidance and the
    like, and the one of Stable Diffusion XL raises its autoencoder's precision: a call that fails
    halfway, or begins within another, would leave all that to the next.

    Steps draw noise from the generator where their pipeline gives them none: pipelines of flow
    models don't, since their own scheduler draws nothing; another one does.
    """
    kept, scheduler = dict(vars(pipeline)), _twin(pipeline.scheduler)
    precision = pipeline.vae.dtype
    if "generator" in inspect.signature(scheduler.step).parameters:
        # A given one wins.
        scheduler.step = functools.partial(scheduler.step, generator=generator)
    if generator is not None and getattr(scheduler, "noise_sampler_seed", 0) is None:
        # Of stochastic differential equations: it would draw the seed that the steps don't take.
        scheduler.noise_sampler_seed = (
            [each.initial_seed() for each in generator]
            if isinstance(generator, list)
            else generator.initial_seed()
        )
    vars(pipeline)["scheduler"] = scheduler  # past the pipeline's own, which notes its class anew
    try:
        yield
    finally:
        if vars(pipeline)["scheduler"] is scheduler:
            vars(pipeline)["scheduler"] = kept["scheduler"]
        passing = {name for name in kept if name[0] == "_"} - {"_all_hooks", "_internal_dict"}
        vars(pipeline).update({name: kept[name] for name in passing})
        if pipeline.vae.dtype != precision:
            pipeline.vae.to(precision)


def _twin(scheduler: Any) -> Any:
    """A scheduler of the same settings and no common state.

    Schedulers put new tensors in the place of old ones, and write into their lists alone. Built
    anew from the configuration, one would lose what was set on it since, as a flow's shift.
    """
    twin = copy.copy(scheduler)
    vars(twin).update({k: list(v) for k, v in vars(scheduler).items() if isinstance(v, list)})
    vars(twin).pop("step", None)  # one of `own_state`, around this call, is the other scheduler's
    return twin


@contextmanager
def watched(autoencoder: Any) -> Iterator[None]:
    """Let an autoencoder decode latents of any precision, and show infinities as NaN.

    Pipelines clip infinities to white, and few of them convert latents for an autoencoder that
    alone is in float32.
    """

    def mark(_module: Any, _inputs: Any, output: Any) -> None:
        decoded: Tensor = output[0] if isinstance(output, tuple) else output
        decoded.masked_fill_(decoded.isinf(), torch.nan)

    def decode(latents: Tensor, *args: Any, **options: Any) -> Any:
        return own(latents.to(autoencoder.dtype), *args, **options)

    own, before = autoencoder.decode, dict(vars(autoencoder))
    hook = autoencoder.decoder.register_forward_hook(mark)
    vars(autoencoder)["decode"] = decode
    try:
        yield
    finally:
        hook.remove()
        del vars(autoencoder)["decode"]
        vars(autoencoder).update({k: v for k, v in before.items() if k == "decode"})


class Watch:
    """Tells a call's progress, and remembers which items' latents aren't finite.

    Args:
        progress: called with (step, steps) after each step.
        steps: how many were asked for.
    """

    def __init__(self, progress: Progress, steps: int) -> None:
        self.progress, self.steps = progress, steps
        self.spoilt: Tensor | None = None  # (B,); left where it is, so that no step waits for it

    def newer(
        self, _pipeline: Any, step: int, _time: Any, tensors: dict[str, Any]
    ) -> dict[str, Any]:
        """Diffusers' newer kind of callback, which may replace tensors and here does not."""
        self.older(step, _time, tensors["latents"])
        return {}

    def older(self, step: int, _time: Any, latents: Tensor) -> None:
        """Its older kind."""
        self.spoilt = (~latents.flatten(1).isfinite()).any(1)
        if step < self.steps:  # PNDM takes one more than it is asked for
            self.progress(step + 1, self.steps)


def finished(
    pipeline: Any, denoiser: nn.Module, watch: Watch, media: Sequence[Media | None]
) -> list[Media]:
    """Give the media of a call, where each is one: None stands for what wasn't finite.

    Raises:
        NonFiniteError: an item isn't finite, or its latents aren't; it has the others.
    """
    spoilt = [False] * len(media) if watch.spoilt is None else watch.spoilt.tolist()
    made = [None if bad else item for item, bad in zip(media, spoilt, strict=True)]
    whole = [item for item in made if item is not None]
    if len(whole) == len(made):
        return whole
    part, does = (denoiser, "denoises") if any(spoilt) else (pipeline.vae, "decodes")
    bad = [str(place + 1) for place, item in enumerate(made) if item is None]
    wide = part.dtype in (torch.float32, torch.float64)
    raise NonFiniteError(
        f"{type(pipeline).__name__} made NaN or infinity, which is no medium, for item "
        f"{', '.join(bad)} of {len(made)}: {type(part).__name__}, which {does} in {part.dtype}; "
        + ("" if wide else "open it in float32, or ")
        + "choose another number of steps or less guidance"
        + (", or check the weights, which may hold NaN" if wide else ""),
        made,
    )


def is_finite(values: np.ndarray) -> bool:
    """Whether there is no NaN and no infinity, without an array as large as the values."""
    return bool(np.isfinite(values.min()) and np.isfinite(values.max()))
