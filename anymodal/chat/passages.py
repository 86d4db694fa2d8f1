"""Passages of a reply that are spoken, found in its text as it comes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from anymodal.decoders.speech.base import ALL, MARKED, PASSAGES
from anymodal.decoders.speech.sentences import SentenceSplitter, is_speakable

if TYPE_CHECKING:
    from anymodal.core import ComposedModel


class PassageStart(NamedTuple):
    """A passage begins to be spoken."""

    name: str


class Sentence(NamedTuple):
    """A sentence of a passage is complete."""

    name: str
    text: str


class PassageEnd(NamedTuple):
    """A passage is complete."""

    name: str


Item = str | PassageStart | Sentence | PassageEnd
"""A piece of the text as it was written, or what it says about a passage."""


class PassageReader(ABC):
    """Finds what one speaker speaks.

    Nothing of the text is held back or changed: the pieces that come out are those that went in,
    cut where a passage begins. A passage begins with its first word, so that none is empty.

    Args:
        name: of the modality.
        splitter: cuts passages into sentences.
    """

    def __init__(self, name: str, splitter: SentenceSplitter) -> None:
        self.name, self.splitter = name, splitter
        self._marks = f"<{name}>", f"</{name}>"
        self._has_begun = False

    @abstractmethod
    def push(self, text: str) -> Iterator[Item]:
        """Take a piece of text; give it with what is known by now."""

    def flush(self) -> Iterator[Item]:
        """Give the rest, at the end of the text."""
        yield from self._end()

    def _speak(self, text: str) -> Iterator[Item]:
        """Take text within a passage; what it says about the passage, not the text itself."""
        for sentence in self.splitter.push(text):
            yield Sentence(self.name, self._said(sentence))

    def _said(self, sentence: str) -> str:
        """The spoken words of a sentence."""
        return sentence

    def _begin(self, text: str) -> Iterator[Item]:
        """The text of a passage, which begins before its first word."""
        if not self._has_begun and is_speakable(text):
            self._has_begun = True
            first = next(i for i, letter in enumerate(text) if is_speakable(letter))
            if text[:first]:
                yield text[:first]
            yield PassageStart(self.name)
            text = text[first:]
        if text:
            yield text

    def _end(self) -> Iterator[Item]:
        for sentence in self.splitter.flush():
            yield Sentence(self.name, self._said(sentence))
        if self._has_begun:
            yield PassageEnd(self.name)
        self._has_begun = False


class WholeReply(PassageReader):
    """Speaks all of a reply, but for its marks of what to speak."""

    def push(self, text: str) -> Iterator[Item]:
        """Take a piece of text, all of which is spoken."""
        yield from self._begin(text)
        yield from self._speak(text)

    def _said(self, sentence: str) -> str:
        start, end = self._marks
        said = " ".join(sentence.replace(start, " ").replace(end, "").split())
        return said if is_speakable(said) else sentence


class MarkedPassages(PassageReader):
    """Speaks what stands between `<NAME>` and `</NAME>`; the marks stay in the text."""

    def __init__(self, name: str, splitter: SentenceSplitter) -> None:
        super().__init__(name, splitter)
        self._is_inside = False
        self._held = ""  # may be the beginning of a mark

    def push(self, text: str) -> Iterator[Item]:
        """Take a piece of text, which may hold any part of marks."""
        while text:
            mark = self._marks[self._is_inside]
            seen = self._held + text
            at = seen.find(mark)
            if at < 0:
                kept = _overlap(seen, mark)
                yield from self._plain(text, seen[: len(seen) - kept])
                self._held = seen[len(seen) - kept :]
                return
            length = at + len(mark) - len(self._held)  # of this piece, up to the mark's end
            yield from self._plain(text[:length], seen[:at])
            self._held, text = "", text[length:]
            if self._is_inside:
                yield from self._end()
            self._is_inside = not self._is_inside

    def _plain(self, text: str, said: str) -> Iterator[Item]:
        """A piece of text, and what of it and of what was held is certain to be no mark."""
        if not self._is_inside:
            if text:
                yield text
            return
        # Only up to the closing mark may words begin a passage.
        before = max(0, len(said) - len(self._held))
        yield from self._begin(text[:before])
        if text[before:]:
            yield text[before:]
        yield from self._speak(said)

    def flush(self) -> Iterator[Item]:
        """Give the rest; a passage that was never closed ends here."""
        if self._is_inside:
            yield from self._speak(self._held)
        self._held, self._is_inside = "", False
        yield from super().flush()


def _overlap(text: str, mark: str) -> int:
    """Length of the longest end of a text that a mark begins with."""
    return next(n for n in range(min(len(text), len(mark)), -1, -1) if text.endswith(mark[:n]))


class ReplyPassages:
    """Finds what all of a model's speakers speak.

    Args:
        model: whose reply it is.
        settings: of media by modality, of which `passages` tells what a speaker speaks.
    """

    def __init__(self, model: ComposedModel, settings: Mapping[str, Mapping[str, Any]]) -> None:
        readers: dict[str, type[PassageReader]] = {ALL: WholeReply, MARKED: MarkedPassages}
        self._readers = [
            reader(name, SentenceSplitter(speaker.max_characters))
            for name, speaker in model.speakers.by_name().items()
            if (reader := readers.get(settings[name].get(PASSAGES, MARKED))) is not None
        ]

    def push(self, text: str) -> list[Item]:
        """Take a piece of text; give it with what is known by now."""
        items: list[Item] = [text]
        for reader in self._readers:
            items = list(_through(items, reader))
        return items

    def flush(self) -> list[Item]:
        """Give the rest, at the end of the text."""
        return [item for reader in self._readers for item in reader.flush()]


def _through(items: Iterable[Item], reader: PassageReader) -> Iterator[Item]:
    for item in items:
        if isinstance(item, str):
            yield from reader.push(item)
        else:
            yield item
