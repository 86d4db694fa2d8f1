"""Models on the hub: a saved folder with its card, pushed."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from anymodal.composition.card import local_parts, write_model_card
from anymodal.composition.save import save_pretrained
from anymodal.config import ConfigError
from anymodal.io.checkpoint import CARD
from anymodal.io.hub_repository import GENERATED, check_repository_name, push_folder

if TYPE_CHECKING:
    from anymodal.core import ComposedModel


def check_shareable(folder: Path) -> None:
    """Make sure that a saved model names no part that only this machine has.

    Raises:
        ConfigError: naming the parts.
    """
    if local := local_parts(folder):
        raise ConfigError(
            f"others can't open {'; '.join(local)}: name the hub's repository in the "
            "configuration, or save the parts too (with_parts=True, or --parts)"
        )


def push_saved_model(
    folder: Path,
    name: str,
    *,
    revision: str | None = None,
    private: bool | None = None,
    token: str | None = None,
    message: str = "",
    licence: str | None = None,
) -> str:
    """Push the folder of a saved model with a card; see `AnyModal.push_to_hub`.

    A card that somebody wrote goes as it is. Nothing in the folder changes.
    """
    check_repository_name(name)
    check_shareable(folder)
    with tempfile.TemporaryDirectory() as temporary:
        links = Path(temporary) / name.rpartition("/")[2]
        shutil.copytree(folder.resolve(), links, copy_function=os.symlink)
        path = links / CARD
        if path.exists() and GENERATED in path.read_text("utf-8", "replace"):
            path.unlink()  # the link, to write it anew
        write_model_card(links, name, licence)
        return push_folder(
            links, name, revision=revision, private=private, token=token, message=message
        )


def push_to_hub(
    model: ComposedModel,
    name: str,
    *,
    with_parts: bool = False,
    revision: str | None = None,
    private: bool | None = None,
    token: str | None = None,
    message: str = "",
    licence: str | None = None,
) -> str:
    """Save a model with its card, and push it; see `AnyModal.push_to_hub`."""
    check_repository_name(name)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / name.rpartition("/")[2]
        save_pretrained(model, folder, with_parts)
        return push_saved_model(
            folder,
            name,
            revision=revision,
            private=private,
            token=token,
            message=message,
            licence=licence,
        )
