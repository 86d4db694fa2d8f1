"""A server in a process of its own, which benchmarks ask."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def running_server(*options: str) -> Iterator[str]:
    """Run `anymodal serve` of this checkout on a free port; gives its host and port."""
    command = [sys.executable, "-m", "anymodal", "serve", "--port", "0", *options]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        if not line:
            raise RuntimeError("the server doesn't start; its standard error tells why")
        yield urlsplit(line.split()[-1]).netloc
    finally:
        server.terminate()
        server.wait(60)


def resident_mb(netloc: str) -> float:
    """Memory of a server's process."""
    connection = http.client.HTTPConnection(netloc, timeout=30)
    connection.request("GET", "/metrics")
    page = connection.getresponse().read().decode()
    match = re.search(r"^process_resident_memory_bytes (\S+)$", page, re.MULTILINE)
    assert match is not None
    return float(match[1]) / 1e6


def tool(name: str, path: str | None) -> str:
    """The path of a program that has an environment of its own.

    Raises:
        SystemExit: if it isn't there.
    """
    found = shutil.which(path or name)
    if found is None:
        raise SystemExit(f"there is no {name}; pip install {name}, and name it by --{name}")
    return found
