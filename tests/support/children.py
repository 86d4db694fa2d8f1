"""Processes that a test starts, signals and waits for."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any

# A fork of the process that runs the tests copies whatever locks its threads hold at that moment,
# and then waits for them for ever. A server that has started no thread is forked instead, with
# torch and Lightning imported once.
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["anymodal.training.run", "tests.support.composed"])


def start(work: Callable[..., Any], *args: Any) -> BaseProcess:
    """Run `work(*args)`, which can be pickled, in a process of its own."""
    child = _CONTEXT.Process(target=work, args=args)
    child.start()
    return child


def exit_code(child: BaseProcess, seconds: float = 120) -> int:
    """Its exit status, or minus the signal that killed it.

    Raises:
        AssertionError: if it still runs after `seconds`; it is killed first.
    """
    child.join(seconds)
    if child.exitcode is None:
        child.kill()
        child.join()
        raise AssertionError(f"process {child.pid} still ran after {seconds} s")
    return child.exitcode
