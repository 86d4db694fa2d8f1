"""Several processes at one work: training one model, forked from a test, or filling one cache."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from anymodal.cli.terminal import log_to_terminal

Launcher = Callable[[int, int, int], Mapping[str, str]]


def by_torchrun(rank: int, count: int, port: int) -> dict[str, str]:
    """Environment that torchrun gives a process, with all of them on one node."""
    variables = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
    return {**_address(port), **{name: str(value) for name, value in variables.items()}}


def by_torchrun_on_nodes(rank: int, count: int, port: int) -> dict[str, str]:
    """The same, with each process on a node of its own."""
    variables = {"LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1", "GROUP_RANK": str(rank)}
    return {**by_torchrun(rank, count, port), **variables}


def by_slurm(rank: int, count: int, port: int) -> dict[str, str]:
    """Environment that srun gives a process, with each on a node of its own."""
    variables = {"NTASKS": count, "PROCID": rank, "LOCALID": 0, "NODEID": rank, "NNODES": count}
    more = {**variables, "NTASKS_PER_NODE": 1, "JOB_ID": 7, "JOB_NAME": "train"}
    slurm_variables = {f"SLURM_{name}": str(value) for name, value in more.items()}
    return {**slurm_variables, **_address(port)}


def _address(port: int) -> dict[str, str]:
    return {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}


def run_together(
    work: Callable[[int], object],
    folder: Path,
    count: int = 2,
    launcher: Launcher = by_torchrun,
    limit: float = 240.0,
) -> list[str]:
    """Run `work(rank)` in processes that find each other; what each printed comes back.

    Raises:
        AssertionError: if one fails, with what it printed, or they don't end in `limit` seconds.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"said-{rank}.txt" for rank in range(count)]
    children = [_fork(work, rank, path, launcher(rank, count, port)) for rank, path in
                enumerate(paths)]  # fmt: skip
    codes = _wait(children, time.monotonic() + limit)
    outputs = [path.read_text() for path in paths]
    assert codes == [0] * count, f"ended with {codes}\n" + "\n".join(
        text[-3000:] for text in outputs
    )
    return outputs


def _fork(
    work: Callable[[int], object], rank: int, path: Path, variables: Mapping[str, str]
) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        file = open(path, "w", buffering=1)  # noqa: SIM115 (as long as the process)
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        sys.stdout = sys.stderr = file
        os.environ.update(variables)
        with log_to_terminal():
            work(rank)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _wait(children: list[int], until: float) -> list[int | None]:
    """Exit codes; None of a process that had to be killed, which one that failed leaves waiting."""
    codes: dict[int, int | None] = {}
    while len(codes) < len(children):
        for child in [child for child in children if child not in codes]:
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                codes[child] = os.waitstatus_to_exitcode(status)
                if codes[child]:
                    until = min(until, time.monotonic() + 5)
            elif time.monotonic() > until:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                codes[child] = None
        time.sleep(0.02)
    return [codes[child] for child in children]


def add_many(folder: Path, part: str, first: int, go: Any) -> None:
    """Keep a hundred values, one by one, as soon as all others are ready to.

    It stands here, so that a process that is spawned for it imports little.
    """
    import torch

    from anymodal.io.tensor_store import TensorStore

    store = TensorStore(folder)
    go.wait()
    for i in range(first, first + 100):
        store.add(part, {str(i): (torch.full((3,), float(i)),)})
