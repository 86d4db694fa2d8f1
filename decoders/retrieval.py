"""Retrieval: media that exist, found by a reply's signals in an index of embeddings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from anymodal import media as kinds_of_media
from anymodal.config import ranges
from anymodal.decoders.base import Decoder, Generators, Progress, check_finite
from anymodal.encoders import Encoder, TextEncoder
from anymodal.io import embedding_file
from anymodal.io.embedding_file import EmbeddingFile, FileEntry
from anymodal.io.feature_cache import CacheKey
from anymodal.io.fingerprints import weights_fingerprint
from anymodal.media import Media
from anymodal.types import Conditioning, ConditioningSpec

if TYPE_CHECKING:
    from anymodal.decoders.references import EncodedReferences, References

INDEX_FILE = "index.npy"
"""The index in a folder that `RetrievalDecoder.save_pretrained` wrote."""

MAX_TRIES = 10
"""Files that are tried in turn where the nearest ones can't be read any more."""


class RetrievalDecoder(Decoder):
    """Returns the media of an index whose embeddings are nearest to the conditioning.

    The index is a file that `anymodal embed` wrote, of media of one kind, by the same encoder.
    A head learns one embedding: from captions by `align`, where there is an encoder of texts, or
    from the media themselves by `denoise`, which here is the symmetric InfoNCE of a batch.

    Source: Koh et al. 2023 (GILL), arXiv:2305.17216, section 3.2.

    Args:
        index: embeddings with their files.
        encoder: that the embeddings are of.
        text_encoder: of the same space, for captions.
        scale: of the logits of the loss, one over the temperature.

    Raises:
        ValueError: if the index is empty, of several kinds or of another encoder.
    """

    synthesizes = False
    takes_ranks = True
    can_wait = False  # a decoder that chooses reads its index
    #: From where its files may be named: where one worked when it was opened, and its own folder.
    folders: tuple[Path, ...] = ()

    def __init__(
        self,
        index: EmbeddingFile,
        encoder: Encoder,
        text_encoder: TextEncoder | None = None,
        scale: float = 1 / 0.07,
    ) -> None:
        super().__init__()
        _check_index(index, encoder)
        self.index, self.encoder, self.text_encoder = index, encoder, text_encoder
        self.scale = scale
        rows = torch.from_numpy(index.embeds.copy())
        # No weights of a checkpoint: the file that it was opened from has it.
        self.register_buffer("rows", F.normalize(rows, dim=1), persistent=False)
        width = rows.shape[1]
        self.media = encoder.media
        # Of a unit vector.
        self.spec = ConditioningSpec(length=1, width=width, scale=1 / math.sqrt(width))

    @classmethod
    def from_pretrained(
        cls,
        index: str | Path,
        *,
        encoder: Encoder,
        text_encoder: TextEncoder | None = None,
        scale: float = 1 / 0.07,
    ) -> RetrievalDecoder:
        """Open an index, or the folder that `save_pretrained` wrote.

        Raises:
            CheckpointError: if it is missing or damaged.
            ValueError: if it is empty, of several kinds or of another encoder.
        """
        path = Path(index)
        file = embedding_file.read(path / INDEX_FILE if path.is_dir() else path)
        decoder = cls(file, encoder, text_encoder, scale)
        decoder.folders = (Path.cwd(), path.absolute().parent)
        return decoder

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the index; the files that it names stay where they are."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        # Looked for now: the index may be opened from anywhere, and have millions of files.
        entries = [
            entry._replace(path=str(_place(entry, self.folders).absolute()))
            for entry in self.index.entries
        ]
        index = self.index._replace(entries=entries)
        rows = dict(zip(index.entries, index.embeds, strict=True))
        embedding_file.write(
            Path(folder) / INDEX_FILE,
            index.entries,
            lambda entries: np.stack([rows[entry] for entry in entries]),
            self.spec.width,
            index.encoders,
        )

    def check_settings(self, settings: object, place: str = "") -> dict[str, Any]:
        """Check settings; media that one span asks for are different ones of the index.

        Raises:
            ValueError: one is unknown, of the wrong type or out of its range.
        """
        checked = super().check_settings(settings, place)
        if (number := checked.get(ranges.NUMBER, 1)) > (count := len(self.index.entries)):
            prefix = f"{place}: " if place else ""
            raise ValueError(f"{prefix}number={number}; the index has {count} files, ask for fewer")
        return checked

    @property
    def index_has_unit_length(self) -> bool:
        """Whether the index's embeddings were scaled to length 1 when they were written."""
        settings: Any = self.index.encoders.get(self.media.kind)
        return isinstance(settings, dict) and bool(settings.get("unit"))

    def prepare(self, media: Media) -> Tensor:
        """Turn a media item into what the encoder takes."""
        return self.encoder.prepare(media)

    @torch.no_grad()
    def encode(self, batch: Tensor) -> Tensor:
        """Embeddings (B, E)."""
        return self.encoder.embed(self.encoder.to_weights(batch))

    def embed_captions(
        self, captions: Sequence[str], references: References | None = None
    ) -> Conditioning:
        """Embeddings (B, 1, E) of captions, of length 1.

        Raises:
            ValueError: if there is no encoder of texts.
        """
        if self.text_encoder is None:
            raise ValueError(
                "this index has no text_encoder, so captions can't be embedded; name one of the "
                "same space, or train by `denoise`, which embeds the media themselves"
            )
        batch = torch.stack([self.text_encoder.prepare(caption) for caption in captions])
        embeds = self.text_encoder.embed(self.text_encoder.to_weights(batch)).float()
        mask = torch.ones(len(captions), 1, dtype=torch.bool, device=embeds.device)
        return Conditioning(F.normalize(embeds, dim=1)[:, None], mask)

    def losses(
        self,
        batch: Tensor,
        conditioning: Conditioning,
        generator: torch.Generator | None = None,
        references: EncodedReferences | None = None,
    ) -> Tensor:
        """Symmetric InfoNCE of embeddings asked for with those of the media (GILL, equation 4).

        The loss (B,) of each is beside the others of the batch.
        """
        encoded = batch if batch.ndim == 2 else self.encode(batch)  # (B, E)
        return contrast(conditioning.embeds[:, 0], encoded, self.scale)

    def nearest(self, conditioning: Conditioning, count: int) -> tuple[Tensor, Tensor]:
        """Cosines and rows (B, count) of the nearest media, the nearest first."""
        asked = F.normalize(conditioning.embeds[:, 0].float(), dim=1)
        rows = self.get_buffer("rows")
        cosines = asked.to(rows.device) @ rows.float().T
        best = cosines.topk(min(count, len(rows)), dim=1)
        return best.values, best.indices

    def sample(
        self,
        conditioning: Conditioning,
        *,
        steps: int = 1,
        guidance: float = 1.0,
        generator: Generators = None,
        progress: Progress | None = None,
        references: References | None = None,
        ranks: Sequence[int] = (),
    ) -> list[Media]:
        """Find one media item for each item of a conditioning; steps and guidance change nothing.

        Args:
            ranks: for each item how many nearer media are passed over; none where empty.

        Raises:
            ValueError: if none of the nearest files can be read any more, or the index has fewer
                different media than are asked for.
        """
        check_finite(conditioning)
        passed = [*ranks] or [0] * len(conditioning.embeds)
        _, rows = self.nearest(conditioning, MAX_TRIES + max(passed, default=0))
        found = [
            self.readable(order, rank) for order, rank in zip(rows.tolist(), passed, strict=True)
        ]
        if progress is not None:
            progress(1, 1)
        return found

    def readable(self, rows: Sequence[int], rank: int = 0) -> Media:
        """A medium of some rows, of those whose file can still be read, and is as it was embedded.

        Args:
            rows: the nearest first.
            rank: how many different media before it are passed over.

        Raises:
            ValueError: if there are none, or not so many different ones.
        """
        errors: list[str] = []
        nearer: set[str] = set()  # digests
        for row in rows:
            try:
                medium = self._load(self.index.entries[row])
            except (OSError, ValueError) as error:
                errors.append(str(error))
                continue
            digest = medium.digest() if rank else ""
            if digest not in nearer and len(nearer) == rank:
                return medium
            nearer.add(digest)
        if nearer:
            raise ValueError(
                f"{rank + 1} different media are asked for, and {len(nearer)} of the {len(rows)} "
                "nearest of the index are different and can be read; ask for fewer (`number`)"
            )
        raise ValueError(
            f"none of the {len(rows)} nearest files of the index can be read any more, the first "
            f"for this reason: {errors[0]}; embed the files again"
        )

    def _load(self, entry: FileEntry) -> Media:
        """The medium of a file of the index.

        Raises:
            OSError: if it can't be read.
            ValueError: likewise, or if it has another size than it had.
        """
        path = _place(entry, self.folders)
        if (size := path.stat().st_size) != entry.size:
            raise ValueError(
                f"{path} has {size} bytes now, and had {entry.size} when it was embedded"
            )
        return kinds_of_media.load(path, kind=entry.kind)

    def encoding(self) -> CacheKey:
        """Give the encoder: embeddings are the same as other uses have."""
        return self.encoder.cache_key("embeddings")

    def captioning(self) -> CacheKey:
        """Give the encoder of texts."""
        owner = self.text_encoder or self.encoder
        return owner.cache_key("conditioning")

    def metadata(self) -> dict[str, object]:
        """Give the index's size and its encoders, ready for JSON."""
        return {
            "class": f"{type(self).__module__}.{type(self).__qualname__}",
            "files": len(self.index.entries),
            "kind": self.media.kind,
            "encoder": self.encoder.metadata(),
            "conditioning": {"length": 1, "width": self.spec.width},
        }


def contrast(asked: Tensor, media: Tensor, scale: Tensor | float) -> Tensor:
    """Symmetric InfoNCE (B,) of embeddings that are asked for with those of media.

    Source: Koh et al. 2023 (GILL), arXiv:2305.17216, equation 4. A media item that a batch has
    twice is right in both places.

    Shapes: asked and media (B, E).

    Args:
        asked: by heads.
        media: those that are right, row by row.
        scale: of the cosines.
    """
    targets = F.normalize(media.float(), dim=1)
    logits = scale * F.normalize(asked.float(), dim=1) @ targets.T  # (B, B)
    same = (targets @ targets.T > 1 - 1e-5).float()
    wanted = same / same.sum(1, keepdim=True)
    sides = [F.cross_entropy(each, wanted, reduction="none") for each in (logits, logits.T)]
    return (sides[0] + sides[1]) / 2


def _place(entry: FileEntry, folders: Sequence[Path]) -> Path:
    """The path of an index's file: from the first folder where one of its size is, else the last.

    Times tell nothing, since copies have others.
    """
    places = [folder / entry.path for folder in folders] or [Path(entry.path)]
    return next((place for place in places if _has_size(place, entry.size)), places[-1])


def _has_size(path: Path, size: int) -> bool:
    return path.exists() and path.stat().st_size == size


def _check_index(index: EmbeddingFile, encoder: Encoder) -> None:
    kinds = sorted({entry.kind for entry in index.entries})
    kind = encoder.media.kind
    if kinds != [kind]:
        raise ValueError(
            f"the index holds {', '.join(kinds) or 'nothing'}, and the encoder reads {kind}; embed "
            f"files of that kind alone"
        )
    settings: Any = index.encoders.get(kind)
    weights = settings.get("weights") if isinstance(settings, dict) else None
    if weights != weights_fingerprint(encoder):
        raise ValueError(
            "the index was embedded by another encoder, or by other weights of it; embed the "
            "files again with this one"
        )
