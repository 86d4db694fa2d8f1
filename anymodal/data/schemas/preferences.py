"""Rows of a reply that is preferred to another one."""

from __future__ import annotations

from typing import Any

from anymodal.data.containers import Row
from anymodal.data.entry_keys import TURNS, is_empty, of_kinds
from anymodal.data.schemas.base import take, text_of
from anymodal.data.schemas.pairs import history_turns
from anymodal.data.schemas.turns import normal_turns
from anymodal.media import Media

_REJECTED = ("rejected", "rejected_response", "rejected_messages")
_CHOSEN = "chosen"
_INPUT_KEYS = ("{}s", "{}")


def preference_keys() -> list[str]:
    """Keys of rejected replies and their media."""
    return [*_REJECTED, _CHOSEN, *of_kinds(["rejected_{}s", "rejected_{}", "chosen_{}"])]


def is_preference(row: Row) -> bool:
    """Return whether a row has a rejected reply."""
    return any(not is_empty(row.get(key)) for key in preference_keys() if key != _CHOSEN)


def both_entries(entry: Row) -> tuple[Row, Row]:
    """The row with the chosen reply alone, and with the rejected one alone.

    Read are ms-swift's rows (`messages`, of which the last is the chosen one, with
    `rejected_response`, `rejected_messages` or `rejected_Ms`), LLaMA-Factory's and TRL's
    (`conversations`, `instruction` or `prompt`, with `chosen` and `rejected`), and media
    (`prompt`, with files under `chosen_M` and `rejected_M`).

    Raises:
        ValueError: if one of the replies isn't there.
    """
    rest, replies = take(entry, *preference_keys())
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
    media = {
        key.removeprefix("rejected_"): value
        for key, value in replies.items()
        if key.removeprefix("rejected_") in of_kinds(_INPUT_KEYS) and not is_empty(value)
    }
    chosen, rejected = replies[_CHOSEN], _rejected(replies)
    if rejected is None and not media:
        return None
    first = prompt if is_empty(chosen) else joined_turns(prompt, chosen)
    if not first or first[-1]["role"] != "assistant":
        raise ValueError("there is no chosen reply; end the turns with it, or give it as chosen")
    if rejected is None:
        second = first
    elif not is_empty(replies["rejected_messages"]):
        second = normal_turns(rejected)
    else:
        second = joined_turns(first[:-1], rejected)
    return {**rest, "messages": first}, {**rest, **media, "messages": second}


def _rejected(replies: Row) -> object:
    names = [key for key in _REJECTED if not is_empty(replies.get(key))]
    if len(names) > 1:
        raise ValueError(f"the rejected reply stands twice, under {' and '.join(names)}")
    return replies[names[0]] if names else None


def with_turns(rest: Row) -> tuple[Row, list[dict[str, Any]]]:
    """A row without its request, and the turns of that."""
    rest, values = take(rest, *TURNS, "prompt", "instruction", "input", "query", "history")
    turns = next((values[key] for key in TURNS if values[key] is not None), None)
    if turns is not None:
        return rest, normal_turns(turns)
    prompt = values["prompt"]
    if isinstance(prompt, list):
        return rest, normal_turns(prompt)
    for key in ("prompt", "instruction", "query"):
        if not is_empty(values[key]):
            request = text_of(values[key], key)
            more = "" if is_empty(values["input"]) else f"\n{text_of(values['input'], 'input')}"
            asking = {"role": "user", "content": request + more}
            return rest, [*history_turns(values["history"]), asking]
    return rest, []


def joined_turns(prompt: list[dict[str, Any]], reply: object) -> list[dict[str, Any]]:
    """The turns of a request and its reply: a text, a turn, turns, or a whole conversation."""
    if isinstance(reply, str):
        return [*prompt, {"role": "assistant", "content": reply}]
    turns = normal_turns(reply if isinstance(reply, list) else [reply])
    # TRL's rows hold the whole conversation under both keys, and the request may stand beside it.
    return turns if turns[: len(prompt)] == prompt else [*prompt, *turns]
