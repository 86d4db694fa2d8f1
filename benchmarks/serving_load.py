"""A server under load, by locust in a process of its own: throughput, and time to first tokens.

    python -m venv loadenv && loadenv/bin/pip install locust
    OMP_NUM_THREADS=1 python benchmarks/serving_load.py --locust loadenv/bin/locust

`anymodal serve` runs in another process. First it is asked by one user and by sixteen, in turns:
for texts, then for drawings. Then by sixteen at random times: 8 for texts, 4 with a picture, 3 for
drawings and 1 for a video.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import measure
import numpy as np
from server_process import running_server, tool

from anymodal.io.results import markdown_table
from anymodal.media.base import data_uri
from anymodal.toybox.render import render_scene
from anymodal.toybox.scene import Scene

USERS = Path(__file__).with_name("locust_users.py")
MIX = {"text": 8, "picture": 4, "drawing": 3, "video": 1}
WAIT = 0.5  # mean seconds between two requests of a user of the mix
FASTER = {"text": 3.0, "drawing": 1.3}
LATEST_FIRST = 2.0
"""The bars: throughput of 16 users over that of one, and the 99th percentile of seconds to the
first token.
"""
Records = list[dict[str, Any]]


def load(
    args: argparse.Namespace, netloc: str, users: Mapping[str, int], requests: int, wait: float
) -> Records:
    """Let users ask a server so many things; the times of each request, in order of their ends."""
    scene = Scene("duck", "orange", "big", "still", "slow")
    picture = render_scene(scene, "image", np.random.default_rng(0)).encode(".png")
    with TemporaryDirectory() as folder:
        file = Path(folder) / "times.json"
        what = {"users": users, "requests": requests, "wait": wait, "file": str(file),
                "picture": data_uri("image/png", picture)}  # fmt: skip
        count = str(sum(users.values()))
        command = [args.locust, "-f", str(USERS), "--headless", "-u", count, "-r", count]
        command += ["-t", "600s", "--host", f"http://{netloc}", "--only-summary"]
        env = {**os.environ, "LOAD": json.dumps(what), "PYTHONPATH": ""}
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        records: Records = json.loads(file.read_text()) if file.exists() else []
    if not records or not all(each["is_whole"] for each in records):
        raise RuntimeError(f"not all were answered:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return records[:requests]


def per_second(records: Records) -> float:
    """Throughput from the first end to the last, as users begin at different times."""
    ends = sorted(each["ended"] for each in records)
    return (len(ends) - 1) / (ends[-1] - ends[0])


def throughput_rows(args: argparse.Namespace, netloc: str) -> list[list[str]]:
    """Rows of sixteen users against one, in turns."""
    rows = []
    for kind, bar in FASTER.items():
        rates: dict[int, list[float]] = {1: [], 16: []}
        for number in range(args.runs):
            for users in measure.turns(rates, number):
                requests = args.requests if users == 1 else args.requests * 4
                records = load(args, netloc, {kind: users}, requests, 0)
                rates[users].append(per_second(records))
        ratios = [many / one for one, many in zip(rates[1], rates[16], strict=True)]
        told = f"{bar:g} at least: {measure.verdict(median(ratios) >= bar)}"
        spreads = [measure.spread(rates[users], 2) for users in (1, 16)]
        rows.append([f"{kind}s a second", *spreads, measure.spread(ratios, 2), told])
    return rows


def mix_rows(records: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Rows of the seconds to first tokens in the mix."""
    rows = []
    for kind in (*MIX, "all"):
        firsts = [
            r["first"] for r in records if r["first"] is not None and kind in (r["kind"], "all")
        ]
        if not firsts:
            continue
        middle, late = np.percentile(firsts, [50, 99])
        told = f"{LATEST_FIRST:g} s at most: {measure.verdict(late <= LATEST_FIRST)}"
        rows.append(
            [kind, str(len(firsts)), f"{middle:.2f}", f"{late:.2f}", told * (kind == "all")]
        )
    return rows


def main() -> None:
    """Write the figures."""
    parser = measure.arguments(__doc__)
    add = parser.add_argument
    add("--locust", metavar="PATH", help="the program; default: that of PATH")
    add("--runs", type=int, default=5, help="rounds of one and sixteen; default: %(default)s")
    add("--requests", type=int, default=24, help="of one user in a round; default: %(default)s")
    add("--mixed", type=int, default=300, help="requests of the mix; default: %(default)s")
    args = parser.parse_args()
    args.locust = tool("locust", args.locust)
    with running_server() as netloc:
        load(args, netloc, MIX, 32, 0)  # imports, and first uses of decoders
        throughput = throughput_rows(args, netloc)
        mix = mix_rows(load(args, netloc, MIX, args.mixed, WAIT))
    tables = [
        markdown_table(["what", "one user", "16 users", "ratio", "bar"], throughput),
        markdown_table(["kind", "requests", "first token, s", "99th percentile, s", "bar"], mix),
        f"At {measure.library_commit()}.",
    ]
    measure.write_section("serving load", "\n\n".join(tables), args.page)


if __name__ == "__main__":
    main()
