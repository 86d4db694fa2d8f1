"""A reply's text as it comes, with its calls of tools taken out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from anymodal.language.template_messages import ToolDefinition
from anymodal.language.tool_calls import ToolCallParser
from anymodal.language.tool_formats import ToolFormat
from anymodal.types import TextDelta, TokenLogprob, ToolCall, ToolCalled


class ReplyText:
    """Turns pieces of text into events.

    Args:
        fmt: the form of calls of tools; None takes all for text.
        parallel_calls: whether a reply may call more than one; what stands behind the first is
            dropped where it may not.
        tools: that it may call.

    Attributes:
        num_calls: so far.
    """

    def __init__(
        self,
        fmt: ToolFormat | None = None,
        parallel_calls: bool = True,
        tools: Sequence[ToolDefinition] = (),
    ) -> None:
        self.parallel_calls = parallel_calls
        self.num_calls = 0
        self._parser = None if fmt is None else ToolCallParser(fmt, tools)
        self._logprobs: list[TokenLogprob] = []  # of text that is held back

    @property
    def is_complete(self) -> bool:
        """True once the one call of a tool came that there may be."""
        return self.num_calls > 0 and not self.parallel_calls

    def push(
        self, text: str, logprobs: Sequence[TokenLogprob] = ()
    ) -> Iterator[TextDelta | ToolCalled]:
        """Take a piece of text; give what is certain by now."""
        self._logprobs.extend(logprobs)
        yield from self._events([text] if self._parser is None else self._parser.push(text))

    def flush(self) -> Iterator[TextDelta | ToolCalled]:
        """Give what was held back, at the end of the text or before a medium."""
        if self._parser is not None:
            yield from self._events(self._parser.flush())

    def finish_reason(self, reason: str) -> str:
        """Why a reply ended, where its text ended by a reason."""
        return "tool_calls" if reason == "stop" and self.num_calls else reason

    def _events(self, pieces: Iterable[str | ToolCall]) -> Iterator[TextDelta | ToolCalled]:
        for piece in pieces:
            if self.is_complete:
                return  # what stands behind the one call
            logprobs, self._logprobs = tuple(self._logprobs), []  # a call's belong to no text
            if isinstance(piece, str):
                yield TextDelta(piece, logprobs)
            else:
                self.num_calls += 1
                yield ToolCalled(piece)
