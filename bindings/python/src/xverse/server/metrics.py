"""Figures of the server in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from ..result import Stats
    from .engine import Engine

__all__ = ["Metrics"]

# Names and meanings of what the scheduler counts (xverse_scheduler_stats).
_COUNTERS = {
    "prompt_tokens": "Tokens of prompts that were evaluated.",
    "cached_tokens": "Tokens of prompts that the prefix cache had.",
    "generated_tokens": "Generated tokens.",
    "draft_tokens": "Guessed tokens of finished answers.",
    "accepted_draft_tokens": "Guessed tokens that were right.",
    "preemptions": "Answers that lost their blocks for want of memory.",
    "passes": "Passes through the weights.",
    "busy_seconds": "Seconds of these passes.",
}
_GAUGES = {
    "running": "Answers that run.",
    "waiting": "Answers that wait in the queue.",
    "tokens_per_second": "Tokens evaluated and generated in a second of the passes so far.",
    "kv_blocks": "Blocks of the KV cache.",
    "kv_bytes": "Bytes of these blocks.",
    "prefix_blocks": "Blocks that the prefix cache holds.",
    "prefix_bytes": "Bytes of these blocks.",
    "prefix_hit_rate": "Part of the looked-up tokens that the prefix cache had, 0 to 1.",
}
_FROM_1_MS = [0.001 * 2**i for i in range(18)]


class Metrics:
    """Counts requests, and reads the scheduler's figures when it is asked."""

    def __init__(self, engine: Engine) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "xverse_requests", "Requests by path and status.", ["path", "status"], registry=registry
        )
        self._seconds = Histogram(
            "xverse_request_seconds", "Seconds of a request, by path.", ["path"], buckets=_FROM_1_MS, registry=registry
        )
        self.in_progress = Gauge("xverse_requests_in_progress", "Requests in progress.", registry=registry)
        self._first = Histogram(
            "xverse_time_to_first_token_seconds", "Seconds from a request to its first token.",
            buckets=_FROM_1_MS, registry=registry,
        )  # fmt: skip
        self._between = Histogram(
            "xverse_time_per_output_token_seconds", "Seconds between two tokens, the mean of a request.",
            buckets=_FROM_1_MS, registry=registry,
        )  # fmt: skip
        registry.register(_SchedulerCollector(engine))

    def request(self, path: str, status: int, seconds: float) -> None:
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def answer(self, stats: Stats, n: int) -> None:
        """The figures of a request with n answers."""
        if stats.n_generated == 0:
            return
        self._first.observe(stats.ns_first_token / 1e9)
        if stats.n_generated > n:
            # The answers of a request are generated together.
            self._between.observe(stats.ns_decode / 1e9 / (stats.n_generated / n - 1))

    def text(self) -> bytes:
        return generate_latest(self._registry)


class _SchedulerCollector(Collector):
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterable[Metric]:
        stats = self._engine.stats()
        for name, text in _COUNTERS.items():
            if name in stats:
                yield CounterMetricFamily(f"xverse_{name}", text, value=stats[name])
        for name, text in _GAUGES.items():
            if name in stats:
                yield GaugeMetricFamily(f"xverse_{name}", text, value=stats[name])
