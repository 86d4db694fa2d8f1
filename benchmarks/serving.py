"""Serving: one request against `model.stream`, sixteen at once against one by one, and a soak.

    OMP_NUM_THREADS=1 python benchmarks/serving.py
    OMP_NUM_THREADS=1 python benchmarks/serving.py --soak 2000

The first writes figures of the engine, in turns with the model alone. The second starts
`anymodal serve` in a process of its own and asks it from 16 threads: texts, images and audio in and
out, of them 5 % malformed, 5 % cancelled and 5 % oversized. Every whole answer is compared with the
model's own at the same seed.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import random
import re
import subprocess
import sys
from base64 import b64decode
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import measure
import numpy as np
from measure import Elapsed, Watch

from anymodal import AnyModal, Message
from anymodal.io.results import markdown_table
from anymodal.media import load
from anymodal.serving.engine import Engine, EngineSettings
from anymodal.serving.requests import ReplyRequest
from anymodal.types import TextDelta

QUESTION, DRAW = "what can you do?", "draw a small blue ball"
TALK = [QUESTION, "who are you?", "hello", "thank you"] * 4
STEPS = 4
CHAT = "/v1/chat/completions"
ASKED = ["hello", QUESTION, "thank you", DRAW, "draw a big red duck", "play the sound of a bell"]


# ---- The engine ---------------------------------------------------------------------------------


async def first_token(engine: Engine, text: str, seed: int = 0) -> Elapsed:
    """The time to the first piece of text; the reply is read to its end."""
    watch, first = Watch(), None
    async for event in await engine.submit(ReplyRequest([Message("user", text)], seed=seed)):
        if first is None and isinstance(event, TextDelta):
            first = watch.elapsed()
    assert first is not None
    return first


def engine_figures(model: AnyModal, runs: int, warm: int) -> str:
    """A table of how the engine compares with the model alone."""
    loop = asyncio.new_event_loop()
    engine = Engine(model, EngineSettings(prefix_bytes=0))

    async def gather(texts: list[str]) -> None:
        await asyncio.gather(*(first_token(engine, each, seed) for seed, each in enumerate(texts)))

    def together(texts: list[str]) -> None:
        loop.run_until_complete(gather(texts))

    def one_by_one(texts: list[str]) -> None:
        for seed, text in enumerate(texts):
            list(model.stream(text, seed=seed))

    def first_alone() -> Elapsed:
        watch, first = Watch(), None
        for event in model.stream(QUESTION, seed=0):
            if first is None and isinstance(event, TextDelta):
                first = watch.elapsed()
        assert first is not None
        return first

    pairs: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
        "one reply": (lambda: one_by_one([QUESTION]), lambda: together([QUESTION])),
        "its first token": (
            first_alone,
            lambda: loop.run_until_complete(first_token(engine, QUESTION)),
        ),
        "16 replies": (lambda: one_by_one(TALK), lambda: together(TALK)),
        "16 drawings": (lambda: one_by_one([DRAW] * 16), lambda: together([DRAW] * 16)),
    }
    rows = []
    for name, (alone, by_engine) in pairs.items():
        times = measure.alternating({"alone": alone, "served": by_engine}, runs, warm)
        sides = times["alone"], times["served"]
        ratios = [measure.ratio(*sides, clock=clock) for clock in (False, True)]
        rows.append([name, *map(measure.milliseconds, sides), *ratios])
    header = ["what", "the model alone, ms", "served, ms", "ratio", "ratio by the clock"]
    engine.close()
    loop.close()
    return markdown_table(header, rows)


# ---- The soak -----------------------------------------------------------------------------------


class Job(NamedTuple):
    """A request: its kind, what to ask, and the seed."""

    kind: str
    text: str
    seed: int


def ask(netloc: str, job: Job) -> tuple[str, Any]:
    """Ask the server; what came of it and the message, if any."""
    body = {
        "model": "nano", "messages": [{"role": "user", "content": job.text}], "seed": job.seed,
        "steps": STEPS, "stream": job.kind == "cancelled",
    }  # fmt: skip
    data = json.dumps(body).encode()
    if job.kind == "malformed":
        data = random.choice([b"{", b"[]", data[:-1], data.replace(b'"role"', b'"rule"')])
    if job.kind == "oversized":
        data = data[:-1] + b', "user": "' + b"x" * 2 * 2**20 + b'"}'
    connection = http.client.HTTPConnection(netloc, timeout=120)
    try:
        connection.request("POST", CHAT, data, {"Content-Type": "application/json"})
        response = connection.getresponse()
        if job.kind == "cancelled":
            response.read1(100)
            return "cancelled", None
        answer = json.loads(response.read())
    except (BrokenPipeError, ConnectionResetError):  # refused while it was still being sent
        return "refused", None
    finally:
        connection.close()
    if response.status != 200:
        return f"status {response.status}", None
    return "answered", answer["choices"][0]["message"]


def same(message: dict[str, Any], expected: Message) -> bool:
    """Return True for the model's own text, and its media but for one grey level."""
    urls = [
        part[part["type"]]["url"] for part in message.get("parts", ()) if part["type"] != "text"
    ]
    media = [load(b64decode(url.partition(",")[2])) for url in urls]
    if message["content"] != expected.text or len(media) != len(expected.media):
        return False
    return all(
        distance(one, other) <= 1.0 for one, other in zip(media, expected.media, strict=True)
    )


def distance(one: Any, other: Any) -> float:
    """In grey levels of 256, or steps of 1/128 of full scale."""
    name, scale = ("pixels", 1) if hasattr(one, "pixels") else ("samples", 128)
    values = [np.asarray(getattr(each, name), np.float64) for each in (one, other)]
    return float(np.abs(values[0] - values[1]).max()) * scale


def resident(netloc: str) -> float:
    """Memory of the server's process, in MB."""
    connection = http.client.HTTPConnection(netloc, timeout=30)
    connection.request("GET", "/metrics")
    page = connection.getresponse().read().decode()
    match = re.search(r"^process_resident_memory_bytes (\S+)$", page, re.MULTILINE)
    assert match is not None
    return float(match[1]) / 1e6


def soak(model: AnyModal, count: int) -> None:
    """Ask a server many things at once, and print what came of it."""
    draw = random.Random(0)
    kinds = ["malformed", "cancelled", "oversized"]
    jobs = [
        Job(
            draw.choices([*kinds, "whole"], [5, 5, 5, 85])[0], draw.choice(ASKED), draw.randrange(3)
        )
        for _ in range(count)
    ]
    sampling = {name: {"steps": STEPS} for name in model.decoders}
    expected = {
        (text, seed): model.chat(text, seed=seed, sampling=sampling)  # type: ignore[arg-type]
        for text in ASKED
        for seed in range(3)
    }
    command = [sys.executable, "-m", "anymodal", "serve", "--port", "0", "--max-body", "1"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        netloc = urlsplit(server.stdout.readline().split()[-1]).netloc
        results: Counter[str] = Counter()
        watch, early = Watch(), 0.0
        with ThreadPoolExecutor(16) as pool:
            answers = pool.map(lambda job: ask(netloc, job), jobs)
            for place, (job, (outcome, message)) in enumerate(zip(jobs, answers, strict=True)):
                if message is not None and not same(message, expected[job.text, job.seed]):
                    outcome = "WRONG"
                results[f"{job.kind}: {outcome}"] += 1
                if place == min(200, count // 4):
                    early = resident(netloc)
        took, late = watch.elapsed().clock, resident(netloc)
        for name, number in sorted(results.items()):
            print(f"{number:5d} {name}")
        print(f"{took:.0f} s; memory {early:.0f} MB after the first 200, {late:.0f} MB in the end")
    finally:
        server.terminate()
        server.wait(60)


def main() -> None:
    """Write the engine's figures, or print those of a soak."""
    parser = measure.arguments(__doc__)
    parser.add_argument("--runs", type=int, default=20, help="rounds; default: %(default)s")
    parser.add_argument("--warm", type=int, default=1, help="rounds before; default: %(default)s")
    parser.add_argument("--soak", type=int, metavar="N", help="ask a server N things instead")
    args = parser.parse_args()
    model = AnyModal.from_pretrained("nano")
    if args.soak:
        soak(model, args.soak)
    else:
        table = engine_figures(model, args.runs, args.warm)
        measure.write_section("serving", table, args.page)


if __name__ == "__main__":
    main()
