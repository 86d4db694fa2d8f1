"""Embed files: recognise them, encode them in batches of a kind, and go on where a run stopped."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from anymodal import media
from anymodal.data.workers import Loader, num_processors
from anymodal.io import embedding_file
from anymodal.io.feature_cache import FeatureCache
from anymodal.tools.embed.embedder import Embedder
from anymodal.tools.embed.files import find_files
from anymodal.tools.embed.opening import Encoders
from anymodal.tools.embed.prepared import FilePreparer, SkippedFile
from anymodal.training.precision import allow_tf32

MAX_WORKERS = 16
FILES_A_WORKER = 4
"""Files for which a worker is worth starting."""

CHUNK = 4096
"""Files that are looked up in the cache at once, and rows that are put into it."""


class Report(NamedTuple):
    """Counts of a run: files in the output, new ones among them, those it skipped, and those whose
    embeddings a training run's cache had.
    """

    files: int
    new: int
    skipped_files: list[SkippedFile]
    shared: int = 0


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
    workers: int | None = None,
    feature_cache: str | Path | None = None,
) -> Report:
    """Embed files, and folders of them, into `out`; what it holds already isn't done again.

    A file is taken for what its content says, a .txt without a medium for one text as a whole. One
    that can't be read is skipped and reported. Until the output is whole, embeddings are kept in a
    feature cache beside it, from which a stopped run goes on.

    Args:
        paths: files and folders.
        encoders: encoder by kind of media, and of text (`files.TEXT`).
        out: a .npy, with a .npy.json beside it, or a .parquet.
        batch: how many media of a kind are encoded together.
        kind: take every file for this kind, as a depth map or a heat map must be.
        unit: scale every embedding to length 1, so that dot products are cosines.
        device: where to encode.
        limits: the largest files that are read.
        workers: processes that read and prepare files while others are encoded; 0 for this one,
            None for as many as there are processors, where there are files enough.
        feature_cache: the folder of training runs' caches. What a run of the same encoder has kept
            isn't encoded again, and a run finds the features of what is encoded here.

    Raises:
        FileNotFoundError: if a path isn't there.
        ValueError: if no file could be embedded, encoders differ in width, or what is there of
            `out` was made by other encoders.
        OSError: if embeddings can't be kept, as on a full disk.
    """
    embedding_file.check_output(out)
    if kind is not None and kind not in encoders:
        raise ValueError(f"no encoder for {kind!r}; there are {', '.join(encoders)}")
    encoders_by_kind = dict(encoders) if kind is None else {kind: encoders[kind]}
    folder = out.with_name(f"{out.name}.cache")
    # The output may lie in a folder that is embedded; a second run must not read it.
    if not (files := find_files(paths, (out, embedding_file.entries_file(out), folder))):
        raise ValueError("there is nothing to write: no file is there")
    # On disk from the first batch on, so that a killed run goes on where it stopped.
    cache = FeatureCache(folder=folder)
    try:
        embedder = Embedder(
            encoders_by_kind,
            cache,
            batch=batch,
            kind=kind,
            unit=unit,
            device=device,
            shared=_open_shared(feature_cache),
        )
        _take_up(out, embedder)
        _embed(files, embedder, limits, _num_workers(len(files)) if workers is None else workers)
        entries = [embedder.entries[p] for p in map(str, files) if p in embedder.entries]
        if not entries or embedder.width is None:
            raise ValueError("there is nothing to write: none of the files could be embedded")
        embedding_file.write(out, entries, embedder.rows, embedder.width, embedder.settings())
    except ValueError:
        _remove_empty(folder)
        raise
    # The output has every row now, and the next run takes them from there.
    shutil.rmtree(folder, ignore_errors=True)
    return Report(len(entries), embedder.new, embedder.skipped_files, embedder.num_shared)


def _open_shared(folder: str | Path | None) -> FeatureCache | None:
    if folder is None:
        return None
    allow_tf32()  # as runs do: results are told apart by the precision
    return FeatureCache(folder=folder)


def _num_workers(num_files: int) -> int:
    """As many as there are processors, where each has files enough to be worth its start."""
    return min(MAX_WORKERS, num_processors(), num_files // FILES_A_WORKER)


def _embed(
    files: Sequence[Path], embedder: Embedder, limits: media.Limits | None, workers: int
) -> None:
    with tqdm(total=len(files), unit="file") as bar:
        # In chunks: the embeddings of a million files are gigabytes.
        for start in range(0, len(files), CHUNK):
            unknown = embedder.take_cached(files[start : start + CHUNK])
            bar.update(len(files[start : start + CHUNK]) - len(unknown))
            preparer = FilePreparer(
                unknown, embedder.encoders, embedder.kind, limits, embedder.shared is not None
            )
            for file in Loader(preparer, min(workers, len(unknown)), embedder.batch):
                embedder.take(file)
                bar.update()
        embedder.encode()


def _take_up(out: Path, embedder: Embedder) -> None:
    """Put the rows of a finished output into the cache, if its encoders are the same."""
    if not out.exists():
        return
    output, settings = embedding_file.read(out), json.loads(json.dumps(embedder.settings()))
    if any(settings.get(name, value) != value for name, value in output.encoders.items()):
        raise ValueError(
            f"{out} was made with other encoders, settings or versions of libraries; delete it, or "
            "write to another file"
        )
    for start in range(0, len(output.entries), CHUNK):
        values: dict[str, dict[str, tuple[Tensor]]] = {}
        chunk = zip(output.entries[start : start + CHUNK], output.embeds[start:], strict=False)
        for entry, row in chunk:
            values.setdefault(entry.kind, {})[embedder.item(entry)] = (torch.tensor(row),)
        # Rows of kinds that aren't asked for now are left out of the new output.
        for kind in values.keys() & settings.keys():
            embedder.keep(kind, values[kind])


def _remove_empty(folder: Path) -> None:
    """Remove a cache that has nothing in it, as one of a run that was refused."""
    with contextlib.suppress(OSError):
        folder.rmdir()
