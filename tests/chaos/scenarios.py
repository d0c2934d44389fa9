"""The list of what is tried."""

from __future__ import annotations

from typing import Final

from tests.chaos.run import Scenario

STORE: Final = ("kill-pubsub", "kill-normal", "pause-store", "stop-store", "restart-store", "fill-store")
WORK: Final = ("kill-child", "stop-child", "kill-worker", "stop-worker", "term-worker")
PATH: Final = (
    "kill-web",
    "stop-web",
    "term-web",
    "kill-client",
    "stop-client",
    "cut-network",
    "hang-network",
)

SCENARIOS: Final = (
    Scenario("calm", "no fault: what the others are compared with", ()),
    Scenario("pubsub", "CLIENT KILL TYPE pubsub", ("kill-pubsub",), 12, (0.5, 3.0)),
    Scenario("connections", "CLIENT KILL TYPE normal", ("kill-normal",), 12, (0.5, 3.0)),
    Scenario("pause", "CLIENT PAUSE", ("pause-store",)),
    Scenario("hang", "SIGSTOP of Valkey", ("stop-store",)),
    Scenario("restart", "Valkey killed and restarted with its data", ("restart-store",)),
    Scenario("empty", "Valkey killed and restarted without its data", ("empty-store",)),
    Scenario("older", "Valkey killed and restarted with a copy of a moment before", ("age-store",)),
    Scenario("full", "Valkey at its memory limit, then freed", ("fill-store",)),
    Scenario("broker", "the task queue restarted", ("restart-broker",), 4),
    Scenario("child", "SIGKILL and SIGSTOP of a worker's child", ("kill-child", "stop-child"), 8),
    Scenario("worker", "SIGKILL and SIGSTOP of a worker", ("kill-worker", "stop-worker"), 4),
    Scenario("deploy", "SIGTERM of a worker and of a web process", ("term-worker", "term-web")),
    Scenario("web", "SIGKILL and SIGSTOP of a web process", ("kill-web", "stop-web")),
    Scenario("client", "SIGKILL and SIGSTOP of clients", ("kill-client", "stop-client")),
    Scenario("network", "two seconds without a network to web", ("cut-network", "hang-network")),
    Scenario(
        "everything",
        "all of these in random order, two at the same time",
        (*STORE, "restart-broker"),
        7,
        (0.5, 3.0),
        beside=(*WORK, *PATH),
    ),
)
