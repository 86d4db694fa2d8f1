"""Files that are either whole or absent, and a model folder: configuration, weights, manifest."""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from anymodal import __version__
from anymodal.config.printable import printable
from anymodal.io.folder_check import MAX_PARSED, read_text_file

if TYPE_CHECKING:
    from torch import Tensor

_LOG = logging.getLogger("anymodal")
CONFIG, WEIGHTS, MANIFEST = "config.yaml", "model.safetensors", "manifest.json"
CARD = "README.md"
"""Where a part's licence is told, as on the hub."""
SHORT = 12
"""Letters of a hash that are shown."""


class CheckpointError(ValueError):
    """A checkpoint that can't be read or doesn't fit; the message shows the difference."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success it takes `path`'s place, else it goes.

    Raises:
        OSError: saying that the old file is still there, when the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, since a rename is atomic only within one file system.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        # Before the rename: else a power cut could leave an empty file under the final name.
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except _UNWRITTEN as error:
        raise _unwritten(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def sweep(path: Path) -> None:
    """Delete temporary files that killed processes left beside `path` while `replacing` it."""
    for temporary in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """The same for a whole folder."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    old = path.with_name(f".{path.name}.{os.getpid()}.old")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        # A folder that isn't empty can't be renamed over, so the old one steps aside first.
        if path.exists():
            path.rename(old)
        temporary.rename(path)
    except _UNWRITTEN as error:
        raise _unwritten(path, error) from error
    finally:
        if old.exists() and not path.exists():
            old.rename(path)
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


_UNWRITTEN = (OSError, SafetensorError, RuntimeError)
"""Errors of a full disk, in Python, in safetensors and in `torch.save`."""
_NEARLY_FULL = 1 << 20
"""Free bytes below which a disk is full: a block of what is written no longer fits."""


def _unwritten(path: Path, error: Exception) -> OSError:
    number = getattr(error, "errno", None)
    # What writes weights says no more than that its file has another length.
    if number is None and shutil.disk_usage(path.parent).free < _NEARLY_FULL:
        number = errno.ENOSPC
    line = (str(error) or type(error).__name__).splitlines()[0]
    reason = getattr(error, "strerror", None) or (os.strerror(number) if number else line)
    text = f"could not write {path}: {reason}; what was there before, if anything, is untouched"
    return OSError(number, text) if number else OSError(text)


def save_weights(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors as safetensors, atomically, with a checksum of them all."""
    from safetensors.torch import save_file

    tensors = {k: v.detach().contiguous().cpu() for k, v in tensors.items()}
    with replacing(path) as temporary:
        save_file(tensors, temporary, {_CHECKSUM: _checksum(tensors)})


def load_weights(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        CheckpointError: if it is missing, truncated, not safetensors, or holds other values than
            were written; files of other programs have no checksum to tell that by.
    """
    from safetensors import safe_open
    from safetensors.torch import load_file

    if not path.is_file():
        raise CheckpointError(f"no weights at {path}; is this an AnyModal checkpoint folder?")
    try:
        with safe_open(path, framework="pt") as file:
            checksum = (file.metadata() or {}).get(_CHECKSUM)
        tensors = load_file(path)
    except SafetensorError as error:
        raise CheckpointError(f"{path} is truncated or not a safetensors file") from error
    if checksum is not None and checksum != _checksum(tensors):
        raise CheckpointError(
            f"{path} is damaged: its values aren't those that were written; put a whole copy there"
        )
    return tensors


_CHECKSUM = "sha256"
_PIECE = 1 << 24


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    """A hash of tensors: their names, types, shapes and bytes."""
    import torch

    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name}\0{value.dtype}\0{tuple(value.shape)}\0".encode())
        for piece in value.reshape(-1).view(torch.uint8).split(_PIECE):
            # A copy: NumPy pins the storage that it looks at, and FSDP2 has to free its own.
            digest.update(piece.clone().numpy().data)
    return digest.hexdigest()


def compare_shapes(
    checkpoint: Mapping[str, Tensor], model: Mapping[str, Tensor], label: str
) -> None:
    """Refuse weights whose names or shapes differ, with a readable difference.

    Raises:
        CheckpointError: listing up to eight differences.
    """
    lines = [
        f"  only in the checkpoint: {printable(name)}" for name in checkpoint if name not in model
    ]
    lines += [f"  only in the model: {name}" for name in model if name not in checkpoint]
    lines += [
        f"  {name}: {tuple(checkpoint[name].shape)} saved, {tuple(model[name].shape)} in the model"
        for name in checkpoint
        if name in model and checkpoint[name].shape != model[name].shape
    ]
    if lines:
        text = "\n".join(lines[:8]) + (f"\n  … and {len(lines) - 8} more" if lines[8:] else "")
        raise CheckpointError(f"{label} does not fit the model:\n{text}")


def log_licence(name: str, origin: Mapping[str, Any]) -> None:
    """Log under which licence weights are, once among processes."""
    from anymodal.distributed import collectives  # with torch, which names of files do without

    if collectives.is_rank_zero():
        _LOG.log(_level(origin), notice(name, origin))


def notice(name: str, origin: Mapping[str, Any]) -> str:
    """A sentence on the licence of weights."""
    return f"the weights in {printable(name)} are under {_terms(origin)}"


def _terms(origin: Mapping[str, Any]) -> str:
    if not origin.get("licence"):
        return "an unknown licence: ask who published them before you use them"
    terms = {True: "commercial use allowed", False: "not for commercial use"}
    return f"{printable(str(origin['licence']))}: " + terms.get(
        origin.get("commercial_use", True), "read it before commercial use"
    )


def write_manifest(folder: Path, parts: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the parts' metadata: class, sizes, tokenizer hash, conditioning shape."""
    manifest = {"format": 1, "anymodal": __version__, "parts": parts}
    with replacing(folder / MANIFEST) as temporary:
        temporary.write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")


def read_manifest(folder: Path) -> dict[str, dict[str, Any]]:
    """Read the parts' metadata.

    Raises:
        CheckpointError: if the manifest is missing or damaged.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(read_text_file(path, MAX_PARSED))
        return {name: dict(part) for name, part in manifest["parts"].items()}
    except FileNotFoundError as error:
        raise CheckpointError(
            f"no {MANIFEST} in {folder}; is this an AnyModal checkpoint?"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{path} is not a readable manifest") from error


_PROVENANCE = ("source", "licence", "commercial_use", "interface", "components")
"""Keys of a part's metadata that may differ while the part is the same."""
_OPTIONAL = ("weights", "template", "tokenizer", "words", "settings")
"""Keys that not every manifest has."""


def _level(origin: Mapping[str, Any]) -> int:
    """A warning, which shows without any set-up, unless commercial use is known to be allowed."""
    free = origin.get("licence") and origin.get("commercial_use", True) is True
    return logging.INFO if free else logging.WARNING


def log_origins(parts: Mapping[str, Mapping[str, Any]]) -> None:
    """Log a line for each place that parts come from, once among processes."""
    from anymodal.distributed import collectives

    if collectives.is_rank_zero():
        for line, level in origins(parts).items():
            _LOG.log(level, line)


def origins(parts: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Lines by the places that parts come from, with the level that each is logged at.

    A line has the parts, their source's name, revision, weights' hash and licence.
    """
    names_by_line: dict[tuple[str, int], list[str]] = {}
    for name, part in with_components(parts).items():
        source = {**part, **part.get("source", {})}
        if not (source.get("name") or source.get("licence")):
            continue  # it was opened from nowhere: its weights are new, or of the user's own code
        facts = [source.get("name") or str(source.get("class", "")).rpartition(".")[2]]
        facts += [f"at {source['revision']}"] if source.get("revision") else []
        facts += [f"(weights {source['weights'][:SHORT]})"] if source.get("weights") else []
        facts = [printable(str(fact)) for fact in facts]
        line = f"{' '.join(facts)}, under {_terms(source)}"
        if not source.get("licence"):
            line += f", and note it (`license: NAME` between lines of ---) in its {CARD}"
        names_by_line.setdefault((line, _level(source)), []).append(name)
    return {f"{', '.join(names)}: {line}": level for (line, level), names in names_by_line.items()}


def with_components(parts: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The parts, and behind each the components of it that come from elsewhere, by `PART.NAME`."""
    rows: dict[str, Mapping[str, Any]] = {}
    for name, part in parts.items():
        rows[name] = part
        for component, source in (part.get("components") or {}).items():
            rows[f"{name}.{component}"] = {"source": source}
    return rows


def _differences(name: str, old: object, new: object) -> list[str]:
    """A line for each setting that both have, and not alike."""
    if isinstance(old, dict) and isinstance(new, dict):
        both = sorted(old.keys() & new.keys())
        return [line for k in both for line in _differences(f"{name}.{k}", old[k], new[k])]
    if old == new:
        return []
    texts = [printable(repr(value)) for value in (old, new)]
    return [f"  {printable(name)}: {texts[0]} saved, {texts[1]} now"]


def compare_parts(
    manifest: Mapping[str, Mapping[str, Any]], parts: Mapping[str, Mapping[str, Any]], label: str
) -> None:
    """Refuse parts that aren't the ones the checkpoint was trained with.

    Where a part comes from (its `source`) may differ: folders get copied and moved. What only one
    side knows of a part isn't compared: older manifests lack hashes, as do parts on disk, and newer
    libraries know more settings.

    Raises:
        CheckpointError: naming each part's difference.
    """
    # Through JSON, as the manifest was: tuples become lists and keys become texts on both sides.
    current = json.loads(json.dumps(parts))
    lines = []
    for name in sorted(manifest.keys() | current.keys()):
        old, new = manifest.get(name, {}), current.get(name, {})
        for key in sorted(old.keys() | new.keys()):
            unknown = key in _OPTIONAL and (key not in old or key not in new)
            if key not in _PROVENANCE and not unknown:
                lines += _differences(f"{name}.{key}", old.get(key), new.get(key))
    if lines:
        raise CheckpointError(
            f"{label}: parts differ from those it was trained with:\n"
            + "\n".join(lines)
            + ";\nput those parts' files back, or train a model composed of the ones there are now"
        )
