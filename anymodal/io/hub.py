"""The hub of Hugging Face: where it is, whether it may be asked, and whether it answers."""

from __future__ import annotations

import os
from pathlib import Path

PATIENCE = 3.0
"""Seconds that it has to answer."""


def offline() -> bool:
    """Return whether the environment forbids requests to the hub."""
    return os.environ.get("HF_HUB_OFFLINE", "0").lower() in ("1", "true", "yes", "on")


def endpoint() -> str:
    """The hub's address."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co")


def cache() -> Path:
    """The folder of files that were fetched from the hub."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def answer() -> str | None:
    """The hub's answer to an empty request; None where it can't be reached.

    It is asked as huggingface_hub asks it, through the same proxy and by the same certificates.
    """
    from huggingface_hub import get_session

    try:
        status = get_session().head(endpoint(), timeout=PATIENCE).status_code
    except Exception:  # of the client's own kinds, whose package changes with huggingface_hub
        return None
    return "answers" if status < 400 else f"answers ({status})"
