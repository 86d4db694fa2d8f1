"""Users of a server, for locust: each asks for streamed chats of one kind, again and again.

`serving_load.py` runs this in a process of its own, with the environment's LOAD: JSON of how many
users of each kind, how many requests in all, the mean wait between two of a user, and a file for
the times.
"""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path
from typing import Any, ClassVar

import gevent
from locust import HttpUser, events, task

LOAD: dict[str, Any] = json.loads(os.environ["LOAD"])
TALK = ("what can you do?", "who are you?", "hello", "thank you", "good morning", "tell me more")
TEXTS = {
    "text": TALK,
    "picture": ("what is this?",),
    "drawing": ("draw a small blue ball", "draw a big red duck"),
    "video": ("make a video of a duck moving left",),
}
MEDIA = {"drawing", "video"}
_records: list[dict[str, Any]] = []


class ChatUser(HttpUser):
    """Asks for one kind of reply."""

    abstract = True
    kind: ClassVar[str]

    def wait_time(self) -> float:
        """Seconds to the next request: an exponential wait, so that requests come at random."""
        mean = LOAD["wait"]
        return random.expovariate(1 / mean) if mean else 0.0

    @task
    def chat(self) -> None:
        """Ask, and note the times to the first piece of text and to the end."""
        text = random.choice(TEXTS[self.kind])
        content: Any = text
        if self.kind == "picture":
            content = [{"type": "image_url", "image_url": {"url": LOAD["picture"]}},
                       {"type": "text", "text": text}]  # fmt: skip
        body = {"model": "nano", "messages": [{"role": "user", "content": content}],
                "seed": random.randrange(1000), "stream": True}  # fmt: skip
        began, first, last = time.perf_counter(), None, b""
        with self.client.post(
            "/v1/chat/completions", json=body, stream=True, name=self.kind, catch_response=True
        ) as response:
            for line in response.iter_lines(chunk_size=1):
                if first is None and b'"content":"' in line and b'"content":""' not in line:
                    first = time.perf_counter() - began
                last = line or last
            is_whole = response.status_code == 200 and last == b"data: [DONE]"
            if not is_whole:
                response.failure(f"status {response.status_code}: {last[:200]!r}")
        record = {"kind": self.kind, "first": first, "whole": time.perf_counter() - began,
                  "ended": time.time(), "is_whole": is_whole}  # fmt: skip
        _records.append(record)
        if len(_records) == LOAD["requests"]:
            # Beside this user's own greenlet, which it ends.
            gevent.spawn(self.environment.runner.quit)


for _kind, _count in LOAD["users"].items():
    _name = f"{_kind.title()}User"
    globals()[_name] = type(_name, (ChatUser,), {"kind": _kind, "fixed_count": _count})


@events.quitting.add_listener
def _write(**_: object) -> None:
    Path(LOAD["file"]).write_text(json.dumps(_records))
