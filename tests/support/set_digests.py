"""Digests of the users' texts of the measuring sets.

`python -m tests.support.set_digests` writes them into `anymodal/toybox/sets/hashes.txt`, so that no
training text equals one of them, and no training code has to read them.
"""

from __future__ import annotations

from anymodal.toybox.frozen_sets import set_texts
from anymodal.toybox.grammar.normalized import text_digest
from tests.support.paths import ROOT

FILE = ROOT / "anymodal" / "toybox" / "sets" / "hashes.txt"


def set_digests() -> str:
    """The file's content: one digest a line, sorted, each once."""
    return "".join(f"{digest}\n" for digest in sorted({text_digest(text) for text in set_texts()}))


if __name__ == "__main__":
    FILE.write_text(set_digests(), "utf-8")
