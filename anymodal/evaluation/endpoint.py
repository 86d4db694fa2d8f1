"""Models behind an OpenAI-compatible endpoint, as predictors and as judges."""

from __future__ import annotations

import hashlib
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from anymodal.io.message_parts import write_part
from anymodal.types import Message

KEY_VARIABLE = "OPENAI_API_KEY"
"""The environment variable with the endpoint's key."""
_TRY_AGAIN = (408, 409, 429, 500, 502, 503, 504)
_MAX_BYTES = 1 << 24


class EndpointError(ValueError):
    """An endpoint that can't be asked, or whose answer isn't one."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Refuses redirects, since the key would go along to another host."""

    def redirect_request(self, *_: object) -> None:
        return None


class EndpointPredictor:
    """A model behind `/chat/completions` of OpenAI's API, such as one that `anymodal serve` serves.

    Args:
        url: the base URL, such as `http://localhost:8000/v1`.
        model: the model's name there.
        settings: more keys of the request's body, such as `max_tokens`.
        concurrency: the most requests at once.
        timeout: seconds to wait for an answer.
        attempts: how often a busy or failing endpoint is asked, with growing pauses between.

    Raises:
        EndpointError: if the URL is no HTTP address.
    """

    tells_likelihoods = False
    """Whether replies among choices can be asked for."""

    def __init__(
        self,
        url: str,
        model: str,
        *,
        settings: Mapping[str, object] | None = None,
        concurrency: int = 8,
        timeout: float = 300.0,
        attempts: int = 4,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise EndpointError(f"{url!r} is no address; give one such as http://localhost:8000/v1")
        self.url, self.model = url.rstrip("/"), model
        self.settings = {"temperature": 0, **(settings or {})}
        self.concurrency, self.timeout, self.attempts = concurrency, timeout, attempts
        self._opener = urllib.request.build_opener(_NoRedirect)

    def metadata(self) -> str:
        """A hash of the address, the model's name and the settings."""
        state = json.dumps([self.url, self.model, self.settings], sort_keys=True, default=repr)
        return hashlib.sha256(state.encode()).hexdigest()[:16]

    def __call__(
        self,
        conversations: Sequence[list[Message]],
        seeds: Sequence[int],
        choices: Sequence[Sequence[str] | None] | None = None,
    ) -> list[Message]:
        """Ask for a reply to each conversation, several at once.

        Raises:
            EndpointError: if an endpoint fails, or replies are to be among choices.
        """
        if choices is not None and any(each is not None for each in choices):
            raise EndpointError(f"{self.url} gives no likelihoods of choices; ask for any reply")
        with ThreadPoolExecutor(self.concurrency) as pool:
            return [*pool.map(self._reply, conversations, seeds)]

    def _reply(self, conversation: list[Message], seed: int) -> Message:
        messages = [
            {"role": message.role, "content": [write_part(part) for part in message.content]}
            for message in conversation
        ]
        # 31 bits, the most that some servers take.
        body = {"model": self.model, "messages": messages, "seed": seed & 0x7FFFFFFF}
        answer = self._post(json.dumps({**body, **self.settings}).encode())
        try:
            choice = answer["choices"][0]
            content, reason = choice["message"]["content"], choice.get("finish_reason")
        except (KeyError, IndexError, TypeError):
            text = json.dumps(answer)[:200]
            raise EndpointError(f"{self.url} answered no completion: {text}") from None
        if not isinstance(content, str):
            raise EndpointError(f"{self.url} answered with {type(content).__name__}, not a text")
        return Message("assistant", [content], finish_reason=str(reason) if reason else None)

    def _post(self, body: bytes) -> Any:
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(KEY_VARIABLE):
            headers["Authorization"] = f"Bearer {key}"
        url = f"{self.url}/chat/completions"
        for attempt in range(self.attempts):
            request = urllib.request.Request(url, body, headers)
            try:
                with self._opener.open(request, timeout=self.timeout) as response:
                    return json.loads(response.read(_MAX_BYTES))
            except urllib.error.HTTPError as error:
                text = error.read(500).decode("utf-8", "replace")
                reason, again = f"status {error.code}: {text}", error.code in _TRY_AGAIN
            except ValueError as error:
                reason, again = f"no JSON: {error}", False
            except OSError as error:
                reason, again = str(error), True
            if not again:
                break
            if attempt + 1 < self.attempts:
                time.sleep(2**attempt)
        raise EndpointError(f"{url} failed with {reason}")
