"""References on channels that a denoiser was trained to read beside its noise."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from anymodal.decoders.families.base import Family
from anymodal.decoders.mechanism import BranchWeights, FamilyReferences, ReferenceMechanism
from anymodal.decoders.pipeline import Network
from anymodal.decoders.references import FIRST, EncodedReference, EncodedReferences, ReferenceSlot
from anymodal.media import Image


class FirstFrameFamily(Family):
    """Families whose denoisers take `hidden_states` with a first frame on further channels.

    Attributes:
        channel_axis: the axis of channels in a batch of latents.
        num_channels: channels of the noise.
    """

    channel_axis: ClassVar[int] = 1
    num_channels: int

    def reference_mechanism(self, roles: Sequence[str]) -> ReferenceMechanism | None:
        slots = {FIRST: ReferenceSlot(FIRST, Image)}
        return FurtherChannels(self, slots, roles) if roles else None

    def prepare_networks(self) -> None:
        """Give denoisers zeros on the channels that a call leaves out, as long as they are."""
        fill_channels(self.networks, self.channel_axis)

    @abstractmethod
    def further_channels(self, references: Sequence[EncodedReference], like: Tensor) -> Tensor:
        """The further channels of an item with these references, beside latents like those."""

    def further_arguments(
        self, references: EncodedReferences, like: Tensor
    ) -> Mapping[str, Tensor]:
        """Further arguments of a denoiser that references are, beside a batch of latents."""
        return {}


class FurtherChannels(FamilyReferences[FirstFrameFamily]):
    """Shows denoisers references on channels behind the noise's; without any these are zeros.

    Source: Yang et al. 2024 (CogVideoX, arXiv:2408.06072), section 3.4; Wan Team 2025
    (arXiv:2503.20314), section 5.1.
    """

    def takes_together(self, references: EncodedReferences) -> bool:
        """Return whether one call has all of a batch: several denoisers share its items out, and
        further arguments are of all of them or of none.
        """
        if len(references) == 1 or not any(references):
            return True
        return len(self.family.networks) == 1 and all(references)

    @contextmanager
    def beside_noise(
        self, references: EncodedReferences, weights: BranchWeights | None = None
    ) -> Iterator[None]:
        """Show the denoisers references in every call within."""
        if not any(references):
            yield
            return
        family = self.family

        def add(
            _module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any]
        ) -> tuple[tuple[Any, ...], dict[str, Any]]:
            shown = keywords["hidden_states"]
            noisy = shown.narrow(family.channel_axis, 0, family.num_channels)
            items = list(references) * (len(noisy) // len(references))  # copies of guidance
            pairs = zip(items, noisy, strict=True)
            further = torch.stack([family.further_channels(*pair) for pair in pairs])
            joined = torch.cat([noisy, further.to(noisy)], family.channel_axis)
            arguments = family.further_arguments(items, noisy)
            return inputs, {**keywords, "hidden_states": joined, **arguments}

        networks: list[Any] = list(family.networks)
        hooks = [each.register_forward_pre_hook(add, with_kwargs=True) for each in networks]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


def fill_channels(networks: Sequence[Network], axis: int = 1) -> None:
    """Give denoisers zeros on the channels that a call leaves out, as long as they are."""
    for network in networks:
        network.register_forward_pre_hook(partial(_fill, axis=axis), with_kwargs=True)


def _fill(
    network: Network, inputs: tuple[Any, ...], keywords: dict[str, Any], *, axis: int
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    noisy = keywords["hidden_states"]
    lacking = int(network.config.in_channels) - noisy.shape[axis]
    if not lacking:
        return inputs, keywords
    shape = list(noisy.shape)
    shape[axis] = lacking
    joined = torch.cat([noisy, noisy.new_zeros(shape)], axis)
    return inputs, {**keywords, "hidden_states": joined}
