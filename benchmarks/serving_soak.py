"""A soak: a server is asked many things at once, broken, cancelled and oversized ones among them.

    OMP_NUM_THREADS=1 python benchmarks/serving_soak.py

`anymodal serve` runs in a process of its own and is asked from 16 threads: for texts, about
pictures, for drawings, sounds and videos; of them 5 % are malformed, 5 % cancelled and 5 %
oversized. Every whole answer is compared with the model's own at the same seed: the same text, and
media within one grey level. Its memory may grow by 5 % after the first 200; it is read a moment
after the last answer, when the server has given back what it doesn't need.
"""

from __future__ import annotations

import http.client
import json
import random
import time
from base64 import b64decode
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import measure
import numpy as np
from measure import Watch
from server_process import resident_mb, running_server

from anymodal import AnyModal, Message
from anymodal.io.results import markdown_table
from anymodal.media import Media, load
from anymodal.media.base import data_uri
from anymodal.toybox.render import render_scene
from anymodal.toybox.scene import Scene

STEPS = 4
EARLY = 200
REST = 3.0
"""Seconds without requests before memory is read."""
MOST_GROWTH = 1.05
CHAT = "/v1/chat/completions"
SEEN = "what is this?"
ASKED = ["hello", "what can you do?", "thank you", SEEN, "draw a small blue ball",
         "draw a big red duck", "play the sound of a bell",
         "make a video of a duck moving left"]  # fmt: skip
KINDS = {"malformed": 5, "cancelled": 5, "oversized": 5, "whole": 85}


class Job(NamedTuple):
    """A request: its kind, what to ask, and the seed."""

    kind: str
    text: str
    seed: int


def duck() -> Media:
    """A picture that is asked about."""
    scene = Scene("duck", "orange", "big", "still", "slow")
    return render_scene(scene, "image", np.random.default_rng(0))


PICTURE = data_uri("image/png", duck().encode(".png"))


def request_body(job: Job) -> bytes:
    """The body of a request."""
    content: Any = job.text
    if job.text == SEEN:
        content = [{"type": "image_url", "image_url": {"url": PICTURE}},
                   {"type": "text", "text": job.text}]  # fmt: skip
    body = {
        "model": "nano", "messages": [{"role": "user", "content": content}], "seed": job.seed,
        "steps": STEPS, "stream": job.kind == "cancelled",
    }  # fmt: skip
    data = json.dumps(body).encode()
    if job.kind == "malformed":
        return random.choice([b"{", b"[]", data[:-1], data.replace(b'"role"', b'"rule"')])
    if job.kind == "oversized":
        return data[:-1] + b', "user": "' + b"x" * 2 * 2**20 + b'"}'
    return data


def ask(netloc: str, job: Job) -> tuple[str, Any]:
    """Ask the server; what came of it and the message, if any."""
    connection = http.client.HTTPConnection(netloc, timeout=120)
    try:
        connection.request("POST", CHAT, request_body(job), {"Content-Type": "application/json"})
        response = connection.getresponse()
        if job.kind == "cancelled":
            response.read1(100)
            return "cancelled", None
        answer = json.loads(response.read())
    except (BrokenPipeError, ConnectionResetError):  # refused while it was still being sent
        return "refused", None
    except TimeoutError:
        return "HUNG", None
    finally:
        connection.close()
    if response.status != 200:
        return f"status {response.status}", None
    return "answered", answer["choices"][0]["message"]


def is_same(message: dict[str, Any], expected: Message) -> bool:
    """Return True for the model's own text, and its media but for one grey level."""
    urls = [
        part[part["type"]]["url"] for part in message.get("parts", ()) if part["type"] != "text"
    ]
    media = [load(b64decode(url.partition(",")[2])) for url in urls]
    # As they travel: a video's file is another than its frames.
    own = [load(each.encode(each.suffix)) for each in expected.media]
    if message["content"] != expected.text or len(media) != len(own):
        return False
    return all(distance(one, other) <= 1.0 for one, other in zip(media, own, strict=True))


def distance(one: Any, other: Any) -> float:
    """In grey levels of 256, or steps of 1/128 of full scale; of a video, whose file is compressed,
    the mean over its frames.
    """
    name = next(name for name in ("pixels", "frames", "samples") if hasattr(one, name))
    values = [np.asarray(getattr(each, name), np.float64) for each in (one, other)]
    if values[0].shape != values[1].shape:
        return float("inf")
    differences = np.abs(values[0] - values[1])
    if name == "frames":
        return float(differences.mean())
    return float(differences.max()) * (128 if name == "samples" else 1)


def is_expected(kind: str, outcome: str) -> bool:
    """Return whether a request of a kind may end so."""
    allowed = {"malformed": {"status 400"}, "cancelled": {"cancelled"},
               "oversized": {"status 413", "refused"}, "whole": {"answered"}}  # fmt: skip
    return outcome in allowed[kind]


def soak(model: AnyModal, netloc: str, count: int) -> str:
    """Ask a server many things at once, and tell what came of it."""
    draw = random.Random(0)
    kinds, shares = list(KINDS), list(KINDS.values())
    jobs = [
        Job(draw.choices(kinds, shares)[0], draw.choice(ASKED), draw.randrange(3))
        for _ in range(count)
    ]
    sampling = {name: {"steps": STEPS} for name in model.decoders}
    expected = {
        (text, seed): model.chat(
            [duck(), text] if text == SEEN else text,
            seed=seed,
            sampling=sampling,  # type: ignore[arg-type]
        )
        for text, seed in {(job.text, job.seed) for job in jobs if job.kind == "whole"}
    }
    results: Counter[tuple[str, str]] = Counter()
    first, seconds, memory = min(EARLY, count // 4), 0.0, list[float]()
    for part in (jobs[:first], jobs[first:]):
        watch = Watch()
        with ThreadPoolExecutor(16) as pool:
            for job, (outcome, message) in zip(
                part, pool.map(lambda job: ask(netloc, job), part), strict=True
            ):
                if message is not None and not is_same(message, expected[job.text, job.seed]):
                    outcome = "WRONG"
                results[job.kind, outcome] += 1
        seconds += watch.elapsed().clock
        time.sleep(REST)
        memory.append(resident_mb(netloc))
    early, late = memory
    rows = [[kind, outcome, str(number), "" if is_expected(kind, outcome) else "missed"]
            for (kind, outcome), number in sorted(results.items())]  # fmt: skip
    table = markdown_table(["requests", "ended", "number", "bar"], rows)
    verdict = measure.verdict(late <= early * MOST_GROWTH)
    return (
        f"{table}\n\nIn {seconds:.0f} s. Memory, at rest: {early:.0f} MB after the first {EARLY}, "
        f"{late:.0f} MB in the end, {100 * (late / early - 1):+.1f} % of 5 % at most: {verdict}. "
        f"At {measure.library_commit()}."
    )


def main() -> None:
    """Write what came of it."""
    parser = measure.arguments(__doc__)
    parser.add_argument("--count", type=int, default=2000, help="requests; default: %(default)s")
    args = parser.parse_args()
    model = AnyModal.from_pretrained("nano")
    with running_server("--max-body", "1") as netloc:
        text = soak(model, netloc, args.count)
    measure.write_section("serving soak", text, args.page)


if __name__ == "__main__":
    main()
