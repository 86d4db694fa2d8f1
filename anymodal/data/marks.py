"""Places for media in the turns of an entry, which agree with the media that it names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import NamedTuple

from anymodal.data.entry_keys import OutputMedia, Supply
from anymodal.media import Media
from anymodal.types import Target

_ANY = "<image>".strip("<>")
"""The mark that LLaVA and its followers write for the entry's file, be it a film."""


class Mark(NamedTuple):
    """A place for a medium of a kind; `name` is that of its file, where the place has it."""

    kind: str
    name: str = ""


Piece = str | Mark | Media | Target


@dataclass
class MarkedTurn:
    """A role, and what is said in pieces."""

    role: str
    pieces: list[Piece]

    @property
    def side(self) -> str:
        """Which media its marks take: those made in replies, or those shown in all else."""
        return "made" if self.role == "assistant" else "shown"

    @property
    def marks(self) -> list[Mark]:
        """Its places for media, in order."""
        return [piece for piece in self.pieces if isinstance(piece, Mark)]


def pieces_of(text: str, kinds: set[str]) -> Iterator[str | Mark]:
    """Texts and marks in order: `<M>` stands for a medium, with a line's end after or before it.

    `<M>file</M>` stands for the one of that name (MosIT).
    """
    names = "|".join(map(re.escape, sorted(kinds)))
    pattern = rf"\n?<((?i:{names}))>([^<>\n]{{1,255}})</\1>\n?|\n?<({names})>\n?"
    marks = list(re.finditer(pattern, text)) if kinds else []
    start = 0
    for mark in marks:
        if before := text[start : mark.start()].strip():
            yield before
        yield Mark(mark[1].lower(), mark[2]) if mark[1] else Mark(mark[3])
        start = mark.end()
    if rest := text[start:].strip() if marks else text:
        yield rest


def settle(turns: Sequence[MarkedTurn], kind: str, supply: Supply) -> None:
    """Make marks of a kind and its media agree, or refuse the entry with both counts."""
    if supply.listed:
        return _check_listed(turns, kind, supply)
    places = [(turn, mark) for turn in turns for mark in turn.marks if mark.kind == kind]
    if named := next((mark.name for _, mark in places if mark.name), ""):
        raise ValueError(
            f"<{kind}>{named}</{kind}> is read with {kind}_list alone; name the file under "
            f"{kind!r} and write <{kind}>"
        )
    marks = Counter(turn.side for turn, _ in places)
    if supply.shown and not marks["shown"]:
        marks["shown"] = _mark_first(turns, kind, len(supply.shown))
    asked, said = marks["shown"], marks["made"]
    if asked != len(supply.shown):
        under = f" under {supply.key!r}" if supply.key else ""
        raise ValueError(
            f"{asked} <{kind}> in what is asked and {len(supply.shown)} files of {kind}{under}; "
            f"give each mark its file, and each file its mark"
        )
    if said != len(supply.made):
        raise ValueError(
            f"{said} <{kind}> in the replies and {len(supply.made)} named to be made; give each "
            "mark its file or caption, and each of these its mark"
        )
    return None


def _check_listed(turns: Sequence[MarkedTurn], kind: str, supply: Supply) -> None:
    marks = [mark for turn in turns for mark in turn.marks if mark.kind == kind]
    names = {mark.name for mark in marks}
    bases = Counter(_base(made.file) for made in supply.listed)
    known = set(bases)
    if unknown := sorted(names - known - {""}):
        raise ValueError(f"{kind} {unknown[0]!r} is none of {supply.key!r}")
    if twice := [name for name in names - {""} if bases[name] > 1]:
        raise ValueError(f"{kind} {twice[0]!r} stands twice under {supply.key!r}")
    named = names == known and "" not in names  # each may stand several times
    if not named and (len(marks) != len(supply.listed) or names - {""}):
        raise ValueError(
            f"{len(marks)} <{kind}> and {len(supply.listed)} of it under {supply.key!r}; give each "
            "mark its item, and each item its mark"
        )


def _base(file: object) -> str:
    return PurePath(file).name if isinstance(file, str) else ""


def rename(turns: Sequence[MarkedTurn], media: Mapping[str, Supply]) -> None:
    """Let LLaVA's mark for any file stand for the one kind whose files have no mark.

    Only at an end of what is asked, where LLaVA has it, so that no quoted one is taken for it.
    """
    shown = [turn for turn in turns if turn.side == "shown"]
    marked = {mark.kind for turn in shown for mark in turn.marks}
    kinds = [kind for kind, supply in media.items() if supply.shown]
    if len(kinds) != 1 or kinds[0] in marked or marked != {_ANY}:
        return
    for turn in shown:
        for place in {0, len(turn.pieces) - 1} if turn.pieces else ():
            if turn.pieces[place] == Mark(_ANY):
                turn.pieces[place] = Mark(kinds[0])


def _mark_first(turns: Sequence[MarkedTurn], kind: str, count: int) -> int:
    """Give a single medium that no turn has its place in the first; how many have one now."""
    first = next((turn for turn in turns if turn.role == "user"), None)
    if count != 1 or first is None:
        return 0
    first.pieces.insert(0, Mark(kind))
    return 1


def take_medium(supply: Supply, mark: Mark, side: str) -> OutputMedia:
    """The medium of a mark; its supply loses it, unless it is called by name."""
    if mark.name:
        return next(made for made in supply.listed if _base(made.file) == mark.name)
    if supply.listed:
        return supply.listed.pop(0)
    return supply.made.pop(0) if side == "made" else OutputMedia(supply.shown.pop(0), None)
