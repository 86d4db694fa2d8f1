"""Texts as words, so that case and punctuation don't count."""

from __future__ import annotations

import re

_WORD = re.compile(r"(?:(?<![\w)])-(?=\d))?\w+(?:['’]\w+)*(?:[+#]+(?!\w))?")


def words(text: str) -> list[str]:
    """The words of a text in lower case: runs of letters and digits, with apostrophes inside.

    A minus before a number and the signs of "C++" and "C#" are part of a word, by which names are
    told apart.

    Simpler than the Penn Treebank tokeniser that COCO's captions are scored with, which needs Java
    and parts "don't" in two; a script without spaces gives one word a run.
    """
    # Typographic and plain apostrophes make the same word.
    return _WORD.findall(text.lower().replace("’", "'").replace("−", "-"))


def plain(text: str) -> str:
    """The words of a text with a space between them."""
    return " ".join(words(text))


def find_spans(part: list[str], text_words: list[str]) -> list[tuple[int, int]]:
    """The spans in which some words stand in a row among others, as (start, end)."""
    size = len(part)
    return [
        (start, start + size)
        for start in range(len(text_words) - size + 1)
        if text_words[start : start + size] == part
    ]
