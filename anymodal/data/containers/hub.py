"""Data sets of the Hugging Face hub, by name: their files, and no code of theirs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from anymodal.config.printable import printable
from anymodal.data.containers.files import HUB

_NAME = re.compile(
    r"(?P<repo>\w[\w.-]*/\w[\w.-]*)(?:@(?P<revision>[\w./-]+?))?(?:/(?P<files>[^@]+))?"
)


class HubName(NamedTuple):
    """A data set of the hub.

    Args:
        repo: user and name.
        revision: a commit, a branch or a tag; None for the newest.
        files: a pattern of the files that are meant; None for all.
    """

    repo: str
    revision: str | None
    files: str | None


def parse_hub_name(path: str) -> HubName:
    """The data set of `hf://datasets/USER/NAME[@REVISION][/FILES]`.

    Raises:
        ValueError: if it is of another form.
    """
    match = _NAME.fullmatch(path.removeprefix(HUB))
    if match is None or ".." in path:
        raise ValueError(
            f"{printable(path)} names no data set; write {HUB}USER/NAME, and behind it "
            "@REVISION or /FILES where they are meant"
        )
    return HubName(match["repo"], match["revision"], match["files"])


def fetch_data_set(path: str) -> str:
    """The folder, or the pattern within it, of a data set's files, fetched where they aren't here.

    No code of the data set is fetched or run. Without a network, what is here is used.

    Raises:
        OSError: if they can't be fetched.
        ValueError: if the name is none.
    """
    from huggingface_hub import constants, snapshot_download

    name = parse_hub_name(path)
    revision = name.revision or "main"
    # Files of its own, not links into the hub's cache: media may not lead out of their folder.
    home = Path(constants.HF_HOME, "anymodal", name.repo.replace("/", "--"), revision)
    folder = snapshot_download(
        name.repo,
        repo_type="dataset",
        revision=revision,
        local_dir=home,
        allow_patterns=None if name.files is None else [name.files],
        ignore_patterns=["*.py"],
    )
    return folder if name.files is None else str(Path(folder) / name.files)
