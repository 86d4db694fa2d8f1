"""Rows of a reply that is preferred to another one."""

from __future__ import annotations

import json
import math
from typing import NamedTuple

from anymodal.data.containers import Row
from anymodal.data.entry_keys import is_empty, of_kinds
from anymodal.data.schemas.base import take, text_of
from anymodal.data.schemas.implicit_prompts import implicit_turns
from anymodal.data.schemas.requests import asked_of, joined_turns, with_turns
from anymodal.data.schemas.turns import normal_turns
from anymodal.media import Media

_WHOLE = ("rejected_messages", "rejected_conversations")
_REJECTED = ("rejected", "rejected_response", *_WHOLE)
_CHOSEN = "chosen"
_INPUT_KEYS = ("{}s", "{}")
_SCORES = ("{}_score", "score_{}", "{}_rating", "{}-rating", "{}_avg_rating")
_MARGIN = "margin"
_METADATA = ("{}_model", "{}-model", "model_{}")
_OPENAI = ("preferred_output", "non_preferred_output")
_NESTED = ("text", "caption")
"""Keys under which RLHF-V's rows have a whole pair; a text beside a medium is read as caption."""
_FIRST_LABEL, _SECOND_LABEL = "label_0", "label_1"


class PairScores(NamedTuple):
    """Ratings of the two replies of a pair.

    Attributes:
        scores: of the chosen and of the rejected one; None where the row has none.
        margin: by how much the chosen one is better; None where the row doesn't tell.
    """

    scores: tuple[float, float] | None = None
    margin: float | None = None


def preference_keys() -> list[str]:
    """Keys of rejected replies and their media."""
    return [*_REJECTED, _CHOSEN, *of_kinds(["rejected_{}s", "rejected_{}", "chosen_{}"])]


def is_preference(row: Row) -> bool:
    """Return whether a row has a rejected reply."""
    row = _unpacked(row)
    return bool(_labelled_kinds(row)) or any(
        not is_empty(row.get(key)) for key in preference_keys() if key != _CHOSEN
    )


def keys_of_preference(row: Row) -> list[str]:
    """The keys that make a row a preference."""
    rejected = [key for key in row if key.startswith(_REJECTED[0]) or key == _OPENAI[1]]
    return rejected or [key for key in row if not is_preference(take(row, key)[0])]


def take_scores(entry: Row) -> tuple[Row, PairScores]:
    """A row of a preference without its scores, and these.

    Read are `chosen_score` and `rejected_score`, `score_chosen` and `score_rejected`
    (UltraFeedback), the same of `rating`, and `margin` (TRL). Names of the models that replied, and
    the path of a medium that stands in the row itself, tell nothing of the pair.

    Raises:
        ValueError: for a score that is no number, one of two alone, or a chosen reply that is rated
            lower than the rejected one.
    """
    sides = ("chosen", "rejected")
    keys = [tuple(pattern.format(side) for side in sides) for pattern in _SCORES]
    metadata = [pattern.format(side) for pattern in _METADATA for side in sides]
    paths = [key for key in of_kinds(["{}_path"]) if not is_empty(entry.get(key[:-5]))]
    rest, values = take(entry, *(key for pair in keys for key in pair), _MARGIN)
    rest, _ = take(rest, *metadata, *paths)
    there = [pair for pair in keys if any(values[key] is not None for key in pair)]
    if len(there) > 1:
        raise ValueError(f"scores stand twice, under {there[0][0]} and {there[1][0]}")
    margin = None if values[_MARGIN] is None else _number(values[_MARGIN], _MARGIN)
    scores = None
    if there:
        if missing := [key for key in there[0] if values[key] is None]:
            other = next(key for key in there[0] if key not in missing)
            raise ValueError(
                f"there is {other} and no {missing[0]}; give both, or list it in ignore"
            )
        chosen, rejected = (_number(values[key], key) for key in there[0])
        scores = chosen, rejected
        margin = chosen - rejected if margin is None else margin
    if margin is not None and margin < 0:
        raise ValueError(
            f"the chosen reply is rated lower than the rejected one, by {-margin:g}; exchange "
            "them, or list the scores in ignore"
        )
    return rest, PairScores(scores, margin)


def _number(value: object, key: str) -> float:
    try:
        number = float(value) if isinstance(value, int | float | str) else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{key} is {value!r}; give a number")
    return number


def _unpacked(entry: Row) -> Row:
    """A row whose pair stands in one column (RLHF-V: question, chosen, rejected, as JSON or not)
    as one with three; OpenAI's, whose request stands in one, likewise."""
    asked = entry.get("input")
    if isinstance(asked, dict) and not is_empty(entry.get(_OPENAI[1])):
        rest, values = take(entry, "input", *_OPENAI)
        return {**rest, **asked, _CHOSEN: values[_OPENAI[0]], _REJECTED[0]: values[_OPENAI[1]]}
    for key in _NESTED:
        value = entry.get(key)
        if isinstance(value, str) and value.lstrip().startswith("{") and '"rejected"' in value:
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                continue
        if isinstance(value, dict) and {_CHOSEN, _REJECTED[0]} <= value.keys():
            rest, _ = take(entry, key)
            return {**rest, **value}
    return entry


def _labelled(entry: Row) -> Row:
    """A row of two media and which is the better one (Pick-a-Pic: M_0, M_1, label_0) as one with
    `chosen_M` and `rejected_M`.

    Raises:
        ValueError: if neither is better, or the label is no share.
    """
    kinds = _labelled_kinds(entry)
    if not kinds:
        return entry
    rest, values = take(entry, f"{kinds[0]}_0", f"{kinds[0]}_1", _FIRST_LABEL, _SECOND_LABEL)
    share = _number(values[_FIRST_LABEL], _FIRST_LABEL)
    if share == 0.5:
        raise ValueError(f"{_FIRST_LABEL} is 0.5: neither medium is the better one")
    media = [values[f"{kinds[0]}_{n}"] for n in (0, 1)]
    chosen, rejected = media if share > 0.5 else media[::-1]
    return {**rest, f"chosen_{kinds[0]}": chosen, f"rejected_{kinds[0]}": rejected}


def _labelled_kinds(entry: Row) -> list[str]:
    if entry.get(_FIRST_LABEL) is None:
        return []
    return [key[:-2] for key in of_kinds(["{}_0"]) if not is_empty(entry.get(key))]


def both_entries(entry: Row) -> tuple[Row, Row]:
    """The row with the chosen reply alone, and with the rejected one alone.

    Read are ms-swift's rows (`messages`, of which the last is the chosen one, with
    `rejected_response`, `rejected_messages` or `rejected_Ms`), LLaMA-Factory's and TRL's
    (`conversations`, `instruction`, `prompt` or `question`, with `chosen` and `rejected`; or both
    alone, which begin with the request), RLHF-V's, and media (`prompt`, with files under `chosen_M`
    and `rejected_M`, or under `M_0` and `M_1` with `label_0`).

    Raises:
        ValueError: if one of the replies isn't there.
    """
    rest, replies = take(_labelled(_unpacked(entry)), *preference_keys())
    pair = _of_media(rest, replies) or _of_replies(rest, replies)
    if pair is None:
        raise ValueError(
            f"there is no rejected reply; give one of {', '.join(_REJECTED)}, or files under "
            "chosen_M and rejected_M"
        )
    return pair


def _of_media(rest: Row, replies: Row) -> tuple[Row, Row] | None:
    kinds = [k for k in Media.kinds if f"chosen_{k}" in replies or f"rejected_{k}" in replies]
    kind = next((k for k in kinds if not is_empty(replies.get(f"rejected_{k}"))), None)
    if kind is None:
        return None
    files = [replies.get(f"{side}_{kind}") for side in ("chosen", "rejected")]
    if is_empty(files[0]):
        raise ValueError(f"there is rejected_{kind} and no chosen_{kind}")
    rest, values = take(rest, "prompt", "caption")
    prompt = values["prompt"] if not is_empty(values["prompt"]) else values["caption"]
    text = text_of(prompt, "the prompt")
    turns = [
        {"role": "user", "content": text},
        {"role": "assistant", "content": f"<{kind}>"},
    ]
    keys = (f"output_{kind}", f"{kind}_captions")
    first, second = ({**rest, "messages": turns, keys[0]: file, keys[1]: [text]} for file in files)
    return first, second


def _of_replies(rest: Row, replies: Row) -> tuple[Row, Row] | None:
    rest, prompt = with_turns(rest)
    chosen, rejected = replies[_CHOSEN], _rejected(replies)
    if not prompt and isinstance(chosen, str) and isinstance(rejected, str):
        first, second = implicit_turns(chosen, rejected)
        return {**rest, "messages": first}, {**rest, "messages": second}
    media = {
        key.removeprefix("rejected_"): value
        for key, value in replies.items()
        if key.removeprefix("rejected_") in of_kinds(_INPUT_KEYS) and not is_empty(value)
    }
    if rejected is None and not media:
        return None
    if is_empty(chosen):
        first, asked = prompt, prompt[:-1]
    else:
        asked = asked_of(prompt, chosen)
        first = joined_turns(asked, chosen)
    if not first or first[-1]["role"] != "assistant":
        raise ValueError("there is no chosen reply; end the turns with it, or give it as chosen")
    if rejected is None:
        second = first
    elif any(not is_empty(replies[key]) for key in _WHOLE):
        second = normal_turns(rejected)
    else:
        second = joined_turns(asked, rejected)
    return {**rest, "messages": first}, {**rest, **media, "messages": second}


def _rejected(replies: Row) -> object:
    names = [key for key in _REJECTED if not is_empty(replies.get(key))]
    if len(names) > 1:
        raise ValueError(f"the rejected reply stands twice, under {' and '.join(names)}")
    return replies[names[0]] if names else None
