"""A run's checkpoints: whole or absent, sealed with a checksum, and the last two of them kept."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import pickle
import struct
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from types import NoneType
from typing import Any, cast

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from anymodal.config import ConfigError
from anymodal.distributed import collectives
from anymodal.io.checkpoint import replacing

_LOG = logging.getLogger("anymodal")

_MARK = b"sha256:"
_SEAL = len(_MARK) + 2 * hashlib.sha256().digest_size
_END = b"PK\x05\x06"  # a zip's end of central directory record
_END_LENGTH = 22


class DamagedError(ValueError):
    """A checkpoint that isn't what was written."""


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write a checkpoint beside the old one, then rename: a full disk or a kill leaves one whole.

    The one before stays beside it, and is read where the newer one is damaged.
    """

    def __init__(self) -> None:
        self.damaged_path: Path | None = None

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | os.PathLike[str],
        storage_options: object = None,
    ) -> None:
        path = Path(path)
        for name, state in checkpoint.items():
            if name == "callbacks":
                for callback, own in state.items():
                    _check_plain(f"the callback {callback} has {{}} in its state", own)
            else:
                _check_plain(f"{{}} is put into a checkpoint under {name!r}", state)
        with replacing(path) as temporary:
            torch.save(checkpoint, temporary)
            seal(temporary)
            # Now, with the new one written: a kill from here on leaves the older or both. What is
            # damaged never takes the place of what is whole.
            if path.exists() and path != self.damaged_path:
                os.replace(path, previous(path))
        self.damaged_path = None

    def load_checkpoint(
        self, path: str | os.PathLike[str], *args: object, **kwargs: object
    ) -> dict[str, Any]:
        """The newest whole checkpoint.

        Raises:
            ValueError: if there is none, naming the damaged ones.
        """
        if "://" in str(path):
            raise ValueError(f"checkpoints are read from local files only, not from {path}")
        path = Path(path)
        errors = []
        for place in (path, previous(path)):
            if not place.exists():
                continue
            try:
                checkpoint = read_checkpoint(place)
            except DamagedError as error:
                errors.append(str(error))
                continue
            if errors:
                self.damaged_path = path
            if place != path and collectives.is_rank_zero():
                why = errors[0] if errors else f"{path} is missing"
                step = checkpoint["global_step"]
                _LOG.warning("%s; going on from %s, of step %d", why, place, step)
            return checkpoint
        raise DamagedError(
            f"{' and '.join(errors)}; put a whole copy there, or delete the folder {path.parent} "
            "to start again"
        )


def _check_plain(place: str, state: object) -> None:
    """Refuse what a checkpoint could not be read with: it builds tensors and runs no code.

    Of exactly these types: NumPy's float64 is a float and an enum's member an int, and both are
    written as objects of their own.
    """
    if type(state) in (dict, OrderedDict, list, tuple):
        items = cast(Iterable[object], state)
        for item in [*state.keys(), *state.values()] if isinstance(state, dict) else items:
            _check_plain(place, item)
    elif type(state) not in _PLAIN and not isinstance(state, torch.Tensor):
        raise ConfigError(
            f"{place.format(f'a {type(state).__name__}')}, and a checkpoint holds tensors and "
            "plain values; make it one of those, as by float() or dict()"
        )


_PLAIN = (NoneType, bool, float, int, str, torch.Size, torch.device, torch.dtype)


def previous(path: Path) -> Path:
    """The path of the checkpoint before the last one."""
    return path.with_name("previous.ckpt")


def resumable(path: Path) -> Path | None:
    """The path of the last checkpoint, if there is one to go on from there or before it."""
    return path if path.exists() or previous(path).exists() else None


def seal(path: Path) -> None:
    """End a file of torch's, which is a zip archive, with a comment: the checksum of the rest."""
    with open(path, "r+b") as file:
        # The end record closes with the length of a comment; as a comment the seal leaves a zip
        # that torch.load reads as before.
        file.seek(-2, os.SEEK_END)
        file.write(struct.pack("<H", _SEAL))
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256")
        file.seek(0, os.SEEK_END)
        file.write(_MARK + digest.hexdigest().encode())
        file.flush()
        os.fsync(file.fileno())  # it must be whole on the disk before others make room for it


def check_seal(path: Path) -> bool:
    """Read a file to its end; whether it is sealed, which those of older versions aren't.

    Raises:
        DamagedError: if it is cut short, or its bytes aren't those that were sealed.
    """
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            remaining = os.fstat(file.fileno()).st_size - _SEAL
            while remaining > 0 and (piece := file.read(min(remaining, 1 << 20))):
                digest.update(piece)
                remaining -= len(piece)
            seal_bytes = file.read()
    except OSError as error:
        if error.errno != errno.EIO:
            raise  # such as a missing right, which an older checkpoint wouldn't mend
        raise DamagedError(f"{path} is damaged (the disk can't read it)") from error
    if seal_bytes == _MARK + digest.hexdigest().encode():
        return True
    # A zip's end record is its last 22 bytes where its comment is empty (APPNOTE 4.3.16).
    is_zip_end = seal_bytes[-_END_LENGTH:].startswith(_END) and seal_bytes.endswith(b"\0\0")
    if not is_zip_end:
        raise DamagedError(f"{path} is damaged (its checksum is another, or it is cut short)")
    return False


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint's file.

    Raises:
        DamagedError: if it isn't what was written.
    """
    has_seal = check_seal(path)
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (EOFError, OSError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
        if has_seal:
            raise  # the bytes are those written, so what is wrong is not the disk
        raise DamagedError(f"{path} is damaged ({error})") from error
    return checkpoint
