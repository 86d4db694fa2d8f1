"""Limits and permissions of a server."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from anymodal.config import ranges
from anymodal.media import Limits
from anymodal.media.limits import MIB

API_KEYS = "ANYMODAL_API_KEYS"
"""The environment's variable with API keys, parted by commas."""


@dataclass(frozen=True)
class ServerSettings:
    """Limits and permissions of a server; the default is for strangers' requests.

    Args:
        limits: the largest media of a request.
        max_body_bytes: the longest body of a request.
        max_open: the most requests whose bodies are held at once; more are refused.
        max_choices: the most replies, or images, to one request.
        api_keys: who may ask; everybody where there are none.
        allowed_hosts: from where media may be fetched, as `example.org` or `*.example.org`; none.
        fetch_seconds: the longest that fetching one of them may take.
        server_names: by which clients may call the server, beside its addresses and `localhost`.
        cors_origins: pages of which sites a browser lets ask; none.
        requests_per_minute: how many requests a key may send (POST), or an address where there are
            no keys; None for no limit.
        data_folder: where jobs and their results are kept; None for a temporary folder.
        job_seconds: how long a job is kept after its end.
        max_jobs: the most jobs that are kept; more are refused.
        jobs_at_once: the most jobs that run at once.
        page: whether the web page is served at `/`.
        model_memory: bytes for the weights of models; None for what the device has free.

    Raises:
        ValueError: for a value out of its range.
    """

    limits: Limits = field(
        default_factory=lambda: Limits(
            max_pixels=32_000_000, max_frames=3_000, max_bytes=64 * MIB,
            max_decode_seconds=60.0,
        )
    )  # fmt: skip
    max_body_bytes: int = 96 * MIB
    max_open: int = 256
    max_choices: int = 8
    api_keys: Sequence[str] = ()
    allowed_hosts: Sequence[str] = ()
    fetch_seconds: float = 10.0
    server_names: Sequence[str] = ()
    cors_origins: Sequence[str] = ()
    requests_per_minute: int | None = None
    data_folder: Path | None = None
    job_seconds: float = 86_400.0
    max_jobs: int = 1000
    jobs_at_once: int = 8
    page: bool = True
    model_memory: int | None = None

    def __post_init__(self) -> None:
        ranges.check_integer("max_body_bytes", self.max_body_bytes, 1, 2**40)
        ranges.check_integer("max_open", self.max_open, 1, 100_000)
        ranges.check_integer("max_choices", self.max_choices, 1, 1000)
        if self.requests_per_minute is not None:
            ranges.check_integer("requests_per_minute", self.requests_per_minute, 1, 1_000_000)
        if self.model_memory is not None:
            ranges.check_integer("model_memory", self.model_memory, 1, 2**60)
        ranges.check_integer("max_jobs", self.max_jobs, 1, 1_000_000)
        ranges.check_integer("jobs_at_once", self.jobs_at_once, 1, 10_000)
        ranges.check_real("job_seconds", self.job_seconds, 1, 10 * 365 * 86_400)
        ranges.check_real("fetch_seconds", self.fetch_seconds, 0.001, 3600)
        if any(len(key) < 8 for key in self.api_keys):
            raise ValueError("an API key is shorter than 8 characters, which is easily guessed")

    def knows(self, key: str) -> bool:
        """Check a key against all API keys, in a time that tells nothing of them."""
        # Digests, since a comparison's time depends on lengths; and all of them, without any().
        digests = [_digest(each) for each in self.api_keys]
        return sum(hmac.compare_digest(_digest(key), each) for each in digests) > 0


def key_owner(key: str) -> str:
    """A name for a key's owner in files, from which the key can't be told."""
    return _digest(f"anymodal owner {key}").hex()[:32]


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "replace")).digest()


def read_api_keys(file: Path | None) -> list[str]:
    """The API keys of a file, one a line, or of the environment.

    Raises:
        OSError: if the file can't be read.
        ValueError: if the file, or a variable that is set, has none.
    """
    if file is None:
        value = os.environ.get(API_KEYS, "")
        keys = [key.strip() for key in value.split(",") if key.strip()]
        if value and not keys:  # who set it means to ask for keys
            raise ValueError(f"{API_KEYS}={value!r} has no API key; part several by commas")
        return keys
    lines = (line.strip() for line in file.read_text("utf-8").splitlines())
    keys = [line for line in lines if line and not line.startswith("#")]
    if not keys:
        raise ValueError(f"{file} has no API key; write one a line")
    return keys
