"""The parts that all connections of one WebSocket server share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import eventlet

from jobcast.server.delivery.write_batch import WriteBatch
from jobcast.server.protocol.handshake import Request
from jobcast.server.protocol.inbound_budget import InboundBudget
from jobcast.server.websocket.pending_limit import PendingLimit
from jobcast.server.websocket.poller import Poller
from jobcast.server.websocket.scheduler import Scheduler
from jobcast.server.websocket.timers import Timed, TimerWheel


class Client(Timed, Protocol):
    """A connection as Engine.IO and the timers know it."""

    sid: str


@dataclass(slots=True)
class ConnectionCounts:
    """How many came in which way since this process started."""

    websockets: int = 0
    upgrades: int = 0
    passed_on: int = 0
    timed_out: int = 0
    turned_away: int = 0


@dataclass(eq=False)
class ServerContext:
    """What all connections share; ``scope`` is the part of a WSGI environ that is the same for all."""

    engine: Any
    environs: dict[str, Any]
    scope: dict[str, Any]
    write_batch: WriteBatch
    #: Whether somebody may open another connection; eventlet's server tells those who may not.
    is_welcome: Callable[[Request], bool]
    #: Seconds in which a connection has to have said what it wants.
    patience: float
    budget: InboundBudget
    pending_limit: PendingLimit = field(default_factory=PendingLimit)
    poller: Poller = field(default_factory=Poller)
    timers: TimerWheel = field(default_factory=lambda: TimerWheel(pause=lambda: eventlet.sleep(0)))
    scheduler: Scheduler = field(default_factory=Scheduler)
    counters: ConnectionCounts = field(default_factory=ConnectionCounts)

    def start(self) -> None:
        for loop in (self.poller.run, self.timers.run, self.scheduler.run):
            eventlet.spawn(loop)

    def admit(self, client: Client, request: Request) -> None:
        """Have Engine.IO know the client; its environ is made when somebody asks for it."""
        self.engine.sockets[client.sid] = client
        self.environs[client.sid] = request
        self.timers.add(client, self.engine.ping_interval)
