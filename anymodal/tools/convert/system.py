"""The key mapping of a published checkpoint."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

Names = Sequence[tuple[str, Sequence[str]]]

Derive = Callable[[re.Match[str], Tensor], Mapping[str, Tensor]]
"""Makes weights, by their names here, of a key's match and its tensor."""


@dataclass(frozen=True)
class System:
    """Key mapping of a published checkpoint: its names of parts, and ours.

    Args:
        names: patterns of its keys, each with the name here, or with several.
        required_names: names, as here, that a checkpoint must have.
        licence: of the weights, as far as their publishers say.
        commercial_use: whether it allows that; None where it has conditions.
        signals: its signal tokens by modality, in the order of ours.
        rows: keys of input and output rows: of whole vocabularies, or of the signals alone.
        names_by_folder: the same as `names` for weights of encoders, by the folder they go to.
        derived: patterns of its keys, each with what makes weights here of a tensor.
    """

    names: Names
    required_names: Sequence[str]
    licence: str
    commercial_use: bool | None
    signals: Mapping[str, Sequence[str]] = field(default_factory=dict)
    rows: Mapping[str, str] | None = None
    names_by_folder: Mapping[str, Names] = field(default_factory=dict)
    derived: Sequence[tuple[str, Derive]] = ()
