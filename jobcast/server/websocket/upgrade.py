"""A client that began with long polling and changes to WebSocket, as the official client does by default.

Engine.IO's probe: ``2probe`` is answered with ``3probe`` and an end to the poll that waits; ``5`` makes the
change. From then on it is a client of the front door like any other.
"""

from __future__ import annotations

import queue
import socket
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from engineio.packet import NOOP, Packet

from jobcast.server import audit
from jobcast.server.protocol.frames import (
    PROTOCOL_ERROR,
    BadFrame,
    Inbound,
    Message,
    Ping,
    pong_frame,
    text_frame,
)
from jobcast.server.protocol.inbound_budget import BudgetSpent
from jobcast.server.websocket.connection import READ_BYTES, WebSocketConnection
from jobcast.server.websocket.epoll_events import IN

if TYPE_CHECKING:
    from jobcast.server.protocol.handshake import Request
    from jobcast.server.websocket.context import ServerContext

#: Seconds the whole change may take.
UPGRADE_TIMEOUT: Final = 10.0
_PROBED: Final = text_frame(b"3probe")


class Upgrade:
    """Watches the new connection until the change is made or given up; ``on_over`` is told of either."""

    def __init__(
        self,
        context: ServerContext,
        tcp: socket.socket,
        polling: Any,
        request: Request,
        on_over: Callable[[], None],
    ) -> None:
        self._context = context
        self._tcp = tcp
        self._polling = polling
        self._request = request
        self._on_over = on_over
        self._inbound = Inbound(context.engine.max_http_buffer_size)
        self._probed = self._over = False
        self._paid_until = 0.0

    def ready(self, events: int) -> None:
        try:
            data = self._tcp.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        messages, before = self._inbound.feed(data), self._inbound.frames
        try:
            is_asked = self._change_is_asked(messages)
            self._charge(max(1, self._inbound.frames - before), len(data))
            if is_asked:
                self._change(messages)
            elif not data:
                self.give_up()
        except (OSError, BadFrame):
            self.give_up()
        except BudgetSpent:
            audit.note("limit", self._request.environ(), sid=self._polling.sid, code="rate-limited")
            self.give_up()

    def _charge(self, count: int, size: int) -> None:
        now = self._context.timers.now()
        self._paid_until = self._context.budget.charge(self._paid_until, now, count, size)

    def tick(self, now: float) -> None:
        if not self._over:
            self.give_up()

    def _change_is_asked(self, messages: Iterator[Message]) -> bool:
        """Whether the client said so; what it sent after that is left in ``messages``."""
        for message in messages:
            if message == "5" and self._probed and not self._polling.closed:
                return True
            self._probe(message)
        return False

    def _probe(self, message: Message) -> None:
        if isinstance(message, Ping):
            self._tcp.sendall(pong_frame(message))
        elif message == "2probe" and not self._polling.upgrading and not self._polling.closed:
            self._probed = self._polling.upgrading = True
            self._tcp.sendall(_PROBED)
            self._polling.queue.put(Packet(NOOP))
        else:
            raise BadFrame(PROTOCOL_ERROR, "not the probe")

    def _change(self, messages: Iterator[Message]) -> None:
        self._end()
        polling, context = self._polling, self._context
        client = WebSocketConnection(context, self._tcp, polling.sid)
        client.session = polling.session
        polling.closed = True  # ends its timer; handlers are not told, the client goes on
        context.admit(client, self._request)
        context.poller.hand_to(self._tcp.fileno(), client, IN)
        for packet in _drained(polling.queue):
            client.send(packet)
        polling.queue.put(None)  # whoever still polls is let go
        client.go_on(self._inbound, messages, self._paid_until)

    def give_up(self) -> None:
        self._end()
        if self._probed:
            self._polling.upgrading = False
        self._context.poller.forget(self._tcp.fileno())
        self._tcp.close()

    def _end(self) -> None:
        self._over = True
        self._on_over()


def _drained(waiting: Any) -> list[Packet]:
    found: list[Packet] = []
    while True:
        try:
            packet = waiting.get(block=False)
        except queue.Empty:
            return found
        waiting.task_done()
        if packet is not None and packet.packet_type != NOOP:
            found.append(packet)
