"""What is measured, against whom, and what is to be reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from bench.measure import Connecting, Delivery, Elsewhere, Entrant, Memory, Reports, Sample, Site

JOBCAST: Final = Entrant("jobcast", "jobcast")
NODE: Final = Entrant("node", "node", "--node")
EVENTLET: Final = Entrant("eventlet", "eventlet", "--stock")
GEVENT: Final = Entrant("gevent", "gevent", "--stock")
THREADING: Final = Entrant("threading", "threading", "--stock")
LIMIT: Final = Entrant("limit", "limit")
#: The front door fed by somebody's existing workers.
JOBCAST_STOCK: Final = Entrant("jobcast-stock", "jobcast", "--stock")
#: Each room on a Redis channel of its own.
JOBCAST_TOPICS: Final = Entrant("jobcast-topics", "jobcast-topics", "--per-topic")
#: From the worker's call to the client: through the ledger, and through Flask-SocketIO's own way.
JOBCAST_WORKER: Final = Entrant("jobcast", "jobcast", "--ledger")
STOCK_WORKER: Final = Entrant("eventlet", "eventlet", "--manager")

#: Names for readers.
LABELS: Final = {
    "jobcast": "Jobcast",
    "jobcast-stock": "Jobcast, stock envelopes",
    "jobcast-topics": "Jobcast, a channel per topic",
    "node": "Node Socket.IO",
    "eventlet": "Flask-SocketIO, eventlet",
    "gevent": "Flask-SocketIO, gevent",
    "threading": "Flask-SocketIO, threading",
    "limit": "one send() per message, in C",
    "advance": "Jobcast, advance()",
    "track": "Jobcast, track()",
    "tqdm-update": "tqdm, update()",
    "tqdm-loop": "tqdm, loop",
    "rich-advance": "rich, advance()",
    "rich-track": "rich, track()",
    "update-state": "Celery, update_state()",
    "set-progress": "celery-progress, set_progress()",
}


@dataclass(frozen=True)
class Figure:
    """A name in a sample, and how readers see it."""

    name: str
    label: str
    unit: str
    more_is_better: bool = False


RATE: Final = Figure("rate", "deliveries per second", "/s", more_is_better=True)
PER_CPU: Final = Figure(
    "per_cpu_second", "deliveries per second of processor time", "/s", more_is_better=True
)
CONNECTS: Final = Figure("rate", "connections per second", "/s", more_is_better=True)
P50: Final = Figure("p50_ms", "p50", "ms")
P99: Final = Figure("p99_ms", "p99", "ms")
BYTES: Final = Figure("bytes_per_client", "memory per client", "bytes")
SUBSCRIBED: Final = Figure("bytes_per_subscriber", "and subscribed to a room of its own", "bytes")
FIRST: Final = Figure("first_ms", "first delivery", "ms")
HEALTH: Final = Figure("health_max_ms", "slowest /healthz", "ms")
NS: Final = Figure("ns", "one report", "ns")
COST: Final = Figure("us_per_message", "processor time per message", "µs")


@dataclass(frozen=True)
class Target:
    """``ours`` is to be ``factor`` × ``peer``, or better; without a peer, ``factor`` itself."""

    figure: Figure
    factor: float
    peer: str = ""
    ours: str = "jobcast"


class Measurement(Protocol):
    def sample(self, site: Site, entrant: Entrant) -> Sample: ...


@dataclass(frozen=True)
class Row:
    """One measurement, repeated with every entrant in turn."""

    name: str
    title: str
    measurement: Measurement
    entrants: Sequence[Entrant]
    figures: Sequence[Figure]
    targets: Sequence[Target] = ()


def _fan_out(clients: int, entrants: Sequence[Entrant]) -> Row:
    return Row(
        f"fan-out-{clients}",
        f"{clients:,} clients in one room, 400 messages at once",
        Delivery(clients, rooms=1, count=400),
        entrants,
        [RATE, PER_CPU],
        [Target(RATE, 2, "node"), Target(RATE, 0.9, "limit")],
    )


def _paced(clients: int, entrants: Sequence[Entrant]) -> Row:
    return Row(
        f"paced-{clients}",
        f"{clients:,} clients in one room, 20 messages a second",
        Delivery(clients, rooms=1, count=100, rate=20, batch=1),
        entrants,
        [P50, P99],
        [Target(P50, 0.7, "node"), Target(P99, 0.7, "node")],
    )


def _memory(clients: int, entrants: Sequence[Entrant]) -> Row:
    targets = [Target(BYTES, 4096), Target(BYTES, 0.25, "node")]
    title = f"{clients:,} idle WebSocket clients that offer deflate"
    return Row(f"memory-{clients}", title, Memory(clients), entrants, [BYTES, SUBSCRIBED], targets)


def _connecting(at_once: int, clients: int) -> Row:
    title = "connecting, one after another" if at_once == 1 else f"connecting, {at_once} at once"
    return Row(
        f"connect-{at_once}",
        title,
        Connecting(clients, at_once),
        [JOBCAST, NODE, EVENTLET, GEVENT],
        [CONNECTS],
        [Target(CONNECTS, 1.2, "node")],
    )


def _reports(name: str, title: str, ours: str, tqdm: str, others: Sequence[str]) -> Row:
    entrants = [Entrant(subject, "", subject) for subject in (ours, tqdm, *others)]
    return Row(name, title, Reports(), entrants, [NS], [Target(NS, 0.5, tqdm, ours)])


ROWS: Final[tuple[Row, ...]] = (
    _fan_out(500, [JOBCAST, NODE, LIMIT, EVENTLET, GEVENT, THREADING]),
    _fan_out(2_000, [JOBCAST, NODE, LIMIT, EVENTLET]),
    _paced(500, [JOBCAST, NODE, LIMIT, EVENTLET, GEVENT, THREADING]),
    _paced(2_000, [JOBCAST, NODE, LIMIT, EVENTLET]),
    Row(
        "jobs-burst",
        "500 rooms of one client, 40,000 messages at once",
        Delivery(500, rooms=500, count=40_000),
        [JOBCAST, JOBCAST_TOPICS, JOBCAST_STOCK, NODE, EVENTLET, GEVENT, THREADING],
        [RATE, PER_CPU, FIRST],
        [Target(RATE, 2, "node"), Target(RATE, 1, "node", "jobcast-stock")],
    ),
    Row(
        "jobs-paced",
        "500 rooms of one client, 4,000 messages a second",
        Delivery(500, rooms=500, count=20_000, rate=4_000, batch=4),
        [JOBCAST, JOBCAST_STOCK, NODE, LIMIT, EVENTLET, GEVENT],
        [P50, P99],
        [Target(P50, 0.7, "node"), Target(P99, 0.7, "node")],
    ),
    _memory(4_000, [JOBCAST, NODE, EVENTLET, GEVENT]),
    _memory(15_000, [JOBCAST, NODE]),
    _connecting(1, 1_000),
    _connecting(16, 2_000),
    Row(
        "storm",
        "4,000 clients come back, 256 at once",
        Connecting(4_000, at_once=256, probed=True),
        [JOBCAST, NODE],
        [HEALTH, CONNECTS],
        [Target(HEALTH, 100), Target(CONNECTS, 1, "node")],
    ),
    _reports(
        "report",
        "a report that is merged away",
        "advance",
        "tqdm-update",
        ("rich-advance", "update-state", "set-progress"),
    ),
    _reports("iteration", "one round of a loop that is tracked", "track", "tqdm-loop", ("rich-track",)),
    Row(
        "worker",
        "from the worker to one client, 20 messages a second",
        Delivery(1, rooms=1, count=200, rate=20, batch=1),
        [JOBCAST_WORKER, STOCK_WORKER],
        [P50, P99],
        [Target(P50, 0.5, "eventlet")],
    ),
    Row(
        "elsewhere",
        "a message for a room that nobody here follows",
        Elsewhere(100_000),
        [JOBCAST, JOBCAST_TOPICS, NODE, EVENTLET],
        [COST],
    ),
    Row(
        "store",
        "5,000 updates through the ledger, one by one",
        Delivery(1, rooms=1, count=5_000),
        [JOBCAST_WORKER],
        [Figure("redis_us_per_message", "Redis' processor time per update", "µs")],
    ),
)
