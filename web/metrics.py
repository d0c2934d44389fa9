"""What this process counts, in Prometheus' terms."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from web.fanout.fanout import Fanout
from web.fanout.listener import Listener
from web.fanout.subscriptions import Subscriptions


class FanoutCollector(Collector):
    """Reads the counters when it is asked, so that counting costs an addition."""

    def __init__(
        self,
        fanout: Fanout,
        subscriptions: Subscriptions,
        listener: Listener,
        clients: Callable[[], int],
    ) -> None:
        self._fanout = fanout
        self._subscriptions = subscriptions
        self._listener = listener
        self._clients = clients

    def collect(self) -> Iterator[Metric]:
        counters = self._fanout.counters
        gauges = {
            "clients": ("Connected clients.", self._clients()),
            "subscriptions": ("Topics followed, summed over clients.", len(self._subscriptions)),
            "capped": ("Jobs whose updates are held to the rate cap now.", len(self._fanout.debouncer)),
            "listening": ("Whether the message queue is listened to.", int(self._listener.listening)),
        }
        totals = {
            "messages": ("Messages received from the queue.", counters.received),
            "messages_for_nobody": ("Messages whose room nobody here follows.", counters.nobody_here),
            "merged": ("Updates replaced by a newer one before they went out.", counters.merged),
            "delivered": ("Events sent, summed over clients.", counters.delivered),
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
