"""Provenance of parts: a folder or a hub's repository, its licence, and its missing files."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import pickle
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from anymodal.config.printable import printable
from anymodal.config.yaml_files import parse_yaml
from anymodal.io import hub
from anymodal.io.checkpoint import CARD
from anymodal.io.folder_check import check_folder

_LOG = logging.getLogger("anymodal")
REPOSITORY = re.compile(r"[\w-][\w.-]*/[\w.-]+")
INDEX = ".index.json"
"""Suffix of the file that maps weights to the files they are in."""
WEIGHTS = (
    *("model.safetensors", "model.safetensors.index.json"),
    *("pytorch_model.bin", "pytorch_model.bin.index.json"),
)
"""Where a model of transformers may have its weights."""
TOKENIZER_FILES = (
    *("tokenizer.json", "tokenizer.model"),
    *("vocab.json", "vocab.txt", "spiece.model"),
)
"""Where a tokenizer of transformers may have its words."""
_UNREAD = (pickle.UnpicklingError, SafetensorError, EOFError)
"""Errors of torch and safetensors for files that aren't weights."""

FileAlternatives = Sequence[Sequence[str]]
"""Files that a part needs, each with what may stand in its place."""

# Weights are read as they are pinned: where they aren't in safetensors, transformers would have the
# hub convert them, in the background, and fetch what comes of it beside them.
os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")

_CARD_LETTERS = 1 << 18
"""Letters that are read of a card; its licence stands at the top."""

_FREE = ("apache-2.0", "mit", "bsd", "cc0", "cc-by-4.0", "cc-by-sa-4.0", "unlicense")
_FORBIDS = ("-nc", "noncommercial", "non-commercial", "research")


def source_of(path_or_name: str, revision: str | None) -> dict[str, Any]:
    """A part's origin, as a manifest has it.

    The licence is what the part's own card says; by its name on the hub it allows commercial use,
    forbids it, or (None) has conditions.

    Args:
        path_or_name: a folder, or a hub's repository.
        revision: as it was asked for; what is told is the commit that it stands for.
    """
    folder = Path(path_or_name)
    source: dict[str, Any] = {
        "name": folder.name if folder.is_dir() else path_or_name,
        # Of a folder nobody knows which revision it is.
        "revision": None if folder.is_dir() else _commit(path_or_name, revision) or revision,
    }
    if (licence := _licence(path_or_name, revision)) is not None:
        return source | licence_of(licence)
    return source


def licence_of(name: str) -> dict[str, Any]:
    """A licence by its name on the hub, as a manifest has it."""
    return {"licence": name, "commercial_use": _allows(name)}


def write_card(folder: Path, source: Mapping[str, Any]) -> None:
    """Note a part's licence where `source_of` reads it, so that it goes where the weights go.

    A card that is there stays, and where nothing is known none is written.
    """
    if source.get("licence") and not (folder / CARD).exists():
        from huggingface_hub import ModelCardData

        metadata = ModelCardData(license=source["licence"]).to_yaml()
        (folder / CARD).write_text(f"---\n{metadata}\n---\n", "utf-8")


def folder_of(path_or_name: str, revision: str | None) -> Path | None:
    """The folder of a part's files: its path, or a snapshot in the hub's cache; None if absent."""
    with contextlib.suppress(OSError):  # a text too long to be a path
        if Path(path_or_name).exists():
            return Path(path_or_name)
    for file in ("config.json", "model_index.json"):
        if (path := _local_file(path_or_name, file, revision)) is not None:
            return path.parent
    return None


def _commit(path_or_name: str, revision: str | None) -> str | None:
    """The commit whose files the cache gives for a revision."""
    folder = None if Path(path_or_name).is_dir() else folder_of(path_or_name, revision)
    is_snapshot = folder is not None and folder.parent.name == "snapshots"
    return folder.name if folder is not None and is_snapshot else None


def _licence(path_or_name: str, revision: str | None) -> str | None:
    card = _local_file(path_or_name, CARD, revision) or _fetch_small_file(
        path_or_name, CARD, revision
    )
    if card is None:
        return None
    from huggingface_hub.repocard import REGEX_YAML_BLOCK

    with open(card, encoding="utf-8", errors="replace") as file:
        block = REGEX_YAML_BLOCK.match(file.read(_CARD_LETTERS))
    try:
        # Not by ModelCard: a stranger's YAML may grow without limit where its aliases are merged.
        metadata = parse_yaml(block[2], str(card)) if block else None
    except ValueError as error:
        _LOG.warning("the licence of %s is unknown: %s", path_or_name, error)
        return None
    if not isinstance(metadata, dict):
        return None
    licence = metadata.get("license_name") or metadata.get("license")
    names = licence if isinstance(licence, list) else [licence]
    return printable(", ".join(map(str, names))) if licence else None


def _fetch_small_file(path_or_name: str, file: str, revision: str | None) -> Path | None:
    """A small file of a hub's repository, which opening a part doesn't fetch by itself."""
    if Path(path_or_name).is_dir() or not REPOSITORY.fullmatch(path_or_name):
        return None
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError

    if constants.HF_HUB_OFFLINE or not _reachable():
        return None
    with contextlib.suppress(HfHubHTTPError, OSError, ValueError):
        return Path(hf_hub_download(path_or_name, file, revision=revision))
    return None


@cache
def _reachable() -> bool:
    """Asked once: where the hub doesn't answer, huggingface_hub tries for half a minute."""
    return hub.answer() is not None


def _allows(licence: str) -> bool | None:
    plain = licence.lower()  # "cc-by-nc" begins as a free licence does, so refusals come first
    if any(word in plain for word in _FORBIDS):
        return False
    return True if plain.startswith(_FREE) else None


@contextlib.contextmanager
def explain_load_errors(
    kind: str, path_or_name: str, revision: str | None, files: FileAlternatives
) -> Iterator[None]:
    """Say what is amiss, and what mends it, where a part can't be opened.

    Raises:
        FileNotFoundError: instead of a library's error, where a file that is wanted isn't there.
        PermissionError: where the hub has it for those alone who accepted its licence.
        ValueError: where weights are damaged, or hold more than tensors (no code in them has run),
            or a file of the folder isn't what it seems (`check_folder`).
    """
    if Path(path_or_name).is_dir():
        check_folder(Path(path_or_name))
    try:
        with without_retries(path_or_name):
            yield
    except (OSError, ValueError, RuntimeError, *_UNREAD) as error:
        _explain(kind, path_or_name, error)
        check_files(kind, path_or_name, revision, files, error)
        raise


@contextlib.contextmanager
def without_retries(path_or_name: str) -> Iterator[None]:
    """A block in which files of a hub that doesn't answer come from its cache at once."""
    from huggingface_hub import constants

    on_hub = not Path(path_or_name).is_dir() and REPOSITORY.fullmatch(path_or_name)
    # Who finds it switched off leaves it so: another thread is in here, and switches it back.
    if constants.HF_HUB_OFFLINE or not on_hub or _reachable():
        yield
        return
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = False


def _explain(kind: str, name: str, error: BaseException) -> None:
    """Say it where a library's error, or one that led to it, is of a kind that has a way out."""
    from huggingface_hub.errors import GatedRepoError

    cause: BaseException | None = error
    while cause is not None:
        if _is_unread(cause):
            raise ValueError(
                f"weights of the {kind} {name} can't be read: a file is damaged (or git-lfs's "
                "pointer to one), or holds more than tensors, whose code would run; none of it "
                "has. Fetch it anew, or take a copy in safetensors"
            ) from error
        if isinstance(cause, GatedRepoError):
            raise PermissionError(
                f"the hub gives the {kind} {name} to those alone who accepted its licence: do so "
                f"at {hub.endpoint()}/{name}, log in with `hf auth login` (or set HF_TOKEN), and "
                "try again"
            ) from error
        cause = cause.__cause__ or cause.__context__


def check_files(
    kind: str,
    path_or_name: str,
    revision: str | None,
    files: FileAlternatives,
    cause: Exception | None = None,
) -> None:
    """Check that a part's files are on this machine.

    Raises:
        FileNotFoundError: saying which aren't, and how to get them.
    """
    missing_files = [
        " or ".join(names) for names in files if not _is_local(path_or_name, names, revision)
    ]
    missing_files += [f for names in files for f in _missing_shards(path_or_name, names, revision)]
    if missing_files:
        raise FileNotFoundError(_absent(kind, path_or_name, revision, missing_files)) from cause


def _absent(kind: str, name: str, revision: str | None, files: Sequence[str]) -> str:
    from huggingface_hub import constants

    lacks = ", ".join(files)
    if Path(name).is_dir():
        return f"the {kind} in {name} lacks {lacks}; copy it there, or name another folder"
    if not REPOSITORY.fullmatch(name):
        return f"no {kind} at {name}: there is no such folder, and a hub's names are owner/name"
    at = f" at revision {revision}" if revision else ""
    pinned = f" --revision {revision}" if revision else ""
    reason = (
        "offline mode is on (HF_HUB_OFFLINE), so nothing is fetched"
        if constants.HF_HUB_OFFLINE
        else "the hub could not be reached, or has no such repository or revision"
    )
    return (
        f"no {kind} {name}{at}: {reason}. Missing in {constants.HF_HUB_CACHE}: {lacks}. Get it "
        f"where there is a network with `hf download {name}{pinned}`, and copy that cache here; or "
        "add `--local-dir FOLDER`, copy the folder, and name it in the configuration"
    )


def _is_unread(error: BaseException) -> bool:
    """Return whether an error says that a file isn't weights.

    Of a file that is cut short, torch raises an OSError or a RuntimeError of its own.
    """
    if getattr(error, "errno", None) == errno.EINVAL or "PytorchStreamReader" in str(error):
        return True
    return isinstance(error, _UNREAD)


def list_files(path_or_name: str, revision: str | None) -> set[str]:
    """The names of a part's files: in its folder, on the hub, or without it in the hub's cache."""
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HfHubHTTPError

    folder = folder_of(path_or_name, revision)
    if not Path(path_or_name).is_dir() and not constants.HF_HUB_OFFLINE and _reachable():
        with contextlib.suppress(HfHubHTTPError, OSError, ValueError):
            return set(HfApi().list_repo_files(path_or_name, revision=revision))
    paths = () if folder is None else folder.rglob("*")
    return {path.relative_to(folder).as_posix() for path in paths if folder and path.is_file()}


def _is_local(path_or_name: str, names: Sequence[str], revision: str | None) -> bool:
    return any(_local_file(path_or_name, name, revision) is not None for name in names)


def _missing_shards(path_or_name: str, names: Sequence[str], revision: str | None) -> list[str]:
    """Files of weights that the one of the names that is here refers to, as an index does."""
    name = next((name for name in names if _local_file(path_or_name, name, revision)), "")
    index = _local_file(path_or_name, name, revision) if name.endswith(INDEX) else None
    if index is None:
        return []
    files = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
    home = name.rpartition("/")[0]
    shards = sorted(f"{home}/{file}" if home else file for file in files)
    return [file for file in shards if _local_file(path_or_name, file, revision) is None]


def _local_file(path_or_name: str, file: str, revision: str | None) -> Path | None:
    """A file of a part that is on this machine."""
    from huggingface_hub import try_to_load_from_cache

    if Path(path_or_name).is_dir():
        path = Path(path_or_name) / file
        return path if path.is_file() else None
    if not REPOSITORY.fullmatch(path_or_name):
        return None
    cached_path = try_to_load_from_cache(path_or_name, file, revision=revision)
    return Path(cached_path) if isinstance(cached_path, str) else None
