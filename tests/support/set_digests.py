"""Digests of the users' texts of the measuring sets.

`python -m tests.support.set_digests` writes them into `anymodal/toybox/sets/hashes.txt`, so that no
training text equals one of them, and no training code has to read them. What has one
or two words, such as "blue" or "again please", is everybody's and stays free.
"""

from __future__ import annotations

from anymodal.toybox.frozen_sets import set_texts
from anymodal.toybox.grammar.normalized import normalize_text, text_digest
from tests.support.paths import ROOT

LEAST_WORDS = 3
FILE = ROOT / "anymodal" / "toybox" / "sets" / "hashes.txt"


def set_digests() -> str:
    """The file's content: one digest a line, sorted, each once."""
    texts = (text for text in set_texts() if len(normalize_text(text).split()) >= LEAST_WORDS)
    return "".join(f"{digest}\n" for digest in sorted({text_digest(text) for text in texts}))


if __name__ == "__main__":
    FILE.write_text(set_digests(), "utf-8")
