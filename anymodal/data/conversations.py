"""Conversations and captions about files, from the JSON that LLaVA, NExT-GPT and others publish."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anymodal.data.entries import EntryReader
from anymodal.data.json_files import read_entries
from anymodal.io.message_parts import PartReader
from anymodal.media import Limits
from anymodal.types import Message


class Conversations:
    """Samples of a JSON or JSON Lines file, of these kinds of entries, where M is a kind of media.

    - captions: `{"caption": …, "M_name": file}` (NExT-GPT), `{"caption": …, "M": file}`
    - about media: `{"M": file, "conversations": [{"from": "human", "value": "<M>\\nWhat …?"},
      {"from": "gpt", "value": …}]}` (LLaVA, Qwen-VL), `"input_M"` (NExT-GPT); `{"Ms": [file, …],
      "messages": [{"role": "user", "content": "<M>What …?"}, …]}` (LLaMA-Factory, ms-swift), where
      `content` may be a list of parts, `{"type": "text", "text": …}` and `{"type": "M"}` for the
      next of them or one that holds its own, as `messages.conversation_of` reads it
    - asking for them: `{"output_M": file, "M_captions": […], "conversations": […]}`, with `<M>`
      where the reply has one; without files where captions are enough (T2M), which a turn may tell
      itself: `{"from": "gpt", "value": …, "output_modality": "M", "caption": …}`
    - both: `{"M_list": [{"M_name": file, "caption": …}], "conversation": […]}` (MosIT), with `<M>`
      for the next of them, or `<M>file</M>`

    A `system` beside the turns is said first. Each `<M>` takes the next file or caption, in what is
    asked of what is shown, in a reply of what is made, and they must agree in number; in a reply
    `<M>` is text where nothing of its kind is to be made. A single file that no turn has is shown
    with the first one, and `<image>` at an end of what is asked stands for another kind of file
    too, as LLaVA has it. Every key is read, tells of the entry alone (`id`, `source`, `width` and
    such), has nothing in it, or is refused. Files are opened when a sample is read.

    Args:
        path: the file; one object a line where it ends in `.jsonl`, else a list of them.
        folder: where the media lie, and which they may not leave; the file's own by default.
        make: captions are asked for as media, not read off them.
        ask: what is said with the medium, or before the caption where `make`.
        load_targets: open media to be made too, for a denoising loss.
        limits: what is too much of a file, by the names of `Limits`.

    Raises:
        FileNotFoundError: if the file isn't there.
        ValueError: if it holds no such list, or nothing.
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
        self.folder = Path(path).parent if folder is None else Path(folder)
        ask = ask if ask is not None else ("" if make else "Describe this briefly.")
        reader = PartReader(Limits.of(limits), folder=self.folder)
        self._reader = EntryReader(reader, make, ask, load_targets)
        self.name, self.entries = Path(path).name, read_entries(Path(path))

    def __len__(self) -> int:
        return len(self.entries.values)

    def __getitem__(self, index: int) -> list[Message]:
        """One conversation.

        Raises:
            ValueError: if the entry is of no known kind, with its place in the file.
            FileNotFoundError: if its file isn't there.
        """
        entry = self.entries.values[index]
        try:
            return self._reader.read(entry)
        except ValueError as error:
            place = self.entries.place(range(len(self))[index])
            raise ValueError(f"{self.name}, {place}: {error}") from error
