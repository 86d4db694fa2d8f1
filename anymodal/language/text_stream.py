"""Text of ids that come one at a time, in whole characters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anymodal.language.model import LanguageModel
from anymodal.types import TokenLogprob


@dataclass(frozen=True)
class TextToken:
    """A piece of text, whole characters only, and the ids of the tokens that begin in it.

    The log-probabilities are those of the ids, or none if they aren't asked for.
    """

    text: str
    ids: tuple[int, ...]
    logprobs: tuple[TokenLogprob, ...] = ()


class TextStream:
    """Decodes ids one at a time, holding back characters that are not complete.

    A character of UTF-8 may take several byte-level tokens; a tokenizer that joins words by
    spaces needs the ids before. So the last emitted stretch is decoded again with the new ids,
    and what it gains is the text.
    """

    def __init__(self, language: LanguageModel) -> None:
        self.language = language
        self.context_ids: list[int] = []
        self.ids: list[int] = []
        self.logprobs: list[TokenLogprob] = []

    def push(self, token: int, logprobs: Sequence[TokenLogprob] = ()) -> TextToken | None:
        """Add an id; the text that is complete by now, if any."""
        self.ids.append(token)
        self.logprobs.extend(logprobs)
        text = self._gain()
        # U+FFFD at the end: a character of which only some bytes have come.
        if not text or text.endswith("\ufffd"):
            return None
        return self._emit(text)

    def flush(self) -> TextToken | None:
        """The text of the ids that are left, complete or not."""
        return self._emit(self._gain()) if self.ids else None

    def _gain(self) -> str:
        # The difference of two decodings: alone, the new ids would lose the space before a word.
        context = self.language.decode(self.context_ids)
        return self.language.decode(self.context_ids + self.ids)[len(context) :]

    def _emit(self, text: str) -> TextToken:
        event = TextToken(text, tuple(self.ids), tuple(self.logprobs))
        self.logprobs = []
        # A broken character must not join with what follows, which isn't the reply's start either.
        is_broken = text.endswith("\ufffd")
        self.context_ids, self.ids = self.language.encode_text("a") if is_broken else self.ids, []
        return event
