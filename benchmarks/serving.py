"""Serving: one request to a server and to its engine against `model.stream`, and sixteen at once.

    OMP_NUM_THREADS=1 python benchmarks/serving.py

Each is asked in turns with the model alone, in this process. The server is `anymodal serve` in a
process of its own, asked by HTTP, a stream at a time; the engine is asked without HTTP, and keeps
nothing of earlier requests. `serving_load.py` asks a server many things at once.
"""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Callable, Mapping
from itertools import count
from statistics import median
from typing import Any

import measure
from measure import Elapsed, Watch
from server_process import running_server

from anymodal import AnyModal, Message
from anymodal.io.results import markdown_table
from anymodal.serving.engine import Engine, EngineSettings
from anymodal.serving.requests import ReplyRequest
from anymodal.types import TextDelta

QUESTION, DRAW = "what can you do?", "draw a small blue ball"
TALK = [QUESTION, "who are you?", "hello", "thank you"] * 4
CHAT = "/v1/chat/completions"
OVERHEAD, FIRST_TOKEN = 1.03, 1.1
"""The bars: a whole streamed reply and its first token, over the model alone, by the clock."""
Times = Mapping[str, list[Elapsed]]


# ---- A server -----------------------------------------------------------------------------------


class StreamClient:
    """Asks a server for streamed chats, one after another on one connection."""

    def __init__(self, netloc: str) -> None:
        self.connection = http.client.HTTPConnection(netloc, timeout=120)

    def ask(self, text: str, seed: int) -> tuple[Elapsed, Elapsed]:
        """The times to the first piece of text, and to the end."""
        body = {
            "model": "nano", "messages": [{"role": "user", "content": text}], "seed": seed,
            "stream": True,
        }  # fmt: skip
        watch, first, data = Watch(), None, b""
        headers = {"Content-Type": "application/json"}
        self.connection.request("POST", CHAT, json.dumps(body).encode(), headers)
        response = self.connection.getresponse()
        while piece := response.read1(2**16):
            data += piece
            # The opening has an empty content.
            if first is None and data.count(b'"content":"') > 1:
                first = watch.elapsed()
        assert first is not None and data.endswith(b"data: [DONE]\n\n"), data[-500:]
        return first, watch.elapsed()


def stream_alone(model: AnyModal, text: str, seed: int) -> tuple[Elapsed, Elapsed]:
    """The same times of the model in this process."""
    watch, first = Watch(), None
    for event in model.stream(text, seed=seed):
        if first is None and isinstance(event, TextDelta):
            first = watch.elapsed()
    assert first is not None
    return first, watch.elapsed()


def server_rows(model: AnyModal, netloc: str, runs: int, warm: int) -> list[list[str]]:
    """Rows of one streamed chat by HTTP against the model alone.

    Every round asks something that nobody asked before, so that no keys and values are there.
    """
    client, times = StreamClient(netloc), {"alone": [], "served": []}  # type: ignore[var-annotated]
    numbers = count()

    def ask(side: str) -> tuple[Elapsed, Elapsed]:
        text = f"{QUESTION} {next(numbers)}"
        return stream_alone(model, text, 0) if side == "alone" else client.ask(text, 0)

    ask("served")  # the connection, and imports of a first request
    for number in range(warm + runs):
        for side in measure.turns(times, number):
            # One that idled for 5 s is closed by the server.
            client.connection.close()
            client.connection.connect()
            result = ask(side)
            if number >= warm:
                times[side].append(result)
    rows = []
    for place, (name, bar) in enumerate(
        [("first token, by HTTP", FIRST_TOKEN), ("streamed chat, by HTTP", OVERHEAD)]
    ):
        alone, served = ([each[place] for each in times[side]] for side in ("alone", "served"))
        ratios = [s.clock / a.clock for a, s in zip(alone, served, strict=True)]
        told = f"{bar:g} at most: {measure.verdict(median(ratios) <= bar)}"
        clocks = [measure.spread([each.clock for each in laps], 1, 1e3) for laps in (alone, served)]
        rows.append([name, *clocks, measure.spread(ratios, 3), told])
    return rows


# ---- The engine ---------------------------------------------------------------------------------


async def first_token(engine: Engine, text: str, seed: int = 0) -> Elapsed:
    """The time to the first piece of text; the reply is read to its end."""
    watch, first = Watch(), None
    async for event in await engine.submit(ReplyRequest([Message("user", text)], seed=seed)):
        if first is None and isinstance(event, TextDelta):
            first = watch.elapsed()
    assert first is not None
    return first


def engine_rows(model: AnyModal, runs: int, warm: int) -> list[list[str]]:
    """Rows of how the engine compares with the model alone."""
    loop = asyncio.new_event_loop()
    engine = Engine(model, EngineSettings(prefix_bytes=0))

    async def gather(texts: list[str]) -> None:
        await asyncio.gather(*(first_token(engine, each, seed) for seed, each in enumerate(texts)))

    def together(texts: list[str]) -> None:
        loop.run_until_complete(gather(texts))

    def one_by_one(texts: list[str]) -> None:
        for seed, text in enumerate(texts):
            list(model.stream(text, seed=seed))

    pairs: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
        "a reply, by the engine": (lambda: one_by_one([QUESTION]), lambda: together([QUESTION])),
        "its first token": (
            lambda: stream_alone(model, QUESTION, 0)[0],
            lambda: loop.run_until_complete(first_token(engine, QUESTION)),
        ),
        "16 replies": (lambda: one_by_one(TALK), lambda: together(TALK)),
        "16 drawings": (lambda: one_by_one([DRAW] * 16), lambda: together([DRAW] * 16)),
    }
    rows = []
    for name, (alone, by_engine) in pairs.items():
        times = measure.alternating({"alone": alone, "served": by_engine}, runs, warm)
        sides = times["alone"], times["served"]
        clocks = [measure.spread([each.clock for each in laps], 1, 1e3) for laps in sides]
        rows.append([name, *clocks, measure.ratio(sides[1], sides[0], clock=True), ""])
    engine.close()
    loop.close()
    return rows


def main() -> None:
    """Write the figures."""
    parser = measure.arguments(__doc__)
    parser.add_argument("--runs", type=int, default=20, help="rounds; default: %(default)s")
    parser.add_argument("--warm", type=int, default=1, help="rounds before; default: %(default)s")
    args = parser.parse_args()
    model = AnyModal.from_pretrained("nano")
    with running_server() as netloc:
        rows = server_rows(model, netloc, args.runs, args.warm)
    rows += engine_rows(model, args.runs, args.warm)
    header = ["what", "the model alone, ms", "served, ms", "served / alone", "bar"]
    body = f"{markdown_table(header, rows)}\n\nBy the clock, at {measure.library_commit()}."
    measure.write_section("serving", body, args.page)


if __name__ == "__main__":
    main()
