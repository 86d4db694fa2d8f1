"""Model folders on the hub: fetched at a revision, and pushed; errors say what to do."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from anymodal.config.printable import printable
from anymodal.io import hub
from anymodal.io.checkpoint import CARD, MANIFEST, CheckpointError
from anymodal.io.sources import REPOSITORY, without_retries

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_LOG = logging.getLogger("anymodal")

FILES = [
    *("*.safetensors", "*.json", "*.yaml", "*.txt", "*.model", "*.tiktoken", "*.jinja", "*.md"),
    *("LICENSE*", "LICENCE*", "NOTICE*"),
]
"""Files that a model's folder has; no other is fetched, as pickles."""
LOGIN = "log in with `hf auth login`, or set HF_TOKEN,"
GENERATED = "<!-- Written by anymodal. -->"
"""The line by which a generated card is known; without it, the card is somebody's own."""


def fetch_folder(name: str, revision: str | None = None, token: str | None = None) -> Path:
    """The folder of a model on the hub, in the cache of its client.

    Args:
        name: of the repository, owner/name.
        revision: a branch, a tag or a commit; None for `main`.
        token: for what is private; None for the one of `hf auth login` or HF_TOKEN.

    Raises:
        CheckpointError: if there is no such repository, revision or model, or the hub can't be
            reached and the cache doesn't have it.
        PermissionError: if the token doesn't allow it.
    """
    from huggingface_hub import hf_hub_download, snapshot_download

    with _explained(name, revision), without_retries(name):
        # First, since a repository of another kind may be large.
        manifest = hf_hub_download(name, MANIFEST, revision=revision, token=token)
        commit = Path(manifest).parent.name  # so that all files are of one commit
        return Path(snapshot_download(name, revision=commit, token=token, allow_patterns=FILES))


def push_folder(
    folder: Path,
    name: str,
    *,
    revision: str | None = None,
    private: bool | None = None,
    token: str | None = None,
    message: str = "",
) -> str:
    """Upload a model's folder as one commit; the repository is created where there is none.

    Weights of older commits that the folder no longer has are deleted from the new one; a card
    that somebody wrote stays.

    Args:
        folder: of a saved model.
        name: of the repository, owner/name.
        revision: the branch; created from `main` where there is none. None for `main`.
        private: of a new repository, whether only its owner sees it; None for the owner's default.
        token: with the right to write; None for the one of `hf auth login` or HF_TOKEN.
        message: of the commit.

    Returns:
        The address of the commit.

    Raises:
        ValueError: for a name that is none.
        PermissionError: if the token is missing, invalid or may not write there.
        ConnectionError: if the hub can't be reached.
    """
    from huggingface_hub import HfApi, constants

    check_repository_name(name)
    if constants.HF_HUB_OFFLINE:
        raise ConnectionError("offline mode is on (HF_HUB_OFFLINE), so nothing is pushed; unset it")
    api = HfApi(endpoint=hub.endpoint(), token=token)
    with _explained(name, revision, writes=True):
        api.create_repo(name, private=private, exist_ok=True)
        if revision not in (None, "main"):
            api.create_branch(name, branch=str(revision), exist_ok=True)
        keeps_card = _has_own_card(api, name, revision)
        if keeps_card:
            _LOG.info("%s has a card of its own, which stays", name)
        commit = api.upload_folder(
            repo_id=name,
            folder_path=folder,
            revision=revision,
            commit_message=message or "Upload a model of AnyModal",
            ignore_patterns=[CARD] if keeps_card else None,
            delete_patterns=["*.safetensors"],
        )
    return str(commit.commit_url)


def check_repository_name(name: str) -> None:
    """Make sure that a repository's name is owner/name.

    Raises:
        ValueError: if it isn't.
    """
    if not REPOSITORY.fullmatch(name):
        raise ValueError(f"{printable(name)!r} is no repository; a hub's names are owner/name")


def _has_own_card(api: HfApi, name: str, revision: str | None) -> bool:
    """Return whether a repository has a card that a person wrote."""
    from huggingface_hub.errors import EntryNotFoundError

    try:
        path = api.hf_hub_download(name, CARD, revision=revision)
    except EntryNotFoundError:
        return False
    return GENERATED not in Path(path).read_text("utf-8", "replace")


@contextlib.contextmanager
def _explained(name: str, revision: str | None, writes: bool = False) -> Iterator[None]:
    """Say what is amiss, and what mends it, where the hub refuses."""
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    at = f" at revision {printable(revision)}" if revision else ""
    try:
        yield
    except GatedRepoError as error:
        raise PermissionError(
            f"the hub gives {name} to those alone who accepted its terms: do so at "
            f"{hub.endpoint()}/{name}, {LOGIN} and try again"
        ) from error
    except RevisionNotFoundError as error:
        raise CheckpointError(f"{name} has no revision {printable(str(revision))}") from error
    except LocalEntryNotFoundError as error:
        raise CheckpointError(_absent(name, at)) from error
    except EntryNotFoundError as error:
        if writes:
            raise
        raise CheckpointError(
            f"{name}{at} is no model of AnyModal: it has no {MANIFEST}"
        ) from error
    except RepositoryNotFoundError as error:
        _refuse(name, 401 if writes else 404, writes, error)
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", 0)
        if status not in (401, 403):
            raise
        _refuse(name, status, writes, error)


def _refuse(name: str, status: int, writes: bool, error: Exception) -> None:
    owner = name.partition("/")[0]
    if status == 404:
        raise CheckpointError(
            f"the hub has no model {name}; if it is private, {LOGIN} with a token that may read it"
        ) from error
    if not writes:
        raise PermissionError(
            f"the hub refuses your token; {LOGIN} with one that is valid and may read {name}, from "
            f"{hub.endpoint()}/settings/tokens"
        ) from error
    if status == 403:
        raise PermissionError(
            f"the hub forbids it: your token may not write to {name}; take one with the right to "
            f"write at {hub.endpoint()}/settings/tokens, and a name whose owner ({owner}) you are "
            "or belong to"
        ) from error
    raise PermissionError(
        f"the hub doesn't know who you are: {LOGIN} with a token that has the right to write to "
        f"{owner}'s models, from {hub.endpoint()}/settings/tokens"
    ) from error


def _absent(name: str, at: str) -> str:
    from huggingface_hub import constants

    reason = (
        "offline mode is on (HF_HUB_OFFLINE), so nothing is fetched"
        if constants.HF_HUB_OFFLINE
        else f"the hub ({hub.endpoint()}) could not be reached"
    )
    return f"no model {name}{at} in {constants.HF_HUB_CACHE}, and {reason}"
