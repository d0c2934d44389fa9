"""A real Socket.IO client that notes everything it is sent."""

from __future__ import annotations

import gc
import itertools
import threading
import warnings
from types import TracebackType
from typing import Any

import socketio

from tests.stack import wait_for

NAMESPACES = ("/jobs", "/notifications", "/analytics", "/default", "/")
EVENTS = (
    "subscribed",
    "subscription-error",
    "job:status-changed",
    "notification:received",
    "notification:read",
    "notifications:cleared",
    "analytics:sync-progress",
    "server:hello",
    "server:restarting",
)


class Watcher:
    """``seen`` holds (event, data) in the order of arrival."""

    def __init__(
        self,
        url: str,
        transport: str = "websocket",
        auth: Any = None,
        headers: dict[str, str] | None = None,
        **options: Any,
    ) -> None:
        self.seen: list[tuple[str, Any]] = []
        self.client = socketio.Client(**options)
        self._lock = threading.Lock()
        for namespace in NAMESPACES:
            for event in EVENTS:
                self.client.on(event, self._noting(event), namespace=namespace)
        self.client.connect(
            url,
            headers or {},
            namespaces=list(NAMESPACES),
            transports=transport.split(","),
            auth=auth,
            wait_timeout=10,
        )

    def __enter__(self) -> Watcher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.client.disconnect()
        # The client library leaves the sockets of connections it lost to the garbage collector.
        with warnings.catch_warnings(action="ignore", category=ResourceWarning):
            gc.collect()

    def call(self, event: str, argument: Any, namespace: str = "/jobs") -> Any:
        """Emit and return the ack."""
        return self.client.call(event, argument, namespace=namespace, timeout=10)

    def emit(self, event: str, argument: Any, namespace: str = "/jobs") -> None:
        self.client.emit(event, argument, namespace=namespace)

    def of(self, event: str) -> list[Any]:
        """What has arrived under one event name."""
        with self._lock:
            return [data for name, data in self.seen if name == event]

    def updates(self, job_id: str) -> list[dict[str, Any]]:
        return [update for update in self.of("job:status-changed") if update["jobId"] == job_id]

    def wait_for_status(self, job_id: str, *statuses: str, timeout: float = 20) -> dict[str, Any]:
        """The last update, once it has one of these statuses."""

        def reached() -> dict[str, Any] | None:
            updates = self.updates(job_id)
            return updates[-1] if updates and updates[-1]["status"] in statuses else None

        return wait_for(reached, timeout, f"{job_id} to be {statuses}; seen: {self.updates(job_id)}")

    def wait_for_event(self, event: str, timeout: float = 10) -> Any:
        return wait_for(lambda: self.of(event), timeout, event)[-1]

    def _noting(self, event: str) -> Any:
        def note(*data: Any) -> None:
            with self._lock:
                self.seen.append((event, data[0] if data else None))

        return note


def assert_no_regression(updates: list[dict[str, Any]]) -> None:
    """Within an epoch the sequence rises; within an attempt progress does not fall; nothing after the end."""
    places = [(u["epoch"], u["sequence"]) for u in updates if "sequence" in u]
    for (epoch, sequence), (next_epoch, next_sequence) in itertools.pairwise(places):
        assert epoch != next_epoch or sequence < next_sequence, places
    for first, second in itertools.pairwise(updates):
        if first.get("attempt") == second.get("attempt") and first.get("epoch") == second.get("epoch"):
            assert first.get("progress", 0) <= second.get("progress", 100), (first, second)
            assert first["status"] not in ("published", "completed", "failed", "cancelled"), updates
