"""The list of what is tried."""

from __future__ import annotations

from typing import Final

from tests.chaos.run import Scenario

STORE: Final = ("kill-pubsub", "kill-normal", "pause-store", "stop-store", "restart-store")
WORK: Final = ("kill-child", "stop-child", "kill-worker", "stop-worker")
PATH: Final = ("kill-web", "stop-web", "kill-client", "stop-client", "cut-network", "hang-network")

SCENARIOS: Final = (
    Scenario("calm", "no fault: what the others are compared with", ()),
    Scenario("pubsub", "CLIENT KILL TYPE pubsub", ("kill-pubsub",), 12, (0.5, 3.0)),
    Scenario("connections", "CLIENT KILL TYPE normal", ("kill-normal",), 12, (0.5, 3.0)),
    Scenario("pause", "CLIENT PAUSE", ("pause-store",)),
    Scenario("hang", "SIGSTOP of Valkey", ("stop-store",)),
    Scenario("restart", "Valkey killed and restarted with its data", ("restart-store",)),
    Scenario("empty", "Valkey killed and restarted without its data", ("empty-store",)),
    Scenario("broker", "the task queue restarted", ("restart-broker",), 4),
    Scenario("child", "SIGKILL and SIGSTOP of a worker's child", ("kill-child", "stop-child"), 8),
    Scenario("worker", "SIGKILL and SIGSTOP of a worker", ("kill-worker", "stop-worker"), 4),
    Scenario("web", "SIGKILL and SIGSTOP of a web process", ("kill-web", "stop-web")),
    Scenario("client", "SIGKILL and SIGSTOP of clients", ("kill-client", "stop-client")),
    Scenario("network", "two seconds without a network to web", ("cut-network", "hang-network")),
    Scenario("everything", "all of these in random order", (*STORE, *WORK, *PATH), 10, (0.5, 3.0)),
)
