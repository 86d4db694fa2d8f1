"""Embed files: recognise them, encode them in batches of a kind, and go on where a run stopped."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from anymodal import media
from anymodal.tools.embed import outputs
from anymodal.tools.embed.opening import TEXT, Encoders, fingerprint
from anymodal.tools.embed.shards import Entry, Shards, stamp

SHARD_ROWS, SHARD_SECONDS = 512, 20.0
"""When a shard is written: what a kill loses is no more than this."""

TAKEN_ROWS = 65_536
"""Of a shard made of what is there; safetensors holds no more than 100 MB of paths."""


TEXT_BYTES = 1 << 20
"""Of a text, of which encoders read the beginning."""


class Skipped(NamedTuple):
    """A file that wasn't embedded, and why."""

    path: str
    reason: str


class Report(NamedTuple):
    """What a run did: files in the output, how many of them are new, and what was skipped."""

    files: int
    new: int
    skipped: list[Skipped]


def find_files(paths: Iterable[str | Path], leave: Iterable[Path] = ()) -> list[Path]:
    """The files named and those under the folders named, in order, each once.

    What is hidden (named with a dot) within a folder is left out, and so are the paths in `leave`.

    Raises:
        FileNotFoundError: if a path that is named isn't there.
    """
    left = {path.absolute() for path in leave}
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        if path.is_dir():
            found |= dict.fromkeys(p for p in _under(path, left) if p.absolute() not in left)
        elif path.exists():
            found[path] = None
        else:
            raise FileNotFoundError(2, "no such file or folder", str(path))
    return list(found)


def _under(folder: Path, left: set[Path]) -> Iterator[Path]:
    for home, folders, names in os.walk(folder):
        at = Path(home)
        folders[:] = sorted(f for f in folders if f[0] != "." and (at / f).absolute() not in left)
        yield from (at / name for name in sorted(names) if name[0] != ".")


def embed_files(
    paths: Iterable[str | Path],
    encoders: Encoders,
    out: Path,
    *,
    batch: int = 16,
    kind: str | None = None,
    unit: bool = False,
    device: str | torch.device = "cpu",
    limits: media.Limits | None = None,
) -> Report:
    """Embed files, and folders of them, into `out`; what it or its shards hold isn't done again.

    A file is taken for what its content says, a .txt without a medium for one text as a whole. One
    that can't be read is skipped and reported.

    Args:
        paths: files and folders.
        encoders: encoder by kind of media, and of text (`opening.TEXT`).
        out: a .npy, with a .npy.json beside it, or a .parquet.
        batch: how many media of a kind are encoded together.
        kind: take every file for this kind, as a depth map or a heat map must be.
        unit: scale every embedding to length 1, so that dot products are cosines.
        device: where to encode.
        limits: what is too much of a file.

    Raises:
        FileNotFoundError: if a path isn't there.
        ValueError: if no file could be embedded, encoders differ in width, or what is there of
            `out` was made by other encoders.
    """
    outputs.check_output(out)
    if kind is not None and kind not in encoders:
        raise ValueError(f"no encoder for {kind!r}; there are {', '.join(encoders)}")
    chosen = dict(encoders) if kind is None else {kind: encoders[kind]}
    settings = {name: {**fingerprint(e), "unit": unit, "asked": kind} for name, e in chosen.items()}
    folder = out.with_name(f"{out.name}.shards")
    files = find_files(paths, (out, outputs.beside(out), folder))
    shards = Shards(folder, settings)
    _take_up(out, shards)
    waiting = [path for path in files if not shards.has(path)]
    writer = _Writer(chosen, shards, batch, unit, device)
    with tqdm(total=len(files), initial=len(files) - len(waiting), unit="file") as bar:
        try:
            for path in waiting:
                writer.take(path, kind, limits)
                bar.update()
            writer.encode()
        finally:
            writer.flush()
    bad = {path for path, _ in writer.skipped}
    names = [str(path) for path in files if str(path) not in bad]
    outputs.write(out, shards, names)
    shards.remove()
    return Report(len(names), len(waiting) - len(bad), writer.skipped)


def _take_up(out: Path, shards: Shards) -> None:
    """Make a shard of what a finished run has written, if the encoders are the same."""
    if shards.done or not out.exists():
        return
    held = outputs.read(out)
    if any(shards.encoders.get(name, known) != known for name, known in held.encoders.items()):
        raise ValueError(
            f"{out} was made with other encoders or settings; delete it, or write to another file"
        )
    kept = [row for row, entry in enumerate(held.entries) if entry.kind in shards.encoders]
    for start in range(0, len(kept), TAKEN_ROWS):
        rows = kept[start : start + TAKEN_ROWS]
        shards.add([held.entries[row] for row in rows], np.asarray(held.embeds[rows]))


def may_be_text(path: Path) -> bool:
    """Whether a file that holds no medium is taken for a text."""
    return path.suffix.lower() == ".txt"


def _read(path: Path, kind: str | None, limits: media.Limits | None) -> tuple[str, Any]:
    """A file's kind and content; a .txt may well be a table of readings."""
    if kind != TEXT:
        try:
            medium = media.load(path, kind=kind, limits=limits)
        except media.MediaError:
            if kind is not None or not may_be_text(path):
                raise
        else:
            return medium.kind, medium
    return TEXT, _read_text(path)


def _read_text(path: Path) -> str:
    if (size := path.stat().st_size) > TEXT_BYTES:
        raise ValueError(f"it has {size} bytes, and a text may have {TEXT_BYTES}; cut it")
    try:
        text = path.read_text("utf-8").strip()
    except UnicodeDecodeError:
        raise ValueError("it is no text in UTF-8; convert it") from None
    if not text:
        raise ValueError("it is a text without a word; fill it or take it out")
    return text


def _unread(kind: str, encoders: Iterable[str]) -> str:
    if kind == TEXT:
        return (
            "it is a text, and this encoder reads none; name one that does, as an ImageBind or a "
            "CLIP, with its tokenizer beside it"
        )
    return (
        f"it is loaded as {kind}, for which there is no encoder; --kind takes it for one of "
        f"{', '.join(encoders)}"
    )


class _Writer:
    """Collects what is prepared by kind, encodes full batches, and writes shards of them."""

    def __init__(
        self,
        encoders: Encoders,
        shards: Shards,
        batch: int,
        unit: bool,
        device: str | torch.device,
    ) -> None:
        self.encoders = {name: encoder.to(device).eval() for name, encoder in encoders.items()}
        self.shards, self.batch, self.unit = shards, batch, unit
        self.prepared: dict[str, list[tuple[Entry, Tensor]]] = {name: [] for name in encoders}
        self.entries: list[Entry] = []
        self.rows: list[NDArray[np.float32]] = []
        self.skipped: list[Skipped] = []
        self.written = time.monotonic()

    def take(self, path: Path, kind: str | None, limits: media.Limits | None = None) -> None:
        """Read and prepare a file; whatever is wrong with it is its own affair."""
        try:
            size, changed = stamp(path)
            kind, content = _read(path, kind, limits)
            if kind not in self.encoders:
                raise ValueError(_unread(kind, self.encoders))
            prepared = self.encoders[kind].prepare(content)
        except Exception as error:  # decoders fail in more ways than they document
            self._skip(str(path), error)
            return
        self.prepared[kind].append((Entry(str(path), kind, size, changed), prepared))
        if len(self.prepared[kind]) >= self.batch:
            self.encode([kind])

    def _skip(self, path: str, error: Exception) -> None:
        told = " ".join(str(error).split()) if isinstance(error, ValueError | OSError) else ""
        self.skipped.append(Skipped(path, told or type(error).__name__))

    @torch.inference_mode()
    def encode(self, kinds: Sequence[str] | None = None) -> None:
        """Encode what is prepared of the kinds, or of all."""
        for kind in kinds or self.encoders:
            if not (items := self.prepared[kind]):
                continue
            self.prepared[kind] = []
            batch = torch.stack([prepared for _, prepared in items])
            encoder = self.encoders[kind]
            embeds = encoder.embed(encoder.to_weights(batch)).float()  # (B, E)
            embeds = F.normalize(embeds, dim=1) if self.unit else embeds
            for (entry, _), row in zip(items, embeds.cpu().numpy(), strict=True):
                self._keep(entry, row)
        since = time.monotonic() - self.written
        if len(self.entries) >= SHARD_ROWS or since > SHARD_SECONDS:
            self.flush()

    def _keep(self, entry: Entry, row: NDArray[np.float32]) -> None:
        if not np.isfinite(row).all():
            self._skip(entry.path, ValueError("its embedding is not finite"))
            return
        if self.entries and len(self.rows[-1]) != len(row):
            self.flush()  # which tells of the widths
        self.entries.append(entry)
        self.rows.append(row)

    def flush(self) -> None:
        """Write a shard of what is encoded."""
        if self.entries:
            entries, self.entries = self.entries, []
            rows, self.rows = self.rows, []
            self.shards.add(entries, np.stack(rows))
        self.written = time.monotonic()
