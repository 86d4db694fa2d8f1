"""A cluster on this machine: what a second replica adds, with a load generator of its own process.

    RAY_worker_niceness=0 OMP_NUM_THREADS=1 python benchmarks/cluster.py

One server of a Ray cluster has nano three times: with one replica of each part, with a second
language-model replica, and with a second decoder replica of images. In turns, each is asked the
same by 16 connections at once. Processor time is read from `/proc` for each kind of process.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import statistics
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import measure
from measure import Watch

ONE, WRITERS, DRAWERS = "one", "writers", "drawers"
SCALE = ("audio=0-1", "video=0-1", f"{WRITERS}/language=2", f"{DRAWERS}/image=2")
CONNECTIONS = 16
TEXTS = ["what can you do?", "who are you?", "hello", "thank you"]
LOADS = {
    "texts": (WRITERS, 64, 0),
    "drawings": (DRAWERS, 24, 12),
    "drawings, 48 steps": (DRAWERS, 16, 48),
}
"""What is asked: of which model with another replica, how often in a run, and in how many steps."""
ROLES = {"language": ":language", "decoders": ":image", "API": ":api", "proxy": "ProxyActor"}
"""Kinds of processes, by what their titles hold."""


class Run(NamedTuple):
    """A run: requests in a second, and processor seconds by kind of process."""

    rate: float
    work: Counter[str]


def generate_load(address: str, model: str, load: str) -> None:
    """Ask all of a load, and print how long it took; the process of the load generator."""
    _, count, steps = LOADS[load]

    def ask(number: int) -> None:
        text = f"draw a red ball {number}" if steps else f"{TEXTS[number % 4]} {number}"
        body = {"model": model, "messages": [{"role": "user", "content": text}], "seed": number,
                "max_tokens": 64}  # fmt: skip
        body |= {"steps": steps} if steps else {"modalities": ["text"]}
        connection = http.client.HTTPConnection(address, timeout=300)
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        answer = connection.getresponse()
        whole = json.loads(answer.read())
        connection.close()
        assert answer.status == 200, whole
        assert not steps or whole["choices"][0]["message"]["images"]

    watch = Watch()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(ask, range(count)))
    print(watch.elapsed().clock)


def processor_seconds() -> Counter[str]:
    """The processor time that each kind of process has had until now."""
    seconds: Counter[str] = Counter()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            title = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if not ("ray::" in title or "/ray/" in title):
            continue
        role = next((name for name, part in ROLES.items() if part in title), "rest of Ray")
        # User and system time, fields 14 and 15 of `man 5 proc`.
        seconds[role] += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return seconds


def run_load(address: str, model: str, load: str) -> Run:
    """Have a load generated in a process of its own."""
    before, own = processor_seconds(), os.times()
    text = measure.python(__file__, "--generate", address, model, load).stdout
    work = processor_seconds()
    work.subtract(before)
    now = os.times()
    work["load generator"] = (
        now.children_user + now.children_system - own.children_user - own.children_system
    )
    return Run(LOADS[load][1] / float(text), work)


def figures(address: str, loads: list[str], rounds: int, warm: int) -> str:
    """A table of runs with one replica and with two."""
    from anymodal.io.results import markdown_table

    rows = []
    for load in loads:
        more = LOADS[load][0]
        runs: dict[str, list[Run]] = {ONE: [], more: []}
        for number in range(warm + rounds):
            for model in measure.turns([ONE, more], number):
                run = run_load(address, model, load)
                print(f"{load} of {model}: {run.rate:.1f}/s", file=sys.stderr, flush=True)
                if number >= warm:
                    runs[model].append(run)
        one, two = runs.values()
        ratio = measure.spread([b.rate / a.rate for a, b in zip(one, two, strict=True)], 2)
        for label, side in (("one", one), ("two", two)):
            rate = measure.spread([each.rate for each in side], 1)
            rows.append([load, label, rate, ratio if side is two else "", *_shares(side)])
    header = ["load", "replicas", "requests/s", "ratio", *ROLES, "rest of Ray", "load generator"]
    return markdown_table(header, rows)


def _shares(runs: list[Run]) -> list[str]:
    """The median share of all processor time for each kind of process, in percent."""
    names = [*ROLES, "rest of Ray", "load generator"]
    return [
        f"{statistics.median(100 * run.work[name] / run.work.total() for run in runs):.0f} %"
        for name in names
    ]


def main() -> None:
    """Write the figures to the results' page."""
    parser = measure.arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=4, help="default: %(default)s")
    parser.add_argument("--warm", type=int, default=1, help="rounds before; default: %(default)s")
    parser.add_argument("--loads", nargs="+", choices=LOADS, default=[*LOADS], metavar="LOAD")
    parser.add_argument("--generate", nargs=3, metavar=("ADDRESS", "MODEL", "LOAD"))
    args = parser.parse_args()
    if args.generate:
        generate_load(*args.generate)
        return
    # Here, so that the load generator's process is there at once.
    import ray
    from ray import serve

    from anymodal.serving.api.settings import ServerSettings
    from anymodal.serving.cluster.deploying import connect, deploy
    from anymodal.serving.cluster.scale import Scales
    from anymodal.serving.model_source import ModelSource

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    sources = [ModelSource(name, "nano", device="cpu") for name in (ONE, WRITERS, DRAWERS)]
    scales = Scales(SCALE)
    if not connect(sources, scales):
        sys.exit("a Ray cluster runs here already; end it first, since it would compete")
    try:
        deploy(sources, ServerSettings(), scales, "127.0.0.1", port)
        table = figures(f"127.0.0.1:{port}", args.loads, args.rounds, args.warm)
    finally:
        serve.shutdown()
        ray.shutdown()
    text = f"{table}\n\nAt {measure.library_commit()}, ray {ray.__version__}."
    measure.write_section("cluster", text, args.page)


if __name__ == "__main__":
    main()
