"""Replies of a session as they are printed: text and files, or a line of JSON."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from anymodal.cli import terminal
from anymodal.config.printable import printable

if TYPE_CHECKING:
    from anymodal.chat.session import Session
    from anymodal.chat.transcript import Exchange
    from anymodal.types import Event, TokenLogprob


class ReplyPrinter:
    """Prints replies of a session, and the paths of their media.

    Args:
        session: whose replies.
        as_json: print each as a line of JSON.
        number: replies to each message. All but the first are only printed, and their media saved.
    """

    def __init__(self, session: Session, *, as_json: bool = False, number: int = 1) -> None:
        self.session, self.as_json, self.number = session, as_json, number

    def print_replies(self, answer: Iterator[Event]) -> None:
        """Let the session answer, and print the replies to its last message."""
        turn = self._print(answer, 0)
        try:
            for index in range(1, self.number):
                self._print(self.session.retry(turn.seed + index), index)
        finally:
            self.session.turns[-1] = turn

    def _print(self, answer: Iterator[Event], index: int) -> Exchange:
        logprobs: list[TokenLogprob] = []
        with contextlib.closing(answer) as events:  # type: ignore[type-var]
            watched = _collect_logprobs(events, logprobs)
            if self.as_json:
                terminal.show_progress(watched)
            else:
                terminal.show_reply(watched)
        turn = self.session.turns[-1]
        scores = [self._logprob_json(each) for each in logprobs]
        if self.as_json:
            place = {"index": index} if self.number > 1 else {}
            print(json.dumps({**place, **reply_record(turn), **_scores(scores)}), flush=True)
            return turn
        for choice in sorted(turn.reply.choices, key=lambda each: -each.probability):
            print(f"  {choice.probability:.3f}  {printable(choice.text)}")
        if turn.reply.check is not None:
            print(f"  ({printable(str(turn.reply.check), None)})")
        for number, path in enumerate(turn.reply_files, 1):
            print(f"  [{number}] {printable(str(path), None)}")
        for each in scores:
            print(f"  {_logprob_line(each)}")
        return turn

    def _logprob_json(self, logprob: TokenLogprob) -> dict[str, object]:
        text = self.session.model.token_text
        top = [[text(token), value] for token, value in logprob.top]
        return {"token": text(logprob.token), "logprob": logprob.logprob, "top": top}


def _collect_logprobs(events: Iterator[Event], logprobs: list[TokenLogprob]) -> Iterator[Event]:
    """The events as they are; the log-probabilities of their tokens go into a list."""
    for event in events:
        logprobs.extend(getattr(event, "logprobs", ()))
        yield event


def _scores(scores: list[dict[str, object]]) -> dict[str, object]:
    return {"logprobs": scores} if scores else {}


def _logprob_line(score: dict[str, object]) -> str:
    """A token with its log-probability, and the likeliest at its place."""
    top = score["top"]
    assert isinstance(top, list), "as `_logprob_json` has it"
    beside = ", ".join(f"{json.dumps(token)} {value:.3f}" for token, value in top)
    line = f"{score['logprob']:8.3f}  {json.dumps(score['token'])}"
    return f"{line}  ({beside})" if beside else line


def reply_record(turn: Exchange) -> dict[str, object]:
    """A turn's reply as JSON values; written in ASCII, no terminal obeys what it says."""
    from anymodal.chat.transcript import transcript_message

    reply = turn.reply
    usage = {} if reply.usage is None else dataclasses.asdict(reply.usage)
    record: dict[str, object] = {
        "text": reply.text,
        "content": transcript_message(reply, turn.reply_files)["content"],
        "files": [str(path) for path in turn.reply_files],
        "seed": turn.seed,
        "finish_reason": reply.finish_reason,
        "usage": {f"{name}_tokens": count for name, count in usage.items()},
    }
    if reply.choices:
        record["choices"] = [choice._asdict() for choice in reply.choices]
    if reply.steps:
        files = turn.all_files[1:-1]
        pairs = zip(reply.steps, files, strict=True)
        record["steps"] = [transcript_message(step, names) for step, names in pairs]
    if reply.check is not None:
        check = dataclasses.asdict(reply.check)
        record["check"] = {**check, "claims": [claim._asdict() for claim in reply.check.claims]}
    return record
