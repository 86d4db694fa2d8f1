"""Media of one list that stand in what is asked and in replies, as ms-swift's rows have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anymodal.data.entry_keys import OutputMedia, Supply, is_empty
from anymodal.data.marks import Mark, pieces_of
from anymodal.media import Media

Turns = list[dict[str, Any]]


def deal(turns: Turns, media: Mapping[str, Supply]) -> None:
    """Take those of a list `Ms` that stand in replies for media to be made.

    Only where all marks `<M>` together are as many as the files: else a reply quotes a mark. A
    medium to be made is captioned by what is asked, for the rows tell no caption.

    Args:
        turns: with `role` and `content`.
        media: what the entry names, by kind.
    """
    for kind, supply in media.items():
        counts = [count_marks(turn["content"], kind) for turn in turns]
        is_reply = [turn["role"] == "assistant" for turn in turns]
        made = sum(count for count, reply in zip(counts, is_reply, strict=True) if reply)
        if supply.key != f"{kind}s" or not made or sum(counts) != len(supply.inputs):
            continue
        files, supply.inputs, asked = iter(supply.inputs), [], ""
        for turn, count, reply in zip(turns, counts, is_reply, strict=True):
            if reply:
                supply.outputs += [OutputMedia(next(files), asked or None) for _ in range(count)]
            else:
                supply.inputs += [next(files) for _ in range(count)]
                asked = said(turn["content"], kind)


def shown_before(turns: Turns, entry: Mapping[str, Any]) -> Turns:
    """Turns of an entry for pretraining, which asks nothing: media in replies are shown there.

    Each text is then a reply to the media before it. Other entries stay as they are.
    """
    kinds = {kind for kind in Media.kinds if not is_empty(entry.get(f"{kind}s"))}
    roles = {turn["role"] for turn in turns}
    if not kinds or "user" in roles or not all(isinstance(turn["content"], str) for turn in turns):
        return turns
    result: Turns = []
    for turn in turns:
        if turn["role"] != "assistant":
            result.append(turn)
            continue
        for piece in pieces_of(turn["content"], kinds):
            if not isinstance(piece, Mark):
                result.append({**turn, "content": piece})
            elif result and result[-1]["role"] == "user":
                result[-1]["content"] += f"<{piece.kind}>"
            else:
                result.append({"role": "user", "content": f"<{piece.kind}>"})
    return result


def count_marks(content: object, kind: str) -> int:
    """The number of places for media of a kind, in a text or in parts."""
    if isinstance(content, list):
        return sum(count_marks(part, kind) for part in content)
    if isinstance(content, Mapping):
        is_place = content.get("type") == kind and is_empty(content.get(kind))
        return int(is_place) or count_marks(content.get("text"), kind)
    if not isinstance(content, str):
        return 0
    return sum(isinstance(p, Mark) and not p.name for p in pieces_of(content, {kind}))


def said(content: object, kind: str) -> str:
    """The text of a turn, without places for media."""
    if isinstance(content, list):
        return "\n".join(text for part in content if (text := said(part, kind)))
    if isinstance(content, Mapping):
        return said(content.get("text"), kind)
    pieces = pieces_of(content, {kind}) if isinstance(content, str) else ()
    return " ".join(piece for piece in pieces if isinstance(piece, str)).strip()
