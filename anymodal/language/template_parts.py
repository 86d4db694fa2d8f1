"""Chat templates that take a message's content as a list of parts, and write media themselves.

Such a template decides where a message's media stand (LLaVA-OneVision's puts pictures first) and
what surrounds them (Idefics 3 drops a space before one), so it is given all parts by their types.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from anymodal.language.template_messages import ASSISTANT, MARKS, TemplateSegment


class MediaIds(list[int]):
    """The ids of a media item that the language model reads by itself.

    Attributes:
        kind: its type, as chat templates name it.
        token: holds the places of its soft tokens; kinds may share one.
        marks: the texts that it begins and ends with.
        inner: the ids between these.
    """

    def __init__(
        self,
        ids: Sequence[int],
        kind: str,
        token: int,
        marks: tuple[str, str],
        inner: Sequence[int],
    ) -> None:
        super().__init__(ids)
        self.kind, self.token, self.marks, self.inner = kind, token, marks, inner


Piece = str | list[int]


class PlacedPiece(NamedTuple):
    """A piece of a message, where a template wrote it: the message's number and its own."""

    message: int
    piece: int


def content_parts(pieces: Sequence[Piece], number: int) -> list[dict[str, str]]:
    """A message's content as a template takes it: media by their types, marks for what else.

    Args:
        pieces: of the message.
        number: of its first piece in the conversation.
    """
    return [
        {"type": piece.kind}
        if isinstance(piece, MediaIds)
        else {"type": "text", "text": MARKS[0] + str(number + place) + MARKS[1]}
        for place, piece in enumerate(pieces)
    ]


def cut_text(
    text: str, messages: Sequence[tuple[str, Sequence[Piece]]], written: Mapping[str, str]
) -> Iterator[str | PlacedPiece]:
    """The template's own texts and the pieces between them, in the order of what it wrote.

    Args:
        text: what the template wrote.
        messages: role and pieces of each.
        written: what it writes for media, by their types.

    Raises:
        ValueError: if a piece isn't written exactly once, or media that share a placeholder not in
            their order, by which alone they are told apart.
    """
    places = [
        PlacedPiece(m, p) for m, (_, pieces) in enumerate(messages) for p in range(len(pieces))
    ]
    media: dict[str, list[int]] = {}
    for number, (message, piece) in enumerate(places):
        if isinstance(item := messages[message][1][piece], MediaIds):
            media.setdefault(written[item.kind], []).append(number)
    names = "|".join(map(re.escape, media))
    pattern = f"{MARKS[0]}(\\d+){MARKS[1]}" + (f"|({names})" if names else "")
    waiting = {name: iter(numbers) for name, numbers in media.items()}
    missing, end = set(range(len(places))), 0
    latest: dict[int, int] = {}  # number of a placeholder's last media item
    for match in re.finditer(pattern, text):
        number = int(match[1]) if match[1] else next(waiting[match[2]], -1)
        if number not in missing:
            missing = {-1}
            break
        missing.remove(number)
        message, place = places[number]
        item = messages[message][1][place]
        if isinstance(item, MediaIds):
            if (before := latest.get(item.token, -1)) > number:
                other = places[before]
                _refuse_order(item, messages[other.message][1][other.piece])
            latest[item.token] = number
        yield text[end : match.start()]
        yield places[number]
        end = match.end()
    if missing:
        lost = [places[number].message for number in sorted(missing) if number >= 0]
        owner = f" of a {messages[lost[0]][0]} message" if lost else ""
        raise ValueError(
            f"the model's chat template does not write every text and media item{owner} exactly "
            "once; give media in a message of another role, or set another tokenizer.chat_template"
        )
    yield text[end:]


def _refuse_order(first: MediaIds, second: Piece) -> None:
    kind = second.kind if isinstance(second, MediaIds) else ""
    raise ValueError(
        f"the model's chat template writes {kind} before {first.kind}, which stands first in the "
        "message, and one placeholder holds the places of both, so that one would be read as the "
        f"other; give {kind} first or in a message of its own, or set another "
        "tokenizer.chat_template"
    )


class TemplateEncoders(NamedTuple):
    """Texts to ids: what somebody typed, the template's first text, its others."""

    typed: Callable[[str], list[int]]
    opening: Callable[[str], list[int]]
    within: Callable[[str], list[int]]


def lay_out_parts(
    parts: Sequence[str | PlacedPiece],
    messages: Sequence[tuple[str, Sequence[Piece]]],
    encoders: TemplateEncoders,
    stops: Collection[int],
) -> list[TemplateSegment]:
    """The segments of a rendered conversation.

    Args:
        parts: from `cut_text`.
        messages: role and pieces of each.
        encoders: texts to ids.
        stops: ids that end a turn.
    """
    segments: list[TemplateSegment] = []
    last, space, closing = 0, "", ""
    for place, part in enumerate(parts):
        if isinstance(part, PlacedPiece):
            role, pieces = messages[part.message]
            piece, last = pieces[part.piece], part.message
            if isinstance(piece, MediaIds):  # its marks are read with what stands beside them
                ids, closing = [*piece.inner], piece.marks[1]
            else:
                ids = encoders.typed(space + piece) if isinstance(piece, str) else [*piece]
            segments.append(TemplateSegment(ids, role, True, role == ASSISTANT, last))
            continue
        follows = parts[place + 1] if place + 1 < len(parts) else None
        assert not isinstance(follows, str), "texts and pieces take turns"
        next_piece = messages[follows.message][1][follows.piece] if follows else ""
        # A space before a text belongs to its first word, and a reply's opening ends without.
        bare = part.rstrip(" ") if isinstance(next_piece, str) else part
        space = part[len(bare) :]
        opening = next_piece.marks[0] if isinstance(next_piece, MediaIds) else ""
        bare, closing = closing + bare + opening, ""
        role = messages[last][0]
        ids = encoders.within(bare) if place else encoders.opening(bare)
        if not place:
            segments.append(TemplateSegment(ids, role, False, False, 0))
        elif follows and follows.message == last:
            segments.append(TemplateSegment(ids, role, False, role == ASSISTANT, last))
        else:
            next_role = messages[follows.message][0] if follows else ASSISTANT
            end = next((at + 1 for at, token in enumerate(ids) if token in stops), 0)
            supervised = role == ASSISTANT
            segments.append(TemplateSegment(ids[:end], role, False, supervised, last))
            segments.append(TemplateSegment(ids[end:], next_role, False, False, last + 1))
    return [segment for segment in segments if segment.ids]
