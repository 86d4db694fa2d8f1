"""Digests of media by the stamps of their files, so that what is known needs no decoding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache

import torch

from anymodal.io.code_versions import library_versions, module_versions
from anymodal.io.fingerprints import hash_json
from anymodal.io.segments import Value
from anymodal.io.tensor_store import TensorStore
from anymodal.media import Media
from anymodal.media.stamps import MediaFile


def read_digests(store: TensorStore, media: Iterable[Media]) -> None:
    """Give media that aren't decoded the digests that are known by their files' stamps."""
    files: dict[str, list[MediaFile]] = {}
    for file in _settled(media):
        if file.digest is None:
            files.setdefault(file.stamp, []).append(file)
    if not files:
        return
    for stamp, (value,) in store.find(_section(), [*files]).items():
        for file in files[stamp]:
            file.digest, file.recorded = value.numpy().tobytes().hex(), True


def keep_digests(store: TensorStore, media: Iterable[Media]) -> None:
    """Keep the digests of media by the stamps of their files."""
    values: dict[str, Value] = {}
    for file in _settled(media):
        if file.digest is not None and not file.recorded:
            digest = bytearray.fromhex(file.digest)
            values[file.stamp] = (torch.frombuffer(digest, dtype=torch.uint8),)
            file.recorded = True
    if values:
        store.add(_section(), values)


def _settled(media: Iterable[Media]) -> Iterator[MediaFile]:
    return (each.file for each in media if each.file is not None and each.file.settled)


@cache
def _section() -> str:
    """The store's section: another one wherever another library or version decodes files."""
    return hash_json(["digests", library_versions(), module_versions(["anymodal.media"])])
