"""The media of prompts, as a fusion's modules read them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from anymodal.fusion.base import Fusion
from anymodal.language.chat_prompt import ChatPrompt, MediaReference
from anymodal.language.fused_media import FusedMedia, FusedMedium
from anymodal.language.packing import Place
from anymodal.projection.base import mask_line_ends
from anymodal.types import Features

READ_AT_ONCE = 8
"""The most media in one batch where states are kept, so that memory doesn't grow with them."""

Encode = Callable[[str, Sequence[MediaReference]], Features]
"""Features of one modality's items in one batch."""


def state_key(item: MediaReference) -> Hashable:
    """Identifies an item's states beside its soft tokens."""
    return ("states", item.digest)


def fuse_media(
    fusion: Fusion,
    prompts: Sequence[ChatPrompt],
    places: Sequence[Place],
    encode: Encode,
    device: torch.device,
    cache: dict[Hashable, Tensor] | None = None,
) -> FusedMedia:
    """The media of prompts' rows.

    Args:
        fusion: whose modules read them.
        prompts: conversations.
        places: where each begins.
        encode: gives features.
        device: of the language model.
        cache: states (N, W) by `state_key`. What it has isn't computed again, and afterwards it has
            those of these prompts.
    """
    each = (item for prompt in prompts for item in prompt.media if _is_of(fusion, item))
    items = dict.fromkeys(each)  # in order, on which batches depend
    states: Mapping[MediaReference, Tensor] = {}
    if fusion.reads_features:
        by_name: dict[str, list[MediaReference]] = {}
        for item in items:
            by_name.setdefault(item.modality, []).append(item)
        if cache is None:
            states = {
                item: value
                for name, group in by_name.items()
                for item, value in zip(group, _read(fusion, name, group, encode), strict=True)
            }
        else:
            for name, group in by_name.items():
                cache.update(_missing(fusion, name, group, encode, cache))
            states = {item: cache[state_key(item)] for item in items}
    rows: list[list[FusedMedium]] = [[] for _ in range(max(row for row, _ in places) + 1)]
    for (row, start), prompt in zip(places, prompts, strict=True):
        for item in prompt.media:
            if item in items:
                runs = _runs(start, item)
                rows[row].append(FusedMedium(start + item.start, states.get(item), runs))
    return FusedMedia(rows, device)


def _is_of(fusion: Fusion, item: MediaReference) -> bool:
    """Return whether an item is of a fusion's modalities. Media that the language model reads by
    itself are of one that has no others, and doesn't read features.
    """
    return item.modality in fusion.widths or not (fusion.widths or fusion.reads_features)


def _runs(start: int, item: MediaReference) -> list[tuple[int, int]]:
    """First place in the row and number of an item's own positions that follow one another."""
    places = item.places or [item.start]
    own = {*places}
    firsts, ends = ([at for at in places if at + step not in own] for step in (-1, 1))
    return [(start + a, b + 1 - a) for a, b in zip(firsts, ends, strict=True)]


def _read(
    fusion: Fusion, name: str, items: Sequence[MediaReference], encode: Encode
) -> list[Tensor]:
    """States (N, W) of items of one modality."""
    device = fusion.device
    own = fusion.encoder is not None
    features = fusion.encode([item.media for item in items]) if own else encode(name, items)
    values, mask = mask_line_ends(features, fusion.layouts.get(name))
    values, mask = fusion.read(name, Features(values.to(device), mask.to(device)))
    if bool(mask.all()):
        return list(values)
    return [value[real] for value, real in zip(values, mask, strict=True)]


def _missing(
    fusion: Fusion,
    name: str,
    items: Sequence[MediaReference],
    encode: Encode,
    cache: Mapping[Hashable, Tensor],
) -> Iterator[tuple[Hashable, Tensor]]:
    """Keys and states of the items that a cache lacks, each medium read once."""
    new = {state_key(item): item for item in items if state_key(item) not in cache}
    keys = list(new)
    for start in range(0, len(keys), READ_AT_ONCE):
        some = keys[start : start + READ_AT_ONCE]
        yield from zip(some, _read(fusion, name, [new[key] for key in some], encode), strict=True)
