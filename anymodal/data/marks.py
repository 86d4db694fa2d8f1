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
"""The mark that LLaVA and its followers write for the entry's file, be it a video."""


class Mark(NamedTuple):
    """A place for a medium of a kind; `name` is that of its file, where the place has it."""

    kind: str
    name: str = ""


Piece = str | Mark | Media | Target


@dataclass
class MarkedTurn:
    """A role, what is said in pieces, and whether it is to be learned from."""

    role: str
    pieces: list[Piece]
    supervised: bool = True

    @property
    def side(self) -> str:
        """The media that its marks take: outputs in replies, inputs in all other turns."""
        return "output" if self.role == "assistant" else "input"

    @property
    def marks(self) -> list[Mark]:
        """Its places for media, in order."""
        return [piece for piece in self.pieces if isinstance(piece, Mark)]


def pieces_of(text: str, kinds: set[str]) -> Iterator[str | Mark]:
    """Texts and marks in order: `<M>` stands for a medium, with a line's end after or before it.

    `<M>file</M>` stands for the one of that name (MosIT).
    """
    # A name has no bracket, no line's end and a bound, so that no text makes matching slow.
    names = "|".join(map(re.escape, sorted(kinds)))
    pattern = rf"\n?<((?i:{names}))>([^<>\n]{{1,255}})</\1>\n?|\n?<({names})>\n?"
    marks = list(re.finditer(pattern, text)) if kinds else []
    start = 0
    for mark in marks:
        if before := text[start : mark.start()].strip():
            yield before
        # With a file's name either case is a mark; alone only lower case is, since prose has tags.
        yield Mark(mark[1].lower(), mark[2]) if mark[1] else Mark(mark[3])
        start = mark.end()
    if tail := text[start:].strip() if marks else text:
        yield tail


def settle(turns: Sequence[MarkedTurn], kind: str, supply: Supply) -> None:
    """Make marks of a kind and its media agree, or refuse the entry with both counts."""
    if supply.items:
        return _check_listed(turns, kind, supply)
    places = [(turn, mark) for turn in turns for mark in turn.marks if mark.kind == kind]
    if file_name := next((mark.name for _, mark in places if mark.name), ""):
        raise ValueError(
            f"<{kind}>{file_name}</{kind}> is read with {kind}_list alone; name the file under "
            f"{kind!r} and write <{kind}>"
        )
    marks = Counter(turn.side for turn, _ in places)
    if supply.inputs and not marks["input"]:
        marks["input"] = _mark_first(turns, kind, len(supply.inputs))
    num_inputs, num_outputs = marks["input"], marks["output"]
    if num_inputs != len(supply.inputs):
        under = f" under {supply.key!r}" if supply.key else ""
        raise ValueError(
            f"{num_inputs} <{kind}> in what is asked and {len(supply.inputs)} files of "
            f"{kind}{under}; give each mark its file, and each file its mark"
        )
    if num_outputs != len(supply.outputs):
        raise ValueError(
            f"{num_outputs} <{kind}> in the replies and {len(supply.outputs)} named to be made; "
            "give each mark its file or caption, and each of these its mark"
        )
    return None


def _check_listed(turns: Sequence[MarkedTurn], kind: str, supply: Supply) -> None:
    marks = [mark for turn in turns for mark in turn.marks if mark.kind == kind]
    names = {mark.name for mark in marks}
    bases = Counter(_base(item.file) for item in supply.items)
    file_names = set(bases)
    if unknown := sorted(names - file_names - {""}):
        raise ValueError(f"{kind} {unknown[0]!r} is none of {supply.key!r}")
    if twice := [name for name in names - {""} if bases[name] > 1]:
        raise ValueError(f"{kind} {twice[0]!r} stands twice under {supply.key!r}")
    by_name = names == file_names and "" not in names  # each may stand several times
    if not by_name and (len(marks) != len(supply.items) or names - {""}):
        raise ValueError(
            f"{len(marks)} <{kind}> and {len(supply.items)} of it under {supply.key!r}; give each "
            "mark its item, and each item its mark"
        )


def _base(file: object) -> str:
    return PurePath(file).name if isinstance(file, str) else ""


def rename(turns: Sequence[MarkedTurn], media: Mapping[str, Supply]) -> None:
    """Let LLaVA's mark for any file stand for the one kind whose files have no mark.

    Only at an end of what is asked, where LLaVA has it, so that no quoted one is taken for it.
    """
    inputs = [turn for turn in turns if turn.side == "input"]
    mark_kinds = {mark.kind for turn in inputs for mark in turn.marks}
    kinds = [kind for kind, supply in media.items() if supply.inputs]
    if len(kinds) != 1 or kinds[0] in mark_kinds or mark_kinds != {_ANY}:
        return
    for turn in inputs:
        # A set: a turn of one piece has one end.
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
        return next(item for item in supply.items if _base(item.file) == mark.name)
    if supply.items:
        return supply.items.pop(0)
    return supply.outputs.pop(0) if side == "output" else OutputMedia(supply.inputs.pop(0), None)
