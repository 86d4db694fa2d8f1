"""Encode files in batches of a kind, and keep every embedding in a feature cache at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from anymodal.encoders import Encoder
from anymodal.encoders.shared_results import EMBEDDINGS, embed_and_keep
from anymodal.io.embedding_file import FileEntry, entry_of
from anymodal.io.feature_cache import CacheKey, FeatureCache
from anymodal.io.fingerprints import weights_fingerprint
from anymodal.tools.embed.opening import Encoders
from anymodal.tools.embed.prepared import PreparedFile, SkippedFile

Settings = Mapping[str, object]
"""An encoder's settings in an output file; JSON values."""


MAX_BATCH_BYTES = 256 << 20
"""Of what is prepared of a batch's files; a clip may be hundreds of pictures to an encoder."""


class Embedder:
    """Embeds files, and knows those that it has in its cache.

    Args:
        encoders: encoder by kind of media, and of text (`files.TEXT`).
        cache: where embeddings are kept, by the file's path, size and time.
        batch: how many media of a kind are encoded together, at most.
        kind: take every file for this kind.
        unit: scale every embedding to length 1.
        device: where to encode.
        shared: a feature cache of training runs, whose results are used and added to.
    """

    def __init__(
        self,
        encoders: Encoders,
        cache: FeatureCache,
        *,
        batch: int,
        kind: str | None,
        unit: bool,
        device: str | torch.device,
        shared: FeatureCache | None = None,
    ) -> None:
        self.encoders = {name: encoder.to(device).eval() for name, encoder in encoders.items()}
        self.cache, self.batch, self.kind, self.unit = cache, batch, kind, unit
        self.device, self.shared = torch.device(device), shared
        result = "embeddings of length 1" if unit else "embeddings"
        self.keys: dict[str, CacheKey] = {
            name: encoder.cache_key(result) for name, encoder in self.encoders.items()
        }
        self.prepared: dict[str, list[PreparedFile]] = {name: [] for name in encoders}
        self.entries: dict[str, FileEntry] = {}
        self.skipped_files: list[SkippedFile] = []
        self.new = self.num_shared = 0
        self.width: int | None = None

    def settings(self) -> dict[str, Settings]:
        """Metadata of each kind's encoder, and the fingerprint of its results."""
        return {
            name: {
                **encoder.metadata(),
                "weights": weights_fingerprint(encoder),
                "unit": self.unit,
                "asked": self.kind,
                "fingerprint": self.cache.fingerprint(self.keys[name], self.device),
            }
            for name, encoder in self.encoders.items()
        }

    def item(self, entry: FileEntry) -> str:
        """The cache's key of a file as it was."""
        return "\0".join([str(Path(entry.path).absolute()), *map(str, entry[2:]), str(self.kind)])

    def take_cached(self, paths: Iterable[Path]) -> list[Path]:
        """Enter the files whose embeddings are in the cache; the others come back."""
        paths = list(paths)
        entries = {path: entry for path in paths if (entry := _entry_or_none(path)) is not None}
        # A file's kind is known once it is read, so every encoder's results are looked through.
        items = {self.item(entry): path for path, entry in entries.items()}
        for kind, key in self.keys.items():
            for item, (value,) in self.cache.find(key, list(items), self.device).items():
                self._enter(entries[items[item]]._replace(kind=kind), value)
        names = {*self.entries, *(path for path, _ in self.skipped_files)}
        return [path for path in paths if str(path) not in names]

    def take(self, file: PreparedFile | SkippedFile) -> None:
        """Enter a file that was prepared, and encode what makes a batch with it."""
        if isinstance(file, SkippedFile):
            self.skipped_files.append(file)
            return
        files = self.prepared[file.entry.kind]
        files.append(file)
        size = sum(each.tensor.data.nbytes for each in files)
        if len(files) >= self.batch or size >= MAX_BATCH_BYTES:
            self.encode([file.entry.kind])

    @torch.inference_mode()
    def encode(self, kinds: Sequence[str] | None = None) -> None:
        """Encode what is prepared of the kinds, or of all.

        Raises:
            OSError: if the embeddings can't be kept, as on a full disk.
        """
        for kind in kinds or self.encoders:
            if not self.prepared[kind]:
                continue
            entries = [file.entry for file in self.prepared[kind]]
            embeds = self._embeds(kind)
            embeds = F.normalize(embeds, dim=1) if self.unit else embeds
            values = {self.item(e): (row,) for e, row in zip(entries, embeds, strict=True)}
            # Before they are counted: what is reported as done is on disk.
            self.keep(kind, values)
            for entry, row in zip(entries, embeds, strict=True):
                self.new += self._enter(entry, row)

    def _embeds(self, kind: str) -> Tensor:
        """The embeddings (B, E) of a kind's prepared files, which are let go."""
        files, self.prepared[kind] = self.prepared[kind], []
        encoder, digests = self.encoders[kind], [file.digest for file in files]
        if self.shared is None or not isinstance(encoder, Encoder):
            # In float32 whatever the weights are, as NumPy and Parquet have no bfloat16.
            return encoder.embed(encoder.to_weights(_stacked(files))).float().cpu()
        found = self.shared.find(encoder.cache_key(EMBEDDINGS), digests, self.device)
        missing = {file.digest: file for file in files if file.digest not in found}
        self.num_shared += sum(digest in found for digest in digests)
        if missing:
            batch = encoder.to_weights(_stacked(missing.values()))
            rows = embed_and_keep(self.shared, encoder, list(missing), batch)
            found |= {digest: (row,) for digest, row in zip(missing, rows, strict=True)}
        return torch.stack([found[digest][0].float().cpu() for digest in digests])

    def keep(self, kind: str, values: Mapping[str, tuple[Tensor]]) -> None:
        """Put embeddings of a kind into the cache.

        Raises:
            OSError: if they can't be kept, as on a full disk.
        """
        self.cache.add(self.keys[kind], values, self.device)
        if (failure := self.cache.failure) is not None:
            raise failure

    def _enter(self, entry: FileEntry, row: Tensor) -> bool:
        """Enter an embedding and return True; a file whose embedding isn't finite is skipped.

        Raises:
            ValueError: if it is wider or narrower than those before.
        """
        if not row.isfinite().all():
            self.skipped_files.append(SkippedFile(entry.path, "its embedding is not finite"))
            return False
        if self.width not in (None, len(row)):
            raise ValueError(
                f"embeddings of {entry.kind} are {len(row)} wide and those before {self.width}; "
                "embed each kind (--kind) into a file of its own"
            )
        self.width = len(row)
        self.entries[entry.path] = entry
        return True

    def rows(self, entries: Sequence[FileEntry]) -> NDArray[np.float32]:
        """The embeddings (B, E) of entries, in their order."""
        kinds: dict[str, list[str]] = {}
        for entry in entries:
            kinds.setdefault(entry.kind, []).append(self.item(entry))
        values = {k: self.cache.find(self.keys[k], v, self.device) for k, v in kinds.items()}
        rows = [values[entry.kind][self.item(entry)][0].numpy() for entry in entries]
        return np.stack(rows)


def _stacked(files: Iterable[PreparedFile]) -> Tensor:
    return torch.stack([file.tensor.tensor() for file in files])


def _entry_or_none(path: Path) -> FileEntry | None:
    try:
        return entry_of(path)
    except OSError:  # a link that leads nowhere; reading it says so
        return None
