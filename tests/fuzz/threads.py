"""One model in eight threads: every call answers as it does alone."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

THREADS = 8


def run(count: int, seed: int) -> tuple[int, int]:
    """Make calls of mixed kinds alone, then all of them in each of eight threads at once."""
    import torch

    from anymodal import AnyModal

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        model = AnyModal.from_pretrained("nano")
        calls = _calls(max(1, count // THREADS), seed)
        alone = [_answer(model, call) for call in calls]
        orders = [list(range(len(calls))) for _ in range(THREADS)]
        for number, order in enumerate(orders):
            random.Random(f"threads {seed} {number}").shuffle(order)

        def work(order: list[int]) -> list[tuple[int, Any]]:
            return [(index, _answer(model, calls[index])) for index in order]

        with ThreadPoolExecutor(THREADS) as pool:
            answers = [pair for pairs in pool.map(work, orders) for pair in pairs]
    finally:
        torch.set_num_threads(threads)
    faults = [(index, answer) for index, answer in answers if answer != alone[index]]
    for index, answer in faults[:20]:
        print(f"  {calls[index][0]}: {str(answer)[:150]} is not {str(alone[index])[:150]}")
    return len(faults), len(answers)


Call = tuple[str, Any, int]
"""What is said, for a reader; the message; and the seed."""


def _calls(count: int, seed: int) -> list[Call]:
    """Questions about media and requests for them, by turns."""
    from anymodal.media import IMU, Audio, Image

    rng = np.random.default_rng(seed)

    def picture() -> Image:
        return Image(rng.integers(0, 256, (64, 64, 3), np.uint8))

    def sound() -> Audio:
        return Audio((0.1 * rng.standard_normal((1, 16_000))).astype(np.float32), 16_000)

    def movement() -> IMU:
        return IMU(rng.standard_normal((6, 400)).astype(np.float32), 200.0)

    kinds: list[Callable[[], Any]] = [
        lambda: "draw a small red ball",
        lambda: [picture(), "what is this?"],
        lambda: "play a low sound",
        lambda: "hello",
        lambda: [sound(), "what do you hear?"],
        lambda: "draw a big blue car",
        lambda: [movement(), "what moves?"],
        lambda: "show a video of a green ball that moves to the left",
    ]
    made = [kinds[index % len(kinds)]() for index in range(count)]
    return [
        (said if isinstance(said, str) else f"{said[0]!r} {said[1]}", said, seed + index)
        for index, said in enumerate(made)
    ]


def _answer(model: Any, call: Call) -> Any:
    """The text and the digests of the media of a reply, or how it failed."""
    try:
        reply = model.chat(call[1], seed=call[2])
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return reply.text, tuple(medium.digest() for medium in reply.media)
