"""Processes that try one input after another, each within a bound of processor time and memory."""

from __future__ import annotations

import multiprocessing as mp
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

MIB = 2**20
_SPACE = 4  # times the bound in addresses, since a mere reserve is no fault, but that much is
_WALL = 60.0  # seconds until a process that does nothing is ended
_TURNS = 1000  # inputs until a process is replaced, so that leaks add up to little

Trial = Callable[[int, Any], tuple[str, str]]
"""What tries input `index` in a context: its outcome (`ok`, `refused` or a fault), and words."""


@dataclass(frozen=True)
class Bounds:
    """What one input may take: processor time, and resident memory beyond that before it."""

    seconds: float = 10.0
    memory: int = 1024 * MIB


@dataclass(frozen=True)
class Outcome:
    """How one input ended: `ok`, `refused`, or the name of a fault."""

    index: int
    result: str
    words: str = ""
    seconds: float = 0.0
    mib: float = 0.0

    @property
    def fault(self) -> bool:
        """Whether the project did what it must not do."""
        return self.result not in ("ok", "refused")


def run(
    trial: str, context: Any, count: int, workers: int, bounds: Bounds = Bounds()
) -> Iterator[Outcome]:
    """The outcome of each of `count` inputs, in the order in which they end.

    Args:
        trial: where the `Trial` is, as `package.module:function`; workers import it anew.
        context: what it is given beside the number of its input; must pickle.
    """
    waiting = iter(range(count))
    running: dict[Connection, _Worker] = {}
    try:
        while True:
            while len(running) < workers and (first := next(waiting, None)) is not None:
                worker = _Worker(trial, context, bounds)
                running[worker.pipe] = worker
                worker.give(first)
            if not running:
                return
            ready = wait(list(running), timeout=1.0)
            for pipe, worker in list(running.items()):
                outcome = worker.take(pipe in ready)
                if outcome is None:
                    continue
                yield outcome
                following = None if worker.spent else next(waiting, None)
                if following is None:
                    worker.end()
                    del running[pipe]
                else:
                    worker.give(following)
    finally:
        for worker in running.values():
            worker.end()


class _Worker:
    """One process, what it tries now, and since when."""

    def __init__(self, trial: str, context: Any, bounds: Bounds) -> None:
        spawn = mp.get_context("spawn")
        self.pipe, other = spawn.Pipe()
        self.process = spawn.Process(
            target=_serve, args=(other, trial, context, bounds), daemon=True
        )
        self.process.start()
        other.close()
        self.bounds = bounds
        self.index = -1
        self.since = 0.0
        self.turns = 0
        self.spent = False

    def give(self, index: int) -> None:
        self.index, self.since = index, time.monotonic()
        self.turns += 1
        self.pipe.send(index)

    def take(self, ready: bool) -> Outcome | None:
        """The outcome, if there is one; a process that died or hangs is one too."""
        if ready:
            try:
                outcome: Outcome = self.pipe.recv()
            except EOFError:
                self.process.join(5)
                return self._lost()
            self.spent = self.turns >= _TURNS
            return outcome
        if time.monotonic() - self.since > _WALL:
            self.process.kill()
            self.spent = True
            return Outcome(self.index, "hang", f"nothing for {_WALL:g} s", _WALL)
        return None

    def _lost(self) -> Outcome:
        self.spent = True
        code = self.process.exitcode
        if code == -signal.SIGPROF:
            most = self.bounds.seconds
            return Outcome(self.index, "slow", f"over {most:g} s of processor time", most)
        name = signal.Signals(-code).name if code is not None and code < 0 else f"status {code}"
        return Outcome(self.index, "crash", f"the process ended by {name}")

    def end(self) -> None:
        self.pipe.close()
        if self.process.is_alive():
            self.process.terminate()
        self.process.join(5)


def _serve(pipe: Connection, trial: str, context: Any, bounds: Bounds) -> None:
    """Try what comes, until the pipe closes; the parent reads the end of this process as well."""
    with open(os.devnull, "w") as nowhere:  # what libraries print of broken files
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (for the process's life)
    module, name = trial.split(":")
    function: Trial = getattr(import_module(module), name)
    prepare = getattr(import_module(module), "prepare", None)
    if prepare is not None:
        prepare(context)  # what is imported on first use is no input's fault
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + _SPACE * bounds.memory,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while True:
        try:
            index = pipe.recv()
        except EOFError:
            return
        pipe.send(_measure(function, index, context, bounds))


def _measure(function: Trial, index: int, context: Any, bounds: Bounds) -> Outcome:
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # ends the process, wherever it is
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts from what is held now
    before = _peak()
    began = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, bounds.seconds)
    try:
        result, words = function(index, context)
    except MemoryError:
        result, words = "memory", f"over {_SPACE * bounds.memory // MIB} MiB of addresses"
    except (ValueError, FileNotFoundError) as error:
        result, words = "refused", str(error)
    except BaseException as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(at.filename).name}:{at.lineno}"
        result, words = "error", f"{type(error).__name__} in {place}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    seconds, used = time.process_time() - began, _peak() - before
    if used > bounds.memory:
        result, words = "memory", f"{used // MIB} MiB; {words}"
    return Outcome(index, result, words[:500], seconds, used / MIB)


def _peak() -> int:
    """The most memory that this process has had resident, in bytes."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024
