"""Which part of a model loses what: each alone, from the oracles to the whole chain.

Shapes: B media, N encoder tokens, D width of features, V values of an attribute.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from tqdm import tqdm

from anymodal.data.toybox.judge import captioned, judge, rendered, score, values_of
from anymodal.evaluation.report import attributes, markdown, percent

if TYPE_CHECKING:
    from anymodal.decoders import Decoder
    from anymodal.encoders import Encoder
    from anymodal.media import Media


class Rung(NamedTuple):
    """One part's figures: what was tried, and `report.attributes` of its scores."""

    name: str
    found: dict[str, Any]


def of_oracle(modality: str, count: int, *, seed: int = 0, unseen: bool = False) -> Rung:
    """The oracle on the renderer's own media."""
    media = rendered(modality, count, seed=seed, unseen=unseen)
    scores = [score(judge(modality, medium), told) for medium, told in media]
    return Rung(f"{modality}: oracle on the renderer", attributes(scores))


@torch.inference_mode()
def on_captions(
    decoder: Decoder,
    count: int,
    *,
    steps: int,
    guidance: float,
    seed: int = 0,
    unseen: bool = False,
    batch_size: int = 16,
) -> Rung:
    """A decoder on its own captions: the most that any head can reach."""
    modality = decoder.media.kind
    tasks = captioned(modality, count, seed=seed, unseen=unseen)
    scores = []
    for start, some in _batches(tasks, batch_size, f"{modality} from captions"):
        made = decoder.sample(
            decoder.embed_captions([words for words, _ in some]),
            steps=steps,
            guidance=guidance,
            generator=[torch.Generator().manual_seed(seed + start + i) for i in range(len(some))],
        )
        scores += [
            score(judge(modality, medium), told)
            for medium, (_, told) in zip(made, some, strict=True)
        ]
    return Rung(f"{modality}: decoder on captions", attributes(scores))


def table(rungs: Sequence[Rung]) -> str:
    """The rungs as a Markdown table, with a column for each attribute."""
    names = list(dict.fromkeys(name for rung in rungs for name in rung.found["by_attribute"]))
    rows = [
        [
            rung.name,
            percent(rung.found["share"]),
            *(percent(rung.found["by_attribute"].get(name)) for name in names),
        ]
        for rung in rungs
    ]
    return markdown(["part", "right %", *names], rows)


def _batches(items: Sequence[Any], size: int, label: str) -> Iterator[tuple[int, Sequence[Any]]]:
    """Batches and the places of their first items, with a progress bar."""
    with tqdm(total=len(items), desc=label, leave=False) as bar:
        for start in range(0, len(items), size):
            some = items[start : start + size]
            yield start, some
            bar.update(len(some))
