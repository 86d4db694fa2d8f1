"""One chat turn in which tools are called: replies and results, until one calls nothing."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Collection, Generator, Sequence

from anymodal.chat.tools import Toolbox
from anymodal.media import Media
from anymodal.types import Done, Event, Message, ToolCall, ToolFinished

Answer = Callable[[list[Message], int], Generator[Event]]
"""Answers messages once; its media are counted from the number given."""


def answer_with_tools(
    answer: Answer, messages: Sequence[Message], toolbox: Toolbox, readable: Collection[str]
) -> Generator[Event]:
    """Answer, run what the reply calls, and answer again with the results, until none is called.

    The last message has the ones before it in `Message.steps`. Where a reply still calls tools
    after a call was refused for their number, the turn ends there, with `tool_calls` as its
    reason. So it does where a reply calls a tool that the caller runs; none of that reply's calls
    has run then.

    Args:
        answer: answers messages once.
        messages: the conversation.
        toolbox: has the tools.
        readable: kinds of media that the model reads; of others it is told in words.
    """
    steps: list[Message] = []
    num_media, is_exhausted = 0, False
    while True:
        reply = yield from _answer_once(answer, [*messages, *steps], num_media)
        calls = [part for part in reply.content if isinstance(part, ToolCall)]
        if not calls or is_exhausted or any(map(toolbox.is_left, calls)):
            yield Done(dataclasses.replace(reply, steps=tuple(steps)))
            return
        num_media += len(reply.media)
        steps.append(reply)
        for call in calls:
            is_exhausted = toolbox.num_calls >= toolbox.limits.max_calls
            result = toolbox.run(call, [*messages, *steps])
            steps.append(_result_message(result, readable))
            yield result


def _answer_once(
    answer: Answer, messages: list[Message], num_media: int
) -> Generator[Event, None, Message]:
    """Pass on a reply's events but the last, whose message comes back."""
    with contextlib.closing(answer(messages, num_media)) as events:
        for event in events:
            if isinstance(event, Done):
                return event.message
            yield event
    raise AssertionError("a reply ends with Done")


def _result_message(result: ToolFinished, readable: Collection[str]) -> Message:
    content: list[str | Media] = []
    for part in result.content:
        if isinstance(part, Media) and part.kind not in readable:
            part = f"[{part.kind}, which this model doesn't read]"
        content.append(part)
    return Message("tool", content)
