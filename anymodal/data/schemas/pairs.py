"""Rows of one request and its reply: Alpaca, query and response, question and answer."""

from __future__ import annotations

from typing import Any

from anymodal.data.containers import Row
from anymodal.data.entry_keys import is_empty
from anymodal.data.schemas.base import Reading, Schema, take, text_of


def _messages(request: str, said: object, history: object, reply: str) -> list[dict[str, Any]]:
    return [*history_turns(history), *_turn_pair(request, text_of(said, reply))]


def history_turns(history: object) -> list[dict[str, Any]]:
    """The turns of earlier requests and replies.

    Raises:
        ValueError: if it is no list of pairs.
    """
    turns: list[dict[str, Any]] = []
    if is_empty(history):
        return turns
    if not isinstance(history, list):
        raise ValueError(f"history is {history!r}, not a list of pairs")
    for pair in history:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise ValueError(f"history holds {pair!r}, not a pair of request and reply")
        turns += _turn_pair(text_of(pair[0], "history"), text_of(pair[1], "history"))
    return turns


def _turn_pair(request: str, reply: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": request}, {"role": "assistant", "content": reply}]


def _of_alpaca(entry: Row, _: Reading) -> Row:
    rest, values = take(entry, "instruction", "input", "output", "history")
    request = text_of(values["instruction"], "instruction")
    if not is_empty(values["input"]):
        request = f"{request}\n{text_of(values['input'], 'input')}"
    return {**rest, "messages": _messages(request, values["output"], values["history"], "output")}


def _of_query(entry: Row, _: Reading) -> Row:
    rest, values = take(entry, "query", "response", "history")
    request = text_of(values["query"], "query")
    return {
        **rest,
        "messages": _messages(request, values["response"], values["history"], "response"),
    }


def _of_question(entry: Row, _: Reading) -> Row:
    rest, values = take(entry, "question", "answer")
    request = text_of(values["question"], "question")
    return {**rest, "messages": _messages(request, values["answer"], None, "answer")}


ALPACA = Schema("Alpaca", lambda row: {"instruction", "output"} <= row.keys(), _of_alpaca)
QUERY = Schema("query and response", lambda row: {"query", "response"} <= row.keys(), _of_query)
QUESTION = Schema(
    "question and answer", lambda row: {"question", "answer"} <= row.keys(), _of_question
)
