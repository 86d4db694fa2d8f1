"""Requests of preferences, and replies to them in every form that rows have."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from anymodal.data.containers import Row
from anymodal.data.entry_keys import TURNS, is_empty
from anymodal.data.schemas.base import take, text_of
from anymodal.data.schemas.implicit_prompts import is_transcript, transcript_turns
from anymodal.data.schemas.pairs import history_turns
from anymodal.data.schemas.turns import is_turn, normal_turns

INPUT = "input"
REQUESTS = ("prompt", "instruction", "query", "question", INPUT)
"""Keys of a request; `input` goes on with another one's, and is one alone (Distilabel)."""
_WAY_OUT = "list it in ignore to read the replies alone"

Turns = list[dict[str, Any]]


def with_turns(rest: Row) -> tuple[Row, Turns]:
    """A row without its request, and the turns of that."""
    rest, values = take(rest, *TURNS, *REQUESTS, "history")
    turns = next((values[key] for key in TURNS if values[key] is not None), None)
    if turns is not None:
        return rest, normal_turns(turns)
    prompt = turns_in(values["prompt"])
    if prompt:
        # `Assistant:` at the end of a transcript is where the reply is to come.
        is_open = prompt[-1]["role"] == "assistant" and is_empty(prompt[-1]["content"])
        return rest, prompt[:-1] if is_open else prompt
    for key in REQUESTS:
        if not is_empty(values[key]):
            request = text_of(values[key], key)
            has_input = key != INPUT and not is_empty(values[INPUT])
            more = f"\n{text_of(values[INPUT], INPUT)}" if has_input else ""
            asking = {"role": "user", "content": request + more}
            return rest, [*history_turns(values["history"]), asking]
    return rest, []


def turns_in(value: object) -> Turns | None:
    """The turns that a value holds: a list, a turn, these as JSON, or a transcript (HH-RLHF).

    None for a text that is none of these, or nothing.

    Raises:
        ValueError: for a list of anything else.
    """
    if isinstance(value, str):
        if is_transcript(value):
            return transcript_turns(value)
        value = _decoded(value)
    if isinstance(value, dict):
        value = [value]
    return normal_turns(value) if isinstance(value, list) else None


def _decoded(text: str) -> object:
    """Turns that stand in a text as JSON; None for another text."""
    if not text.lstrip().startswith(("[", "{")):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    turns = value if isinstance(value, list) else [value]
    return turns if turns and all(map(is_turn, turns)) else None


def joined_turns(prompt: Turns, reply: object) -> Turns:
    """The turns of a request and its reply: a text, a turn, turns, or a whole conversation.

    Turns that begin before the assistant's are a whole conversation, as UltraFeedback and TRL have
    it under both keys beside a prompt. It has to hold the prompt; a system message may stand in
    either.

    Raises:
        ValueError: if it doesn't, or the prompt ends with another reply.
    """
    turns = turns_in(reply)
    if turns is None:
        turns = [{"role": "assistant", "content": text_of(reply, "the reply")}]
    is_whole = bool(turns) and turns[0]["role"] != "assistant"
    if not is_whole:
        return [*prompt, *turns]
    asked, said = _without_system(prompt), _without_system(turns)
    if not _is_within([*map(_key, asked)], [*map(_key, said)]):
        raise ValueError(
            f"the conversation of a reply doesn't hold the prompt {_shown(asked)}; {_WAY_OUT}"
        )
    systems = [each for each in prompt if each["role"] == "system"]
    own = [each for each in turns if each["role"] == "system"]
    if systems and own and [*map(_key, systems)] != [*map(_key, own)]:
        raise ValueError(f"the prompt and a reply have different system messages; {_WAY_OUT}")
    return turns if own else [*systems, *turns]


def asked_of(turns: Turns, chosen: object) -> Turns:
    """Turns without the chosen reply that they end with, where it stands under a key of its own.

    Raises:
        ValueError: if they end with another one.
    """
    if not turns or turns[-1]["role"] != "assistant":
        return turns
    replies = turns_in(chosen)
    last = replies[-1] if replies else {"role": "assistant", "content": chosen}
    if _key(last) != _key(turns[-1]):
        raise ValueError(
            f"the turns end with the reply {_shown(turns[-1:])}, and the chosen one is another; "
            "end them with the request"
        )
    return turns[:-1]


def _without_system(turns: Turns) -> Turns:
    return [each for each in turns if each["role"] != "system"]


def _is_within(some: Sequence[object], several: Sequence[object]) -> bool:
    """Return whether some values stand in a row among several."""
    places = range(len(several) - len(some) + 1)
    return any(several[place : place + len(some)] == some for place in places)


def _key(turn: dict[str, Any]) -> tuple[str, str]:
    """Who says what, whatever form a content has; white space doesn't count."""
    content = turn["content"]
    pieces = content if isinstance(content, list) else [content]
    return turn["role"], "".join("".join(map(_text, pieces)).split())


def _text(piece: object) -> str:
    if isinstance(piece, dict):
        kind = piece.get("type")
        return str(piece.get("text")) if kind == "text" else f"<{kind}>"
    return str(piece)


def _shown(turns: Turns) -> str:
    text = _key(turns[-1])[1] if turns else ""
    return repr(text if len(text) <= 60 else f"{text[:60]}…")
