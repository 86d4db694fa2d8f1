"""Stop strings in streamed text."""

from __future__ import annotations

from collections.abc import Sequence


class StopStrings:
    """Passes streamed text on until one of several strings appears in it.

    What may be the beginning of one is held back until more is known. The string itself is left
    out.
    """

    def __init__(self, strings: Sequence[str] = ()) -> None:
        self.strings = [each for each in strings if each]
        self.hit = False
        self._buffer = ""

    def push(self, text: str) -> str:
        """Add text; give what is certain by now."""
        if self.hit or not self.strings:
            return "" if self.hit else text
        text = self._buffer + text
        places = [place for each in self.strings if (place := text.find(each)) >= 0]
        if places:
            self.hit, self._buffer = True, ""
            return text[: min(places)]  # the one that comes first, whatever their order
        overlap = max(_overlap(text, each) for each in self.strings)
        self._buffer = text[len(text) - overlap :]
        return text[: len(text) - overlap]

    def flush(self) -> str:
        """Give what was held back, where the text ends or is interrupted."""
        text, self._buffer = self._buffer, ""
        return text


def _overlap(text: str, string: str) -> int:
    """The length of the longest beginning of `string` that `text` ends with."""
    limit = min(len(text), len(string) - 1)
    return next((size for size in range(limit, 0, -1) if text.endswith(string[:size])), 0)
