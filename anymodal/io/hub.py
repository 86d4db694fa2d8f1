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
    """The hub's answer to an empty request; None where it can't be reached."""
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    try:
        with urlopen(Request(endpoint(), method="HEAD"), timeout=PATIENCE):
            return "answers"
    except HTTPError as error:  # it answers, if not to this
        return f"answers ({error.code})"
    except (URLError, OSError, ValueError):
        return None
