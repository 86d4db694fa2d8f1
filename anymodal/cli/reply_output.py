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
    from anymodal.types import Event


def print_reply(session: Session, answer: Iterator[Event], *, as_json: bool = False) -> None:
    """Let the session answer, and print the reply and the paths of its media."""
    with contextlib.closing(answer) as events:  # type: ignore[type-var]
        if as_json:
            terminal.show_progress(events)
        else:
            terminal.show_reply(events)
    turn = session.turns[-1]
    if as_json:
        print(reply_json(turn), flush=True)
        return
    for choice in sorted(turn.reply.choices, key=lambda each: -each.probability):
        print(f"  {choice.probability:.3f}  {printable(choice.text)}")
    for number, path in enumerate(turn.reply_files, 1):
        print(f"  [{number}] {printable(str(path), None)}")


def reply_json(turn: Exchange) -> str:
    """A turn's reply as one line of JSON, in ASCII, so that no terminal obeys what it says."""
    from anymodal.chat.transcript import transcript_message

    reply = turn.reply
    usage = {} if reply.usage is None else dataclasses.asdict(reply.usage)
    record = {
        "text": reply.text,
        "content": transcript_message(reply, turn.reply_files)["content"],
        "files": [str(path) for path in turn.reply_files],
        "seed": turn.seed,
        "finish_reason": reply.finish_reason,
        "usage": {f"{name}_tokens": count for name, count in usage.items()},
    }
    if reply.choices:
        record["choices"] = [choice._asdict() for choice in reply.choices]
    return json.dumps(record)
