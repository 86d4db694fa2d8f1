"""Conversations and captions about files, from the JSON that LLaVA, NExT-GPT and others publish."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anymodal.media import Media, load
from anymodal.types import Message, Target

_ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant"}


class Conversations:
    """Samples of a JSON file: a list, of these kinds of entries, where M is any kind of media.

    - captions: `{"caption": …, "M_name": file}` (NExT-GPT), `{"caption": …, "M": file}`
    - about a medium: `{"M": file, "conversations": [{"from": "human", "value": "<M>\\nWhat …?"},
      {"from": "gpt", "value": …}]}` (LLaVA), `"input_M"` (NExT-GPT)
    - asking for one: `{"output_M": file, "M_captions": …, "conversations": […]}`, with `<M>` where
      the reply has it

    Files are opened when a sample is read.

    Args:
        path: the JSON file.
        folder: where the media lie; the JSON file's own folder by default.
        make: captions are asked for as media, not read off them.
        ask: what is said with the medium, or before the caption where `make`.
        load_targets: open media to be made too, for a denoising loss.

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
    ) -> None:
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
        if "conversations" in entry:
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
        keys = dict(_kinds(entry))
        messages = []
        for turn in entry["conversations"]:
            if not isinstance(turn, dict):
                raise ValueError(f"a turn is {turn!r}, not an object with 'from' and 'value'")
            role = _ROLES.get(str(turn.get("from")))
            if role is None:
                raise ValueError(f"a turn is from {turn.get('from')!r}; known are human and gpt")
            content = [
                self._shown(entry, keys[part], part, role) if part in keys else part
                for part in _parts(_text(turn.get("value"), "a turn's value"), keys)
            ]
            messages.append(Message(role, [part for part in content if part != ""]))
        return messages

    def _shown(self, entry: Mapping[str, Any], key: str, kind: str, role: str) -> Media | Target:
        if role == "user":
            return self._load(entry[key], kind)
        captions = entry.get(f"{kind}_captions", "")
        first = (captions or [""])[0] if isinstance(captions, list) else captions
        caption = _text(first, f"{kind}_captions")
        return Target(kind, caption, self._load(entry[key], kind) if self.load_targets else None)

    def _load(self, name: Any, kind: str) -> Media:
        if not isinstance(name, str):
            raise ValueError(f"the file of {kind!r} is {name!r}; name one file, as text")
        path = (self.folder / name).resolve()
        if not path.is_relative_to(self.folder.resolve()):
            raise ValueError(f"{name!r} lies outside {self.folder}; name files inside it")
        return load(path, kind=kind)


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


def _parts(value: str, kinds: Mapping[str, str]) -> list[str]:
    """Texts and kinds in order: `<M>` stands for a medium, with a line's end after or before it."""
    if not kinds:
        return [value]
    pieces = re.split(rf"\n?<({'|'.join(kinds)})>\n?", value)
    return [piece.strip() if index % 2 == 0 else piece for index, piece in enumerate(pieces)]
