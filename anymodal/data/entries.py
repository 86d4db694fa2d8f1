"""One entry of a published data set as a conversation."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from anymodal.data.containers import Row
from anymodal.data.dealing import deal, shown_before
from anymodal.data.entry_keys import (
    IGNORE,
    SYSTEM,
    TOOLS,
    TURNS,
    Supply,
    as_list,
    caption_keys,
    check_keys,
    conversation_keys,
    is_empty,
    only_medium,
    output_of,
    supplies,
)
from anymodal.data.marks import Mark, MarkedTurn, Piece, pieces_of, rename, settle, take_medium
from anymodal.data.schemas import (
    EDIT,
    LABEL,
    TRANSCRIPT,
    Reading,
    Schema,
    is_preference,
    is_rating,
    is_recording,
    keys_of_preference,
    schema_of,
)
from anymodal.data.schemas.base import text_of
from anymodal.data.schemas.edits import with_references
from anymodal.data.schemas.regions import OBJECTS, fill_regions
from anymodal.data.schemas.turns import learns, normal_turns, tools_text
from anymodal.io.message_parts import PartReader
from anymodal.media import Media
from anymodal.types import Message, Target, ToolCall

_TIMES = ("start", "seconds")
"""Keys of the part of a medium that a row names, in seconds."""
_QWEN = re.compile(r"<img>[^<>\n]+</img>")


@dataclass(frozen=True)
class EntryReader:
    """Reads entries; see `conversations.Conversations` for their kinds and the settings."""

    parts: PartReader
    reading: Reading
    load_targets: bool

    def at(self, folder: Path) -> EntryReader:
        """The same for entries whose names of media start in another folder."""
        if folder == self.parts.folder:
            return self
        return replace(self, parts=replace(self.parts, folder=folder))

    def read(self, entry: Row) -> list[Message]:
        """The conversation of an entry.

        Raises:
            ValueError: if a key is unknown or has another value than it should, or marks and media
                differ in number.
            FileNotFoundError: if a file isn't there.
        """
        if is_preference(entry):
            keys = keys_of_preference(entry)
            raise ValueError(
                f"the row has a rejected reply ({', '.join(keys)}), which conversations don't "
                "read; Preferences does, and to learn from the others alone, list it in ignore"
            )
        if is_rating(entry):
            raise ValueError(
                "the row rates its reply, which conversations don't read; Preferences does, and to "
                "learn from turns whatever their rating, list label or kto_tag in ignore"
            )
        if is_recording(entry):
            raise ValueError(
                "the row has labelled intervals of a recording, which conversations don't read; "
                "Recordings cuts windows out of them"
            )
        schema = schema_of(entry)
        entry = entry if schema is None else schema.convert(entry, self.reading)
        keys = [key for key in TURNS if key in entry]
        # Reading one and dropping the other would train on half of it without a word.
        if len(keys) > 1:
            raise ValueError(f"the turns stand twice, under {' and '.join(keys)}")
        if keys:
            messages = self._conversation(entry, entry[keys[0]])
            return with_references(messages) if schema is EDIT else messages
        if "caption" in entry:
            return self._caption_messages(entry, schema)
        raise ValueError(
            "there is neither a conversation nor a caption with a file; there is "
            f"{', '.join(map(str, entry)) or 'nothing'}"
        )

    def _caption_messages(self, entry: Mapping[str, Any], schema: Schema | None) -> list[Message]:
        check_keys(entry, caption_keys(), "a caption", IGNORE)
        kind, file = only_medium(supplies(entry, {}))
        caption = text_of(entry["caption"], "the caption")
        if not caption.strip() and schema is not TRANSCRIPT:  # of silence, which is a transcript
            raise ValueError("the caption is empty; there is nothing to learn from it")
        # Where media are asked for, their captions are enough for alignment, and files stay unread.
        medium = self.load(file, kind) if self.load_targets or not self.reading.make else None
        assert schema is not None, "that of captions, if no other"
        ask = self.reading.question(schema.ask, is_label=schema is LABEL)
        if not self.reading.make:
            return [Message("user", [medium, ask]), Message("assistant", [caption])]
        request = f"{ask} {caption}".strip()
        return [Message("user", [request]), Message("assistant", [Target(kind, caption, medium)])]

    def _conversation(self, entry: Mapping[str, Any], turn_values: object) -> list[Message]:
        check_keys(entry, conversation_keys(), "a conversation", IGNORE)
        values = shown_before(normal_turns(turn_values), entry)
        # All marks are known before media are dealt to them: numbers and names have to agree.
        media = supplies(entry, _captions_of(values))
        deal(values, media)
        fill_regions(values, entry.get(OBJECTS), lambda place: self._size(media, place))
        turns = [self._turn(turn, media) for turn in values]
        tools = next((entry[key] for key in TOOLS if not is_empty(entry.get(key))), None)
        turns = _with_tools([*_system(entry, turns), *turns], tools_text(tools))
        _check_talk(entry, turns)
        rename(turns, media)
        for kind, supply in media.items():
            settle(turns, kind, supply)
        return [
            Message(turn.role, list(self._fill_marks(turn, media)), supervised=turn.supervised)
            for turn in turns
        ]

    def _size(self, media: Mapping[str, Supply], place: int) -> tuple[int, int]:
        """Width and height of one of the media that are shown, for regions in pixels."""
        kind, supply = next(((k, s) for k, s in media.items() if s.inputs), ("", Supply()))
        if not 0 <= place < len(supply.inputs):
            raise ValueError(f"a bbox is of medium {place}, and {len(supply.inputs)} are shown")
        pixels = getattr(self.load(supply.inputs[place], kind), "pixels", None)
        if pixels is None:
            raise ValueError(f"a bbox is of {kind}, which has no width and height in pixels")
        height, width, _ = pixels.shape
        return int(width), int(height)

    def _turn(self, turn: Mapping[str, Any], media: Mapping[str, Supply]) -> MarkedTurn:
        role = turn["role"]
        # A reply may quote a mark as text; it stands for a medium only where the entry has one.
        output_kinds = {kind for kind, supply in media.items() if supply.outputs or supply.items}
        kinds = output_kinds if role == "assistant" else set(media)
        value = turn["content"]
        if not isinstance(value, list):
            text = text_of(value, "a turn's value")
            if role == "assistant":
                text += _own_marks(turn, text)
            return MarkedTurn(role, list(pieces_of(text, kinds)), learns(turn))
        pieces: list[Piece] = []
        for part in value:
            pieces += self._piece(part, role, kinds)
        return MarkedTurn(role, pieces, learns(turn))

    def _piece(self, part: object, role: str, kinds: set[str]) -> list[Piece]:
        """A part of a list: a text with its marks, a place for a medium, or one itself."""
        fields = part if isinstance(part, dict) else {}
        keys = {key for key, value in fields.items() if not is_empty(value)}
        # OpenAI's form with the file elsewhere: a place for a medium, as a mark in a text is.
        if "type" in keys <= {"type", "index"} and fields["type"] in [*Media.kinds]:
            return [Mark(fields["type"])]
        read = self.parts.read(part)
        if isinstance(read, ToolCall):
            raise ValueError("calls of tools can't be learned from; leave such messages out")
        if isinstance(read, Target) and role != "assistant":
            raise ValueError("a target stands in a reply, not in what is asked")
        return list(pieces_of(read, kinds)) if isinstance(read, str) else [read]

    def _fill_marks(self, turn: MarkedTurn, media: Mapping[str, Supply]) -> Iterator[Any]:
        """The parts of a turn, each mark's medium in its place."""
        for piece in turn.pieces:
            if not isinstance(piece, Mark):
                yield piece
                continue
            file, caption = take_medium(media[piece.kind], piece, turn.side)
            if turn.side == "input":
                yield self.load(file, piece.kind)
                continue
            # A target without a caption is none to learn.
            has_text = caption is not None and turn.supervised
            text = text_of(caption, f"a caption of {piece.kind}") if has_text else ""
            has_target = file is not None and self.load_targets
            yield Target(piece.kind, text, self.load(file, piece.kind) if has_target else None)

    def load(self, name: object, kind: str) -> Media:
        """The medium that an entry names, or holds.

        Raises:
            ValueError: if it is no name of a file and holds none.
            FileNotFoundError: if the file isn't there.
        """
        if isinstance(name, bytes):
            name = {"bytes": name}
        if isinstance(name, Mapping):  # as Arrow and shards hold media themselves
            part = {key: value for key, value in name.items() if key not in _TIMES}
            medium = self.parts.read({"type": kind, **part})
            assert isinstance(medium, Media), "its type says so"
            return _cut(medium, *(name.get(key) for key in _TIMES))
        if not isinstance(name, str):
            raise ValueError(f"the file of {kind!r} is {name!r}; name one file, as text")
        return self.parts.load(name, kind)


def _cut(medium: Media, start: object, seconds: object) -> Media:
    """A medium, or the part of it that its row names."""
    if start is None and seconds is None:
        return medium
    for name, value in zip(_TIMES, (start, seconds), strict=True):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{name} is {value!r}; a part of a medium has start and seconds")
    assert isinstance(start, int | float) and isinstance(seconds, int | float), "it was checked"
    return medium.cut(start, seconds)


def _captions_of(turns: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Captions by kind that turns tell themselves, as T2M's do."""
    captions: dict[str, list[Any]] = {}
    for turn in turns:
        kind = output_of(turn)
        if kind:
            captions.setdefault(kind, []).extend(as_list(turn.get("caption")))
        elif not is_empty(turn.get("caption")):
            raise ValueError("a turn has a caption without the output_modality that it makes")
    return captions


def _own_marks(turn: Mapping[str, Any], text: str) -> str:
    """Marks of media that a reply makes without saying where: they end it."""
    kind = output_of(turn)
    if not kind or f"<{kind}>" in text:
        return ""
    return f"<{kind}>" * len(as_list(turn.get("caption")))


def _system(entry: Mapping[str, Any], turns: Sequence[MarkedTurn]) -> list[MarkedTurn]:
    """The system message that a key of the entry holds, if any."""
    keys = [key for key in SYSTEM if not is_empty(entry.get(key))]
    if not keys:
        return []
    if len(keys) > 1 or any(turn.role == "system" for turn in turns):
        raise ValueError(f"the system message stands twice, under {keys[0]!r} and somewhere else")
    return [MarkedTurn("system", [text_of(entry[keys[0]], keys[0])])]


def _with_tools(turns: list[MarkedTurn], tools: str) -> list[MarkedTurn]:
    """Turns with the descriptions of tools at the end of the system's message."""
    if not tools:
        return turns
    if turns and turns[0].role == "system":
        return [MarkedTurn("system", [*turns[0].pieces, f"\n\n{tools}"]), *turns[1:]]
    return [MarkedTurn("system", [tools]), *turns]


def _check_talk(entry: Mapping[str, Any], turns: Sequence[MarkedTurn]) -> None:
    """There is a reply, and a caption beside the conversation tells nothing that it doesn't."""
    if not turns:
        raise ValueError("the conversation is empty; give it turns")
    replies = [turn.pieces for turn in turns if turn.role == "assistant" and turn.supervised]
    if not replies:
        raise ValueError("the conversation has no reply to learn from")
    caption = entry.get("caption")
    if not is_empty(caption) and not any(caption in pieces for pieces in replies):
        raise ValueError("the caption beside the conversation is none of its replies; take one out")
    for turn in turns:
        if turn.side == "input" and any(
            isinstance(p, str) and _QWEN.search(p) for p in turn.pieces
        ):
            raise ValueError(
                "Qwen-VL's <img>FILE</img> is not read; name the file under a key of the entry, "
                "and write the mark <M> of its kind M where it stands"
            )
