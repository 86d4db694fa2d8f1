"""Conversations and captions about media, as LLaVA, NExT-GPT and others publish them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

from anymodal.data.columns import ColumnMapping
from anymodal.data.containers import open_rows
from anymodal.data.entries import EntryReader
from anymodal.data.source import Source
from anymodal.io.message_parts import PartReader
from anymodal.media import Limits
from anymodal.types import Message


class Conversations(Source[list[Message]]):
    """Samples of a data set, whose rows are of these kinds, where M is a kind of media.

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
    such), has nothing in it, is listed in `ignore`, or is refused. Files are opened when a sample
    is read.

    Args:
        path: a file (JSON, JSON Lines, CSV, TSV, Parquet, Arrow, a tar shard), several, a folder,
            or a data set of the hub, see `containers.open_rows`.
        folder: where the media lie, and which they may not leave; that of the data by default.
        make: captions are asked for as media, not read off them.
        ask: what is said with the medium, or before the caption where `make`.
        load_targets: open media to be made too, for a denoising loss.
        limits: what is too much of a file, by the names of `Limits`.
        columns: the data's column by the key that is read, as `{caption: text}`.
        ignore: columns that are left out.
        split: the one to read, where the data have several.
        remote: whether `path` may be a URL, which fsspec reads.
        index_dir: a folder for indices, instead of `.anymodal/` beside the data.

    Raises:
        FileNotFoundError: if the file isn't there.
        ValueError: if it is none of them, or holds nothing.
    """

    def __init__(
        self,
        path: str | Path | Sequence[str | Path],
        folder: str | Path | None = None,
        *,
        make: bool = False,
        ask: str | None = None,
        load_targets: bool = False,
        limits: Limits | Mapping[str, Any] | None = None,
        columns: Mapping[str, str] | None = None,
        ignore: Sequence[str] = (),
        split: str | None = None,
        remote: bool = False,
        index_dir: str | Path | None = None,
    ) -> None:
        self.rows = open_rows(path, folder, split=split, remote=remote, index_dir=index_dir)
        self.folder = self.rows.folder
        self._columns = ColumnMapping(columns or {}, ignore)
        ask = ask if ask is not None else ("" if make else "Describe this briefly.")
        reader = PartReader(Limits.of(limits), folder=self.folder)
        self._reader = EntryReader(reader, make, ask, load_targets)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int, /) -> list[Message]:
        """One conversation.

        Raises:
            ValueError: if the row is of no known kind, with its place in the file.
            OSError: if its file isn't there.
        """
        row = self.rows[index]  # whose own errors have its place
        try:
            return self._reader.read(self._columns.entry(row, self.rows))
        except ValueError as error:
            place = self.rows.place(range(len(self))[index])
            raise ValueError(f"{place}: {error}") from error

    def stamp(self, index: int) -> Hashable:
        return self.rows.stamp(index)

    @property
    def length(self) -> Callable[[int], int]:
        """The bytes of a row, which are near enough to a conversation's length to sort by.

        Raises:
            AttributeError: if the container doesn't tell them, so that `hasattr` says so.
        """
        if not self.rows.size(0):
            raise AttributeError(f"{self.rows.container} doesn't tell how long its rows are")
        return self.rows.size
