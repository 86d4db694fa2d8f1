"""Files as their encoders take them, read and prepared one by one, by workers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch.utils.data import Dataset

from anymodal import media
from anymodal.data.workers import PackedTensor
from anymodal.io.embedding_file import FileEntry, entry_of
from anymodal.tools.embed.files import TEXT, read_file
from anymodal.tools.embed.opening import Encoders


class SkippedFile(NamedTuple):
    """A file that wasn't embedded, and why."""

    path: str
    reason: str

    @classmethod
    def of(cls, path: str, error: Exception) -> SkippedFile:
        """A file that an error stands in the way of."""
        text = " ".join(str(error).split()) if isinstance(error, ValueError | OSError) else ""
        return cls(path, text or type(error).__name__)


class PreparedFile(NamedTuple):
    """A file's entry, what its encoder prepared of its content, and a medium's digest if it was to
    be computed.
    """

    entry: FileEntry
    tensor: PackedTensor
    digest: str = ""


class FilePreparer(Dataset[PreparedFile | SkippedFile]):
    """Reads and prepares files; whatever is wrong with one skips this file alone.

    Args:
        paths: of the files.
        encoders: encoder by kind of media, and of text (`files.TEXT`).
        kind: take every file for this kind.
        limits: what is too much of a file.
        digests: compute those of media.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        encoders: Encoders,
        kind: str | None,
        limits: media.Limits | None,
        digests: bool = False,
    ) -> None:
        self.paths, self.encoders = paths, encoders
        self.kind, self.limits, self.digests = kind, limits, digests

    def __len__(self) -> int:
        return len(self.paths)

    @torch.inference_mode()
    def __getitem__(self, index: int) -> PreparedFile | SkippedFile:
        path = self.paths[index]
        try:
            entry = entry_of(path)  # before it is read: what changes it meanwhile makes it another
            kind, content = read_file(path, self.kind, self.limits)
            if kind not in self.encoders:
                raise ValueError(_no_encoder(kind, self.encoders))
            tensor = self.encoders[kind].prepare(content)  # type: ignore[arg-type]  # of its kind
        except Exception as error:  # decoders fail in more ways than they document
            return SkippedFile.of(str(path), error)
        digest = content.digest() if self.digests and isinstance(content, media.Media) else ""
        return PreparedFile(entry._replace(kind=kind), PackedTensor.of(tensor), digest)


def _no_encoder(kind: str, encoders: Iterable[str]) -> str:
    if kind == TEXT:
        return (
            "it is a text, and this encoder reads none; name one that does, as an ImageBind or a "
            "CLIP, with its tokenizer beside it"
        )
    return (
        f"it is loaded as {kind}, for which there is no encoder; --kind takes it for one of "
        f"{', '.join(encoders)}"
    )
