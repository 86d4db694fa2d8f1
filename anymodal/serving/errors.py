"""Errors that a request may end in. They can be pickled, and so cross processes."""

from __future__ import annotations


class QueueFullError(RuntimeError):
    """Too many requests are under way; `retry_after` is when to ask again, in seconds."""

    def __init__(self, limit: int, retry_after: int) -> None:
        super().__init__(
            f"{limit} requests are under way, which is the limit; ask again in {retry_after} s"
        )
        self.limit, self.retry_after = limit, retry_after

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.limit, self.retry_after)


class DeadlineError(TimeoutError):
    """A request took longer than it may."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the request took longer than {seconds:g} s; ask for less, or allow more")
        self.seconds = seconds

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.seconds,)


class OutOfMemoryError(RuntimeError):
    """There was no memory for a request, even alone."""

    def __init__(self) -> None:
        super().__init__("there is no memory for this request; ask for less, or ask again later")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), ()


class ModelFaultError(RuntimeError):
    """The model failed on a request that it accepted; the cause tells why."""


class EngineClosedError(RuntimeError):
    """The engine was closed while a request was under way."""

    def __init__(self) -> None:
        super().__init__("the server is going down; ask again later")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), ()


class ContentFilterError(ValueError):
    """The operator's filter lets a text or medium not pass; `reason` is what it says."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the content filter refuses this: {reason}")
        self.reason = reason

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.reason,)
