"""Rules of a generative grammar: symbols with alternatives, expanded at random."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from anymodal.toybox.grammar.words import Draw

_PIECE = re.compile(r"\{(\w+)\}|\[([^\]]*)\]")
_WEIGHT = re.compile(r"(\d+): ")
_ARTICLE = re.compile(r"\ba (?=(?!one\b|uni|use|ufo|eu|uku)[aeiou])")
_SPACES = re.compile(r"\s+(?=[,.!?:;])|\s+")
_COMMAS = re.compile(r",(?=[,.!?;:])|^[,\s]+")
_NEEDLESS = re.compile(r"\ba (?=rain\b(?! (?:cloud|shower|storm)))|\b(now|instead|rather) (?=\1\b)")
_STRAY = re.compile(r",\s*(?=[.!?]|$)| +(?=\.(?:\s|$))| +(?= )")

Piece = tuple[str, str]
"""A literal and the symbol behind it, which is empty at the end."""


class Rules:
    """Alternatives by symbol; one is drawn at every place where its symbol stands.

    In an alternative, `{name}` is a symbol and `[a|b|]` one of some texts, which may be empty or
    hold symbols. An alternative that begins with `3: ` is drawn three times as often.

    Args:
        tables: alternatives by symbol.
    """

    def __init__(self, tables: Mapping[str, Sequence[str]]) -> None:
        self._alternatives: dict[str, list[tuple[Piece, ...]]] = {}
        for symbol, alternatives in tables.items():
            self._add(symbol, alternatives)

    def _add(self, symbol: str, alternatives: Sequence[str]) -> None:
        rows = self._alternatives[symbol] = []
        for text in alternatives:
            weight = _WEIGHT.match(text)
            pieces = self._parse(text[weight.end() :] if weight else text)
            rows += [pieces] * (int(weight[1]) if weight else 1)

    def _parse(self, text: str) -> tuple[Piece, ...]:
        pieces: list[Piece] = []
        start = 0
        for match in _PIECE.finditer(text):
            symbol = match[1] or match[0]
            if match[1] is None and symbol not in self._alternatives:
                self._add(symbol, match[2].split("|"))
            pieces.append((text[start : match.start()], symbol))
            start = match.end()
        return (*pieces, (text[start:], ""))

    def expand(self, draw: Draw, symbol: str, slots: Mapping[str, str] | None = None) -> str:
        """A text of a symbol, with single spaces and the right article before a vowel.

        Args:
            draw: random draws.
            symbol: where to begin.
            slots: texts of symbols that have no rules of their own, or go before these.
        """
        return tidy(self._expand(draw, symbol, slots or {}))

    def _expand(self, draw: Draw, symbol: str, slots: Mapping[str, str]) -> str:
        if symbol in slots:
            return slots[symbol]
        text = ""
        for literal, inner in draw.choice(self._alternatives[symbol]):
            text += literal
            if inner:
                text += self._expand(draw, inner, slots)
        return text


def tidy(text: str) -> str:
    """A text with single spaces, none before punctuation, and "an" before a vowel."""
    text = _SPACES.sub(lambda match: " " if match.end() < len(text) and
                       text[match.end()] not in ",.!?:;" else "", text)  # fmt: skip
    return _ARTICLE.sub("an ", _COMMAS.sub("", text)).strip()


def mended(text: str) -> str:
    """A message without stray commas, spaces and words, whose nouns have the right article."""
    return _ARTICLE.sub("an ", _NEEDLESS.sub("", _STRAY.sub("", text)))
