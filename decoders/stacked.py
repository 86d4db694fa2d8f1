"""References on the channels of a denoiser's input, beside the noise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from anymodal.decoders.branches import guide_in_three_branches
from anymodal.decoders.mechanism import BranchWeights, ReferenceMechanism
from anymodal.decoders.pipeline import Network, Pipeline
from anymodal.decoders.references import EncodedReference, EncodedReferences, ReferenceSlot
from anymodal.media import Media


class ChannelFamily(Protocol):
    """A family whose denoiser reads latents by a convolution."""

    pipeline: Pipeline
    latent_shape: tuple[int, ...]

    @property
    def stacked_roles(self) -> Mapping[str, type[Media]]:
        """The references that its denoiser may be shown, by role."""

    @property
    def input_layer(self) -> str:
        """The denoiser's layer that latents enter."""

    @property
    def network(self) -> Network:
        """The denoiser."""

    def spread(self, reference: EncodedReference, latents: Tensor) -> tuple[Tensor, Tensor]:
        """A reference's latents where those of an item (C, …) are, and a mask (1, …)."""


class StackedReferences(ReferenceMechanism):
    """Shows a denoiser references on further channels of its input.

    Each role has the channels of its latents, zeros where there is none, and one more that is 1
    where there is one, since latents of zeros would be a grey reference. A network that was trained
    without is widened by weights of zero in the layer that latents enter, and so computes what it
    did before.

    Source: Brooks et al. 2023 (InstructPix2Pix, arXiv:2211.09800), section 3.2; the mask's channel
    is that of Wan's image to video (arXiv:2503.20314, section 5.1).

    Args:
        family: whose denoiser it is.
        roles: those that the denoiser takes, in the order of its channels.

    Raises:
        ValueError: a role that the family can't stack, or a denoiser of other channels.
    """

    three_branches = True

    def __init__(self, family: ChannelFamily, roles: Sequence[str]) -> None:
        self.family = family
        kinds, name = family.stacked_roles, type(family.pipeline).__name__
        if unknown := [role for role in roles if role not in kinds]:
            raise ValueError(
                f"references={list(roles)}, but {name} can be shown "
                f"{', '.join(kinds) or 'none beside its noise'}; leave out {unknown[0]!r}"
            )
        if len(set(roles)) < len(roles):
            raise ValueError(f"references={list(roles)} name a role twice; give each once")
        self.slots = tuple(ReferenceSlot(role, kinds[role]) for role in roles)
        self.num_channels = int(family.latent_shape[0])
        further = len(roles) * (self.num_channels + 1)
        own = int(family.network.config.in_channels)
        if own == self.num_channels and further:
            _widen(family, further)
        elif own != self.num_channels + further:
            raise ValueError(
                f"the denoiser takes {own} channels, and latents of {self.num_channels} with "
                f"references={list(roles)} make {self.num_channels + further}; name the roles that "
                "it was trained with"
            )

    def takes_together(self, references: EncodedReferences) -> bool:
        """Return True: items without references have zeros in their place."""
        return True

    def channels(self, references: EncodedReferences, like: Tensor) -> Tensor:
        """The further channels (B, roles x (C + 1), …) of a batch's references.

        Args:
            references: a list for each item.
            like: latents (B, C, …) of the batch.
        """
        shape = (len(references), self.num_channels + 1, *like.shape[2:])
        blocks = []
        for slot in self.slots:
            block = like.new_zeros(shape)
            for row, item in enumerate(references):
                for reference in item:
                    if reference.role == slot.role:
                        latents, mask = self.family.spread(reference, like[row])
                        block[row, :-1], block[row, -1:] = latents, mask
            blocks.append(block)
        return torch.cat(blocks, 1)

    @contextmanager
    def beside_noise(
        self, references: EncodedReferences, weights: BranchWeights | None = None
    ) -> Iterator[None]:
        """Show the denoiser references in every call within; a pipeline sees one without them.

        Guidance asks for each item several times in one call, and all of these see its references.
        """
        network: Any = self.family.network
        shown: EncodedReferences = references

        @contextmanager
        def without() -> Iterator[None]:
            nonlocal shown
            shown = [[]] * len(references)
            try:
                yield
            finally:
                shown = references

        def add(
            _module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any]
        ) -> tuple[tuple[Any, ...], dict[str, Any]]:
            name = next((each for each in _INPUTS if each in keywords), None)
            noisy = inputs[0] if name is None else keywords[name]
            noisy = noisy[:, : self.num_channels]  # one that is asked again has further ones
            copies = len(noisy) // len(shown)
            further = self.channels(list(shown) * copies, noisy)
            noisy = torch.cat([noisy, further], 1)
            if name is None:
                return (noisy, *inputs[1:]), keywords
            return inputs, {**keywords, name: noisy}

        hook = network.register_forward_pre_hook(add, with_kwargs=True)
        config = network._internal_dict
        # Pipelines draw noise of as many channels as this says.
        network._internal_dict = type(config)({**config, "in_channels": self.num_channels})
        guided = (
            nullcontext() if weights is None else guide_in_three_branches(network, weights, without)
        )
        try:
            with guided:
                yield
        finally:
            network._internal_dict = config
            hook.remove()


_INPUTS = ("hidden_states", "sample")
"""The argument of a diffusers network that noisy latents are."""


def _widen(family: ChannelFamily, further: int) -> None:
    """Let a denoiser's first layer read further channels, by weights of zero."""
    network: Any = family.network
    path, _, name = family.input_layer.rpartition(".")
    owner = network.get_submodule(path)
    layer: nn.Conv2d = getattr(owner, name)
    wide = nn.Conv2d(
        layer.in_channels + further,
        layer.out_channels,
        layer.kernel_size,  # type: ignore[arg-type]
        layer.stride,  # type: ignore[arg-type]
        layer.padding,  # type: ignore[arg-type]
        bias=layer.bias is not None,
        device=layer.weight.device,
        dtype=layer.weight.dtype,
    )
    with torch.no_grad():
        wide.weight.zero_()
        wide.weight[:, : layer.in_channels] = layer.weight
        if wide.bias is not None and layer.bias is not None:
            wide.bias.copy_(layer.bias)
    wide.requires_grad_(layer.weight.requires_grad)
    setattr(owner, name, wide.train(layer.training))
    network.register_to_config(in_channels=layer.in_channels + further)
