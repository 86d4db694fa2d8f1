"""Conversations and captions about files, from the JSON that LLaVA, NExT-GPT and others publish."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from anymodal.media import Limits, Media, load
from anymodal.types import Message, Target

_ROLES = {
    **{"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant"},
    "system": "system",
}


class Conversations:
    """Samples of a JSON file: a list, of these kinds of entries, where M is any kind of media.

    - captions: `{"caption": …, "M_name": file}` (NExT-GPT), `{"caption": …, "M": file}`
    - about media: `{"M": file, "conversations": [{"from": "human", "value": "<M>\\nWhat …?"},
      {"from": "gpt", "value": …}]}` (LLaVA), `"input_M"` (NExT-GPT)
    - asking for them: `{"output_M": file, "M_captions": […], "conversations": […]}`, with `<M>`
      where the reply has one; without files where captions are enough (T2M), which a turn may tell
      itself: `{"from": "gpt", "value": …, "output_modality": "M", "caption": …}`
    - both: `{"M_list": [{"M_name": file, "caption": …}], "conversation": […]}` (MosIT)

    Of several files or captions each `<M>` takes the next, in a user's turn of what is shown, in a
    reply of what is made; a single one stands for all. `M` that no turn has is shown with the first
    turn. Files are opened when a sample is read.

    Args:
        path: the JSON file.
        folder: where the media lie; the JSON file's own folder by default.
        make: captions are asked for as media, not read off them.
        ask: what is said with the medium, or before the caption where `make`.
        load_targets: open media to be made too, for a denoising loss.
        limits: what is too much of a file, by the names of `Limits`.

    Raises:
        ValueError: if the file holds no such list.
    """

    def __init__(
        self,
        path: str | Path,
        folder: str | Path | None = None,
        *,
        make: bool = False,
        ask: str | None = None,
        load_targets: bool = False,
        limits: Limits | Mapping[str, Any] | None = None,
    ) -> None:
        self.limits = Limits.of(limits)
        self.folder = Path(path).parent if folder is None else Path(folder)
        self.make, self.load_targets = make, load_targets
        self.ask = ask if ask is not None else ("" if make else "Describe this briefly.")
        try:
            self.entries = json.loads(Path(path).read_text("utf-8"))
        except ValueError as error:
            raise ValueError(f"{path} is no JSON: {error}") from None
        if not isinstance(self.entries, list) or not all(isinstance(e, dict) for e in self.entries):
            raise ValueError(f"{path} must hold a list of entries at the top")

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> list[Message]:
        """One conversation.

        Raises:
            ValueError: if the entry is of no known kind.
            FileNotFoundError: if its file isn't there.
        """
        entry = self.entries[index]
        if "conversations" in entry or "conversation" in entry:
            return self._conversation(entry)
        if "caption" in entry and (kinds := list(_kinds(entry))):
            return self._captioned(entry, *kinds[0])
        raise ValueError(
            f"entry {index} has neither conversations nor a caption with a file; it has "
            f"{', '.join(entry)}"
        )

    def _captioned(self, entry: Mapping[str, Any], kind: str, key: str) -> list[Message]:
        caption = _text(entry["caption"], "the caption")
        if not self.make:
            user: list[Any] = [self._load(entry[key], kind), self.ask]
            return [Message("user", user), Message("assistant", [caption])]
        medium = self._load(entry[key], kind) if self.load_targets else None
        asked = f"{self.ask} {caption}".strip()
        return [
            Message("user", [asked]),
            Message("assistant", [Target(kind, caption, medium)]),
        ]

    def _conversation(self, entry: Mapping[str, Any]) -> list[Message]:
        media = {kind: _media(entry, kind) for kind in Media.kinds}
        turns = entry.get("conversations", entry.get("conversation"))
        if not isinstance(turns, list):
            raise ValueError(f"conversations are {turns!r}, not a list of turns")
        messages = []
        for turn in turns:
            if not isinstance(turn, dict):
                raise ValueError(f"a turn is {turn!r}, not an object with 'from' and 'value'")
            role = _ROLES.get(str(turn.get("from")))
            if role is None:
                raise ValueError(
                    f"a turn is from {turn.get('from')!r}; known are human, gpt and system"
                )
            messages.append(Message(role, self._content(turn, role, media)))
        first = next((message for message in messages if message.role == "user"), None)
        for kind, (shown, made) in media.items():
            if first is not None and not shown.taken and not made.items:
                first.content[:0] = [self._load(file, kind) for file, _ in shown.items]
        return messages

    def _content(
        self, turn: Mapping[str, Any], role: str, media: Mapping[str, _Media]
    ) -> list[str | Media | Target]:
        value, kind = _text(turn.get("value"), "a turn's value"), str(turn.get("output_modality"))
        if role == "assistant" and kind in media and not media[kind].made.items:
            own = [(None, caption) for caption in _listed(turn.get("caption"))]
            media = {**media, kind: _Media(_Line([]), _Line(own))}
            if f"<{kind}>" not in value:
                value += f"<{kind}>" * len(own)
        lines = {kind: given.of(role) for kind, given in media.items()}
        known = {kind: line for kind, line in lines.items() if line.items}
        content: list[str | Media | Target] = []
        for part in _parts(value, known):
            if part not in known:
                content += [part] if part else []
                continue
            file, caption = known[part].take(part)
            if role != "assistant":
                content.append(self._load(file, part))
                continue
            opened = self._load(file, part) if self.load_targets and file is not None else None
            said = "" if caption is None else _text(caption, f"a caption of {part}")
            content.append(Target(part, said, opened))
        return content

    def _load(self, name: Any, kind: str) -> Media:
        if not isinstance(name, str):
            raise ValueError(f"the file of {kind!r} is {name!r}; name one file, as text")
        path = (self.folder / name).resolve()
        if not path.is_relative_to(self.folder.resolve()):
            raise ValueError(f"{name!r} lies outside {self.folder}; name files inside it")
        return load(path, kind=kind, limits=self.limits)


def _text(value: Any, place: str) -> str:
    """What is said, where it is a text or a number."""
    if not isinstance(value, str | int | float):
        raise ValueError(f"{place} is {value!r}; give a text, if an empty one")
    return str(value)


def _kinds(entry: Mapping[str, Any]) -> Any:
    """Kinds of media of an entry, each with the key of its file."""
    for key in entry:
        kind = re.sub(r"^(?:input|output)_|_name$", "", key)
        if kind in Media.kinds:
            yield kind, key


class _Line:
    """Files and captions of one kind of media, in the order in which `<M>` takes them."""

    def __init__(self, items: Iterable[tuple[Any, Any]]) -> None:
        self.items, self.taken = list(items), 0

    def take(self, kind: str) -> tuple[Any, Any]:
        """The next file and its caption; where there is only one, that one each time."""
        if self.taken == len(self.items) > 1:
            raise ValueError(
                f"<{kind}> stands in more places than the {self.taken} there are of it"
            )
        self.taken = min(self.taken + 1, len(self.items))
        return self.items[self.taken - 1]


class _Media(NamedTuple):
    """What an entry shows of one kind of media, and what it makes."""

    shown: _Line
    made: _Line

    def of(self, role: str) -> _Line:
        """Where `<M>` in a turn takes from; from the other line where its own is empty."""
        own, other = (self.made, self.shown) if role == "assistant" else (self.shown, self.made)
        return own if own.items else other


def _media(entry: Mapping[str, Any], kind: str) -> _Media:
    if both := [item for item in _listed(entry.get(f"{kind}_list")) if isinstance(item, dict)]:
        line = _Line((item.get(f"{kind}_name"), item.get("caption")) for item in both)
        return _Media(line, line)  # one after the other, whoever has them
    keys = (kind, f"input_{kind}", f"{kind}_name")
    files = next((entry[key] for key in keys if key in entry), None)
    made = (_listed(entry.get(key)) for key in (f"output_{kind}", f"{kind}_captions"))
    return _Media(_Line((file, None) for file in _listed(files)), _Line(zip_longest(*made)))


def _listed(value: Any) -> list[Any]:
    """What is given, one or several."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _parts(value: str, kinds: Iterable[str]) -> list[str]:
    """Texts and kinds in order: `<M>` stands for a medium, with a line's end after or before it."""
    if not (kinds := list(kinds)):
        return [value]
    pieces = re.split(rf"\n?<({'|'.join(kinds)})>\n?", value)
    return [piece.strip() if index % 2 == 0 else piece for index, piece in enumerate(pieces)]
