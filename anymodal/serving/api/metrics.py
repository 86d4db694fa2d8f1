"""Metrics of a server for Prometheus."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Any

import torch
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from anymodal.serving.requests import ReplyStream
from anymodal.serving.served import ServedModel
from anymodal.types import Event, MediumReady, TextDelta

NAMESPACE = "anymodal"
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600)

ARRIVAL: ContextVar[float | None] = ContextVar("arrival", default=None)
"""When the request at hand came, in seconds of `time.perf_counter`."""


class Metrics:
    """Counters of one server.

    Args:
        models: gives the models that are loaded.
    """

    def __init__(self, models: Callable[[], Iterable[ServedModel]]) -> None:
        # Not the library's global one: a process may have several servers, as tests do.
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.registry.register(_Engines(models))
        self.requests = self._counter("requests", "Answered requests.", "path", "status")
        self.seconds = self._histogram("request_seconds", "Time to an answer's end.", "path")
        self.first_token = self._histogram(
            "time_to_first_token_seconds", "Time from a request to its first text.", "model"
        )
        self.tokens = self._counter("tokens", "Tokens read and written.", "model", "kind")
        self.media = self._counter("media", "Media made.", "model", "modality")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, namespace=NAMESPACE, registry=self.registry)

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(
            name, text, labels, namespace=NAMESPACE, registry=self.registry, buckets=_SECONDS
        )

    def page(self) -> bytes:
        """All metrics as text."""
        return generate_latest(self.registry)

    async def watch(self, model: str, stream: ReplyStream) -> AsyncIterator[Event]:
        """The events of a reply, counted as they pass."""
        async for events in self.watch_groups(model, stream):
            for event in events:
                yield event

    async def watch_groups(self, model: str, stream: ReplyStream) -> AsyncIterator[list[Event]]:
        """As `watch`, with those together that come together."""
        began, is_first = ARRIVAL.get() or time.perf_counter(), True
        while events := await stream.next_events():
            for event in events:
                if is_first and isinstance(event, TextDelta):
                    is_first = False
                    self.first_token.labels(model).observe(time.perf_counter() - began)
                elif isinstance(event, MediumReady):
                    self.media.labels(model, event.modality).inc()
            yield events
        self.tokens.labels(model, "prompt").inc(stream.usage.prompt)
        self.tokens.labels(model, "cached").inc(stream.usage.cached)
        self.tokens.labels(model, "completion").inc(stream.usage.completion)


class _Engines:
    """Gauges of engines and devices, read at each request."""

    def __init__(self, models: Callable[[], Iterable[ServedModel]]) -> None:
        self.models = models

    def collect(self) -> Iterator[Metric]:
        """The metrics."""
        under_way = GaugeMetricFamily("anymodal_requests_running", "Under way.", labels=["model"])
        writing = GaugeMetricFamily("anymodal_batch_rows", "In the text batch.", labels=["model"])
        waiting = GaugeMetricFamily(
            "anymodal_requests_waiting", "Waiting for a stage.", labels=["model", "stage"]
        )
        for served in self.models():
            replies = 0 if served.engine is None else served.engine.requests
            under_way.add_metric([served.name], replies + served.embeddings.requests)
            if served.engine is not None:
                writing.add_metric([served.name], served.engine.writing)
                for stage, count in served.engine.waiting.items():
                    waiting.add_metric([served.name, stage], count)
        yield from (under_way, writing, waiting)
        if torch.cuda.is_available():
            num_bytes: Any = torch.cuda.memory_allocated()
            yield GaugeMetricFamily(
                "anymodal_device_bytes", "Memory of the device.", value=num_bytes
            )
