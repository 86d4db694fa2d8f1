"""A family's denoiser beside the references that it is shown: its output, and its errors."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch
from torch import Tensor

from anymodal.decoders.calls import cpu_attention
from anymodal.decoders.families.base import Family
from anymodal.decoders.mechanism import BranchWeights, ReferenceMechanism
from anymodal.decoders.noise import add_noise, sample_noise_levels
from anymodal.decoders.references import EncodedReferences
from anymodal.types import Conditioning


class Denoiser:
    """A family's network, shown references by a mechanism.

    Args:
        family: whose network it is.
        mechanism: by which it is shown references; None where it takes none.
    """

    def __init__(self, family: Family, mechanism: ReferenceMechanism | None) -> None:
        self.family, self.mechanism = family, mechanism

    def errors(
        self,
        clean: Tensor,
        conditioning: Conditioning,
        generator: torch.Generator | None,
        references: EncodedReferences | None,
    ) -> tuple[Tensor, Tensor | None]:
        """Squared differences (B, …) of the output and its target at random noise levels, and where
        they count; None where they do everywhere.
        """
        scheduler = self.family.pipeline.scheduler
        # Drawn where the generator is, so that a seed means the same noise on every device.
        device = clean.device if generator is None else generator.device
        noise = torch.randn(clean.shape, generator=generator, device=device).to(clean)
        levels = sample_noise_levels(
            scheduler, len(clean), generator, clean.device, self.family.tokens, self.family.shift
        )
        inputs, timesteps, target = add_noise(scheduler, clean, noise, levels)
        # Autocast chooses types itself; without it inputs need the type of the network.
        if not torch.is_autocast_enabled(clean.device.type):
            dtype = self.family.network.dtype
            inputs, conditioning = inputs.to(dtype), conditioning.cast(dtype)
        with cpu_attention(clean.device):
            output = self(inputs, timesteps, conditioning, references)
        learned = None
        if references is not None and self.mechanism is not None:
            learned = self.mechanism.loss_mask(references, clean)
        # In float32: squares of small errors are 0 in float16.
        return (output.float() - target.float()).square(), learned

    def __call__(
        self,
        inputs: Tensor,
        timesteps: Tensor,
        conditioning: Conditioning,
        references: EncodedReferences | None,
    ) -> Tensor:
        """The output beside references; item by item where these don't go together."""
        if self.goes_together(references):
            with self.beside(references, len(inputs)):
                return self.family.denoise(inputs, timesteps, conditioning)
        assert references is not None, "without any they go together"
        outputs = []
        for index in range(len(inputs)):
            row = slice(index, index + 1)
            item = conditioning.select(row)
            outputs.append(self(inputs[row], timesteps[row], item, references[row]))
        return torch.cat(outputs)

    def goes_together(self, references: EncodedReferences | None) -> bool:
        """Return whether items with these references can be computed in one batch."""
        mechanism = self.mechanism
        return references is None or mechanism is None or mechanism.takes_together(references)

    def beside(
        self,
        references: EncodedReferences | None,
        count: int,
        weights: BranchWeights | None = None,
    ) -> AbstractContextManager[None]:
        """Show the network a batch's references while it lasts, if it takes any."""
        if self.mechanism is None or not self.mechanism.slots:
            return nullcontext()
        shown = [[]] * count if references is None else references
        return self.mechanism.beside_noise(shown, weights)

    def keep(self, references: EncodedReferences | None) -> Callable[[Tensor], Tensor] | None:
        """Gives a step's latents with what the references say of them; None if they say nothing."""
        if self.mechanism is None or references is None or not any(references):
            return None
        return partial(self.mechanism.keep, references=references)


def item_means(errors: Tensor, learned: Tensor | None, parts: tuple[int, ...] = ()) -> Tensor:
    """Means (B,) of errors (B, …) where a mask that fits them is true.

    Args:
        errors: of a batch.
        learned: where they count; None for everywhere.
        parts: lengths of an item's parts, each of which counts as much as another.
    """
    flat = errors.flatten(1)
    if learned is None and not parts:
        return flat.mean(1)
    weights = torch.ones_like(flat) if learned is None else learned.expand_as(errors).flatten(1)
    pairs = zip(
        flat.split(parts or flat.shape[1], 1), weights.split(parts or flat.shape[1], 1), strict=True
    )
    means = [(part * mask).sum(1) / mask.sum(1).clamp(min=1) for part, mask in pairs]
    return torch.stack(means).mean(0)
