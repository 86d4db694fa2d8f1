"""Sentences of a text that comes in pieces."""

from __future__ import annotations

import re
from collections.abc import Iterator

_END = re.compile(r"(?:[.!?…؟۔।॥]+[\"'”’»)\]]*(?=\s)|[。！？]++[」』”]?+(?=[\s\S])|\n)")
"""Where a sentence may end, once what follows is known: a point counts only before a space, so no
number is cut."""
_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:[A-Z]|(?:[A-Za-z]\.)+[A-Za-z]|(?i:mr|mrs|ms|dr|prof|st|vs|etc|fig|approx))\.$"
    r"|^\s*[0-9]{1,3}\.$"
)
"""A text whose last point ends no sentence: abbreviations, letters with points between (a.m.), and
the number of a list's item."""
_BREAK = re.compile(r"[,;:，；：、)–—]\s*|\s+")
_WORD = re.compile(r"[^\W_]")  # a line of underscores is no word


class SentenceSplitter:
    """Cuts a text into sentences as it comes.

    Args:
        max_characters: the longest sentence; a longer one is cut between words, as it comes.
    """

    def __init__(self, max_characters: int = 300) -> None:
        self.max_characters = max_characters
        self._rest = ""

    def push(self, text: str) -> Iterator[str]:
        """Take a piece of text; give the sentences that are complete by now."""
        self._rest += text
        start = 0
        while (match := _END.search(self._rest, start)) is not None:
            if match[0] == "." and _ABBREVIATION.search(self._rest[: match.end()]):
                start = match.end()
                continue
            sentence, self._rest = self._rest[: match.end()], self._rest[match.end() :]
            start = 0
            yield from self._parts(sentence)
        if len(self._rest) > self.max_characters:
            pieces, rest = self._cut(self._rest)
            self._rest = f"{rest} " if rest and self._rest[-1].isspace() else rest
            yield from pieces

    def flush(self) -> Iterator[str]:
        """Give what is left at the end of the text."""
        sentence, self._rest = self._rest, ""
        yield from self._parts(sentence)

    def _parts(self, sentence: str) -> Iterator[str]:
        pieces, rest = self._cut(sentence)
        yield from pieces
        yield from _spoken(rest)

    def _cut(self, sentence: str) -> tuple[list[str], str]:
        """What goes beyond the limit, in pieces, and the rest. What follows changes no piece."""
        sentence, pieces = " ".join(sentence.split()), list[str]()
        while len(sentence) > self.max_characters:
            limit = self.max_characters
            breaks = _BREAK.finditer(sentence[: limit + 1])
            ends = [len(sentence[: match.end()].rstrip()) for match in breaks]
            at = next((end for end in reversed(ends) if limit // 2 < end <= limit), limit)
            pieces += _spoken(sentence[:at].strip())
            sentence = sentence[at:].strip()
        return pieces, sentence


def _spoken(text: str) -> Iterator[str]:
    if is_speakable(text):
        yield text


def is_speakable(text: str) -> bool:
    """Return whether there is anything to say in a text; punctuation alone is nothing."""
    return _WORD.search(text) is not None


def sentences_of(text: str, max_characters: int = 300) -> list[str]:
    """The sentences of a whole text."""
    splitter = SentenceSplitter(max_characters)
    return [*splitter.push(text), *splitter.flush()]
