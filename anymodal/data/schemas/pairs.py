"""Rows of requests and their replies: Alpaca, query and response, question and answer, and such."""

from __future__ import annotations

from typing import Any

from anymodal.data.containers import Row
from anymodal.data.entry_keys import as_list, is_empty
from anymodal.data.schemas.base import Reading, Schema, take, text_of
from anymodal.media import Media


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


def _of_completion(entry: Row, _: Reading) -> Row:
    """TRL's and OpenAI's: two texts, or two lists of turns."""
    rest, values = take(entry, "prompt", "completion")
    prompt, completion = values["prompt"], values["completion"]
    if isinstance(prompt, list) and isinstance(completion, list):
        return {**rest, "messages": [*prompt, *completion]}
    return {
        **rest,
        "messages": _messages(text_of(prompt, "prompt"), completion, None, "completion"),
    }


def _of_pairs(entry: Row, _: Reading) -> Row:
    """The Cauldron's pairs under `texts`; media stand before the first where no text says where."""
    rest = take(entry, "texts")[0]
    texts: list[dict[str, Any]] = entry["texts"]
    marks = "".join(
        f"<{kind}>" * len(as_list(rest.get(f"{kind}s")))
        for kind in Media.kinds
        if not any(f"<{kind}>" in str(value) for pair in texts for value in pair.values())
    )
    first, *others = texts
    asked = next((key for key in ("user", "human") if isinstance(first.get(key), str)), None)
    if asked is not None:
        first = {**first, asked: f"{marks}{first[asked]}"}
    return {**rest, "messages": [first, *others]}


def _has_pairs(row: Row) -> bool:
    texts = row.get("texts")
    return isinstance(texts, list) and bool(texts) and all(isinstance(t, dict) for t in texts)


def _of_transcript(entry: Row, _: Reading) -> Row:
    rest, values = take(entry, "transcription")
    return {**rest, "caption": values["transcription"]}


ALPACA = Schema("Alpaca", lambda row: {"instruction", "output"} <= row.keys(), _of_alpaca)
QUERY = Schema("query and response", lambda row: {"query", "response"} <= row.keys(), _of_query)
QUESTION = Schema(
    "question and answer", lambda row: {"question", "answer"} <= row.keys(), _of_question
)
COMPLETION = Schema(
    "prompt and completion", lambda row: {"prompt", "completion"} <= row.keys(), _of_completion
)
PAIRS = Schema("pairs beside media (The Cauldron)", _has_pairs, _of_pairs)
TRANSCRIPT = Schema(
    "transcripts", lambda row: "transcription" in row, _of_transcript, "Write down what is said."
)
