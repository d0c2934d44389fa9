"""What this process counts, in Prometheus' terms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from jobcast.server.delivery.direct import DirectConnection
from jobcast.server.delivery.fanout import Fanout
from jobcast.server.delivery.subscriptions import Subscriptions
from jobcast.server.redis.listener import Listener


class FanoutCollector(Collector):
    """Reads the counters when it is asked, so that counting costs an addition."""

    def __init__(
        self,
        fanout: Fanout,
        subscriptions: Subscriptions,
        listener: Listener,
        sockets: Callable[[], Mapping[str, Any]],
        loop_lag: Callable[[], float],
    ) -> None:
        self._fanout = fanout
        self._subscriptions = subscriptions
        self._listener = listener
        self._sockets = sockets
        self._loop_lag = loop_lag

    def collect(self) -> Iterator[Metric]:
        counters = self._fanout.counters
        sockets = list(self._sockets().values())
        direct = [socket for socket in sockets if isinstance(socket, DirectConnection)]
        gauges = {
            "clients": ("Connected clients.", len(sockets)),
            "clients_direct": ("Clients served by the front door.", len(direct)),
            "buffered_bytes": ("Bytes that wait for clients to read.", sum(c.buffered for c in direct)),
            "behind": ("Subscriptions of clients that do not read.", len(self._fanout.behind)),
            "waiting": ("Topics with an update that waits for its interval.", self._fanout.waiting),
            "listener_lag_seconds": ("How far behind the message queue is read.", self._listener.lag),
            "loop_lag_seconds": ("How late the event loop came to its last turn.", self._loop_lag()),
            "subscriptions": ("Topics followed, summed over clients.", len(self._subscriptions)),
            "capped": ("Jobs whose updates are held to the rate cap now.", len(self._fanout.debouncer)),
            "listening": ("Whether the message queue is listened to.", int(self._listener.listening)),
        }
        totals = {
            "messages": ("Messages received from the queue.", counters.received),
            "messages_for_nobody": ("Messages whose room nobody here follows.", counters.nobody_here),
            "merged": ("Updates replaced by a newer one before they went out.", counters.merged),
            "delivered": ("Events sent, summed over clients.", counters.delivered),
            "dropped_for_no_room": ("Events not sent to a client too far behind.", counters.no_room),
            "resynced": ("Subscriptions brought up to date from the ledger.", counters.resynced),
            "listens": ("Times listening began, the first included.", self._listener.listens),
        }
        for name, (text, value) in gauges.items():
            yield GaugeMetricFamily(f"jobcast_{name}", text, value=value)
        for name, (text, value) in totals.items():
            yield CounterMetricFamily(f"jobcast_{name}", text, value=value)


def make_registry(collector: Collector) -> CollectorRegistry:
    """A registry of this process's own, with its memory and descriptors."""
    registry = CollectorRegistry()
    registry.register(collector)
    ProcessCollector(registry=registry)
    return registry
