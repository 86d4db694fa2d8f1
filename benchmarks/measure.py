"""Helpers of the benchmarks: alternating runs, medians with their spread, memory, environment.

Each benchmark writes its section of `benchmarks/README.md` by `write_section`. How many threads it
runs on is torch's own setting, `OMP_NUM_THREADS`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

Side = TypeVar("Side")

RESULTS = Path(__file__).resolve().parent / "README.md"
PACKAGES = ("torch", "transformers", "diffusers")


def arguments(docstring: str | None) -> argparse.ArgumentParser:
    """The command line of a benchmark, with what all that write a section have."""
    parser = argparse.ArgumentParser(description=(docstring or "").split("\n")[0])
    parser.add_argument(
        "--page", type=Path, default=RESULTS, help="where its section is; default: the README here"
    )
    return parser


def threads() -> int:
    """The number of threads that torch computes on."""
    import torch

    return torch.get_num_threads()


def seconds() -> float:
    """A clock: the processor's on one thread; of several the time adds up, so the wall's."""
    return time.process_time() if threads() == 1 else time.perf_counter()


class Elapsed(NamedTuple):
    """Seconds on the clock, and of work.

    Where all work is one thread's, that is the processor's time: what the clock shows on an idle
    machine, and other work on the same cores changes it far less. Of several threads it is the
    clock's again, see `seconds`.
    """

    clock: float
    work: float


class Watch:
    """Starts when it is made."""

    def __init__(self) -> None:
        self.start = time.perf_counter(), seconds()

    def elapsed(self) -> Elapsed:
        """Time since the start."""
        clock, work = self.start
        return Elapsed(time.perf_counter() - clock, seconds() - work)


def turns(sides: Iterable[Side], number: int) -> list[Side]:
    """The order of a round, by its number.

    Every other round runs backwards, so that what changes slowly (heat, neighbours) hits all
    alike; runs of one round can be compared in pairs.
    """
    order = list(sides)
    return order if number % 2 else order[::-1]


def alternating(
    sides: Mapping[str, Callable[[], Any]], runs: int, warm: int = 1
) -> dict[str, list[Elapsed]]:
    """The times of each side, in rounds that run every side once, in the order of `turns`.

    The first `warm` rounds are not counted. A side that returns `Elapsed` has measured itself, such
    as the time to a first token.
    """
    times: dict[str, list[Elapsed]] = {name: [] for name in sides}
    for number in range(warm + runs):
        for name in turns(sides, number):
            watch = Watch()
            result = sides[name]()
            if number >= warm:
                times[name].append(result if isinstance(result, Elapsed) else watch.elapsed())
    return times


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def spread(values: Sequence[float], digits: int = 0, scale: float = 1.0) -> str:
    """A median and its quartiles, as `12 (11–14)`."""
    low, middle, high = (f"{scale * value:.{digits}f}" for value in quartiles(values))
    return f"{middle} ({low}–{high})"


def milliseconds(laps: Sequence[Elapsed]) -> str:
    """The time of work as a median and quartiles in milliseconds."""
    times = [each.work for each in laps]
    return spread(times, 0 if statistics.median(times) >= 0.1 else 1, 1e3)


def ratio(ours: Sequence[Elapsed], theirs: Sequence[Elapsed], clock: bool = False) -> str:
    """The ratio of each round, by work or the clock, as a median and quartiles."""
    at = 0 if clock else 1
    return spread([a[at] / b[at] for a, b in zip(ours, theirs, strict=True)], 3)


def peak_memory(work: Callable[[], Any]) -> float:
    """The most memory (MB) that this process holds while it works; Linux only.

    Source: Linux's `man 5 proc`, `clear_refs` 5 and VmHWM.
    """
    Path("/proc/self/clear_refs").write_text("5")
    work()
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def apart(task: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A task's result in a forked process, with its peak memory (MB) beyond that at its start.

    Raises:
        RuntimeError: the process failed; its traceback is on the standard error.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            result: dict[str, Any] = {}
            before = _resident()
            result["peak_mb"] = peak_memory(lambda: result.update(task())) - before
            with os.fdopen(writing, "w") as file:
                file.write(json.dumps(result))
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as file:
        text = file.read()
    _, status = os.waitpid(child, 0)
    if status:
        raise RuntimeError(f"the measured process ended with status {status}")
    answer: dict[str, Any] = json.loads(text)
    return answer


def _resident() -> float:
    """Memory (MB) that this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def python(
    *arguments: str, root: Path = RESULTS.parents[1], folder: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a fresh Python to its end, on a checkout, whatever is installed.

    Args:
        arguments: of Python.
        root: the checkout.
        folder: where it works.
    """
    # Bytecode may be written, since an installed package has its own.
    env = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": ""}
    command = [sys.executable, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=env, cwd=folder)


def environment() -> str:
    """The machine and versions that figures were measured on, in a line."""
    import torch

    count = f"{threads()} thread{'s' * (threads() > 1)}"
    names = [f"{name} {version(name)}" for name in PACKAGES]
    if torch.accelerator.is_available():
        names.append(torch.cuda.get_device_name() if torch.cuda.is_available() else "accelerator")
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    return (
        f"{_processor()}, {count}, {load}; "
        f"Python {platform.python_version()}, {', '.join(names)}; {time.strftime('%Y-%m-%d')}"
    )


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def library_commit() -> str:
    """The last commit that changed the library, and whether it has been changed since."""
    folders = ["anymodal", "encoders", "decoders"]
    root = Path(__file__).parent.parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments, "--", *folders]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    try:
        status = git("status", "--porcelain")
        return f"{git('log', '-1', '--format=%h')}{', changed' * bool(status)}"
    except (OSError, subprocess.CalledProcessError):
        return "unknown"  # not in a checkout


def verdict(is_met: bool) -> str:
    """A figure's verdict as a word."""
    return "met" if is_met else "missed"


def write_section(name: str, body: str, path: Path = RESULTS) -> None:
    """Put a benchmark's results, with the environment, between its marks in the results' page.

    What was measured on several threads stands behind that of one, between marks of its own.

    Raises:
        ValueError: the page has no such marks.
    """
    page = path.read_text("utf-8")
    closing = f"<!-- /{name} -->"
    if threads() > 1:
        several = f"{name}, {threads()} threads"
        marks = f"{closing}\n\n<!-- {several} -->\n<!-- /{several} -->"
        if f"<!-- {several} -->" not in page:
            page = page.replace(closing, marks)
        name, closing = several, f"<!-- /{several} -->"
    opening = f"<!-- {name} -->\n"
    before, mark, tail = page.partition(opening)
    _, also, after = tail.partition(closing)
    if not mark or not also:
        raise ValueError(
            f"{path.name} has no section {opening.strip()} … {closing}; add both marks"
        )
    text = f"{body}\n\n{environment()}\n"
    path.write_text(f"{before}{opening}{text}{closing}{after}", "utf-8")
    print(text)
