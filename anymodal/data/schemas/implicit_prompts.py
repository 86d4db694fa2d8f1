"""Requests that stand in no column of their own: both replies of a row begin with them."""

from __future__ import annotations

import re
from itertools import takewhile
from typing import Any

_SPEAKERS = {"Human": "user", "Assistant": "assistant"}
_TURN = re.compile(r"(?:\A|\n\n)\s*(Human|Assistant):", re.M)


def implicit_turns(chosen: str, rejected: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The turns of two texts that hold the request as well.

    Transcripts of `Human:` and `Assistant:` (HH-RLHF) give a turn each. Of other texts the request
    is what both begin with, as far as whole words go; TRL, whose implicit prompts these are, cuts
    within words too.

    Raises:
        ValueError: if the texts have no request in common, or a transcript ends without a reply.
    """
    if is_transcript(chosen) and is_transcript(rejected):
        return _with_reply(transcript_turns(chosen)), _with_reply(transcript_turns(rejected))
    pairs = zip(chosen, rejected, strict=False)
    size = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    # Back to where a word begins, in both of them.
    while size and not (chosen[size - 1].isspace() or _is_between(chosen, rejected, size)):
        size -= 1
    prompt, replies = chosen[:size].strip(), (chosen[size:].strip(), rejected[size:].strip())
    if not prompt or not all(replies):
        raise ValueError(
            "there is no prompt: neither a key of the row has one, nor do both replies begin with "
            "one and go on with a reply; give it as prompt"
        )
    first, second = (
        [{"role": "user", "content": prompt}, {"role": "assistant", "content": reply}]
        for reply in replies
    )
    return first, second


def _is_between(chosen: str, rejected: str, size: int) -> bool:
    """Return whether a word ends at a place in both texts."""
    return all(len(text) > size and text[size].isspace() for text in (chosen, rejected))


def is_transcript(text: str) -> bool:
    """Return whether a text begins as a transcript of `Human:` and `Assistant:` does (HH-RLHF)."""
    mark = _TURN.match(text)
    return mark is not None and mark[1] == "Human"


def transcript_turns(text: str) -> list[dict[str, Any]]:
    """The turns of a transcript; the last is empty where it ends with a mark."""
    marks = [*_TURN.finditer(text)]
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    return [
        {"role": _SPEAKERS[mark[1]], "content": text[mark.end() : end].strip()}
        for mark, end in zip(marks, ends, strict=True)
    ]


def _with_reply(turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if turns[-1]["role"] != "assistant":
        raise ValueError("a transcript ends with what Human says; end it with Assistant's reply")
    return turns
