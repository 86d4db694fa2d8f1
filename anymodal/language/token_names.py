"""Names of modalities, and the texts of their signal tokens and placeholders."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

MAX_SIGNALS = 4096
"""The most signals of a modality; published models have 8 to 256."""
MAX_POINTERS = 256
"""The most pointer tokens, by which replies name media of the conversation."""
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
"""Names that become tokens, modules and folders."""


def check_name(name: object, label: str) -> None:
    """Refuse what can't be all of a token, a module and a folder.

    Raises:
        ValueError: for anything but up to 64 letters, digits, _ and - that begin with a letter, or
            a name that torch's own modules have.
    """
    if not isinstance(name, str) or not NAME.fullmatch(name):
        text = ascii(name)[:80]
        raise ValueError(
            f"{text} cannot name {label}: use up to 64 letters, digits, _ and -, a letter first"
        )
    from torch import nn  # here, since a listing of what ships does without torch

    if hasattr(nn.ModuleDict, name) or name in vars(nn.ModuleDict()):
        raise ValueError(f"{name!r} cannot name {label}: torch's modules have that; choose another")


def token_names(counts: Mapping[str, int], inputs: Sequence[str], pointers: int = 0) -> list[str]:
    """The tokens' texts in the order of their ids: spans by output, pointers, placeholders.

    Raises:
        ValueError: for a name that is no word, a count out of its range, or two names that collide.
    """
    if not 0 <= pointers <= MAX_POINTERS:
        raise ValueError(f"num_pointers={pointers}; give 0 to {MAX_POINTERS}")
    for name in [*counts, *inputs]:
        check_name(name, "a modality")
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} has {count} signals; it needs at least 1")
        if count > MAX_SIGNALS:
            raise ValueError(f"{name} has {count} signals; {MAX_SIGNALS} is the most")
    names = [f"<|{name}_{index}|>" for name, count in counts.items() for index in range(count)]
    names += [f"<|pointer_{number}|>" for number in range(pointers)]
    names += [f"<|{name}|>" for name in inputs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two modalities share the tokens {', '.join(twice)}; rename one")
    return names
