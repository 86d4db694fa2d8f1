"""Rows of one reply that is rated as desirable or not, as KTO learns from."""

from __future__ import annotations

from anymodal.data.containers import Row
from anymodal.data.entry_keys import TURNS, is_empty
from anymodal.data.schemas.base import take
from anymodal.data.schemas.requests import joined_turns, with_turns

_COMPLETION, _LABEL, _TAG = "completion", "label", "kto_tag"
_VALUES = {"true": True, "1": True, "false": False, "0": False}


def is_rating(row: Row) -> bool:
    """Return whether a row has one reply and whether it is desirable."""
    if not is_empty(row.get(_TAG)) or {_COMPLETION, _LABEL} <= row.keys():
        return True
    return isinstance(row.get(_LABEL), bool) and any(key in row for key in TURNS)


def rated_entry(entry: Row) -> tuple[Row, bool]:
    """The row as a conversation that ends with the reply, and whether it is desirable.

    Read are TRL's rows (`prompt`, `completion` and `label`), ms-swift's (`messages` and `label`)
    and LLaMA-Factory's (turns and `kto_tag`).

    Raises:
        ValueError: if there is no reply, or the label isn't true or false.
    """
    rest, values = take(entry, _COMPLETION, _LABEL, _TAG)
    key = _LABEL if is_empty(values[_TAG]) else _TAG
    desirable = _VALUES.get(str(values[key]).strip().lower())
    if desirable is None:
        raise ValueError(f"{key} is {values[key]!r}; give true for a desirable reply, else false")
    rest, turns = with_turns(rest)
    completion = values[_COMPLETION]
    turns = turns if is_empty(completion) else joined_turns(turns, completion)
    if not turns or turns[-1]["role"] != "assistant":
        raise ValueError("there is no reply to rate; end the turns with it, or give a completion")
    return {**rest, "messages": turns}, desirable
