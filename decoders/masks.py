"""Masks: which part of a source is made anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor

from anymodal.decoders.references import MASK, SOURCE, References, first_of
from anymodal.media import Image, Media

_SIZES = ("height", "width")


class MaskedFamily(Protocol):
    """A family that makes a part of a source anew."""

    def prepare_mask(self, mask: Image) -> Tensor:
        """A mask (1, height, width) of a prepared picture, 1 where it is made anew."""

    def latent_mask(self, mask: Tensor) -> Tensor:
        """A mask (1, height, width) of a prepared picture as one of its latents (1, h, w)."""


def check_masks(references: References, settings: Mapping[str, Any], owner: str) -> None:
    """Check the masks of a batch against their sources.

    Args:
        references: a list for each item.
        settings: of a call.
        owner: the decoder's name in errors.

    Raises:
        ValueError: a mask without a source, or of another size, or settings of a size beside one.
    """
    for item in references:
        if (mask := first_of(item, MASK)) is None:
            continue
        if (source := first_of(item, SOURCE)) is None:
            raise ValueError(
                f"{owner} is given a {MASK!r} and no {SOURCE!r}, and a mask says which part of a "
                "source is made anew; give one"
            )
        sizes = [_size(each.media) for each in (mask, source)]
        if sizes[0] != sizes[1]:
            raise ValueError(
                f"a mask of {sizes[0]} pixels for a source of {sizes[1]}; give both in one size"
            )
        for name in _SIZES:
            if settings.get(name) is not None:
                raise ValueError(
                    f"{name}={settings[name]}, and a source with a mask is made in {owner}'s own "
                    f"size; leave {name} out"
                )


def mask_of_latents(family: MaskedFamily, mask: Media) -> Tensor:
    """A mask of latents (1, h, w), 1 where they are made anew.

    Raises:
        ValueError: nothing is made anew.
    """
    assert isinstance(mask, Image), "its slot says so"
    fitted = family.latent_mask(family.prepare_mask(mask))
    if not bool(fitted.any()):
        raise ValueError(
            "nothing is white in the mask, or what is is smaller than the decoder sees, so that "
            "nothing would be made anew; paint what is to change white, and larger"
        )
    return fitted


def _size(medium: Media) -> str:
    pixels = getattr(medium, "pixels")  # noqa: B009 (a source is a picture, as its mask is)
    return f"{pixels.shape[1]}x{pixels.shape[0]}"
