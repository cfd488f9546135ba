"""What Prometheus reads, and the middleware that counts and logs each request."""

from collections.abc import Callable
from time import perf_counter

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    generate_latest,
)  # fmt: skip
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from offmap.guard.facts import REASONS, Facts
from offmap.guard.serve.logs import say

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
P_VALUES = (0.001, 0.005, 0.01, 0.02, 0.05, *(tenth / 10 for tenth in range(1, 10)))
ROWS = tuple(float(2**power) for power in range(11))
QUIET = {"/v2/health/live", "/v2/health/ready", "/metrics"}  # asked for all the time
OTHER = "other"


class Metrics:
    """The numbers of one service, in a registry of their own.

    Args:
        name: How the model is called.
        facts: Of the guard.
    """

    def __init__(self, name: str, facts: Facts) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        guard = Info("offmap_guard", "What is served", registry=registry)
        guard.info({"name": name, "version": facts.model_version, "offmap": facts.version})
        alpha = Gauge("offmap_guard_alpha", "False-alarm rate asked for", registry=registry)
        alpha.set(facts.alpha)
        self.requests = Counter(
            "offmap_guard_requests", "Requests by route and status", ("route", "status"),
            registry=registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "offmap_guard_request_seconds", "From the head of a request to the end of its answer",
            ("route",), buckets=SECONDS, registry=registry,
        )  # fmt: skip
        self.verdicts = Counter(
            "offmap_guard_verdicts", "Inputs judged, by reason; `accepted` is one", ("reason",),
            registry=registry,
        )  # fmt: skip
        for reason in REASONS:
            self.verdicts.labels(reason)
        self.p_values = Histogram(
            "offmap_guard_p_value", "P-values of inputs: even between 0 and 1 on familiar traffic",
            buckets=P_VALUES, registry=registry,
        )  # fmt: skip
        self.batches = Histogram(
            "offmap_guard_batch_rows", "Inputs judged at once", buckets=ROWS, registry=registry
        )
        self.failures = Counter(
            "offmap_guard_failures", "Inputs on which the network itself failed", registry=registry
        )
        self.unkept = Counter(
            "offmap_guard_state_write_failures", "Failed writes of the stream alarm's state",
            registry=registry,
        )  # fmt: skip

    def watch(self, name: str, says: str, value: Callable[[], float]) -> None:
        """A number that is asked for whenever Prometheus reads."""
        Gauge(f"offmap_guard_{name}", says, registry=self.registry).set_function(value)

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self.registry)


class Observer:
    """Counts, times and logs each request. It sees route and status, and no content.

    Args:
        app: What answers.
        metrics: Where to count.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        begin, status = perf_counter(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            self._note(scope, status, perf_counter() - begin)
        return None

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", OTHER)  # its pattern: labels stay few
        self.metrics.requests.labels(route, status).inc()
        self.metrics.seconds.labels(route).observe(seconds)
        if route not in QUIET:
            say("request", route=route, status=status, milliseconds=round(1000 * seconds, 2))
